#!/usr/bin/env python3
"""Writes the part of docs/results.md that tells of the small study, and its pictures, from the files that
scripts/study.py left:    python3 scripts/study_page.py runs/study

Methods are compared in pairs: the difference of two methods is taken seed by seed (same labels, first weights, order
and mirrors), and its mean stands with a 95 % interval of Student's t. An interval that holds 0 is a study that cannot
tell. Half a study makes a page too, of what there is.
"""
import glob
import json
import os
import re
import statistics as st
import sys

from study import ALPHA, LARGE_LOSS, MAIN, OF_RECIPE, OTHERS

PAGE, PICTURES = "docs/results.md", "docs/pictures"
BEGIN, END = "<!-- study: made by scripts/study_page.py -->", "<!-- end of study -->"
T975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}  # Student's t

# Kim et al., CVPR 2023: test mAP on VOC 2012, 448 pixels, the whole network trained. AN + BoostLU stands in another
# table of theirs, beside an AN of 86.10.
PAPER = {"full": 89.42, "an": 85.89, "ll-r": 88.27, "ll-r-boostlu": 89.29, "ll-ct": 87.79, "ll-ct-boostlu": 88.61,
         "ll-cp": 87.44, "ll-cp-boostlu": 87.81, "an+boostlu": 87.31}
TITLES = {"full": "Full labels", "an": "AN", "an+boostlu": "AN + BoostLU at inference", "ll-r": "LL-R",
          "ll-r-boostlu": "LL-R + BoostLU", "ll-ct": "LL-Ct", "ll-ct-boostlu": "LL-Ct + BoostLU", "ll-cp": "LL-Cp",
          "ll-cp-boostlu": "LL-Cp + BoostLU"}
ROWS = list(TITLES)
PAIRS = [("full", "an", 3.53), ("an+boostlu", "an", 1.21), ("ll-r", "an", 2.38), ("ll-ct", "an", 1.90),
         ("ll-cp", "an", 1.55), ("ll-r-boostlu", "ll-r", 1.02), ("ll-ct-boostlu", "ll-ct", 0.82),
         ("ll-cp-boostlu", "ll-cp", 0.37), ("ll-r-boostlu", "an", 3.40)]
COLOURS = {"full": "#555", "an": "#d1622b", "an+boostlu": "#e8a33d", "ll-r": "#2f6db5", "ll-r-boostlu": "#17406f",
           "ll-ct": "#2e8b57", "ll-ct-boostlu": "#175233", "ll-cp": "#8a56b0", "ll-cp-boostlu": "#4f2b69"}


class Result:
    """What one run came to. Figures of maps are of the best epoch's weights."""

    def __init__(self, folder, evaluation):
        e = json.load(open(os.path.join(folder, evaluation)))
        lines = [json.loads(line) for line in open(os.path.join(folder, "metrics.jsonl"))]
        self.map, cam = e["map"], e["cam"]
        self.pointing, self.seeds, self.boxes = cam["pointing"], cam["seed_miou_best"], cam["max_box_acc_v2"]
        self.epochs = [x["map"] for x in lines if x["kind"] == "epoch" and x["split"] == "val"]
        self.last = self.epochs[-1] if evaluation == "eval.json" else None  # with BoostLU later: best epoch only
        train = [x for x in lines if x["kind"] == "epoch" and x["split"] == "train"]
        self.missing = train[-1]["false_negatives"]
        self.caught = sum(x["corrected_truly_positive"] for x in train)
        self.taken = sum(x["corrected"] for x in train)


def results(out):
    """{method: {seed: Result}}; AN judged with BoostLU is a method of its own."""
    found = {}
    for method in MAIN + OTHERS:
        for folder in glob.glob(os.path.join(out, f"{method}-[0-9]*")):
            seed = int(folder.rsplit("-", 1)[1])
            for name, file in ((method, "eval.json"), (method + "+boostlu", f"eval-alpha-{ALPHA}.json")):
                if os.path.exists(os.path.join(folder, file)):
                    found.setdefault(name, {})[seed] = Result(folder, file)
    return found


def comparisons(out):
    """{model: {seed: part of compare.json}}, and the control's."""
    found, control = {}, {}
    for path in glob.glob(os.path.join(out, "compare-*", "compare.json")):
        data, seed = json.load(open(path)), int(path.split(os.sep)[-2].split("-")[1])
        control[seed] = data["control"]
        for model in data["models"]:
            found.setdefault(model["name"], {})[seed] = model
    return found, control


