#!/usr/bin/env python3
"""Everything that Lucida must show on the CPU, in one go: training steps of ResNet-50 CAM, their memory and inference
beside PyTorch; convolutions against the multiply-add peak; BatchNorm against the bytes it must move.

    scripts/peer_ratio.py                                    build/lucida against this interpreter's PyTorch
    scripts/peer_ratio.py --python venv/bin/python --python /usr/bin/python3 --rounds 3 --json peer.json
    scripts/peer_ratio.py --rows train infer                 some of the rows; --json keeps the others of its file

Each round runs every program once, one after the other, so that a busy machine is busy for both; before each the
script waits until other programs leave the cores alone. The best of the rounds counts, of PyTorch also the better
layout and the better of its builds (`--python` more than once). PyTorch's inference is its frozen and optimised graph.
The last lines are the ratios and what they must be; the exit status is 1 when one is missed.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import time

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_pytorch.py")
ROWS = ["train", "train448", "infer", "thread", "conv2d", "batchnorm"]


def arguments():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--lucida", default="build/lucida", help="the program (build/lucida)")
    parser.add_argument("--python", action="append",
                        help="an interpreter that has PyTorch, may be given more than once (this one)")
    parser.add_argument("--threads", type=int, default=2, help="of both (2)")
    parser.add_argument("--rounds", type=int, default=2, help="(2)")
    parser.add_argument("--repeats", type=int, default=5, help="steps or batches a program a round (5)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS,
                        help="train: batch 16 at 224 and its memory; train448: batch 8 at 448; infer: batches of 16 "
                        "and of 1 at 224; thread: a step with one thread; conv2d, batchnorm: layers against the "
                        "machine (all)")
    parser.add_argument("--quiet", type=float, default=300, metavar="SECONDS",
                        help="wait at most this long for quiet cores before each program; 0 does not wait (300)")
    parser.add_argument("--json", metavar="FILE", help="write every measurement there")
    options = parser.parse_args()
    options.python = options.python or [sys.executable]
    return options


class Cores:
    """What other programs take of this machine's processors, from /proc/stat, while this one sleeps."""

    def __init__(self, limit):
        self.limit, self.waited, self.busiest = limit, 0.0, 0.0

    @staticmethod
    def busy_share(seconds=1.0):
        def read():
            with open("/proc/stat") as stat:
                user, nice, system, idle, iowait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
            return user + nice + system + irq + softirq + steal, idle + iowait

        before = read()
        time.sleep(seconds)
        busy, idle = (now - then for now, then in zip(read(), before))
        return busy / max(1, busy + idle)

    def wait(self):
        """Until two seconds in a row are quiet, less than 4 % of all cores in use, or the limit has passed."""
        start, quiet = time.monotonic(), 0
        while quiet < 2:
            share = self.busy_share()
            quiet = quiet + 1 if share < 0.04 else 0
            if quiet == 0 and time.monotonic() - start > self.limit:
                self.busiest = max(self.busiest, share)
                print(f"the cores are not quiet: {100 * share:.0f} % in use", file=sys.stderr)
                break
        self.waited += time.monotonic() - start


