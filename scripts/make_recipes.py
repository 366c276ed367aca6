# Writes train/recipes/<data set>/<method>.toml and the tables of docs/recipes.md: the published settings of every
# method in one place, with where they come from.
#   python3 scripts/make_recipes.py            (nothing but Python's standard library)
import pathlib

root = pathlib.Path(__file__).resolve().parent.parent
sets = ["voc", "coco", "nuswide", "cub"]
titles = {
    "voc": "VOC 2012",
    "coco": "COCO 2014",
    "nuswide": "NUS-WIDE",
    "cub": "CUB-200-2011 attributes",
    "openimages": "OpenImages V3",
}
data_option = {
    "voc": "voc2012",
    "coco": "coco2014",
    "nuswide": "nuswide-npy",
    "cub": "cub",
    "openimages": "openimages",
}

KIM23 = "Kim et al., CVPR 2023, arXiv 2304.01804"
KIM22 = "Kim et al., CVPR 2022 (Large Loss Matters)"
COLE = "Cole et al., CVPR 2021, arXiv 2106.09708"
ZHOU = "Zhou et al., ECCV 2022, arXiv 2203.16219"
RIDNIK = "Ridnik et al., ICCV 2021"
BARUCH = "Ben-Baruch et al., arXiv 2110.10955"
DURAND = "Durand et al., CVPR 2019, arXiv 1902.09720"
ZHANG = "Zhang et al., arXiv 2112.07368"
CHEN = "Chen et al., IJCAI 2024, arXiv 2405.03501"
XING = "Xing et al., arXiv 2310.15985"
LIU = "Liu et al., ICML 2023"

# What the paper trains with (its official code): ResNet-50, 448, batch 16, Adam, classifier x10, best epoch of 10 by
# validation mAP on a fifth of the train images.
paper = {
    "image-size": 448,
    "batch": 16,
    "epochs": 10,
    "optimizer": "adam",
    "lr": 1e-5,
    "head-lr-mult": 10,
    "observe": "pos=1,neg=0,seed=1200",
    "alpha": 1,
}
one_rate = {"head-lr-mult": 1}  # Adam with one learning rate for all weights
searched = (
    "The authors searched the learning rate in 1e-2 ... 1e-5 and the batch in 8, 16 for each run; their "
    "choices are not published."
)


class Method:
    def __init__(self, name, title, source, settings, published=None, note="", by_set=None, only=None):
        self.name, self.title, self.source, self.settings = name, title, source, settings
        self.published = published or {}  # test mAP by data set
        self.note, self.by_set, self.only = note, by_set or {}, only

    def settings_on(self, data):
        return {**paper, **self.settings, **self.by_set.get(data, {})}


def table(*values):
    return dict(zip(sets, values))


def each(key, *values):
    return {data: {key: value} for data, value in zip(sets, values)}


def together(*parts):
    return {data: {k: v for part in parts for k, v in part.get(data, {}).items()} for data in sets}


# Steps of 30 epochs at batch 128 on four fifths of the train images: where the authors stop a schedule of 80.
thirty_epochs = each("max-steps", 30 * 36, 30 * 514, 30 * 938, 30 * 38)
large_batch = {
    "batch": 128,
    "epochs": 80,
    "lr": 1e-4,
    "head-lr-mult": 1,
    "schedule": "one-cycle",
    "ema": 0.9997,
}
expected = each("expected-positives", 1.5, 2.9, 1.9, 31.4)
em_settings = together(
    each("batch", 8, 16, 16, 8), each("lr", 1e-5, 1e-5, 1e-5, 1e-4), each("em-alpha", 0.2, 0.1, 0.1, 0.01)
)