def spread(values, digits=2):
    if not values:
        return "-"
    mean = f"{st.mean(values):.{digits}f}"
    return mean + (f" ± {st.stdev(values):.{digits}f}" if len(values) > 1 else "")


def interval(values):
    """Mean and half width of the 95 % interval; no width for one value."""
    n = len(values)
    return st.mean(values), T975[n - 1] * st.stdev(values) / n**0.5 if n > 1 else None


def differences(found, a, b, figure):
    shared = sorted(set(found.get(a, {})) & set(found.get(b, {})))
    pairs = [(figure(found[a][s]), figure(found[b][s])) for s in shared]
    return [x - y for x, y in pairs if x is not None and y is not None]


def verdict(mean, half, published):
    if half is None:
        return "one seed: cannot tell"
    if abs(mean) <= half:
        return "cannot tell"
    return "agrees" if (mean > 0) == (published > 0) else "**the other way**"


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] +
                     ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


def main_table(found):
    rows = []
    for m in ROWS:
        r = list(found.get(m, {}).values())
        if r:
            last = [x.last for x in r if x.last is not None]
            rows.append([TITLES[m], len(r), spread([x.map for x in r]), spread(last),
                         spread([x.pointing for x in r], 1), spread([x.seeds for x in r], 1),
                         spread([x.boxes for x in r], 1), PAPER[m]])
    return table(["", "seeds", "mAP, best epoch", "mAP, last epoch", "pointing game", "seed mIoU", "MaxBoxAccV2",
                  "paper, VOC"], rows)


def pair_rows(found):
    """(title, differences of mAP, mean, half width, the paper's difference)"""
    rows = []
    for a, b, published in PAIRS:
        d = differences(found, a, b, lambda r: r.map)
        if d:
            rows.append((f"{TITLES[a]} − {TITLES[b]}", d, *interval(d), published))
    return rows


def signed(mean, half):
    return f"{mean:+.2f}" + (f" ± {half:.2f}" if half is not None else "")


def pair_table(found):
    rows = []
    for (title, d, mean, half, published), (a, b, _) in zip(pair_rows(found), [p for p in PAIRS if differences(
            found, p[0], p[1], lambda r: r.map)]):
        others = []
        for figure in (lambda r: r.last, lambda r: r.pointing, lambda r: r.seeds):
            values = differences(found, a, b, figure)
            others.append(signed(*interval(values)) if values else "-")
        rows.append([title, len(d), signed(mean, half), *others, f"{published:+.2f}", verdict(mean, half, published)])
    return table(["", "pairs", "mAP, best epoch", "mAP, last epoch", "pointing game", "seed mIoU", "paper, VOC mAP",
                  "reading"], rows)


def published(method):
    """The test mAP that the recipe's second line of comment tells, or -."""
    if method in OF_RECIPE:
        return "-"
    recipe = open(os.path.join(os.path.dirname(__file__), "..", "train", "recipes", "voc", method + ".toml")).read()
    found = re.search(r"Published test mAP:\s+#?\s*([0-9.]+?)\.?\s", recipe)
    return found.group(1) if found else "-"


def other_table(found):
    base = found["an"][1]
    rows = [(m, found[m][1]) for m in OTHERS if 1 in found.get(m, {})]
    rows.sort(key=lambda row: -row[1].map)
    lines = [[f"`{m}`", f"{r.map:.2f}", f"{r.map - base.map:+.2f}", f"{r.last:.2f}", f"{r.pointing:.1f}",
              f"{r.seeds:.1f}", published(m)] for m, r in rows]
    return table(["loss", "mAP, best epoch", "against AN, same seed", "mAP, last epoch", "pointing game", "seed mIoU",
                  "paper, VOC"], lines)


def map_table(models, control):

    def median(model, *path):
        values = []
        for seed in model.values():
            for key in path:
                seed = seed[key]
            values.append(seed["median"])
        return values

    rows = []
    for name in ROWS:
        if name in models:
            ends = [spread(median(models[name], present, end)) for end in ("top5", "bottom5")
                    for present in ("positives", "negatives")]
            rows.append([TITLES[name], len(models[name]), spread(median(models[name], "spearman"), 3), *ends])
    rows.append(["Gaussian (control)", len(control), spread([c["median"] for c in control.values()], 3), "", "", "", ""])
    return table(["", "seeds", "Spearman with full labels", "top 5 %, present", "top 5 %, absent", "lowest 5 %, present",
                  "lowest 5 %, absent"], rows)


