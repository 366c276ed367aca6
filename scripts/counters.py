#!/usr/bin/env python3
"""Counts what the device kernels do under a PTX simulator and compares it with scripts/counters.targets.

    make cuda
    python3 scripts/counters.py --runner RUN [--only REGEX] [--json FILE]      prints tables; exit 1 when a must is missed
    python3 scripts/counters.py --floor 16 64 256                              the step's floor alone: nothing is run

RUN starts a CUDA program on the simulator (default $LUCIDA_SIMULATOR) and writes one CSV line of counters a launch to
the file named by $GPUSIM_STATS (--variable names another). Nothing is built here and no time is measured: instructions
are those of PTX, before the machine-code compiler, bytes are those of 32-byte sectors, every request counted, no cache.

    wi/fma, wi/mma   warp instructions per warp FMA or tensor-core instruction, of the whole launch
    wf/fma, wf/mma   shared-memory wavefronts of loads and stores; the floor adds cp.async's own writes
    bankx            wavefronts / conflict-free wavefronts
    coalescing       sectors an ideal access would move / sectors moved, %
    secx, xmin       bytes moved / bytes that must be read and written once (`needs`)
    L2/mma           bytes read through the second-level cache per tensor-core instruction
    tile             floating-point operations of the formula / executed
    B/req, wi/KB     bytes a warp request, warp instructions per KiB moved
    local            bytes of local memory: arrays that are not in registers
    helpers          bytes that other launches of the same pass move / needed bytes
"""
import argparse
import configparser
import csv
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import step_floor  # noqa: E402

# What `lucida op` does around an operation: files' order of dimensions to the engine's, rounding of inputs to bf16.
AROUND = r"\btranspose_kernel|\bto_bf16_kernel"
ARITHMETIC = ["wi", "wf", "bankx", "coalescing", "secx", "L2/mma", "tile", "local", "helpers"]
BANDWIDTH = ["xmin", "B/req", "wi/KB", "bankx", "coalescing", "local", "helpers"]


def shapes_of(text):
    return {name: [int(d) for d in dims.split(",")] for name, dims in (t.split(":") for t in text.split())}


def elements(shape):
    return int(np.prod(shape))


class Simulator:
    """Runs `lucida op` and remembers the launches of each distinct run."""

    def __init__(self, program, runner, variable, folder):
        self.program, self.runner, self.variable, self.folder = program, runner, variable, folder
        self.launches = {}

    def arrays(self, tensors):
        random = np.random.default_rng(1)
        files = {}
        for name, shape in tensors.items():
            files[name] = os.path.join(self.folder, f"{name}_{'x'.join(map(str, shape))}.npy")
            if not os.path.exists(files[name]):
                values = random.standard_normal(shape, dtype=np.float32)
                np.save(files[name], np.abs(values) if "var" in name else values)
        return files

    def run(self, op, tensors, precision, rung, gradient):
        """The launches, in order, as dictionaries of numbers; None when this rung is not there."""
        key = json.dumps([op, tensors, precision, rung, gradient])
        if key in self.launches:
            return self.launches[key]
        name, *settings = op.split()
        files, stats = self.arrays(tensors), os.path.join(self.folder, "stats.csv")
        command = self.runner.split() + [self.program, "op", name, "--device", "cuda", "--precision", precision,
                                         "--out", os.path.join(self.folder, "out")]
        command += [w for s in settings for w in ("--set", s)] + (["--rung", rung] if rung else [])
        command += [w for n, f in files.items() if n != "y" for w in ("--input", f"{n}={f}")]
        command += ["--grad", f"y={files['y']}"] if gradient else []
        if os.path.exists(stats):
            os.remove(stats)
        done = subprocess.run(command, env={**os.environ, self.variable: stats}, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"counters: {' '.join(command)}\n{done.stderr.strip()}", file=sys.stderr)
        launches = None
        if done.returncode == 0:
            with open(stats) as file:
                launches = [{k: v if k in ("kernel", "grid", "block") else float(v) for k, v in row.items()}
                            for row in csv.DictReader(file) if name == "cast" or not re.search(AROUND, row["kernel"])]
        self.launches[key] = launches
        return launches


