"""Finite checks of a large checkpoint against reading and summing. (Full audits against NumPy: compare.py.)

    pip install numpy
    cargo build --release
    python benches/peers/audit.py [--gigabytes 2] [--rounds 5] [--keep DIR]

Writes a sharded bfloat16 checkpoint of random weights. Wall seconds of `isometer audit --finite-only` and of reading the same bytes
into a buffer and summing them as 64-bit integers, alternating, medians, files in the page cache; peak memory of the whole
process.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

BINARY = os.environ.get("ISOMETER", "target/release/isometer")


def header(entries):
    """Name, dtype, shape, bytes -> the head of a safetensors file."""
    offset, table = 0, {}
    for name, dtype, shape, size in entries:
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def sharded(directory, gigabytes):
    """Shards of half a gigabyte, matrices of 4096 x 4096."""
    import numpy as np

    rng = np.random.default_rng(0)
    side, size = 4096, 2 * 4096 * 4096
    per_shard, shards = 16, max(1, round(gigabytes * 2**30 / (16 * size)))
    index = {}
    for s in range(shards):
        file = f"model-{s + 1:05}-of-{shards:05}.safetensors"
        names = [f"layers.{s * per_shard + k}.weight" for k in range(per_shard)]
        with open(directory / file, "wb") as f:
            f.write(header([(n, "BF16", [side, side], size) for n in names]))
            for n in names:
                w = (0.02 * rng.standard_normal((side, side), dtype=np.float32)).view(np.uint32)
                f.write((w >> 16).astype(np.uint16).tobytes())
                index[n] = file
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return shards * per_shard * size


READ = """
import sys, time, numpy as np
buffer = np.empty(1 << 21, np.uint64)
start, total = time.perf_counter(), 0
for path in sys.argv[1:]:
    with open(path, 'rb', buffering=0) as f:
        while n := f.readinto(buffer.data.cast('B')):
            total += int(buffer[: n // 8].sum())
print(time.perf_counter() - start)
"""

def python(program, args, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    out = subprocess.run([sys.executable, "-c", program, *map(str, args)], env=env, capture_output=True, check=True, text=True)
    return [float(x) for x in out.stdout.split()]


# The peak of a process counts the memory of the one that started it, so a small one does.
START = """
import os, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(code, time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


def isometer(args):
    """Wall seconds, peak resident megabytes."""
    code, wall, peak = python(START, [BINARY, *args], 1)
    if code > 1:
        raise SystemExit(f"isometer {args} failed")
    return wall, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", help="write the checkpoints here and leave them")
    args = parser.parse_args()
    directory = Path(args.keep or tempfile.mkdtemp())
    directory.mkdir(parents=True, exist_ok=True)
    cores = os.cpu_count()
    try:
        large = directory / "large"
        large.mkdir(exist_ok=True)
        size = sharded(large, args.gigabytes)
        shards = sorted(large.glob("*.safetensors"))
        rows = []
        for _ in range(args.rounds + 1):
            read = python(READ, shards, 1)[0]
            one = isometer(["audit", large, "--finite-only", "--threads", 1])
            every = isometer(["audit", large, "--finite-only"])
            rows.append((read, one, every))
        rows = rows[1:]
        median = statistics.median
        read = median(r[0] for r in rows)
        print(f"| finite check of {size / 2**30:.1f} GiB of bfloat16 | seconds | GiB/s | of reading and summing | peak MB |")
        print("|---|---:|---:|---:|---:|")
        print(f"| read and sum (NumPy, one thread) | {read:.2f} | {size / 2**30 / read:.1f} | 1.00 | |")
        for name, k in (("one thread", 1), (f"{cores} threads", 2)):
            wall = median(r[k][0] for r in rows)
            peak = max(r[k][1] for r in rows)
            print(f"| isometer, {name} | {wall:.2f} | {size / 2**30 / wall:.1f} | {read / wall:.2f} | {peak:.0f} |")
    finally:
        if not args.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
