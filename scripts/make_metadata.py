#!/usr/bin/env python3
"""Writes label files of a data set in its exact format and full size, without images, to time the readers:

    make_metadata.py coco|nuswide|nuswide-lists|cub|openimages --out DIR [--share 1.0]

Numbers of files, rows and labels are the published ones (times --share); what is in the rows is random, the same in
every run. `lucida data stats --data SET --root DIR` then finds every published total. docs/data.md has the time and
memory that were measured. Only Python's standard library is needed; the largest set takes a minute and 1 GB."""
import argparse
import os
import pathlib
import random

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("set", choices=["coco", "nuswide", "nuswide-lists", "cub", "openimages"])
parser.add_argument("--out", type=pathlib.Path, required=True)
parser.add_argument("--share", type=float, default=1.0, help="of the full size")
args = parser.parse_args()
random.seed(1200)


def size(full):
    return max(4, round(full * args.share))


def writer(name):
    path = args.out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "w", buffering=1 << 20)


def spread(total, parts, most):
    """`total` as `parts` numbers from 1 to `most`, random."""
    counts = [1] * parts
    left = max(total - parts, 0)
    while left > 0:
        i = random.randrange(parts)
        add = min(left, random.randint(1, 3), most - counts[i])
        counts[i] += add
        left -= add
    return counts


# ---- COCO 2014: 80 categories with ids 1 ... 90, crowds as run lengths, images without annotation, polygons

def polygon():
    points = ", ".join(f"{random.uniform(0, 640):.2f}" for _ in range(2 * random.randint(8, 75)))
    return f"[[{points}]]"


def coco_part(part, images, annotated, objects, labels):
    ids = sorted(random.sample(range(9, 600000), images))
    with_labels = set(random.sample(ids, annotated))
    categories = sorted(random.sample(range(1, 91), 80))
    weights = [1 / (1 + k) for k in range(80)]
    polygons = [polygon() for _ in range(500)]
    classes = spread(labels, annotated, 20)
    more = spread(objects - labels + annotated, annotated, 1000)  # objects of a class already there, plus one
    out = writer(f"annotations/instances_{part}2014.json")
    out.write('{"info": {"description": "generated", "year": 2014}, "images": [')
    for k, i in enumerate(ids):
        out.write(f'{", " if k else ""}{{"license": 5, "file_name": "COCO_{part}2014_{i:012d}.jpg", "height": 480, '
                  f'"width": 640, "date_captured": "2013-11-14 16:28:13", "id": {i}}}')
    out.write('], "licenses": [], "annotations": [')
    number = 0
    for k, i in enumerate(sorted(with_labels)):
        chosen = set()
        while len(chosen) < classes[k]:
            chosen.update(random.choices(range(80), weights, k=classes[k] - len(chosen)))
        chosen = list(chosen)
        for c in chosen + random.choices(chosen, k=more[k] - 1):
            x, y, w, h = (round(random.uniform(1, 300), 2) for _ in range(4))
            crowd = number % 60 == 0
            outline = ('{"counts": [272, 2, 4, 4, 4, 4, 2, 9, 1, 2, 16, 43], "size": [480, 640]}' if crowd
                       else polygons[number % 500])
            out.write(f'{", " if number else ""}{{"segmentation": {outline}, "area": {w * h / 2:.4f}, "iscrowd": '
                      f'{int(crowd)}, "image_id": {i}, "bbox": [{x}, {y}, {w}, {h}], "category_id": {categories[c]}, '
                      f'"id": {number + 1}}}')
            number += 1
    out.write('], "categories": [')
    out.write(", ".join(f'{{"supercategory": "thing", "id": {c}, "name": "category {c}"}}' for c in categories))
    out.write("]}")


def coco():
    coco_part("train", size(82783), size(82081), size(604907), size(241035))
    coco_part("val", size(40504), size(40137), size(291875), size(116592))


# ---- NUS-WIDE: the official lists, and the text lists

