#!/usr/bin/env python3
"""The small study that two cores can do: losses for one known label an image, trained on a few hundred
photographs from ImageNet features that stay as they are. `make study` runs it:

    make study ROOT=.../VOCdevkit INIT=resnet50_v1_conv1_to_layer3.safetensors [OUT=runs/study]

Every run: ResNet-50, layer4 and the classifier trained, 224 pixels, batch 16, Adam 1e-4 (classifier ten times
that), 10 epochs. The methods of the main table are trained with several seeds, all others with one. A seed
draws the observed labels, the first weights, the order of the images and their mirrors, the same for every
method: so methods are compared in pairs.

    OUT/cache/                features of the frozen layers, computed once for all runs
    OUT/METHOD-SEED/          config.toml, metrics.jsonl, report.html; eval.json: mAP and how good the maps are
    OUT/compare-SEED/         `lucida compare`: maps of all methods of the main table against those of full labels
    OUT/pause                 while a file of this name is there, no further run begins

It may be stopped at any time: what is finished is kept, what is half done goes on. Weights are deleted once
nothing needs them; those of the first seed of the main table stay. scripts/study_page.py makes the page.
"""

import argparse
import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time

LARGE_LOSS = ["ll-r", "ll-ct", "ll-cp"]
MAIN = ["full", "an"] + [m + b for m in LARGE_LOSS for b in ("", "-boostlu")]  # trained with every seed
OTHERS = ["bce-ls", "an-ls", "wan", "iu", "iun", "pr", "epr", "role", "em", "em-apl", "em-pl", "focal", "asl", "csl",
          "csl-ignore", "csl-negative", "csl-normalized", "partial-bce", "hill", "splc", "gr", "mime"]
OF_RECIPE = {m: "csl" for m in OTHERS if m.startswith("csl-")}  # losses that share a recipe
BOOSTED_LATER = "an"  # judged with BoostLU at inference too
ALPHA = 5

SHARED = """--data voc --model resnet50 --variant v1 --freeze conv1,bn1,layer1,layer2,layer3 --cache-frozen
--image-size 224 --batch 16 --epochs 10 --max-steps 0 --optimizer adam --lr 1e-4 --head-lr-mult 10 --weight-decay 0
--schedule constant --ema 0 --val-frac 0 --flip --no-cams --threads 1 --workers 1""".split()
CAM_SCALES = "1"  # of the seeds' image sizes, plain and mirrored: the published four take four times as long

stop = threading.Event()
children = set()


def observation(recipe, seed):
    """The recipe's --observe with a draw of the run's own; the first is the one everybody uses (1200)."""
    parts = dict(p.split("=") for p in recipe.split(","))
    parts["seed"] = str(int(parts["seed"]) + seed - 1)
    return ",".join(f"{k}={v}" for k, v in parts.items())


def recipe_value(path, key):
    for line in open(path):
        if line.startswith(key + " = "):
            return line.split(" = ", 1)[1].strip().strip('"')
    raise SystemExit(f"study: {path} says nothing of {key}")


def call(words, log):
    """Runs the program; its output becomes the file `log` once it has ended well. Returns processor seconds."""
    if stop.is_set():
        raise KeyboardInterrupt
    with open(log + ".tmp", "w") as out, open(log + ".err", "w") as err:
        child = subprocess.Popen(words, stdout=out, stderr=err, start_new_session=True)  # Ctrl-C comes by end()
        children.add(child)
        _, state, used = os.wait4(child.pid, 0)
        status = child.returncode = os.waitstatus_to_exitcode(state)
        children.discard(child)
    if stop.is_set():
        raise KeyboardInterrupt
    if status != 0:
        raise SystemExit(f"study: failed with {status}: {' '.join(words)}\n{open(log + '.err').read()}")
    os.remove(log + ".err")
    os.replace(log + ".tmp", log)
    return used.ru_utime + used.ru_stime


def remove(pattern):
    for path in glob.glob(pattern):
        os.remove(path)


