#!/usr/bin/env python3
"""The chart and the measured tables of docs/performance.md, from what was measured:

    scripts/peer_ratio.py --python ... --json docs/measurements/peer.json         (other machines: peer_NAME.json)
    scripts/performance_ladder.py --json docs/measurements/ladder.json
    scripts/performance_page.py

writes docs/pictures/performance.svg and replaces, in docs/performance.md, what stands between <!-- peer.json -->,
<!-- peer_NAME.json --> or <!-- ladder.json --> and <!-- end -->. Nothing else is touched; without changes in the
measurements nothing changes."""
import argparse
import html
import json
import os
import re

from peer_ratio import table

BAR, GAP, LEFT, WIDTH, RIGHT = 22, 6, 330, 400, 110  # pixels
COLOURS = {"lucida": "#2563a8", "peer": "#9aa3ad"}


def arguments():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--measurements", default="docs/measurements", help="the folder (docs/measurements)")
    parser.add_argument("--page", default="docs/performance.md", help="(docs/performance.md)")
    parser.add_argument("--chart", default="docs/pictures/performance.svg", help="(docs/pictures/performance.svg)")
    return parser.parse_args()


def dates(m):
    """One, or of which rows which (peer_ratio.py keeps rows that are not measured again)."""
    by_date = {}
    for i, row in enumerate(m.get("rows", [])):
        by_date.setdefault(row["date"], []).append(i + 1)
    if len(by_date) < 2:
        return m["machine"]["date"]
    return "; ".join(f"{date}: rows {', '.join(map(str, rows))}" for date, rows in sorted(by_date.items()))


def measured_on(m):
    quiet = "quiet cores" if m["busiest"] == 0 else f"cores up to {100 * m['busiest']:.0f} % in use by other programs"
    return (f"{m['machine']['cpu']}, {m['threads']} of {m['machine']['cores']} cores, "
            f"{'AVX-512' if m['machine']['avx512'] else 'no AVX-512'}, {quiet}, {dates(m)}")


def wrapped(name):
    """At most two lines that fit in front of a bar."""
    lines = [""]
    for word in name.split():
        if len(lines[-1]) + len(word) > 46:
            lines.append("")
        lines[-1] = (lines[-1] + " " + word).strip()
    return lines[:2] if len(lines) <= 2 else [lines[0], " ".join(lines[1:])]


def text(x, y, content, anchor="start", weight="normal", size=12):
    return (f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}">'
            f'{html.escape(content)}</text>')


def bars(top, title, entries):
    """One group: (name, value, "lucida" or "peer"), bars from 0 on one scale. Returns the SVG and its height."""
    most, y = max(value for _, value, _ in entries), top + 26
    parts = [text(10, top + 14, title, weight="bold", size=14)]
    for name, value, kind in entries:
        lines = wrapped(name)
        for i, line in enumerate(lines):
            parts.append(text(LEFT - 8, y + BAR / 2 + 4 + 12 * (i - (len(lines) - 1) / 2), line, "end", size=11))
        length = max(1.0, WIDTH * value / most)
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[kind]}"/>')
        parts.append(text(LEFT + length + 6, y + BAR / 2 + 4, f"{value:.3g}"))
        y += BAR + GAP
    return parts, y - top + 14


def batch_of(step):
    return "" if step["batch"] == 16 else f" (batch {step['batch']})"


def peer_of(peer, name):
    row = next((r for r in peer["rows"] if r["name"].startswith(name)), None) if peer else None
    return [(row["peer_is"], row["peer"], "peer")] if row else []


def chart(ladder, peer):
    parts, y = [], 8
    rows = {"Training step": "training step b16@224, images", "Inference": "inference b16@224, images"}
    for group in ladder["ladders"]:
        entries = [(s["name"] + batch_of(s), s["images_per_s"], "lucida") for s in group["steps"]]
        drawn, height = bars(y, f"{group['title']}, ResNet-50 CAM at 224 pixels, batch 16: images a second",
                             entries + peer_of(peer, rows[group["title"]]))
        parts, y = parts + drawn, y + height
    parts.append(text(10, y + 8, measured_on(ladder), size=11))
    width, height = LEFT + WIDTH + RIGHT, y + 20
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="sans-serif" fill="#1c2430">\n<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
            f'{body}\n</svg>\n')


def ladder_table(ladder):
    lines = []
    for group in ladder["ladders"]:
        single = any("batch1_ms" in s for s in group["steps"])
        lines += [f"| {group['title']} | images/s | gain |" + (" one image, ms |" if single else ""),
                  "|---|---|---|" + ("---|" if single else "")]
        before = None
        for s in group["steps"]:
            gain = f"{s['images_per_s'] / before:.2f}" if before else ""
            lines.append(f"| {s['name']}{batch_of(s)} | {s['images_per_s']:.3g} | {gain} |" +
                         (f" {s['batch1_ms']:.4g} |" if single else ""))
            before = s["images_per_s"]
        lines.append("")
    return "\n".join(lines + [measured_on(ladder) + "."])


def replaced(page, mark, content):
    pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.S)
    if not pattern.search(page):
        raise SystemExit(f"performance_page: the page has no <!-- {mark} --> ... <!-- end -->")
    return pattern.sub(lambda m: m[1] + content + "\n" + m[2], page)


def main():
    o = arguments()

    def read(name):
        path = os.path.join(o.measurements, name)
        return json.load(open(path)) if os.path.exists(path) else None

    ladder, peer = read("ladder.json"), read("peer.json")
    with open(o.page) as file:
        page = file.read()
    for name in sorted(n for n in os.listdir(o.measurements) if re.fullmatch(r"peer\w*\.json", n)):
        measured = read(name)
        page = replaced(page, name, f"{table(measured['rows'])}\n\n{measured_on(measured)}.")
    if ladder:
        page = replaced(page, "ladder.json", ladder_table(ladder))
        with open(o.chart, "w") as file:
            file.write(chart(ladder, peer))
    with open(o.page, "w") as file:
        file.write(page)


if __name__ == "__main__":
    main()
