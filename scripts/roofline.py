#!/usr/bin/env python3
"""The floor of every layer of ResNet-50 (v1.5) on an A100 and an H100: max(operations / peak, bytes / bandwidth).

    python3 scripts/roofline.py [--batch 16] [--image-size 224] [--only forward] [--markdown]

One line a layer class and pass: how often it occurs, GFLOP, MB in f32 (each tensor of the pass once, no cache), their
ratio, and microseconds of one call in f32, tf32 and bf16; `m` marks what memory bounds. The last line is a training
step: every pass of every layer one after another, with SGD. Calculated, not measured. bf16 halves the bytes of
activations and of the weights in use; statistics, gradients of weights and the optimizer stay f32."""
import argparse
from dataclasses import dataclass

GPUS = {  # operations a second, bytes a second (data sheets, dense)
    "A100": ({"f32": 19.5e12, "tf32": 156e12, "bf16": 312e12}, 2.039e12),
    "H100": ({"f32": 66.9e12, "tf32": 494e12, "bf16": 989e12}, 3.35e12),
}
PRECISIONS = ("f32", "tf32", "bf16")


@dataclass(frozen=True)
class Pass:
    layer: str
    name: str
    flops: float
    narrow: float  # elements that are 2 bytes in bf16
    wide: float  # elements that stay f32

    def bytes(self, precision):
        return self.narrow * (2 if precision == "bf16" else 4) + self.wide * 4

    def microseconds(self, gpu, precision):
        peaks, bandwidth = GPUS[gpu]
        return 1e6 * max(self.flops / peaks[precision], self.bytes(precision) / bandwidth)

    def bound_by_memory(self, gpu, precision):
        peaks, bandwidth = GPUS[gpu]
        return self.bytes(precision) / bandwidth > self.flops / peaks[precision]


def convolution(n, side, c, k, kernel, stride, first=False):
    out = side // stride
    x, y, w = n * side * side * c, n * out * out * k, k * kernel * kernel * c
    flops = 2.0 * y * kernel * kernel * c
    layer = f"conv {kernel}x{kernel}{'/2' if stride == 2 else ''} {c}->{k} @{out}"
    passes = [Pass(layer, "forward", flops, x + y + w, 0), Pass(layer, "backward data", flops, x + y + w, 0),
              Pass(layer, "backward weight", flops, x + y, w)]
    return passes[::2] if first else passes


def batchnorm(n, side, c, residual, relu=True):
    """Forward: x twice, y (and the skip connection); backward: x and dy twice, dx. The skip's
    gradient is dy under the mask of the ReLU; it need not be written."""
    elements = n * side * side * c
    layer = f"batchnorm{' + add' if residual else ''}{' + relu' if relu else ''} {c} @{side}"
    return [Pass(layer, "forward", 4.0 * elements, (4 if residual else 3) * elements, 4 * c),
            Pass(layer, "backward", 9.0 * elements, 5 * elements, 8 * c)]


def resnet50(n, size):
    side = size // 2
    passes = convolution(n, size, 3, 64, 7, 2, first=True) + batchnorm(n, side, 64, False)
    pooled = n * side * side * 64 // 4
    pool = f"max pool 3x3/2 64 @{side // 2}"
    passes += [Pass(pool, "forward", 0, 5 * pooled, 0), Pass(pool, "backward", 0, 5 * pooled, 0)]
    side, c = side // 2, 64
    for blocks, width, stride in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        for block in range(blocks):
            s = stride if block == 0 else 1
            passes += convolution(n, side, c, width, 1, 1) + batchnorm(n, side, width, False)
            passes += convolution(n, side, width, width, 3, s) + batchnorm(n, side // s, width, False)
            passes += convolution(n, side // s, width, 4 * width, 1, 1)
            if block == 0:
                passes += convolution(n, side, c, 4 * width, 1, s) + batchnorm(n, side // s, 4 * width, False, False)
            passes += batchnorm(n, side // s, 4 * width, True)
            side, c = side // s, 4 * width
    return passes + [Pass("SGD with momentum", "step", 4 * 25557032, 0, 5 * 25557032)]


def cells(p):
    return [f"{p.microseconds(gpu, precision):.1f}{'m' if p.bound_by_memory(gpu, precision) else ' '}"
            for gpu in GPUS for precision in PRECISIONS]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--only", default="", help="rows of one pass; the step's totals stay")
    parser.add_argument("--markdown", action="store_true", help="a table for docs/profiling.md")
    options = parser.parse_args()
    passes = resnet50(options.batch, options.image_size)
    titles = ["layer", "times", "pass", "GFLOP", "MB", "FLOP/B"] + [f"{g} {p}" for g in GPUS for p in PRECISIONS]
    rows = []
    for p in dict.fromkeys(p for p in passes if options.only in p.name):
        rows.append([p.layer, str(passes.count(p)), p.name, f"{p.flops / 1e9:.2f}", f"{p.bytes('f32') / 1e6:.1f}",
                     f"{p.flops / p.bytes('f32'):.0f}"] + cells(p))
    total = [1e-3 * sum(p.microseconds(g, q) for p in passes) for g in GPUS for q in PRECISIONS]
    rows.append(["whole step, ms", "", "", f"{sum(p.flops for p in passes) / 1e9:.0f}",
                 f"{sum(p.bytes('f32') for p in passes) / 1e6:.0f}", ""] + [f"{ms:.2f} " for ms in total])
    rows.append(["images a second", "", "", "", "", ""] + [f"{1e3 * options.batch / ms:.0f} " for ms in total])
    widths = [max(len(row[i]) for row in [titles] + rows) for i in range(len(titles))]
    left = (0, 2)
    print(f"ResNet-50 v1.5, batch {options.batch}, {options.image_size} x {options.image_size}; microseconds a call\n")
    for number, row in enumerate([titles] + rows):
        text = [v.ljust(w) if i in left else v.rjust(w) for i, (v, w) in enumerate(zip(row, widths))]
        print("| " + " | ".join(text) + " |" if options.markdown else "  ".join(text))
        if options.markdown and number == 0:
            print("|" + "|".join("---" if i in left else "---:" for i in range(len(titles))) + "|")


if __name__ == "__main__":
    main()
