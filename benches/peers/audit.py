"""Audits against NumPy: finite checks against reading and summing, full audits against a loop of SVDs.

    pip install numpy
    cargo build --release
    python benches/peers/audit.py [--gigabytes 2] [--rounds 5] [--keep DIR]

Writes a sharded bfloat16 checkpoint and an encoder of 6 layers (width 384, vocabulary 30522, 22.7 million parameters, float32), random
weights. First table: wall seconds of `isometer audit --finite-only` and of reading the same bytes into a buffer and summing them as
64-bit integers, alternating, medians, files in the page cache; peak memory of the whole process. Second table: wall and CPU seconds
of a full audit and of `numpy.linalg.svd(w, compute_uv=False)` over the same matrices, on one thread and on all.
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
import time
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


def encoder(path):
    import numpy as np

    rng = np.random.default_rng(1)
    d, hidden, vocabulary = 384, 1536, 30522
    tensors = {"embeddings.word_embeddings.weight": (vocabulary, d), "embeddings.position_embeddings.weight": (512, d)}
    for layer in range(6):
        p = f"encoder.layer.{layer}."
        for n in ("query", "key", "value"):
            tensors[p + f"attention.self.{n}.weight"] = (d, d)
            tensors[p + f"attention.self.{n}.bias"] = (d,)
        tensors[p + "attention.output.dense.weight"] = (d, d)
        tensors[p + "attention.output.LayerNorm.weight"] = (d,)
        tensors[p + "intermediate.dense.weight"] = (hidden, d)
        tensors[p + "output.dense.weight"] = (d, hidden)
        tensors[p + "output.LayerNorm.weight"] = (d,)
    arrays = {
        n: (0.02 * rng.standard_normal(s) + float("LayerNorm" in n)).astype(np.float32) for n, s in tensors.items()
    }
    with open(path, "wb") as f:
        f.write(header([(n, "F32", list(a.shape), a.nbytes) for n, a in arrays.items()]))
        for a in arrays.values():
            f.write(a.tobytes())


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

SVD = """
import sys, json, struct, time, resource, numpy as np
start = time.perf_counter()
blob = open(sys.argv[1], 'rb').read()
n = struct.unpack('<Q', blob[:8])[0]
for name, t in json.loads(blob[8 : 8 + n]).items():
    if len(t['shape']) == 2:
        a = np.frombuffer(blob, np.float32, t['shape'][0] * t['shape'][1], 8 + n + t['data_offsets'][0])
        np.linalg.svd(a.reshape(t['shape']), compute_uv=False)
u = resource.getrusage(resource.RUSAGE_SELF)
print(time.perf_counter() - start, u.ru_utime + u.ru_stime)
"""


def python(program, args, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    out = subprocess.run([sys.executable, "-c", program, *map(str, args)], env=env, capture_output=True, check=True, text=True)
    return [float(x) for x in out.stdout.split()]


def isometer(args):
    """Wall seconds, CPU seconds, peak resident megabytes."""
    start = time.perf_counter()
    child = subprocess.Popen([BINARY, *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status) > 1:
        raise SystemExit(f"isometer {args} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


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
        large, small = directory / "large", directory / "encoder.safetensors"
        large.mkdir(exist_ok=True)
        size = sharded(large, args.gigabytes)
        encoder(small)
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
            peak = max(r[k][2] for r in rows)
            print(f"| isometer, {name} | {wall:.2f} | {size / 2**30 / wall:.1f} | {read / wall:.2f} | {peak:.0f} |")
        print()
        print("| full audit of an encoder, 22.7 million parameters | wall seconds | CPU seconds | wall over NumPy | CPU over NumPy | peak MB |")
        print("|---|---:|---:|---:|---:|---:|")
        for threads in sorted({1, cores}):
            svd, own = [], []
            for _ in range(args.rounds):
                svd.append(python(SVD, [small], threads))
                own.append(isometer(["audit", small, "--threads", threads]))
            wall, cpu = (median(s[k] for s in svd) for k in (0, 1))
            mine = [median(o[k] for o in own) for k in (0, 1)]
            peak = max(o[2] for o in own)
            print(f"| NumPy, {threads} threads | {wall:.2f} | {cpu:.2f} | 1.00 | 1.00 | |")
            print(f"| isometer, {threads} threads | {mine[0]:.2f} | {mine[1]:.2f} | {mine[0] / wall:.2f} | {mine[1] / cpu:.2f} | {peak:.0f} |")
    finally:
        if not args.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