methods = [
    Method(
        "full",
        "All labels known: the upper bound of the tables",
        KIM23,
        {"loss": "bce"},
        table(89.42, 76.78, 52.08, 30.90),
    ),
    Method(
        "an",
        "Assume negative",
        COLE,
        {"loss": "an"},
        table(85.89, 64.92, 42.27, 18.31),
        "BoostLU at inference only is `lucida eval --alpha 5` on it (VOC 87.31, COCO 66.27 against 86.10, 64.58).",
    ),
    Method(
        "an-ls",
        "Assume negative with label smoothing (LS)",
        COLE,
        {"loss": "an-ls", "label-smoothing": 0.1, **one_rate},
        table(87.90, 67.15, 43.77, 16.26),
        searched,
    ),
    Method(
        "bce-ls",
        "All labels known, label smoothing",
        COLE,
        {"loss": "bce-ls", "label-smoothing": 0.1, **one_rate},
        {},
        searched,
    ),
    Method(
        "wan",
        "Weak assume negative",
        COLE,
        {"loss": "wan", **one_rate},
        table(86.5, 64.8, 46.3, 20.3),
        "Figures: " + KIM22 + ". " + searched,
    ),
    Method(
        "iu",
        "Ignore unobserved; a negative an image is observed too",
        COLE,
        {"loss": "iu", "observe": "pos=1,neg=1,seed=1200", **one_rate},
        {},
        searched,
    ),
    Method(
        "iun",
        "Ignore unobserved positives: sees every true negative",
        COLE,
        {"loss": "iun", **one_rate},
        {},
        searched,
    ),
    Method("pr", "Pairwise ranking", COLE, {"loss": "pr", **one_rate}, {}, searched),
    Method(
        "epr",
        "Expected positive regularisation",
        COLE,
        {"loss": "epr", **one_rate},
        table(85.5, 63.3, 46.0, 20.0),
        "Figures: " + KIM22 + ". " + searched,
        expected,
    ),
    Method(
        "role",
        "Regularised online label estimation",
        COLE,
        {"loss": "role", "estimate-lr-mult": 10, **one_rate},
        table(87.77, 67.04, 41.63, 13.66),
        searched,
        expected,
    ),
    Method(
        "role-linear",
        "ROLE, first phase of its linear initialisation: the classifier on frozen features",
        COLE,
        {
            "loss": "role",
            "estimate-lr-mult": 10,
            "epochs": 25,
            "lr": 1e-3,
            "flip": False,
            "freeze": "conv1,bn1,layer1,layer2,layer3,layer4",
            **one_rate,
        },
        {},
        "Then role-li.",
        together(expected, each("batch", 16, 16, 16, 8)),
    ),
    Method(
        "role-li",
        "ROLE from a linear initialisation",
        COLE,
        {"loss": "role", "estimate-lr-mult": 10, **one_rate},
        table(88.26, 69.12, 45.98, 14.86),
        "First train role-linear. The authors go on with its label estimates too; here they start anew. "
        + searched,
        together(expected, {data: {"init": f"runs/{data}-role-linear/best.safetensors"} for data in sets}),
    ),
    Method(
        "em",
        "Entropy maximisation",
        ZHOU,
        {"loss": "em", **one_rate},
        table(89.09, 70.70, 47.15, 20.85),
        "",
        em_settings,
    ),
    Method(
        "em-apl",
        "Entropy maximisation with asymmetric pseudo-labels",
        ZHOU,
        {"loss": "em-apl", "neg-prop": 0.9, **one_rate},
        table(89.19, 70.87, 47.59, 21.84),
        "",
        together(em_settings, each("apl-beta", 0.02, 0.9, 0.2, 0.4), each("label-warmup", 5, 5, 4, 3)),
    ),
    Method(
        "em-pl",
        "Entropy maximisation with positive pseudo-labels (VLPL)",
        XING,
        {"loss": "em-pl", "batch": 8, "pl-beta": 0.7, "pl-rho": 0.9, **one_rate},
        table(89.10, 71.45, 49.55, 24.02),
        "The figures are with pseudo-labels from CLIP (--pseudo-labels FILE); without a file the model's own are "
        "used.",
        together(each("em-alpha", 0.2, 0.1, 0.1, 0.01), each("lr", 1e-5, 1e-5, 1e-5, 1e-4)),
    ),
    Method(
        "focal",
        "Focal loss, unobserved labels as negatives",
        RIDNIK,
        {"loss": "focal", "gamma-pos": 2, "gamma-neg": 2},
        {},
        "Settings of training as in " + KIM23 + ".",
    ),
    Method(
        "asl",
        "Asymmetric loss, unobserved labels as negatives",
        RIDNIK,
        {"loss": "asl", "gamma-pos": 0, "gamma-neg": 4, "asl-clip": 0.05},
        table(87.76, 68.78, 46.93, 18.81),
        "Figures: " + KIM23 + ", whose settings of training these are.",
    ),
    Method(
        "csl",
        "Class-aware selective loss (P-ASL)",
        BARUCH,
        {"loss": "csl", "gamma-pos": 0, "gamma-neg": 1, "gamma-unann": 4, "observe": "p=0.5,seed=0"},
        {},
        "Focusing as published for COCO with half of the labels observed at random.",
    ),
    Method(
        "partial-bce",
        "Partial BCE: the loss of the known labels, normalised by their share",
        DURAND,
        {"loss": "partial-bce", "observe": "p=0.1,seed=0"},
        {},
        "A tenth of all labels observed, positives and negatives, as in the paper's hardest case.",
    ),
    Method(
        "hill",
        "Hill loss",
        ZHANG,
        {"loss": "hill", **large_batch},
        {},
        "A one-cycle schedule of 80 epochs stopped after 30, weights averaged.",
        thirty_epochs,
    ),
    Method(
        "splc",
        "Self-paced loss correction",
        ZHANG,
        {"loss": "splc", "tau": 0.6, **large_batch},
        {},
        "A one-cycle schedule of 80 epochs stopped after 30, weights averaged.",
        thirty_epochs,
    ),
    Method(
        "gr",
        "Generalised robust loss",
        CHEN,
        {
            "loss": "gr",
            "batch": 8,
            "gr-w0": 0,
            "gr-w1": 2,
            "gr-b0": -2,
            "gr-b1": -2,
            "gr-mu0": 0.5,
            "gr-sigma0": 2,
            "gr-mu1": 0.8,
            "gr-sigma1": 0.5,
            "gr-q2": 0.01,
            "gr-q3": 1,
        },
        table(89.83, 73.17, 49.08, 21.64),
    ),
    Method(
        "mime",
        "Label enlargement (MIME) without its bottleneck",
        LIU,
        {"loss": "mime", "theta": 0.95, "lr": 1e-4, "weight-decay": 1e-4, **one_rate},
        table(89.20, 72.92, 48.74, 21.89),
        "The figures are with the paper's variational bottleneck.",
        each("batch", 32, 32, 16, 16),
    ),
]
for name, title, delta, plain, boosted in (
    ("ll-r", "Large-loss rejection", 0.005, (88.27, 70.70, 48.76, 19.56), (89.29, 72.89, 49.59, 19.80)),
    (
        "ll-ct",
        "Large-loss temporary correction",
        0.002,
        (87.79, 70.29, 48.08, 19.06),
        (88.61, 71.78, 48.37, 19.25),
    ),
    (
        "ll-cp",
        "Large-loss permanent correction",
        0.001,
        (87.44, 70.27, 47.92, 19.21),
        (87.81, 71.41, 48.61, 19.34),
    ),
):
    methods.append(Method(name, title, KIM23, {"loss": name, "delta-rel": delta}, table(*plain)))
    methods.append(
        Method(
            name + "-boostlu",
            title + " with BoostLU in training and inference",
            KIM23,
            {"loss": name, "delta-rel": delta, "alpha": 5},
            table(*boosted),
        )
    )