class Run:
    """One training and its evaluation."""

    def __init__(self, options, method, seed):
        self.o, self.method, self.seed = options, method, seed
        self.folder = os.path.join(options.out, f"{method}-{seed}")
        self.title = f"{method}, seed {seed}"

    def done(self):
        wanted = ["eval.json"] + ([f"eval-alpha-{ALPHA}.json"] if self.method == BOOSTED_LATER else [])
        return all(os.path.exists(os.path.join(self.folder, f)) for f in wanted)

    def weights(self):
        return os.path.join(self.folder, "best.safetensors")

    def work(self):
        recipe = os.path.join("train", "recipes", "voc", OF_RECIPE.get(self.method, self.method) + ".toml")
        os.makedirs(self.folder, exist_ok=True)
        cpu = 0
        words = [self.o.program, "train", "--config", recipe] + SHARED + [
            "--root", self.o.root, "--init", self.o.init, "--seed", str(self.seed),
            "--observe", observation(recipe_value(recipe, "observe"), self.seed),
            "--cache-folder", os.path.join(self.o.out, "cache"), "--out", self.folder]
        if self.method in OF_RECIPE:
            words += ["--loss", self.method]
        if not self.trained():
            words.append("--resume" if os.path.exists(os.path.join(self.folder, "config.toml")) else "--overwrite")
            cpu += call(words, os.path.join(self.folder, "train.log"))
        cpu += self.judge("eval.json", [])
        if self.method == BOOSTED_LATER:
            cpu += self.judge(f"eval-alpha-{ALPHA}.json", ["--alpha", str(ALPHA)])
        remove(os.path.join(self.folder, "last*"))
        if self.method not in MAIN:
            remove(self.weights())
        return cpu

    def trained(self):
        log = os.path.join(self.folder, "metrics.jsonl")
        return os.path.exists(self.weights()) and os.path.exists(log) and '{"kind":"test"' in open(log).read()

    def judge(self, name, more):
        path = os.path.join(self.folder, name)
        if os.path.exists(path):
            return 0
        return call([self.o.program, "eval", "--checkpoint", self.weights(), "--data", "voc", "--root", self.o.root,
                     "--cam-metrics", "--cam-scales", CAM_SCALES, "--threads", "1", "--workers", "1", "--json"] + more,
                    path)

    def result(self):
        e = json.load(open(os.path.join(self.folder, "eval.json")))
        cam = e["cam"]
        return f"mAP {e['map']:.2f}, pointing game {cam['pointing']:.1f}, seed mIoU {cam['seed_miou_best']:.1f}"


class Comparison:
    """The maps of one seed's models against those of full labels."""

    def __init__(self, options, seed, runs):
        self.o, self.seed, self.runs = options, seed, runs
        self.folder = os.path.join(options.out, f"compare-{seed}")
        self.title = f"maps compared, seed {seed}"

    def done(self):
        return os.path.exists(os.path.join(self.folder, "compare.json"))

    def work(self):
        words = [self.o.program, "compare", "--data", "voc", "--root", self.o.root, "--threads", "1", "--workers", "1",
                 "--observe", observation("pos=1,neg=0,seed=1200", self.seed), "--show", "8", "--out", self.folder]
        for run in self.runs:
            boosts = [ALPHA if run.method.endswith("-boostlu") else 1]
            if run.method == BOOSTED_LATER:
                boosts.append(ALPHA)
            for alpha in boosts:
                later = "+boostlu" if run.method == BOOSTED_LATER and alpha != 1 else ""
                words += ["--checkpoint", run.weights(), "--name", run.method + later, "--alpha", str(alpha)]
        os.makedirs(self.folder, exist_ok=True)
        cpu = call(words, os.path.join(self.folder, "compare.log"))
        if self.seed != 1:
            for run in self.runs:
                remove(run.weights())
        return cpu

    def result(self):
        return os.path.join(self.folder, "compare.html")


