#!/usr/bin/env python3
"""The VOC recipe of the README in PyTorch, to compare mean averages precisions over seeds.

    python3 scripts/peer_voc.py --root .../VOCdevkit --init resnet50_v1_conv1_to_layer3.safetensors --seeds 1,2,3

ResNet-50 v1 with a 1x1-convolution classifier and BoostLU, conv1 to layer3 frozen (BatchNorm in evaluation mode), one
observed positive an image (numpy RandomState(1200)), LL-R, Adam, 10 epochs, best epoch by the mAP on the val split.
The frozen part's output is computed once for each image and its mirror image and kept in memory: the same numbers, in
a tenth of the time.  Needs torch, numpy, pillow and scikit-learn; prints one JSON object."""
import argparse
import json
import math
import pathlib
import struct

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from sklearn.metrics import average_precision_score


class Bottleneck(nn.Module):
    """v1: the stride is in the first 1x1 convolution."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False),
                                            nn.BatchNorm2d(4 * width))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + skip)


class ResNet50Cam(nn.Module):
    def __init__(self, classes, alpha):
        super().__init__()
        self.alpha = alpha
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for i, (width, blocks) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3))):
            stage = []
            for k in range(blocks):
                stage.append(Bottleneck(inputs, width, 2 if k == 0 and i > 0 else 1))
                inputs = 4 * width
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.classifier = nn.Conv2d(2048, classes, 1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d) and m is not self.classifier:
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def frozen_part(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer3(self.layer2(self.layer1(x)))

    def trained_part(self, x):
        maps = self.classifier(self.layer4(x))
        return torch.where(maps > 0, maps * self.alpha, maps).mean((2, 3))


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    types = {"F32": np.float32, "F16": np.float16}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.astype(np.float32))
    return tensors


def read_split(root, split):
    folder = next(p for p in (root / "VOC2012", root) if (p / "ImageSets").exists())
    files = sorted((folder / "ImageSets/Main").glob(f"*_{split}.txt"))
    files = [f for f in files if f.name != f"{split}.txt"]
    columns, names = [], None
    for file in files:
        rows = [line.split() for line in file.read_text().splitlines() if line.strip()]
        names = [row[0] for row in rows]
        columns.append([1 if row[-1] == "1" else 0 for row in rows])
    labels = np.array(columns).T
    order = np.argsort(names)
    return [folder / "JPEGImages" / (names[i] + ".jpg") for i in order], labels[order]


def observe(labels, seed=1200):
    random = np.random.RandomState(seed)
    seen = np.zeros_like(labels)
    for row, out in zip(labels, seen):
        positives, negatives = np.nonzero(row == 1)[0], np.nonzero(row != 1)[0]
        random.shuffle(positives)
        random.shuffle(negatives)
        out[positives[:1]] = 1
    return seen


def read_images(paths, size):
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR)) / 255.0
        yield torch.from_numpy(((pixels - mean) / deviation).astype(np.float32).transpose(2, 0, 1))


@torch.no_grad()
def features(model, paths, size, mirrored):
    model.eval()
    out = []
    for image in read_images(paths, size):
        pair = torch.stack([image, image.flip(2)]) if mirrored else image[None]
        out.append(model.frozen_part(pair))
    return torch.stack(out)  # [N, 1 or 2, 1024, h, w]


def large_loss_rejection(logits, labels, epoch, delta):
    loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    clean = 1.0
    for _ in range(epoch - 1):
        clean -= delta
    if epoch == 1:
        return loss.mean()
    count = math.ceil(labels.numel() * (1 - clean))
    unobserved = loss.detach() * (labels == 0)
    threshold = unobserved.flatten().topk(count).values[-1]
    return torch.where((unobserved >= threshold) & (labels == 0), torch.zeros_like(loss), loss).mean()


def mean_average_precision(scores, labels):
    ap = [average_precision_score(labels[:, c], scores[:, c]) if labels[:, c].any() else 0
          for c in range(labels.shape[1])]
    return 100 * float(np.mean(ap))


def train(args, seed, data):
    train_x, train_y, val_x, val_y = data
    torch.manual_seed(seed)
    model = ResNet50Cam(val_y.shape[1], args.alpha)
    model.load_state_dict(read_safetensors(args.init), strict=False)
    head = list(model.classifier.parameters())
    groups = [{"params": list(model.layer4.parameters())}, {"params": head, "lr": 10 * args.lr}]
    optimizer = torch.optim.Adam(groups, lr=args.lr)
    maps = []
    for epoch in range(1, args.epochs + 1):
        model.train()
        order = torch.randperm(len(train_x))
        for rows in order.split(args.batch):
            sides = torch.randint(0, 2, (len(rows),))
            logits = model.trained_part(train_x[rows, sides])
            optimizer.zero_grad()
            large_loss_rejection(logits, train_y[rows], epoch, args.delta_rel).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            scores = torch.cat([model.trained_part(x[:, 0]) for x in val_x.split(32)])
        maps.append(mean_average_precision(scores.double().numpy(), val_y))
    return maps


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", required=True, type=pathlib.Path)
    p.add_argument("--init", required=True)
    p.add_argument("--seeds", default="1,2,3")
    p.add_argument("--image-size", type=int, default=224)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--alpha", type=float, default=5)
    p.add_argument("--delta-rel", type=float, default=0.005)
    p.add_argument("--threads", type=int, default=0)
    args = p.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    (train_files, train_labels), (val_files, val_labels) = read_split(args.root, "train"), read_split(args.root, "val")
    frozen = ResNet50Cam(train_labels.shape[1], args.alpha)
    frozen.load_state_dict(read_safetensors(args.init), strict=False)
    data = (features(frozen, train_files, args.image_size, True),
            torch.from_numpy(observe(train_labels).astype(np.float32)),
            features(frozen, val_files, args.image_size, False), val_labels)
    runs = [train(args, int(seed), data) for seed in args.seeds.split(",")]
    best = [max(run) for run in runs]
    print(json.dumps({"torch": torch.__version__, "best_map": best, "mean": float(np.mean(best)),
                      "deviation": float(np.std(best)), "map_by_epoch": runs}))


if __name__ == "__main__":
    main()
