#!/usr/bin/env python3
"""Lucida and PyTorch in turn on this machine, and the ratios between them: a training step of ResNet-50 CAM, its
memory, and inference in batches and one by one.

    scripts/peer_ratio.py                                    build/lucida against this interpreter's PyTorch
    scripts/peer_ratio.py --python venv/bin/python --rounds 3 --rows train infer

Each round runs every program once, one after the other, so that a busy machine is busy for both; the best of the
rounds counts, of PyTorch also the better layout. PyTorch's inference is its frozen and optimised graph. A ratio above
1 means that Lucida is faster; for memory it is Lucida's part of PyTorch's, and smaller is better.
"""
import argparse
import json
import os
import subprocess
import sys

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_pytorch.py")


def arguments():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--lucida", default="build/lucida", help="the program (build/lucida)")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has PyTorch (this one)")
    parser.add_argument("--threads", type=int, default=2, help="of both (2)")
    parser.add_argument("--rounds", type=int, default=2, help="(2)")
    parser.add_argument("--repeats", type=int, default=5, help="steps or batches a program a round (5)")
    parser.add_argument("--rows", nargs="+", choices=["train", "train448", "infer"], default=["train", "infer"],
                        help="train: batch 16 at 224; train448: batch 8 at 448; infer: batches of 16 and of 1 at 224")
    return parser.parse_args()


def json_lines(words):
    result = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in result.splitlines() if line.startswith("{")]


def lucida(o, what, batch, size):
    return json_lines([o.lucida, "bench", what, "--device", "cpu", "--batch", str(batch), "--image-size", str(size),
                       "--threads", str(o.threads), "--repeats", str(o.repeats), "--json"])[0]


def pytorch(o, mode, batch, size):
    """Both layouts: a list of two."""
    return json_lines([o.python, PEER, "--mode", mode, "--batch", str(batch), "--size", str(size), "--threads",
                       str(o.threads), "--repeats", str(o.repeats)])


def train_rows(o, batch, size):
    ours, theirs = [], []
    for _ in range(o.rounds):
        ours.append(lucida(o, "step", batch, size))
        theirs += pytorch(o, "train", batch, size)
    name = f"training step b{batch}@{size}"
    speed = [max(r["images_per_s"] for r in group) for group in (ours, theirs)]
    memory = [min(r["peak_mib"] for r in group) for group in (ours, theirs)]
    return [(f"{name}, images/s", *speed, speed[0] / speed[1]),
            (f"{name}, peak MiB", *memory, memory[0] / memory[1])]


def infer_rows(o):
    ours, batches, single = [], [], []
    for _ in range(o.rounds):
        ours.append(lucida(o, "infer", 16, 224))
        batches += pytorch(o, "infer-frozen", 16, 224)
        single += pytorch(o, "infer-frozen", 1, 224)
    speed = [max(r["images_per_s"] for r in group) for group in (ours, batches)]
    latency = [min(r["batch1_ms"] for r in ours), min(r["ms"] for r in single)]
    return [("inference b16@224, images/s", *speed, speed[0] / speed[1]),
            ("inference b1@224, ms", *latency, latency[1] / latency[0])]


def main():
    o = arguments()
    rows = []
    if "train" in o.rows:
        rows += train_rows(o, 16, 224)
    if "train448" in o.rows:
        rows += train_rows(o, 8, 448)
    if "infer" in o.rows:
        rows += infer_rows(o)
    print("| | Lucida | PyTorch | ratio |\n|---|---|---|---|")
    for name, ours, theirs, ratio in rows:
        print(f"| {name} | {ours:.2f} | {theirs:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
