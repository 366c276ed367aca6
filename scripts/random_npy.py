#!/usr/bin/env python3
"""Writes an .npy file of float32 values between -1 and 1:  random_npy.py FILE 16x64x56x56

Variances (a file name with `var`) are between 0.5 and 1. The same values in every run; a block of them repeats."""
import array
import pathlib
import random
import sys

path, shape = pathlib.Path(sys.argv[1]), [int(d) for d in sys.argv[2].split("x")]
count = 1
for d in shape:
    count *= d
random.seed(1)
low = 0.5 if "var" in path.stem else -1.0
block = array.array("f", (random.uniform(low, 1) for _ in range(min(count, 65521))))  # a prime: no row repeats
values = (block * (count // len(block) + 1))[:count]
if sys.byteorder == "big":
    values.byteswap()
header = repr({"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}).encode()
header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values.tobytes())
