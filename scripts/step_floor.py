#!/usr/bin/env python3
"""The least time a training step of ResNet-50 (224 x 224) can take on a GPU, and what counted kernels allow of it.

Floor: layer by layer max(operations / peak, bytes / memory bandwidth), no overlap between kernels, every kernel touching
its tensors once: convolutions forward, backward-data and backward-weight; BatchNorm 2 reads + 1 write forward (+ 1 for
the residual) and 4 reads + 1 write backward, ReLU and add fused; max pool; SGD with momentum on f32 weights.

Allowed: the same sum with what scripts/counters.py counted: executed instead of useful operations, bytes times xmin and
the bytes of helper kernels, and three more bounds a kernel - instructions that can be issued (4 per multiprocessor and
clock), shared-memory wavefronts (1), bytes through the second-level cache (64). A bound, not a prediction: it knows no
latency. Instructions are counted in PTX, which has 10 to 35 % more of them than machine code, so it is a cautious one.
"""

# Operations and bytes per second, multiprocessors, clock: published peaks of the SXM boards.
GPUS = {"A100": {"f32": 19.5e12, "tf32": 156e12, "bf16": 312e12, "hbm": 2.039e12, "sms": 108, "clock": 1.41e9},
        "H100": {"f32": 66.9e12, "tf32": 494e12, "bf16": 989e12, "hbm": 3.35e12, "sms": 132, "clock": 1.83e9}}
PRECISIONS = ["f32", "tf32", "bf16"]
PARAMETERS = 25557032


def convolutions():
    """(input size, channels in, out, kernel, stride) of every convolution, and what follows its BatchNorm."""
    yield 224, 3, 64, 7, 2, "relu"
    size, channels = 56, 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            s = stride if block == 0 else 1
            yield size, channels, width, 1, 1, "relu"
            yield size, width, width, 3, s, "relu"
            yield size // s, width, 4 * width, 1, 1, "add, relu"
            if block == 0:
                yield size, channels, 4 * width, 1, s, "nothing"
            size, channels = size // s, 4 * width


class Step:
    """Adds up times of kernels in seconds."""

    def __init__(self, gpu, precision, rates):
        self.gpu, self.peak = GPUS[gpu], GPUS[gpu][precision]
        self.precision, self.rates, self.seconds, self.bytes = precision, rates, 0.0, 0.0
        self.arithmetic = 0.0
        self.unknown = set()

    def rate(self, name, layer=""):
        """What was counted for this pass in this precision, of this layer if it was; the floor where nothing was."""
        if not self.rates:
            return None
        precisions = [self.precision] + (["f32"] if self.precision == "tf32" else [])
        names = [f"{name} {p}{batch}" for p in precisions for batch in ([layer] if layer else []) + [", batch 16", ""]] + [name]
        found = next((self.rates[n] for n in names if n in self.rates), None)
        if found is None:
            self.unknown.add(name)
        return found

    def product(self, name, flops, size, layer=""):
        r, g = self.rate(name, layer), self.gpu
        times = [flops / self.peak, size / g["hbm"]]
        if r:
            per_clock = g["sms"] * g["clock"]
            times = [flops / r["tile"] / self.peak, size / g["hbm"], flops * r["issue"] / (4 * per_clock),
                     flops * r["smem"] / per_clock, flops * r["l2"] / (64 * per_clock)]
        self.add(max(times), size, times[0])
        if r:
            self.add(r["helpers"] * size / g["hbm"], r["helpers"] * size)

    def stream(self, name, size):
        r, g = self.rate(name), self.gpu
        moved = size * (r["x"] + r["helpers"] if r else 1)
        issue = size * r["issue"] / (4 * g["sms"] * g["clock"]) if r else 0
        self.add(max(moved / g["hbm"], issue), moved)

    def add(self, seconds, size, arithmetic=0.0):
        self.seconds += seconds
        self.bytes += size
        self.arithmetic += arithmetic


def step(gpu, precision, batch, rates):
    t = Step(gpu, precision, rates)
    half = 2 if precision == "bf16" else 4  # bytes of an activation
    for size, c, k, kernel, stride, then in convolutions():
        out = size // stride
        x, y, w = batch * size * size * c, batch * out * out * k, k * c * kernel * kernel
        flops, kind = 2.0 * y * c * kernel * kernel, " 1x1" if kernel == 1 else ""
        layer = ", stem" if c == 3 else ""
        t.product("conv forward" + kind, flops, half * (x + w + y), layer)
        t.product("conv backward weight" + kind, flops, half * (x + y) + 4 * w, layer)
        if c > 3:
            t.product("conv backward data" + (" stride 2" if stride == 2 and kernel > 1 else kind), flops,
                      half * (x + w + y))
        t.stream("batchnorm forward, relu", half * y * (4 if then == "add, relu" else 3))
        t.stream("batchnorm backward, relu", half * y * 5)
    pooled, image = batch * 56 * 56 * 64, batch * 112 * 112 * 64
    t.stream("max pool", half * (image + pooled) + pooled)
    t.stream("max pool backward", half * (image + pooled) + pooled)
    features = batch * 7 * 7 * 2048
    t.stream("global average", half * features)
    t.stream("global average backward", half * features)
    t.stream("sgd", 20 * PARAMETERS + (2 * PARAMETERS if precision == "bf16" else 0))
    return t


def report(batches, rates):
    print("Floor of a training step, ms (images/s)" + ("; share of it that the counters allow" if rates else ""))
    print("\n| batch | " + " | ".join(f"{p} {gpu}" for gpu in GPUS for p in PRECISIONS) + " |")
    print("|" + "---|" * (1 + len(GPUS) * len(PRECISIONS)))
    unknown = set()
    for batch in batches:
        cells = []
        for gpu in GPUS:
            for precision in PRECISIONS:
                floor = step(gpu, precision, batch, {})
                text = f"{1e3 * floor.seconds:.3g} ({batch / floor.seconds:.0f})"
                if rates:
                    allowed = step(gpu, precision, batch, rates)
                    unknown |= {f"{u} ({precision})" for u in allowed.unknown}
                    text += f"; {100 * floor.seconds / allowed.seconds:.0f} %"
                cells.append(text)
        print(f"| {batch} | " + " | ".join(cells) + " |")
    if rates and unknown:
        print("\nNot counted, taken at the floor: " + ", ".join(sorted(unknown)) + ".")
    return 0