# OpenImages: every human-verified label is observed, present or absent. Learning rate, batch and epochs of the
# published runs are not known; these are the paper's for the other sets, with its larger network.
verified = {"model": "resnet101", "observe": "pos=-1,neg=-1"}
openimages = [  # mAP of G1 ... G5 and of all classes
    (
        "iu",
        "Naive ignoring of unobserved labels",
        KIM22,
        {"loss": "iu"},
        (69.5, 70.3, 74.8, 79.2, 85.5, 75.9),
    ),
    (
        "partial-bce",
        "Partial BCE (the loss of curriculum labelling)",
        DURAND,
        {"loss": "partial-bce"},
        (70.37, 71.32, 76.23, 80.54, 86.81, 77.05),
    ),
    (
        "csl",
        "P-ASL",
        BARUCH,
        {"loss": "csl", "gamma-pos": 0, "gamma-neg": 1, "gamma-unann": 4},
        (73.19, 78.61, 85.11, 87.70, 90.61, 83.03),
    ),
    ("an", "Assume negative", KIM22, {"loss": "an"}, (77.1, 78.7, 81.5, 84.1, 88.8, 82.0)),
    ("wan", "Weak assume negative", KIM22, {"loss": "wan"}, (71.8, 72.8, 76.3, 79.7, 84.7, 77.0)),
    (
        "an-ls",
        "Assume negative with label smoothing",
        KIM22,
        {"loss": "an-ls", "label-smoothing": 0.1},
        (68.4, 69.3, 73.7, 77.9, 85.6, 75.0),
    ),
    (
        "ll-r",
        "Large-loss rejection",
        KIM23,
        {"loss": "ll-r", "delta-rel": 0.005},
        (77.76, 79.07, 81.94, 84.51, 89.36, 82.53),
    ),
    (
        "ll-r-boostlu",
        "Large-loss rejection with BoostLU in training and inference",
        KIM23,
        {"loss": "ll-r", "delta-rel": 0.005, "alpha": 5},
        (79.28, 80.81, 83.32, 85.63, 90.27, 83.86),
    ),
    (
        "ll-ct",
        "Large-loss temporary correction",
        KIM23,
        {"loss": "ll-ct", "delta-rel": 0.002},
        (77.76, 79.18, 81.97, 84.46, 89.51, 82.58),
    ),
    (
        "ll-ct-boostlu",
        "Large-loss temporary correction with BoostLU in training and inference",
        KIM23,
        {"loss": "ll-ct", "delta-rel": 0.002, "alpha": 5},
        (79.43, 80.75, 83.41, 85.70, 90.41, 83.94),
    ),
    (
        "ll-cp",
        "Large-loss permanent correction",
        KIM23,
        {"loss": "ll-cp", "delta-rel": 0.001},
        (77.49, 79.22, 81.89, 84.51, 89.18, 82.46),
    ),
    (
        "ll-cp-boostlu",
        "Large-loss permanent correction with BoostLU in training and inference",
        KIM23,
        {"loss": "ll-cp", "delta-rel": 0.001, "alpha": 5},
        (79.53, 81.04, 83.40, 85.85, 90.39, 84.04),
    ),
]


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        mantissa, exponent = f"{value:e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}" if 0 < value < 1e-3 else repr(value)
    return f'"{value}"' if isinstance(value, str) else str(value)