def nuswide():
    concepts = [f"concept{c:02d}" for c in range(81)]
    writer("ConceptsList/Concepts81.txt").write("".join(c + "\n" for c in concepts))
    for part, count in (("Train", size(161789)), ("Test", size(107859))):
        writer(f"ImageList/{part}Imagelist.txt").writelines(
            f"folder{k % 704:03d}\\{k:04d}_{2124494179 + k}.jpg\n" for k in range(count))
        for c, concept in enumerate(concepts):
            share = 1 / (8 + 3 * c)
            writer(f"Groundtruth/TrainTestLabels/Labels_{concept}_{part}.txt").writelines(
                "1\n" if random.random() < share else "0\n" for _ in range(count))


def nuswide_lists():
    for name, count in (("nus_train.txt", size(150000)), ("nus_val.txt", size(50720))):
        writer(name).writelines(
            f"{k}_{1158315062 + k}_02a15f03aa_m.jpg,"
            + " ".join(map(str, sorted(random.sample(range(81), random.randint(1, 5))))) + "\n" for k in range(count))


# ---- CUB-200-2011: 312 lines an image, some of them with fields too many

def cub():
    images, train = size(11788), size(5994)
    parts = [1] * train + [0] * (images - train)
    random.shuffle(parts)
    writer("attributes.txt").writelines(f"{a} has_part_{a // 8}::value_{a % 8}\n" for a in range(1, 313))
    writer("CUB_200_2011/images.txt").writelines(f"{i} 001.Bird/Bird_{i:04d}.jpg\n" for i in range(1, images + 1))
    writer("CUB_200_2011/train_test_split.txt").writelines(f"{i + 1} {p}\n" for i, p in enumerate(parts))
    left = iter(spread(size(182704), images - train, 312))  # positives of the test images
    out = writer("CUB_200_2011/attributes/image_attribute_labels.txt")
    for i, p in enumerate(parts):
        present = set(random.sample(range(312), 31 if p else next(left)))
        for a in range(312):
            more = " 0 0" if (i * 312 + a) % 300007 == 5 else ""
            out.write(f"{i + 1} {a + 1} {int(a in present)} {1 + a % 4}{more} {a * 0.37:.3f}\n")


# ---- OpenImages V3: lines sorted by image, classes of which 5,000 are trainable

def openimages():
    mids = [f"/m/0{k:x}" for k in range(0x1000, 0x1000 + 19995)]
    writer("2017_11/classes.txt").writelines(m + "\n" for m in mids)
    writer("2017_11/classes-trainable.txt").writelines(m + "\n" for m in mids[:5000])
    writer("2017_11/class-descriptions.csv").writelines(f'{m},"Thing {m[3:]}, of a kind"\n' for m in mids)
    # popular classes come first; about 1 line in 20 is of a class that is not trainable
    pool = [mids[min(int(5300 * random.random() ** 3), 5299)] for _ in range(1 << 20)]
    sources = ("verification", "crowdsource-verification")
    for part, present, absent in (("train", 9741876, 11126879), ("validation", 300000, 251390),
                                  ("test", 900000, 767399)):
        present, absent = size(present), size(absent)
        out = writer(f"2017_11/{part}/annotations-human.csv")
        out.write("ImageID,Source,LabelName,Confidence\n")
        image, step, at = 0, (1 << 64) // (present + absent), random.randrange(1 << 20)
        while present + absent > 0:
            image += random.randint(1, 6 * step)
            for _ in range(min(random.randint(1, 6), present + absent)):
                positive = random.random() * (present + absent) < present
                present, absent = present - positive, absent - (not positive)
                at = (at + 7919) % len(pool)
                out.write(f"{image % (1 << 64):016x},{sources[at & 1]},{pool[at]},{int(positive)}\n")


{"coco": coco, "nuswide": nuswide, "nuswide-lists": nuswide_lists, "cub": cub, "openimages": openimages}[args.set]()
total = sum(os.path.getsize(os.path.join(folder, f)) for folder, _, files in os.walk(args.out) for f in files)
print(f"{args.out}: {total / 1e6:.0f} MB")
