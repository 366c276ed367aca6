#!/usr/bin/env python3
"""Every operation of `lucida op --list` against PyTorch at odd sizes, values and gradients.

    python3 scripts/peer_ops.py [--program build/lucida] [--rungs 0,1]

Prints the largest error of each case, relative to the largest absolute value of what PyTorch computes in double, and
fails above 2e-5.  Needs torch and numpy."""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
random = np.random.RandomState(7)


def noise(*shape):
    return random.randn(*shape).astype(np.float32)


def conv(x, weight, bias=None, stride=1, pad=0, dilation=1):
    return {"y": F.conv2d(x, weight, bias, stride, pad, dilation)}


def batchnorm(x, gamma, beta, running_mean, running_var, skip=None, mode="train", eps=1e-5, momentum=0.1, relu=0):
    mean, var = running_mean.clone(), running_var.clone()
    y = F.batch_norm(x, mean, var, gamma, beta, mode == "train", momentum, eps)
    y = y if skip is None else y + skip
    return {"y": F.relu(y) if relu else y, "running_mean": mean, "running_var": var}


def boost(x, alpha):
    return torch.where(x > 0, alpha * x, x)


def cam(x, weight, bias, alpha=5):
    maps = boost(F.conv2d(x, weight, bias), alpha)
    return {"maps": maps, "logits": maps.mean((2, 3))}


def loss(logits, labels, kind="bce", epoch=1, delta_rel=0.005):
    target = (labels == 1).to(logits.dtype)
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if kind in ("bce", "an") or epoch == 1:
        return {"loss": each.mean().reshape(1)}
    clean = 1.0
    for _ in range(epoch - 1):
        clean -= delta_rel
    share = delta_rel if kind == "ll-cp" else 1 - clean
    count = int(np.ceil(each.numel() * share))
    unobserved = each.detach() * (labels == 0)
    threshold = unobserved.flatten().topk(count).values[-1]
    chosen = (unobserved >= threshold) & (labels == 0) & (unobserved > 0)
    other = torch.zeros_like(each) if kind == "ll-r" else F.softplus(-logits)
    return {"loss": torch.where(chosen, other, each).mean().reshape(1)}


def bn_inputs(n, c, h, w, skip=False):
    inputs = {"x": noise(n, c, h, w), "gamma": noise(c), "beta": noise(c), "running_mean": noise(c),
              "running_var": noise(c) ** 2 + 0.5}
    return inputs | ({"skip": noise(n, c, h, w)} if skip else {})


def labels(n, k):
    return random.choice([-1, 0, 0, 0, 1], (n, k)).astype(np.float32)