class Study:
    def __init__(self, options):
        self.o = options
        main = {s: [Run(options, m, s) for m in MAIN] for s in range(1, options.seeds + 1)}
        self.jobs = []
        for seed, runs in main.items():
            self.jobs += runs + [Comparison(options, seed, runs)]
            if seed == 1:
                self.jobs += [Run(options, m, 1) for m in OTHERS]
        self.lock = threading.Condition()
        self.todo = [j for j in self.jobs if not j.done()]
        self.skipped = len(self.jobs) - len(self.todo)
        self.finished, self.running, self.error = self.skipped, set(), None
        self.started, self.seconds = time.time(), 0

    def ready(self, job):
        return not isinstance(job, Comparison) or all(r not in self.todo and r not in self.running for r in job.runs)

    def take(self):
        with self.lock:
            while self.todo and not self.error and not stop.is_set():
                job = next((j for j in self.todo if self.ready(j)), None)
                if job and not self.paused():
                    self.todo.remove(job)
                    self.running.add(job)
                    return job
                self.lock.wait(5)
        return None

    def paused(self):
        pause = os.path.join(self.o.out, "pause")
        if os.path.exists(pause) and not self.running and not getattr(self, "told", False):
            self.told = True
            print(f"study: paused; rm {pause} goes on", flush=True)
        if not os.path.exists(pause):
            self.told = False
        return os.path.exists(pause)

    def left(self):
        new = self.finished - self.skipped
        seconds = self.seconds / new * (len(self.jobs) - self.finished) / self.o.jobs
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d} h left"

    def work(self):
        while job := self.take():
            begin = time.time()
            try:
                cpu = job.work()
            except (KeyboardInterrupt, SystemExit, OSError) as e:
                with self.lock:
                    self.error = self.error or e
                    self.running.discard(job)
                    self.lock.notify_all()
                return
            with self.lock:
                self.running.discard(job)
                self.finished += 1
                self.seconds += time.time() - begin
                print(f"[{self.finished}/{len(self.jobs)}] {job.title}: {job.result()}; {time.time() - begin:.0f} s "
                      f"({cpu:.0f} s of processor time); {self.left()}", flush=True)
                self.lock.notify_all()

    def run(self):
        print(f"study: {len(self.jobs)} runs and comparisons, {self.skipped} of them done, {self.o.jobs} at a time; "
              f"in {self.o.out}", flush=True)
        workers = [threading.Thread(target=self.work) for _ in range(self.o.jobs)]
        for w in workers:
            w.start()
        for w in workers:
            while w.is_alive():
                w.join(1)
        if isinstance(self.error, KeyboardInterrupt) or stop.is_set():
            print("study: stopped; the same command goes on", flush=True)
            return 130
        if self.error:
            print(self.error, file=sys.stderr)
            return 1
        print(f"study: finished after {(time.time() - self.started) / 60:.0f} minutes; "
              f"python3 scripts/study_page.py {self.o.out} writes the page", flush=True)
        return 0


def end(*_):
    """Training saves its state when it is asked to stop."""
    stop.set()
    for child in list(children):
        child.send_signal(signal.SIGINT)


def require_data(o):
    usage = "make study ROOT=path/to/VOCdevkit INIT=path/to/resnet50_v1_conv1_to_layer3.safetensors"
    lists = os.path.join(o.root, "VOC2012", "ImageSets", "Main", "aeroplane_train.txt")
    if not o.root or not os.path.exists(lists):
        raise SystemExit(f"study: needs VOC 2012 (or a part of it): ROOT=folder that holds VOC2012/\n  {usage}"
                         + (f"\n  {lists} is not there" if o.root else ""))
    if not o.init or not os.path.exists(o.init):
        raise SystemExit("study: needs ImageNet weights of ResNet-50 v1, conv1 to layer3 at least: "
                         f"INIT=FILE.safetensors\n  {usage}" + (f"\n  {o.init} is not there" if o.init else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/lucida")
    parser.add_argument("--root", default="", help="folder that holds VOC2012/")
    parser.add_argument("--init", default="", help="weights of conv1 to layer3")
    parser.add_argument("--out", default="runs/study")
    parser.add_argument("--seeds", type=int, default=5, help="of the main table (default 5)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(),
                        help="runs at a time, a thread each (default: cores)")
    o = parser.parse_args()
    require_data(o)
    os.makedirs(o.out, exist_ok=True)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    sys.exit(Study(o).run())


if __name__ == "__main__":
    main()
