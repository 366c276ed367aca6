#!/usr/bin/env python3
"""What each idea buys: the whole program with the kernels of each rung, from plain loops to the last.

    scripts/performance_ladder.py --json docs/measurements/ladder.json

A training step of ResNet-50 CAM and inference at batch 16 and 224 pixels; the plain loops take a batch of 1, which is
as fast an image for them. Rounds go through all rungs in turn, so that a busy machine is busy for all; the best counts.
scripts/performance_page.py makes docs/performance.md's chart and tables of it."""
import argparse
import json

from peer_ratio import Bench, machine

PLAIN = "conv2d=0,batchnorm2d=0,maxpool2d=0,global_average=0,add=0,relu=0,linear=0,boostlu=0,bce=0"
LADDERS = [
    {"title": "Training step", "command": "step", "steps": [
        ("plain loops", ["--rung", PLAIN, "--batch", "1"]),
        ("convolutions as products over addresses, tiles in registers",
         ["--rung", PLAIN.replace("conv2d=0", "conv2d=1")]),
        ("BatchNorm, pooling and the rest in vectors and blocks", ["--rung", "conv2d=1"]),
        ("3x3 by Winograd", [])]},
    {"title": "Inference", "command": "infer", "steps": [
        ("plain loops", ["--no-fold", "--rung", PLAIN, "--batch", "1"]),
        ("the model as it is trained, direct convolutions", ["--no-fold", "--rung", "conv2d=1"]),
        ("BatchNorm folded, weights packed once, bias, skip and relu in registers", ["--rung", "conv2d=1"]),
        ("3x3 by Winograd, filters transformed once", [])]}]


def arguments():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--lucida", default="build/lucida", help="the program (build/lucida)")
    parser.add_argument("--threads", type=int, default=2, help="(2)")
    parser.add_argument("--rounds", type=int, default=2, help="(2)")
    parser.add_argument("--repeats", type=int, default=5, help="steps or batches a round (5); plain loops take 1")
    parser.add_argument("--quiet", type=float, default=300, metavar="SECONDS",
                        help="wait at most this long for quiet cores before each run; 0 does not wait (300)")
    parser.add_argument("--json", metavar="FILE", required=True, help="write the result there")
    return parser.parse_args()


def best_of(known, answer):
    """The fastest of what was seen: images a second, and a single image's milliseconds where there are any."""
    best = {"images_per_s": answer["images_per_s"], "batch": answer["batch"]}
    if "batch1_ms" in answer:
        best["batch1_ms"] = answer["batch1_ms"]
    for key, better in (("images_per_s", max), ("batch1_ms", min)):
        if known and key in known:
            best[key] = better(best[key], known[key])
    return best


def main():
    o = arguments()
    b = Bench(o)
    best = {}
    for number in range(o.rounds):
        for ladder in LADDERS:
            for name, words in ladder["steps"]:
                plain = name == "plain loops"
                if plain and number > 0:
                    continue
                size = [] if "--batch" in words else ["--batch", "16"]
                answer = b.lucida(ladder["command"], "--image-size", 224, *size, *words,
                                  repeats=1 if plain else o.repeats)
                key = ladder["title"], name
                best[key] = best_of(best.get(key), answer)
    result = [{"title": ladder["title"], "steps": [{"name": name, **best[ladder["title"], name]}
                                                   for name, _ in ladder["steps"]]} for ladder in LADDERS]
    with open(o.json, "w") as file:
        json.dump({"machine": machine(), "threads": o.threads, "seconds_waited": round(b.cores.waited, 1),
                   "busiest": b.cores.busiest, "ladders": result}, file, indent=1)
        file.write("\n")
    for ladder in result:
        print(ladder["title"] + ", images/s")
        for step in ladder["steps"]:
            print(f"  {step['images_per_s']:8.2f}  {step['name']}")


if __name__ == "__main__":
    main()