def comment(text):
    if text.startswith(" "):  # a command
        return ["# " + text]
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > 110:
            lines.append(line)
            line = "#"
        line += " " + word
    return lines + [line]


def write(data, name, comments, settings):
    path = root / "train" / "recipes" / data / (name + ".toml")
    path.parent.mkdir(exist_ok=True)
    lines = [line for text in comments if text for line in comment(text)]
    lines += [f"{key} = {toml(value)}" for key, value in {"data": data_option[data], **settings}.items()]
    path.write_text("\n".join(lines) + "\n")


def command(data, name):
    return f"  make train RECIPE={data}/{name} ROOT=..."


def main():
    for data in sets:
        for m in methods:
            figure = m.published.get(data)
            write(
                data,
                m.name,
                [
                    f"{m.title}, on {titles[data]}.",
                    command(data, m.name),
                    f"{m.source}." + (f" Published test mAP: {figure:g}." if figure else ""),
                    m.note,
                ],
                m.settings_on(data),
            )
    for name, title, source, settings, figures in openimages:
        groups = " ".join(f"{figure:g}" for figure in figures)
        write(
            "openimages",
            name,
            [
                f"{title}, on {titles['openimages']}.",
                command("openimages", name),
                f"{source}. Published mAP of G1 to G5 and of all: {groups}.",
                "Learning rate, batch and epochs of the published run are not known.",
            ],
            {**paper, **verified, **settings},
        )
    write_page()


def write_page():
    cell = lambda value: f"{value:g}" if value else "-"
    rows = [
        f"| `{m.name}` | {m.title} | "
        + " | ".join(cell(m.published.get(data)) for data in sets)
        + f" | {m.source} |"
        for m in methods
    ]
    head = "| recipe | | VOC | COCO | NUS | CUB | paper |\n|---|---|---|---|---|---|---|\n"
    open_head = "| recipe | G1 | G2 | G3 | G4 | G5 | all | paper |\n|---|---|---|---|---|---|---|---|\n"
    open_rows = [
        f"| `{name}` | " + " | ".join(f"{v:g}" for v in figures) + f" | {source} |"
        for name, title, source, settings, figures in openimages
    ]
    page = root / "docs" / "recipes.md"
    parts = page.read_text().split(
        "<!-- made by scripts/make_recipes.py -->\n"
    )  # text, table, text, table, text
    parts[1], parts[3] = head + "\n".join(rows) + "\n", open_head + "\n".join(open_rows) + "\n"
    page.write_text("<!-- made by scripts/make_recipes.py -->\n".join(parts))


if __name__ == "__main__":
    main()