class Bench:
    def __init__(self, options):
        self.options, self.cores, self.runs = options, Cores(options.quiet), []

    def run(self, words, what):
        self.cores.wait()
        result = subprocess.run(words, capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"peer_ratio: {' '.join(words)}\n{result.stderr.strip()[-2000:]}")
        answer = next(json.loads(line) for line in result.stdout.splitlines() if line.startswith("{"))
        self.runs.append({"what": what, **{k: v for k, v in answer.items() if not isinstance(v, list)}})
        keys = [k for k in ("images_per_s", "ms", "batch1_ms", "peak_mib") if k in answer]
        shown = ", ".join(f"{k} {answer[k]:.4g}" for k in keys)
        print(f"{what}: {shown}", file=sys.stderr, flush=True)
        return answer

    def lucida(self, command, *words, threads=None, repeats=None):
        o = self.options
        return self.run([o.lucida, "bench", command, "--device", "cpu", "--threads", str(threads or o.threads),
                         "--repeats", str(repeats or o.repeats), "--json", *map(str, words)], f"lucida {command}")

    def pytorch(self, mode, batch, size, threads=None):
        """Every build in both layouts."""
        o, found = self.options, []
        for python in o.python:
            for layout in ("default", "channels_last"):
                words = [python, PEER, "--mode", mode, "--batch", batch, "--size", size,
                         "--threads", threads or o.threads, "--repeats", o.repeats, "--layout", layout]
                found.append(self.run([str(w) for w in words], f"pytorch {mode} {layout}"))
        return found

    def in_turn(self, ours, theirs):
        """Both, as often as there are rounds: two lists."""
        rounds = [(ours(), theirs()) for _ in range(self.options.rounds)]
        return [r[0] for r in rounds], [peer for r in rounds for peer in r[1]]


def peer_text(answer):
    return f"PyTorch {answer['torch']}, {answer['layout']}"


def row(name, ours, peer, ratio, must, how):
    sign, limit = must.split()
    met = ratio >= float(limit) if sign == ">=" else ratio <= float(limit)
    return {"name": name, "lucida": ours, "peer": peer, "ratio": ratio, "must": must, "met": met, "peer_is": how}


def speed_row(name, ours, theirs, must):
    best, peer = (max(group, key=lambda r: r["images_per_s"]) for group in (ours, theirs))
    return row(name, best["images_per_s"], peer["images_per_s"], best["images_per_s"] / peer["images_per_s"], must,
               peer_text(peer))


def train_rows(b):
    ours, theirs = b.in_turn(lambda: b.lucida("step", "--batch", 16, "--image-size", 224),
                             lambda: b.pytorch("train", 16, 224))
    held, peer = (min(group, key=lambda r: r["peak_mib"]) for group in (ours, theirs))
    return [speed_row("training step b16@224, images/s", ours, theirs, ">= 1.5"),
            row("its peak memory, MiB", held["peak_mib"], peer["peak_mib"], held["peak_mib"] / peer["peak_mib"],
                "<= 0.65", peer_text(peer))]


def train448_rows(b):
    ours, theirs = b.in_turn(lambda: b.lucida("step", "--batch", 8, "--image-size", 448),
                             lambda: b.pytorch("train", 8, 448))
    return [speed_row("training step b8@448, images/s", ours, theirs, ">= 1.5")]


def infer_rows(b):
    ours, theirs = b.in_turn(lambda: b.lucida("infer", "--batch", 16, "--image-size", 224),
                             lambda: b.pytorch("infer-frozen", 16, 224) + b.pytorch("infer-frozen", 1, 224))
    single = min((r for r in theirs if r["batch"] == 1), key=lambda r: r["ms"])
    latency = min(r["batch1_ms"] for r in ours)
    return [speed_row("inference b16@224, images/s", ours, [r for r in theirs if r["batch"] == 16], ">= 1.3"),
            row("inference b1@224, ms", latency, single["ms"], single["ms"] / latency, ">= 1.1", peer_text(single))]


def thread_rows(b):
    """One thread against PyTorch with one, and what the second one adds."""
    words = ("--batch", 16, "--image-size", 224)
    ours, theirs = b.in_turn(lambda: (b.lucida("step", *words, threads=1), b.lucida("step", *words)),
                             lambda: b.pytorch("train", 16, 224, threads=1))
    alone, together = (max(pair[i]["images_per_s"] for pair in ours) for i in (0, 1))
    return [speed_row("training step b16@224, 1 thread, images/s", [pair[0] for pair in ours], theirs, ">= 1.5"),
            row(f"{b.options.threads} threads against 1, images/s", together, alone, together / alone, ">= 1.85",
                "Lucida with 1 thread")]