def caught_table(found):
    rows = []
    for m in ROWS:
        r = [x for x in found.get(m, {}).values() if x.taken]
        if r and m.startswith("ll-"):
            share = [100 * x.caught / x.taken for x in r]
            rows.append([TITLES[m], len(r), spread([x.missing for x in r], 0), spread([x.taken for x in r], 0),
                         spread(share, 1)])
    return table(["", "seeds", "false negatives in the labels", "corrections in all epochs", "of them right, %"], rows)


# ---- pictures ----------------------------------------------------------------------------------------------------

class Picture:
    def __init__(self, width, height):
        self.lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
                      'font-size="12">', f'<rect width="{width}" height="{height}" fill="#fff"/>']

    def line(self, x1, y1, x2, y2, colour="#bbb", width=1, dash=""):
        self.lines.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                          f'stroke-width="{width}"' + (f' stroke-dasharray="{dash}"' if dash else "") + "/>")

    def dot(self, x, y, colour, r=4, hollow=False):
        fill, stroke = ("#fff", colour) if hollow else (colour, "none")
        self.lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{fill}" stroke="{stroke}" '
                          'stroke-width="1.5"/>')

    def text(self, x, y, text, anchor="start", colour="#222"):
        self.lines.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>')

    def curve(self, points, colour, dash=""):
        self.lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="' +
                          " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"' +
                          (f' stroke-dasharray="{dash}"' if dash else "") + "/>")

    def ticks(self, at_x, low, high, step, y0, y1):
        v = -(-low // step) * step
        while v <= high + 1e-9:
            self.line(at_x(v), y0, at_x(v), y1, "#ddd" if v else "#888")
            self.text(at_x(v), y1 + 16, f"{v:g}", "middle", "#555")
            v += step

    def write(self, name):
        with open(os.path.join(PICTURES, name), "w") as f:
            f.write("\n".join(self.lines + ["</svg>", ""]))


def map_picture(found):
    rows = [m for m in ROWS if found.get(m)]
    values = [r.map for m in rows for r in found[m].values()]
    low, high = min(values) - 0.5, max(values) + 0.5
    at = lambda v: 210 + (v - low) / (high - low) * 500
    p = Picture(740, 60 + 26 * len(rows))
    p.ticks(at, low, high, 1, 20, 24 + 26 * len(rows))
    for i, m in enumerate(rows):
        y, r = 36 + 26 * i, [x.map for x in found[m].values()]
        p.text(200, y + 4, TITLES[m], "end")
        p.line(at(st.mean(r)), y - 9, at(st.mean(r)), y + 9, COLOURS[m], 2.5)
        for v in r:
            p.dot(at(v), y, COLOURS[m], 3.5)
    p.text(460, 58 + 26 * len(rows), "mAP of the best epoch: a dot a seed, a bar their mean", "middle", "#555")
    p.write("study_map.svg")


def pair_picture(found):
    rows = pair_rows(found)
    ends = [v for _, d, mean, half, paper in rows for v in (mean - (half or 0), mean + (half or 0), paper, *d)]
    low, high = min(0, *ends) - 0.5, max(0, *ends) + 0.5
    at = lambda v: 290 + (v - low) / (high - low) * 430
    p = Picture(740, 60 + 26 * len(rows))
    p.ticks(at, low, high, 1, 20, 24 + 26 * len(rows))
    for i, (title, d, mean, half, paper) in enumerate(rows):
        y = 36 + 26 * i
        p.text(280, y + 4, title, "end")
        if half is not None:
            p.line(at(mean - half), y, at(mean + half), y, "#2f6db5", 2)
        p.dot(at(mean), y, "#2f6db5")
        p.dot(at(paper), y, "#d1622b", hollow=True)
    p.text(505, 56 + 26 * len(rows), "difference in mAP: mean and 95 % interval; hollow: the paper's, VOC", "middle",
           "#555")
    p.write("study_pairs.svg")


def epoch_picture(found):
    rows = [m for m in ROWS if found.get(m) and m != "an+boostlu"]
    curves = {m: [st.mean(v) for v in zip(*(r.epochs for r in found[m].values()))] for m in rows}
    values = [v for c in curves.values() for v in c[1:]]
    low, high = min(values) - 1, max(values) + 1
    at_y = lambda v: 20 + (high - max(v, low)) / (high - low) * 300
    at_x = lambda e: 50 + (e - 1) / 9 * 480
    p = Picture(790, 360)
    v = -(-low // 2) * 2
    while v <= high:
        p.line(50, at_y(v), 530, at_y(v), "#ddd")
        p.text(44, at_y(v) + 4, f"{v:g}", "end", "#555")
        v += 2
    for e in range(1, 11):
        p.text(at_x(e), 338, e, "middle", "#555")
    p.text(290, 354, "mAP by epoch, mean of the seeds (the first epoch may lie below the frame)", "middle", "#555")
    for i, m in enumerate(rows):
        dash = "5 3" if m.endswith("-boostlu") else ""
        p.curve([(at_x(e + 1), at_y(v)) for e, v in enumerate(curves[m])], COLOURS[m], dash)
        p.line(550, 40 + 22 * i, 580, 40 + 22 * i, COLOURS[m], 2, dash)
        p.text(588, 44 + 22 * i, TITLES[m])
    p.write("study_epochs.svg")


def density_picture(models, control):
    p = Picture(790, 330)
    heights = lambda seeds: [st.mean(p[1] for p in points) for points in zip(*(s["density"] for s in seeds))]
    curves = {n: heights([s["spearman"] for s in models[n].values()]) for n in ROWS if n in models and n != "full"}
    curves["Gaussian (control)"] = heights(control.values())
    top = max(v for c in curves.values() for v in c)
    at_x = lambda v: 40 + (v + 1) / 2 * 490
    p.ticks(at_x, -1, 1, 0.5, 20, 286)
    for i, (n, c) in enumerate(curves.items()):
        points = [(at_x(-1 + 2 * k / (len(c) - 1)), 286 - v / top * 260) for k, v in enumerate(c)]
        colour, dash = COLOURS.get(n, "#999"), "2 3" if n not in COLOURS else "5 3" if "boostlu" in n else ""
        p.curve(points, colour, dash)
        p.line(550, 40 + 22 * i, 580, 40 + 22 * i, colour, 2, dash)
        p.text(588, 44 + 22 * i, TITLES.get(n, n))
    p.text(285, 322, "density of Spearman's correlation with the maps of full labels", "middle", "#555")
    p.write("study_spearman.svg")


def page(out):
    found = results(out)
    models, control = comparisons(out)
    os.makedirs(PICTURES, exist_ok=True)
    map_picture(found)
    pair_picture(found)
    epoch_picture(found)
    runs, expected = sum(len(v) for m, v in found.items() if "+" not in m), 5 * len(MAIN) + len(OTHERS)
    state = "" if runs >= expected else f"**{runs} of {expected} runs have finished so far**; the tables tell of which."
    parts = [state, main_table(found), "![mAP of each seed](pictures/study_map.svg)",
             "**Differences in pairs**, mean and 95 % interval:", pair_table(found),
             "![differences in pairs](pictures/study_pairs.svg)", "![mAP by epoch](pictures/study_epochs.svg)"]
    if any(m in found for m in LARGE_LOSS):
        parts += ["**What the large-loss methods corrected**:", caught_table(found)]
    if models:
        density_picture(models, control)
        parts += ["**Maps against those of full labels**, medians over the labels that are present or absent, mean over "
                  "the seeds:", map_table(models, control), "![rank correlation](pictures/study_spearman.svg)"]
    if 1 in found.get("an", {}) and any(m in found for m in OTHERS):
        parts += ["**All other losses**, seed 1 alone:", other_table(found)]
    return "\n\n".join(p for p in parts if p)


def main():
    if len(sys.argv) != 2 or not glob.glob(os.path.join(sys.argv[1], "*-1", "eval.json")):
        raise SystemExit("usage: study_page.py FOLDER, where `make study` has finished a run")
    text = open(PAGE).read()
    with open(PAGE, "w") as f:
        f.write(text[:text.index(BEGIN)] + BEGIN + "\n\n" + page(sys.argv[1]) + "\n\n" + text[text.index(END):])


if __name__ == "__main__":
    main()
