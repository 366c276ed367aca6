#!/usr/bin/env python3
"""PyTorch on Lucida's main job on this machine: one ResNet-50 CAM training step (forward, backward,
SGD with momentum; logits are the mean over H and W of a 1x1 convolution), or inference.

    scripts/peer_pytorch.py --mode train --batch 16 --size 224 --threads 2
    scripts/peer_pytorch.py --mode infer --batch 1 --layout channels_last
    scripts/peer_pytorch.py --mode infer-frozen            # jit.freeze + optimize_for_inference

Prints one JSON line a layout: {"images_per_s": best of the repeats, "ms": of that step or batch, "peak_mib": peak
resident memory beyond what the process held once the weights were there, ...}. Each layout runs in a process of its
own, so that one's peak does not hide the other's. `lucida bench step --json` prints the same fields; the peer of
`lucida bench infer --json`, images_per_s and batch1_ms, is infer-frozen with --batch 16 and with --batch 1.
scripts/peer_ratio.py runs both programs in turn and prints ratios.
"""
import argparse
import json
import resource
import subprocess
import sys
import time


def arguments():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--mode", choices=["train", "infer", "infer-frozen"], default="train")
    parser.add_argument("--batch", type=int, default=16, help="images a step (16)")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels (224)")
    parser.add_argument("--threads", type=int, default=2, help="(2)")
    layouts = ["default", "channels_last", "both"]
    parser.add_argument("--layout", choices=layouts, default="both", help="(both)")
    parser.add_argument("--repeats", type=int, default=5, help="timed steps, after one that is not (5)")
    parser.add_argument("--classes", type=int, default=20, help="(20)")
    return parser.parse_args()


def resnet50(nn, torch):
    """torchvision's ResNet-50 without its pool and head (v1.5: the stride sits in the 3x3 convolution)."""

    class Bottleneck(nn.Module):
        def __init__(self, inside, width, stride):
            super().__init__()
            outside = 4 * width
            self.conv1, self.bn1 = nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3, self.bn3 = nn.Conv2d(width, outside, 1, bias=False), nn.BatchNorm2d(outside)
            self.relu = nn.ReLU(inplace=True)
            self.downsample = None
            if stride != 1 or inside != outside:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

        def forward(self, x):
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.relu(self.bn2(self.conv2(y)))
            y = self.bn3(self.conv3(y))
            return self.relu(y + (x if self.downsample is None else self.downsample(x)))

    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
              nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            layers.append(Bottleneck(inside, width, stride if block == 0 else 1))
            inside = 4 * width
    return nn.Sequential(*layers)


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mib():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def measure(options):
    import torch
    from torch import nn

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    head = nn.Conv2d(2048, options.classes, 1)
    backbone = resnet50(nn, torch)
    memory_format = torch.channels_last if options.layout == "channels_last" else torch.contiguous_format

    class Cam(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.classifier = backbone, head

        def forward(self, x):
            return self.classifier(self.backbone(x)).mean((2, 3))

    model = Cam().to(memory_format=memory_format)
    before = resident_mib()  # the weights are there, nothing was computed yet
    x = torch.randn(options.batch, 3, options.size, options.size).contiguous(memory_format=memory_format)
    target = (torch.rand(options.batch, options.classes) < 0.1).float()

    if options.mode == "train":
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

        def step():
            optimizer.zero_grad(set_to_none=True)
            nn.functional.binary_cross_entropy_with_logits(model(x), target).backward()
            optimizer.step()
    else:
        model.eval()
        if options.mode == "infer-frozen":
            with torch.no_grad():
                model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))

        def step():
            with torch.no_grad():
                model(x)

    step()
    if options.mode == "infer-frozen":
        step()
    best = float("inf")
    for _ in range(options.repeats):
        start = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - start)
    print(json.dumps({
        "images_per_s": round(options.batch / best, 3), "ms": round(1e3 * best, 2), "peak_mib": round(peak_mib() - before, 1),
        "torch": torch.__version__, "layout": options.layout, "mode": options.mode, "batch": options.batch,
        "size": options.size, "threads": options.threads}), flush=True)


def main():
    options = arguments()
    if options.layout != "both":
        return measure(options)
    for layout in ("default", "channels_last"):
        subprocess.run([sys.executable, *sys.argv, "--layout", layout], check=True)


if __name__ == "__main__":
    main()