def layer_sums(b, *words):
    """The best round of each pass: {pass: {"ms", "share"}}, and the peaks of the best round."""
    best = {}
    for _ in range(b.options.rounds):
        answer = b.lucida("layers", "--batch", 16, "--image-size", 224, *words, repeats=3 * b.options.repeats)
        for entry in answer["sums"]:
            known = best.setdefault(entry["pass"], {**entry, "peaks": answer})
            if entry["share"] > known["share"]:
                best[entry["pass"]] = {**entry, "peaks": answer}
    return best


def conv2d_rows(b):
    rows = []
    for name, entry in layer_sums(b, "--only", "conv2d", "--rung", "conv2d=1").items():
        peak = entry["peaks"]["peak_gflops"]
        rows.append(row(f"direct conv2d, ResNet-50's sum, {name}, GFLOP/s", entry["gflop_per_s"], peak, entry["share"],
                        ">= 0.83", "multiply-add peak"))
    return rows


def batchnorm_rows(b):
    passes = layer_sums(b, "--only", "batchnorm2d").values()
    took, floor = sum(p["ms"] for p in passes), sum(p["ms"] * p["share"] for p in passes)
    return [row("BatchNorm + ReLU + add, all passes, ms", took, floor, took / floor, "<= 1.3", "minimal bytes at the "
                "measured bandwidth")]


def machine():
    names = {}
    with open("/proc/cpuinfo") as info:
        for line in info:
            key, _, value = line.partition(":")
            names.setdefault(key.strip(), value.strip())
    return {"cpu": names.get("model name", "?"), "cores": os.cpu_count(),
            "avx512": "avx512f" in names.get("flags", ""), "date": datetime.date.today().isoformat()}


def table(rows):
    lines = ["| | Lucida | peer | ratio | must be | |", "|---|---|---|---|---|---|"]
    for r in rows:
        lines.append(f"| {r['name']} | {r['lucida']:.2f} | {r['peer']:.2f} ({r['peer_is']}) | **{r['ratio']:.2f}** | "
                     f"{r['must']} | {'met' if r['met'] else 'MISSED'} |")
    return "\n".join(lines)


def with_kept(new, path):
    """The measurements of a file whose rows were not measured again stay; each row tells its date."""
    for r in new["rows"]:
        r["date"] = new["machine"]["date"]
    if not os.path.exists(path):
        return new
    with open(path) as file:
        old = json.load(file)
    again = {r["name"]: r for r in new["rows"]}
    kept = [again.pop(r["name"], r) for r in old["rows"]]
    return {**new, "busiest": max(old["busiest"], new["busiest"]), "rows": kept + list(again.values()),
            "runs": old["runs"] + new["runs"]}


def require_same_machine(path):
    if not path or not os.path.exists(path):
        return
    with open(path) as file:
        there, here = json.load(file)["machine"]["cpu"], machine()["cpu"]
    if there != here:
        sys.exit(f"peer_ratio: {path} was measured on {there}, this is {here}: give --json another file")


def main():
    b = Bench(arguments())
    require_same_machine(b.options.json)
    measure = {"train": train_rows, "train448": train448_rows, "infer": infer_rows, "thread": thread_rows,
               "conv2d": conv2d_rows, "batchnorm": batchnorm_rows}
    rows = [r for name in ROWS if name in b.options.rows for r in measure[name](b)]
    if b.options.json:
        measured = with_kept({"machine": machine(), "threads": b.options.threads, "rounds": b.options.rounds,
                              "repeats": b.options.repeats, "seconds_waited": round(b.cores.waited, 1),
                              "busiest": b.cores.busiest, "rows": rows, "runs": b.runs}, b.options.json)
        with open(b.options.json, "w") as file:
            json.dump(measured, file, indent=1)
    print(table(rows))
    return 0 if all(r["met"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