def total(launches, *columns):
    return sum(launch[column] for launch in launches for column in columns)


def moved(launches):
    return 32 * total(launches, "gld_sectors", "gst_sectors", "cpasync_sectors")


def flops_of(op, t):
    """Of one product: they are the same for all three passes."""
    if op == "conv2d":
        o, i, r, s = t["weight"]
        return 2.0 * elements(t["y"]) * i * r * s
    return 2.0 * elements(t["y"]) * t["weight"][1] if op == "linear" else 0.0


def counters_of(launches, helpers, needed, flops):
    bytes_moved = moved(launches)
    requests = total(launches, "gld_requests", "gst_requests", "cpasync_requests")
    wavefronts, ideal = total(launches, "smem_wavefronts"), total(launches, "smem_ideal_wavefronts")
    instructions = total(launches, "warp_insts")
    c = {
        "bankx": wavefronts / ideal if ideal else 1.0,
        "coalescing": 3200.0 * total(launches, "gld_ideal_sectors", "gst_ideal_sectors", "cpasync_ideal_sectors")
        / bytes_moved,
        "secx": bytes_moved / needed, "xmin": bytes_moved / needed,
        "B/req": total(launches, "gld_bytes", "gst_bytes", "cpasync_bytes") / requests,
        "wi/KB": 1024 * instructions / bytes_moved,
        "local": total(launches, "local_bytes"),
        "helpers": moved(helpers) / needed,
    }
    unit = "mma" if total(launches, "mma") else "fma"
    work = total(launches, unit)
    if flops and work:
        c["unit"] = unit
        c[f"wi/{unit}"] = instructions / work
        c[f"wf/{unit}"] = wavefronts / work
        c["tile"] = flops / (total(launches, "mma_flops") if unit == "mma" else 64 * work)
        if unit == "mma":
            c["L2/mma"] = 32 * total(launches, "gld_sectors", "cpasync_sectors") / work
        # What the floor of a training step needs, per floating-point operation of the formula.
        c["rates"] = {"issue": instructions / flops, "smem": (wavefronts + total(launches, "cpasync_bytes") / 128) / flops,
                      "l2": bytes_moved / flops, "tile": c["tile"], "helpers": c["helpers"]}
    else:
        c["rates"] = {"x": c["xmin"], "issue": instructions / needed, "helpers": c["helpers"]}
    return c


def limits_of(text):
    return {name: (sign, float(value)) for name, sign, value in re.findall(r"(\S+?)(<=|>=)(\S+)", text)}


def musts_of(case, counted):
    """What the section must meet; where it is `like` another one, instructions and wavefronts of that one as well."""
    must = limits_of(case["must"])
    if case["like"]:
        other = counted.get(case["like"], {})
        for key in (f"{name}/{other['unit']}" for name in ("wi", "wf") if "unit" in other):
            must[key] = ("<=", round(1.005 * other[key], 2))
    return must


def holds(value, limit):
    return value <= limit[1] if limit[0] == "<=" else value >= limit[1]


def case_counters(case, simulator):
    """Of the launches that the section names, or None when there are none."""
    tensors = shapes_of(case["tensors"])
    precision, *rung = case["with"].split()
    rung = rung[0] if rung else None
    forward = simulator.run(case["op"], tensors, precision, rung, False)
    launches = forward
    if forward is not None and case["pass"] == "backward":
        launches = simulator.run(case["op"], tensors, precision, rung, True)
        launches = launches and launches[len(forward):]
    if not launches:
        return None
    judged = [launch for launch in launches if re.search(case["kernel"], launch["kernel"])]
    if not judged:
        print("counters: no launch matches", case["kernel"], "among", sorted({x["kernel"] for x in launches}),
              file=sys.stderr)
        return None
    half = 2 if precision == "bf16" else 4
    needed = 0
    for name in case["needs"].split():
        name, _, size = name.partition("/")
        needed += elements(tensors[name]) * (int(size) if size else half)
    helpers = [launch for launch in launches
               if launch not in judged and not re.search(case["besides"], launch["kernel"])]
    flops = int(case["products"]) * flops_of(case["op"].split()[0], tensors)
    return counters_of(judged, helpers, needed, flops)


