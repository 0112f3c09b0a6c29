"""A safetensors file with a great many small tensors, and what reading it costs.

    cargo build --release
    python3 benches/peers/many_tensors.py                       # 100,000 tensors, every case below
    python3 benches/peers/many_tensors.py --write many.safetensors --tensors 1000

Each layer is a weight of 8 x 8 Gaussian numbers and a bias of 8. Seconds, and the largest resident set in MB, of
one run of the whole process for each case. Needs nothing beyond the standard library.
"""

import argparse
import array
import json
import os
import random
import struct
import subprocess
import tempfile
import time

WIDTH = 8
CASES = [
    ["audit", "--finite-only"],
    ["audit"],
    ["audit", "--json"],
    ["cond", "--include", "layers.777.weight"],
]


def write(path, tensors):
    rng = random.Random(0)
    header, offset, numbers = {}, 0, array.array("f")
    for k in range(tensors):
        layer, shape = k // 2, [WIDTH, WIDTH] if k % 2 == 0 else [WIDTH]
        name = f"layers.{layer}.{'weight' if k % 2 == 0 else 'bias'}"
        count = WIDTH ** len(shape)
        numbers.extend(rng.gauss(0, WIDTH**-0.5) for _ in range(count))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + 4 * count]}
        offset += 4 * count
    text = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + numbers.tobytes())


def measure(binary, path, case):
    start = time.perf_counter()
    run = subprocess.Popen([binary, case[0], path, *case[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(run.pid, 0)
    return time.perf_counter() - start, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--isometer", default="target/release/isometer")
    args.add_argument("--tensors", type=int, default=100_000)
    args.add_argument("--write", metavar="FILE", help="write the file and stop")
    args = args.parse_args()
    if args.write:
        return write(args.write, args.tensors)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "many.safetensors")
        write(path, args.tensors)
        print(f"{args.tensors} tensors, {os.path.getsize(path) / 1e6:.0f} MB")
        for case in CASES:
            seconds, megabytes, code = measure(args.isometer, path, case)
            print(f"{' '.join(case):40} {seconds:6.2f} s {megabytes:7.0f} MB  exit {code}", flush=True)


main()