def cases():
    for n, c, h, w, k, r, s, stride, pad, dilation in [
            (1, 1, 1, 1, 1, 1, 1, 1, 0, 1), (2, 3, 17, 13, 5, 7, 7, 2, 3, 1), (1, 31, 9, 11, 33, 3, 3, 1, 1, 1),
            (3, 17, 8, 5, 65, 1, 1, 1, 0, 1), (2, 16, 15, 14, 21, 3, 3, 2, 1, 1), (1, 5, 19, 23, 7, 3, 2, 3, 2, 2),
            (2, 64, 7, 7, 130, 1, 1, 2, 0, 1), (1, 130, 6, 6, 64, 3, 3, 1, 2, 2), (2, 4, 12, 12, 6, 4, 5, 1, 0, 1)]:
        inputs = {"x": noise(n, c, h, w), "weight": noise(k, c, r, s), "bias": noise(k)}
        yield "conv2d", inputs, {"stride": stride, "pad": pad, "dilation": dilation}, conv
    for mode in ("train", "eval"):
        for relu, skip in ((0, False), (1, False), (1, True)):
            yield "batchnorm2d", bn_inputs(3, 31, 5, 7, skip), {"mode": mode, "relu": relu}, batchnorm
    yield "relu", {"x": noise(2, 3, 5, 7)}, {}, lambda x: {"y": F.relu(x)}
    yield "sigmoid", {"x": 20 * noise(1, 33, 3, 1)}, {}, lambda x: {"y": torch.sigmoid(x)}
    yield "add", {"a": noise(2, 5, 3, 7), "b": noise(2, 5, 3, 7)}, {}, lambda a, b: {"y": a + b}
    for kernel, stride, pad in ((3, 2, 1), (2, 2, 0), (5, 3, 2), (3, 1, 1)):
        yield ("maxpool2d", {"x": noise(2, 33, 13, 10)}, {"kernel": kernel, "stride": stride, "pad": pad},
               lambda x, kernel, stride, pad: {"y": F.max_pool2d(x, kernel, stride, pad)})
    yield "global_average", {"x": noise(3, 31, 7, 5)}, {}, lambda x: {"y": x.mean((2, 3))}
    yield ("linear", {"x": noise(5, 33), "weight": noise(17, 33), "bias": noise(17)}, {},
           lambda x, weight, bias: {"y": F.linear(x, weight, bias)})
    yield "boostlu", {"x": noise(2, 20, 7, 7)}, {"alpha": 5}, lambda x, alpha: {"y": boost(x, alpha)}
    yield "cam_head", {"x": noise(2, 65, 5, 3), "weight": noise(21, 65, 1, 1), "bias": noise(21)}, {"alpha": 5}, cam
    for kind in ("bce", "an", "ll-r", "ll-ct", "ll-cp"):
        for epoch in (1, 2, 6):
            yield ("loss", {"logits": 5 * noise(16, 80), "labels": labels(16, 80)},
                   {"kind": kind, "epoch": epoch, "delta_rel": 0.005}, loss)


def error(got, want):
    want = want.detach().numpy()
    assert got.shape == want.shape, (got.shape, want.shape)
    scale = np.abs(want).max() or 1
    return float(np.abs(got - want).max() / scale) if np.isfinite(got).all() else float("inf")


def run_case(program, rung, name, inputs, settings, reference):
    tensors = {key: torch.from_numpy(value.astype(np.float64)) for key, value in inputs.items()}
    fixed = ("running_mean", "running_var", "labels")
    for key, tensor in tensors.items():
        tensor.requires_grad_(key not in fixed)
    want = reference(**tensors, **settings)
    first = "loss" if name == "loss" else "logits" if name == "cam_head" else "y"
    up = np.ones((1,), np.float32) if name == "loss" else noise(*want[first].shape)
    want[first].backward(torch.from_numpy(up.astype(np.float64)))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        words = [program, "op", name, "--out", str(folder / "out"), "--rung", str(rung)]
        for key, value in inputs.items():
            np.save(folder / f"{key}.npy", value)
            words += ["--input", f"{key}={folder / key}.npy"]
        for key, value in settings.items():
            words += ["--set", f"{key}={value}"]
        if name != "loss":
            np.save(folder / "up.npy", up)
            words += ["--grad", f"{first}={folder / 'up.npy'}"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        errors = {key: error(np.load(folder / "out" / f"{key}.npy"), value) for key, value in want.items()}
        for key, tensor in tensors.items():
            if tensor.grad is not None:
                errors["d" + key] = error(np.load(folder / "out" / f"d{key}.npy"), tensor.grad)
    return errors


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="build/lucida")
    p.add_argument("--rungs", default="0,1")
    args = p.parse_args()
    worst = 0.0
    for name, inputs, settings, reference in cases():
        for rung in args.rungs.split(","):
            errors = run_case(args.program, rung, name, inputs, settings, reference)
            worst = max(worst, *errors.values())
            shapes = " ".join("x".join(map(str, v.shape)) for v in inputs.values())
            print(f"{name:15s} rung {rung}  {max(errors.values()):.1e}  {shapes}  {settings}")
            bad = {key: value for key, value in errors.items() if not value <= 2e-5}
            if bad:
                sys.exit(f"{name}: too far from PyTorch: {bad}")
    print(f"worst {worst:.1e}, allowed 2e-5")


if __name__ == "__main__":
    main()
