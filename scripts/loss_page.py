#!/usr/bin/env python3
"""Writes the part of docs/losses.md that describes each loss, and docs/pictures/loss_gradients.svg: the gradient of one
entry against its logit, as `lucida op loss` computes it.    python3 scripts/loss_page.py [build/lucida]

Papers, formulas and defaults are those of `lucida info --json`. Needs NumPy.

The entry that is looked at is the first of an image with 8 classes; the others are a positive with logit 1 (where the
entry itself is none), an observed negative with logit -3, and unobserved entries with logit -2 (csl: 2). Gradients are
of the entry's own loss: means are multiplied by the number of entries.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

LUCIDA = sys.argv[1] if len(sys.argv) > 1 else "build/lucida"
PAGE, PICTURE = "docs/losses.md", "docs/pictures/loss_gradients.svg"
BEGIN, END = "<!-- losses: made by scripts/loss_page.py -->", "<!-- end of losses -->"

CLASSES = 8
LOGITS = np.linspace(-6, 6, 49)
LINES = [  # what is known of the entry, its label, its state where the loss keeps one, colour
    ("positive (y = 1)", 1, 0, "#2f6db5"),
    ("unobserved (y = 0)", 0, 0, "#d1622b"),
    ("negative (y = -1)", -1, 0, "#777777"),
    ("unobserved, with a pseudo-label or an estimate", 0, 1, "#2e8b57"),
]
# The value of the state on the fourth line, and the state elsewhere.
STATE = {"em-apl": (0.05, 0), "em-pl": (1, 0), "role": (2.2, 0)}
SETTINGS = {"csl": {"likelihood_topk": 1}, "ll-r": {"epoch": 5}, "ll-ct": {"epoch": 5}, "ll-cp": {"epoch": 5},
            "splc": {"epoch": 2}, "gr": {"epoch": 4}}
# Losses whose entries see the rest of the batch: one logit a call. Of the others all logits are images of one batch.
COUPLED = {"epr", "role", "csl", "ll-r", "ll-ct", "ll-cp"}


def info():
    return json.loads(subprocess.run([LUCIDA, "info", "--json"], capture_output=True, check=True, text=True).stdout)


def image(kind, label):
    """Logits and labels of the other entries."""
    logits, labels = np.full(CLASSES, -2.0), np.zeros(CLASSES)
    logits[1], labels[1] = (1, 1) if label != 1 else (-2, 0)
    logits[2], labels[2] = -3, -1
    labels[0] = label
    if kind == "csl":
        logits[3:] = 2
    return logits, labels


def gradients(kind, label, state, folder):
    """dlogits of the first entry for each of LOGITS, by itself."""
    def run(values):
        logits, labels = image(kind, label)
        arrays = {"logits": np.tile(logits, (len(values), 1)), "labels": np.tile(labels, (len(values), 1))}
        arrays["logits"][:, 0] = values
        if kind in STATE:
            arrays["state"] = np.full_like(arrays["logits"], STATE[kind][1])
            arrays["state"][:, 0] = STATE[kind][0] if state else STATE[kind][1]
        words = [LUCIDA, "op", "loss", "--set", f"kind={kind}", "--out", folder, "--threads", "1"]
        for name, array in arrays.items():
            np.save(f"{folder}/in_{name}.npy", array.astype(np.float32))
            words += ["--input", f"{name}={folder}/in_{name}.npy"]
        for name, value in SETTINGS.get(kind, {}).items():
            words += ["--set", f"{name}={value}"]
        subprocess.run(words, check=True, capture_output=True)
        return np.load(f"{folder}/dlogits.npy")[:, 0]

    if kind in COUPLED:
        return np.array([run([x])[0] for x in LOGITS])
    return run(LOGITS)


def panel(name, curves, x0, y0, width, height):
    scale = max(1e-9, max(np.abs(g).max() for _, g in curves))
    top = next(s for s in [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50] if s >= scale * 0.999)
    at_x = lambda v: x0 + (v + 6) / 12 * width
    at_y = lambda g: y0 + height / 2 - g / top * height / 2
    out = [f'<rect x="{x0}" y="{y0}" width="{width}" height="{height}" class="frame"/>',
           f'<line x1="{x0}" y1="{at_y(0)}" x2="{x0 + width}" y2="{at_y(0)}" class="axis"/>',
           f'<line x1="{at_x(0)}" y1="{y0}" x2="{at_x(0)}" y2="{y0 + height}" class="axis"/>',
           f'<text x="{x0}" y="{y0 - 5}" class="name">{name}</text>',
           f'<text x="{x0 + width}" y="{y0 - 5}" class="scale">±{top:g}</text>']
    for colour, g in curves:
        points = " ".join(f"{at_x(x):.1f},{at_y(v):.1f}" for x, v in zip(LOGITS, g))
        dashes = ' stroke-dasharray="5 3"' if colour == LINES[2][3] else ""  # it often lies on another one
        out.append(f'<polyline points="{points}" stroke="{colour}"{dashes}/>')
    return out


def picture(kinds):
    columns, width, height, gap_x, gap_y, margin = 5, 150, 100, 30, 44, 20
    rows = -(-len(kinds) // columns)
    total_w, total_h = 2 * margin + columns * (width + gap_x) - gap_x, 70 + rows * (height + gap_y)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_w} {total_h}" font-family="sans-serif">',
           "<style>.frame{fill:#fff;stroke:#bbb}.axis{stroke:#ddd}polyline{fill:none;stroke-width:1.6}"
           ".name{font-size:12px;font-weight:bold}.scale{font-size:9px;text-anchor:end;fill:#666}"
           ".key{font-size:11px}</style>",
           f'<rect width="{total_w}" height="{total_h}" fill="#fff"/>']
    for i, (text, _, _, colour) in enumerate(LINES):
        x, y = margin + (i % 2) * 330, 18 + (i // 2) * 16
        out += [f'<line x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}" stroke="{colour}" stroke-width="2"/>',
                f'<text x="{x + 30}" y="{y}" class="key">{text}</text>']
    with tempfile.TemporaryDirectory() as folder:
        for i, kind in enumerate(kinds):
            name = kind["name"]
            mean = not any(s["name"] == "loss_sum" for s in kind.get("settings", []))
            entries = CLASSES * (1 if name in COUPLED else len(LOGITS)) if mean else 1
            lines = [line for line in LINES if not line[2] or name in STATE]
            if name in ("bce", "bce-ls"):  # every label is known
                lines = [LINES[0], LINES[2]]
            curves = [(colour, entries * gradients(name, label, state, folder)) for _, label, state, colour in lines]
            x0, y0 = margin + (i % columns) * (width + gap_x), 66 + (i // columns) * (height + gap_y)
            out += panel(name, curves, x0, y0, width, height)
    with open(PICTURE, "w") as f:
        f.write("\n".join(out + ["</svg>", ""]))


def section(kind):
    lines = [f"### `{kind['name']}`", "", f"{kind['idea'][0].upper()}{kind['idea'][1:]}.", "", kind["paper"] + ".", "",
             "```", kind["formula"], "```"]
    settings = kind.get("settings", [])
    if settings:
        lines += ["", "| option | default | |", "|---|---|---|"]
    for s in settings:
        default = ", ".join([f"{s['default']:g}"] + [f"{d} {v:g}" for d, v in (s["by_data"] or {}).items()])
        lines.append(f"| `{s['option']}` | {default} | {s['meaning']} |")
    return "\n".join(lines)


def main():
    kinds = info()["losses"]
    os.makedirs(os.path.dirname(PICTURE), exist_ok=True)
    picture(kinds)
    text = open(PAGE).read()
    before, after = text[:text.index(BEGIN)], text[text.index(END):]
    with open(PAGE, "w") as f:
        f.write(before + BEGIN + "\n\n" + "\n\n".join(section(k) for k in kinds) + "\n\n" + after)


if __name__ == "__main__":
    main()
