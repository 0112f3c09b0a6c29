"""What each command costs as its input grows, and how far its dominating step is from what this machine can do.

    cargo build --release
    .venv/bin/python benches/peers/cost.py [--rounds 3] [--picture docs/cost.svg]

Three rates are measured first, with NumPy on one thread: multiply-adds of a large matrix product, bytes of a sum over an array that fits no
cache, normal draws. The floor of a command is the time its dominating step would take at that rate. Isometer is charged for its
whole process on one thread; CPU seconds, medians. Prints tables in Markdown; the picture is the first of them.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[key] = "1"

import numpy as np  # noqa: E402
from compare import encoder, isometer, processor  # noqa: E402


def best(work, count=5):
    times = []
    for _ in range(count):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def rates():
    a = np.random.default_rng(0).standard_normal((1500, 1500))
    array = np.ones(1 << 26, np.uint64)
    rng = np.random.default_rng(0)
    return {
        "flops": 2 * 1500**3 / best(lambda: a @ a),
        "bytes": array.nbytes / best(lambda: array.sum()),
        "normals": (1 << 22) / best(lambda: rng.standard_normal(1 << 22)),
    }


def cases(folder):
    """(curve, size, arguments, amount of the dominating step, its unit)."""
    for n in (128, 256, 512, 1024, 2048):
        path = folder / f"g{n}.npy"
        np.save(path, np.random.default_rng(n).standard_normal((n, n)))
        # half a product for the Gram matrix, two Cholesky proofs
        yield "cond, n x n", n, ("cond", path), n**3 * (1 + 2 / 3), "flops"
        # Gram matrix and one factor
        yield "cond --estimate, n x n", n, ("cond", path, "--estimate"), n**3 * (1 + 1 / 3), "flops"
    for depth in (100, 300, 1000, 3000):
        # a product, a QR factorisation with its orthogonal factor, a product of triangles, for each layer
        yield "product, n layers 64 x 64", depth, ("product", "--gaussian", f"{depth}x64"), depth * 64**3 * 5, "flops"
    for count in (100, 300, 1000):
        check = ("check", "--depth", 20, "--width", 128, "--activation", "relu", "--sampler", "matrices", "--samples", count)
        yield "check, n networks 20 x 128", count, check, count * 20 * 128**2, "normals"
    for depth in (10, 100, 1000, 10000):
        yield "predict, n layers", depth, ("predict", "--depth", depth, "--width", 128, "--activation", "relu"), 0, "flops"
    for megabytes in (64, 256, 1024):
        path = folder / f"z{megabytes}.npy"
        np.save(path, np.random.default_rng(1).standard_normal((megabytes << 17) // 1024 * 1024, dtype=np.float32).repeat(2).reshape(-1, 1024))
        yield "audit --finite-only, n MB", megabytes, ("audit", path, "--finite-only"), megabytes << 20, "bytes"
    encoder(folder / "encoder.safetensors")
    shapes = [(30522, 384), (512, 384)] + 24 * [(384, 384)] + 12 * [(1536, 384)]
    # half a product and a reduction to tridiagonal form for each matrix
    flops = sum(m * n * n + 4 / 3 * n**3 for m, n in shapes)
    yield "audit, million parameters", 23, ("audit", folder / "encoder.safetensors"), flops, "flops"


COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def picture(path, curves):
    """Times on logarithmic axes; Okabe and Ito's colours, which the colour-blind can tell apart."""
    import math

    width, height, left, bottom, top = 760, 430, 62, 44, 14
    right = 250
    xs = [math.log10(x) for c in curves.values() for x, _ in c]
    ys = [math.log10(y) for c in curves.values() for _, y in c]
    x0, x1 = math.floor(min(xs)), math.ceil(max(xs))
    y0, y1 = math.floor(min(ys)), math.ceil(max(ys))

    def place(x, y):
        px = left + (math.log10(x) - x0) / (x1 - x0) * (width - left - right)
        py = height - bottom - (math.log10(y) - y0) / (y1 - y0) * (height - bottom - top)
        return px, py

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for e in range(x0, x1 + 1):
        px, _ = place(10.0**e, 10.0**y0)
        out.append(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{top}" y2="{height - bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{px:.1f}" y="{height - bottom + 16}" text-anchor="middle" fill="#333">{10**e}</text>')
    for e in range(y0, y1 + 1):
        _, py = place(10.0**x0, 10.0**e)
        label = {0: "1 s", 1: "10 s", 2: "100 s", -1: "0.1 s", -2: "10 ms", -3: "1 ms"}.get(e, f"1e{e} s")
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{py:.1f}" y2="{py:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{py + 4:.1f}" text-anchor="end" fill="#333">{label}</text>')
    out.append(f'<text x="{left + (width - left - right) / 2}" y="{height - 8}" text-anchor="middle" fill="#333">n</text>')
    for k, (name, points) in enumerate(curves.items()):
        colour = COLOURS[k % len(COLOURS)]
        places = [place(x, y) for x, y in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        y = top + 16 + 20 * k
        out.append(f'<line x1="{width - right + 14}" x2="{width - right + 34}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="2"/>')
        out.append(f'<text x="{width - right + 40}" y="{y}" fill="#222">{name}</text>')
    out.append("</svg>\n")
    temporary = pathlib.Path(f"{path}.tmp")
    temporary.write_text("\n".join(out))
    temporary.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", help="write the curves here, as SVG")
    args = parser.parse_args()
    rate = rates()
    print(f"{time.strftime('%Y-%m-%d')}, {processor()}, one thread: {rate['flops'] / 1e9:.0f} Gflop/s in products (NumPy), ", end="")
    print(f"{rate['bytes'] / 1e9:.1f} GB/s in sums, {rate['normals'] / 1e6:.0f} million normal draws a second.\n")
    print("| command | n | CPU seconds | floor | over the floor |\n|---|--:|--:|--:|--:|")
    curves = {}
    with tempfile.TemporaryDirectory() as name:
        for curve, size, command, amount, unit in cases(pathlib.Path(name)):
            cpu = statistics.median(isometer(*command, "--threads", 1)[1] for _ in range(args.rounds))
            curves.setdefault(curve, []).append((size, cpu))
            floor = amount / rate[unit]
            last = f"{1e3 * floor:.1f} ms | {cpu / floor:.1f}" if amount else "| "
            print(f"| {curve} | {size} | {cpu:.4f} | {last} |", flush=True)
        print("\n| threads | audit of the encoder, wall seconds | cond, n = 2048 |\n|--:|--:|--:|")
        folder = pathlib.Path(name)
        for threads in range(1, (os.cpu_count() or 1) + 1):
            walls = [
                statistics.median(isometer(*c, "--threads", threads)[0] for _ in range(args.rounds))
                for c in (("audit", folder / "encoder.safetensors"), ("cond", folder / "g2048.npy"))
            ]
            print(f"| {threads} | {walls[0]:.2f} | {walls[1]:.2f} |")
    if args.picture:
        picture(args.picture, {k: v for k, v in curves.items() if len(v) > 1})


if __name__ == "__main__":
    main()