def cell(name, c, must, beat):
    key = f"{name}/{c['unit']}" if name in ("wi", "wf") else name
    if key not in c:
        return ""
    value = f"{c[key]:.0f}" if key in ("B/req", "L2/mma", "local", "coalescing") else f"{c[key]:.2f}"
    marks = []
    if key in must and not holds(c[key], must[key]):
        marks.append(f"**misses {must[key][0]} {must[key][1]:g}**")
    if key in beat and holds(c[key], beat[key]):
        marks.append(f"beats {beat[key][1]:g}")
    elif key in must and holds(c[key], must[key]):
        marks.append(f"must {must[key][0]} {must[key][1]:g}")
    return value + (f" ({', '.join(marks)})" if marks else "")


def report(title, columns, rows, targets, counted):
    if not rows:
        return
    print(f"\n| {title} | " + " | ".join(columns) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for name, c in rows:
        must, beat = musts_of(targets[name], counted), limits_of(targets[name]["beat"])
        unit = c.get("unit", "")
        cells = [cell(n, c, must, beat) for n in columns]
        print(f"| {name}{', per ' + unit if unit else ''} | " + " | ".join(cells) + " |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/cuda/lucida")
    p.add_argument("--runner", default=os.environ.get("LUCIDA_SIMULATOR", ""), help="command that starts a program")
    p.add_argument("--variable", default="GPUSIM_STATS", help="environment variable that names the CSV file")
    p.add_argument("--targets", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "counters.targets"))
    p.add_argument("--only", default="", help="regular expression on section names")
    p.add_argument("--floor", nargs="*", type=int, metavar="BATCH", help="print the floor of a step and stop")
    p.add_argument("--json", help="write the counters to this file as well")
    a = p.parse_args()
    if a.floor is not None:
        return step_floor.report(a.floor or [16, 64, 256], {})
    if not a.runner:
        p.error("--runner (or $LUCIDA_SIMULATOR) is missing: the command that starts a program on the simulator")
    targets = configparser.ConfigParser(interpolation=None)
    targets.read(a.targets)
    counted, absent, missed = {}, [], []
    with tempfile.TemporaryDirectory() as folder:
        simulator = Simulator(a.program, a.runner, a.variable, folder)
        for name in targets.sections():
            if not re.search(a.only, name):
                continue
            print(f"counters: {name}", file=sys.stderr)
            c = case_counters(targets[name], simulator)
            if c is None:
                absent.append(name)
                continue
            counted[name] = c
            missed += [f"{name}: {key} is {c.get(key, float('nan')):.3f}, must be {limit[0]} {limit[1]:g}"
                       for key, limit in musts_of(targets[name], counted).items()
                       if not holds(c.get(key, float("nan")), limit)]
    report("products", ARITHMETIC, [(n, c) for n, c in counted.items() if "unit" in c], targets, counted)
    report("bandwidth", BANDWIDTH, [(n, c) for n, c in counted.items() if "unit" not in c], targets, counted)
    for name in absent:
        print(f"\nnot counted: {name} (it did not run, see above)")
    print(f"\n{len(counted)} passes counted, {len(missed)} must-meets missed" + "".join(f"\n    {m}" for m in missed))
    print()
    step_floor.report([16, 64, 256], {name: c["rates"] for name, c in counted.items()})
    if a.json:
        with open(a.json, "w") as file:
            json.dump(counted, file, indent=1)
    return 1 if missed or absent else 0


if __name__ == "__main__":
    sys.exit(main())
