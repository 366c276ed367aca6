#!/usr/bin/env python3
"""Instructions per FMA or tensor-core instruction in the innermost loop that holds most of them, from machine code.

    nvcc -std=c++20 -O3 --expt-relaxed-constexpr -I. -cubin -arch=sm_80 cuda/conv2d.cu -o conv2d.cubin
    python3 scripts/machine_code.py conv2d.cubin

No disassembler is needed: from sm_70 on an instruction has 128 bits, its lowest 12 are the opcode with the kind of
operands, of which 9 tell the operation, and a branch holds its distance in 4-byte words in bits 34 to 81. A loop is what lies between a
backward branch and its target; of nested ones the innermost counts, and `around` is what the next one adds to it each
time it goes round: fetching the next piece of k, where it is not in the innermost loop itself.
"""
import re
import struct
import subprocess
import sys

FMA, MMA, BRANCH = {0x023}, {0x03c}, 0x147


def sections(elf):
    """(name, bytes) of every section of a 64-bit ELF file."""
    offset, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, offset + i * size) for i in range(count)]
    for name, _, _, _, start, length in headers:
        at = headers[names][4] + name
        yield elf[at:elf.index(b"\0", at)].decode(), elf[start:start + length]


def decoded(code):
    """(operation, target or None) of every instruction."""
    for at in range(0, len(code) - 15, 16):
        word = int.from_bytes(code[at:at + 16], "little")
        operation, target = word & 0x1FF, None
        if operation == BRANCH and word & 0xFFF == 0x947:
            distance = word >> 34 & (1 << 48) - 1
            target = at // 16 + 1 + (distance - (distance >> 47 << 48)) // 4
        yield operation, target


def loop_of(code):
    """(instructions, products, kind, around) of the innermost loop with most products, or None."""
    all_of = list(decoded(code))
    loops = sorted((i + 1 - t, t, i) for i, (_, t) in enumerate(all_of) if t is not None and 0 <= t <= i)
    best, taken = None, []
    for length, first, last in loops:
        if any(first <= f and l <= last for f, l in taken):
            continue  # holds an inner loop that has products
        body = [operation for operation, _ in all_of[first:last + 1]]
        for kind, operations in (("mma", MMA), ("fma", FMA)):
            products = sum(o in operations for o in body)
            if products >= 8:
                taken.append((first, last))
                if best is None or products > best[1]:
                    best = (length, products, kind, first, last)
                break
    if best is None:
        return None
    length, products, kind, first, last = best
    around = [outer - length for outer, f, l in loops if f <= first and last <= l and outer > length]
    return length, products, kind, min(around, default=0)


def readable(symbol):
    name = subprocess.run(["c++filt", symbol], capture_output=True, text=True).stdout.strip()
    return re.sub(r"\(anonymous namespace\)::|lucida::|void |\([\w:]+\)(?=\d)|\(.*", "", name).replace(" ", "")


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    print("| kernel | instructions | products | per product | share | around |\n|---|---|---|---|---|---|")
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            elf = file.read()
        for name, code in sections(elf):
            loop = loop_of(code) if name.startswith(".text.") else None
            if loop:
                length, products, kind, around = loop
                print(f"| {readable(name[6:])} | {length} | {products} {kind} | {length / products:.2f} | "
                      f"{100 * products / length:.0f} % | {around} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
