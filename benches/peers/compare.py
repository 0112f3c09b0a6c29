"""Isometer against its peers, alternately, in one run. Prints two tables in Markdown: speed and accuracy.

`benches/peers/run` sets everything up and calls this. By hand:

    .venv/bin/python benches/peers/compare.py [--rounds 5] [--large] [--only NAME...]

Isometer is charged for its whole process, reading its input included. A peer is charged for the call alone, in a process that
has imported what it needs and holds its data. On one thread times are CPU seconds (user + system), on all threads wall
seconds; ratios are isometer over peer, the median of the ratios of neighbouring runs, with the smallest and the largest. Below
1, isometer is faster. A peer that is not installed is listed as such.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BINARY = os.environ.get("ISOMETER", "target/release/isometer")


# ---- what the peers are asked: each builds its data once and returns a function to be timed ----


def gaussian(n, dtype):
    import numpy as np

    return np.random.default_rng(n).standard_normal((n, n)).astype(dtype)


def kernel():
    import numpy as np

    return np.random.default_rng(7).standard_normal((64, 64, 3, 3)).astype(np.float32)


def numpy_cond(n, dtype):
    import numpy as np

    a = gaussian(n, dtype)
    return lambda: float(np.linalg.cond(a))


def torch_svdvals(n, dtype):
    import torch

    a = torch.from_numpy(gaussian(n, dtype))

    def call():
        s = torch.linalg.svdvals(a)
        return float(s[0] / s[-1])

    return call


def scipy_largest(n, dtype):
    import scipy.sparse.linalg as sl

    a = gaussian(n, dtype)
    return lambda: float(sl.svds(a, k=1, return_singular_vectors=False)[0])


def numpy_product(depth, width):
    """Growth rates by QR after every layer: logarithms of |R_ii| added up, which is what one does without a library."""
    import numpy as np

    layers = np.random.default_rng(3).standard_normal((depth, width, width)) / math.sqrt(width)

    def call():
        q, logs = np.eye(width), np.zeros(width)
        for w in layers:
            q, r = np.linalg.qr(w @ q)
            logs += np.log(np.abs(np.diag(r)))
        return float(logs.max() / math.log(10))

    return call


def numpy_convolution(side):
    """Sedghi, Gupta and Long, ICLR 2019: an FFT of the kernel, an SVD at every frequency."""
    import numpy as np

    k = kernel()

    def call():
        symbol = np.fft.fft2(k, (side, side), axes=(2, 3))
        return float(np.linalg.svd(symbol.transpose(2, 3, 0, 1), compute_uv=False).max())

    return call


def torch_gradients(networks, depth, width):
    """He-ReLU networks with a scalar readout: draw, forward, backward, norms of all gradients."""
    import torch

    gain = (2.0 / width) ** 0.5

    def call():
        for _ in range(networks):
            weights = [(torch.randn(width, width) * gain).requires_grad_() for _ in range(depth)]
            readout = (torch.randn(1, width) * gain).requires_grad_()
            x = first = torch.randn(width, requires_grad=True)
            for w in weights:
                x = torch.relu(w @ x)
            (readout @ x).sum().backward()
            norms = [p.grad.norm().item() for p in [first, readout, *weights]]
        return norms[0]

    return call


def jax_kernel(activation, depth):
    """NNGP and tangent kernel of one input, in double precision, not compiled."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    from neural_tangents import stax

    phi = {"relu": stax.Relu, "erf": stax.Erf}[activation]
    layers = [part for _ in range(depth) for part in (stax.Dense(512, W_std=2**0.5, b_std=0.1**0.5), phi())]
    _, _, kernel_fn = stax.serial(*layers, stax.Dense(1, W_std=2**0.5, b_std=0.1**0.5))
    x = jnp.ones((1, 512))
    return lambda: float(kernel_fn(x, None, "ntk")[0, 0])


def lipsdp(widths):
    """The semidefinite program of LipSDP-Neuron by cvxpy and Clarabel (the program of tests/data/lipschitz/lipsdp.py)."""
    import types

    source = (HERE.parent.parent / "tests/data/lipschitz/lipsdp.py").read_text()
    module = types.ModuleType("lipsdp")
    exec(source[: source.index("print(f")], module.__dict__)
    return lambda: float(module.optimum(widths, 0.0, 1.0)[1])


def numpy_svd_loop(path):
    """All singular values of every matrix of the file."""
    import numpy as np

    def call():
        blob = open(path, "rb").read()
        n = struct.unpack("<Q", blob[:8])[0]
        most = 0.0
        for t in json.loads(blob[8 : 8 + n]).values():
            if len(t["shape"]) == 2:
                a = np.frombuffer(blob, np.float32, t["shape"][0] * t["shape"][1], 8 + n + t["data_offsets"][0])
                most = max(most, float(np.linalg.svd(a.reshape(t["shape"]), compute_uv=False)[0]))
        return most

    return call


def weightwatcher(path):
    """`analyze()` with its defaults on the same dense layers."""
    import contextlib
    import io
    import logging

    import numpy as np
    import torch
    import weightwatcher as ww

    logging.disable(logging.CRITICAL)
    blob = open(path, "rb").read()
    n = struct.unpack("<Q", blob[:8])[0]
    layers = []
    for t in json.loads(blob[8 : 8 + n]).values():
        if len(t["shape"]) == 2 and t["shape"][0] < 10000:
            a = np.frombuffer(blob, np.float32, t["shape"][0] * t["shape"][1], 8 + n + t["data_offsets"][0])
            layer = torch.nn.Linear(t["shape"][1], t["shape"][0])
            layer.weight.data = torch.from_numpy(a.reshape(t["shape"]).copy())
            layers.append(layer)
    model = torch.nn.Sequential(*layers)

    def call():
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            details = ww.WeightWatcher(model=model).analyze()
        return float(len(details))

    return call


# ---- a process for every peer and thread count ----


class Peer:
    def __init__(self, threads, name, *args, python=sys.executable):
        env = dict(os.environ)
        for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            env[key] = str(threads)
        if threads == 1:
            env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        command = [python, __file__, "--worker", name, json.dumps(args)]
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.version = self.process.stdout.readline().strip()

    def call(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer failed")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def worker(name, args):
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    call = globals()[name](*args)
    modules = [m for m in ("numpy", "scipy", "torch", "jax", "neural_tangents", "cvxpy", "weightwatcher") if m in sys.modules]
    print(", ".join(f"{m} {getattr(sys.modules[m], '__version__', '?')}" for m in modules), file=out, flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        value = call()
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, value]), file=out, flush=True)


def isometer(*args):
    start = time.perf_counter()
    child = subprocess.Popen([BINARY, *map(str, args), "--json", "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) > 1:
        raise SystemExit(f"isometer {' '.join(map(str, args))} failed")
    return wall, usage.ru_utime + usage.ru_stime, json.loads(text)


# ---- data on disk ----


def safetensors(path, arrays):
    table, at = {}, 0
    for name, a in arrays.items():
        table[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            f.write(a.tobytes())


def encoder(path):
    """A random encoder of 6 layers, width 384, vocabulary 30522: 22.7 million parameters."""
    import numpy as np

    rng = np.random.default_rng(1)
    shapes = {"embeddings.word_embeddings.weight": (30522, 384), "embeddings.position_embeddings.weight": (512, 384)}
    for k in range(6):
        p = f"encoder.layer.{k}."
        shapes |= {p + f"attention.self.{n}.weight": (384, 384) for n in ("query", "key", "value")}
        shapes[p + "attention.output.dense.weight"] = (384, 384)
        shapes[p + "intermediate.dense.weight"] = (1536, 384)
        shapes[p + "output.dense.weight"] = (384, 1536)
    safetensors(path, {n: (0.02 * rng.standard_normal(s)).astype(np.float32) for n, s in shapes.items()})


def lipschitz_network(path, widths):
    import types

    import numpy as np

    source = (HERE.parent.parent / "tests/data/lipschitz/lipsdp.py").read_text()
    module = types.ModuleType("lipsdp")
    i = source.index("def weight")
    exec("import numpy as np\n" + source[i : source.index("def optimum")], module.__dict__)
    layers = {
        f"{k:02}.weight": module.weight(r, c, k + 1).astype(np.float32)
        for k, (c, r) in enumerate(zip(widths, widths[1:]))
    }
    safetensors(path, layers)


# ---- the cases ----


def cases(folder, large):
    """(section, what, threads or None for both, peer, arguments, isometer's arguments, repetitions charged to isometer)."""
    import numpy as np

    for n in [512, 1024, 2048] + [4096] * large:
        for dtype in ("float64", "float32"):
            if n >= 2048 and dtype == "float32" and not large:
                continue
            path = folder / f"{dtype}-{n}.npy"
            np.save(path, gaussian(n, dtype))
            what = f"kappa, {n} x {n} {dtype[:1]}{dtype[5:]}"
            yield "cond", f"{what}, certified", None, "numpy_cond", (n, dtype), ("cond", path), 1
            yield "cond", f"{what}, estimate", None, "numpy_cond", (n, dtype), ("cond", path, "--estimate"), 1
        if n == 1024:
            yield "cond", "kappa, 1024 x 1024 f64, certified", 1, "torch_svdvals", (n, "float64"), ("cond", folder / "float64-1024.npy"), 1
            yield "norm", "largest singular value, 1024 x 1024 f64, estimate", 1, "scipy_largest", (n, "float64"), ("cond", folder / "float64-1024.npy", "--estimate"), 1
    yield "product", "product of 1000 layers of width 64", 1, "numpy_product", (1000, 64), ("product", "--gaussian", "1000x64"), 1
    yield "product", "product of 10000 layers of width 16", 1, "numpy_product", (10000, 16), ("product", "--gaussian", "10000x16"), 1
    np.save(folder / "kernel.npy", kernel())
    conv = ("cond", folder / "kernel.npy", "--conv", "32x32")
    yield "conv", "convolution 64x64x3x3 at 32x32, all singular values", 1, "numpy_convolution", (32,), (*conv, "--spectrum"), 1
    yield "conv", "the same, both ends certified", 1, "numpy_convolution", (32,), conv, 1
    check = ("check", "--depth", 50, "--width", 256, "--activation", "relu", "--samples")
    yield "gradients", "gradients of one network, depth 50, width 256: drawn matrices", 1, "torch_gradients", (1, 50, 256), (*check, 100, "--sampler", "matrices"), 100
    yield "gradients", "the same: deferred decisions", 1, "torch_gradients", (1, 50, 256), (*check, 5000, "--sampler", "deferred"), 5000
    for phi in ("relu", "erf"):
        predict = ("predict", "--depth", 50, "--width", 512, "--activation", phi, "--sigma-w2", 2, "--sigma-b2", 0.1)
        yield "kernel", f"NNGP and tangent kernel, {phi}, depth 50", 1, "jax_kernel", (phi, 50), predict, 1
    widths = [8] * 6
    lipschitz_network(folder / "net.safetensors", widths)
    yield "lipschitz", "Lipschitz bound, 5 layers of width 8, against the optimum", 1, "lipsdp", (widths,), ("bound", folder / "net.safetensors", "--activation", "relu"), 1
    encoder(folder / "encoder.safetensors")
    audit = ("audit", folder / "encoder.safetensors")
    yield "audit", "audit, encoder of 22.7 million parameters", None, "numpy_svd_loop", (str(audit[1]),), audit, 1
    if large:
        yield "audit", "the same", 1, "weightwatcher", (str(audit[1]),), audit, 1


PEERS = {
    "numpy_cond": "numpy.linalg.cond",
    "torch_svdvals": "torch.linalg.svdvals",
    "scipy_largest": "scipy svds(k=1)",
    "numpy_product": "NumPy QR loop",
    "numpy_convolution": "NumPy FFT and SVD",
    "torch_gradients": "PyTorch autograd",
    "jax_kernel": "neural-tangents",
    "lipsdp": "LipSDP, cvxpy and Clarabel",
    "numpy_svd_loop": "NumPy SVD loop",
    "weightwatcher": "WeightWatcher",
}


def seconds(x):
    return f"{x:.3g} s" if x >= 1 else f"{1e3 * x:.3g} ms"


def speed(folder, args):
    cores = os.cpu_count()
    versions, rows = set(), []
    for section, what, threads, name, given, command, repeat in cases(folder, args.large):
        if args.only and section not in args.only:
            continue
        for count in [threads] if threads else sorted({1, cores}):
            python = args.jax if name == "jax_kernel" else args.weightwatcher if name == "weightwatcher" else sys.executable
            peer = Peer(count, name, *given, python=python)
            if not peer.version:
                rows.append(f"| {what} | {PEERS[name]} | {count} | | | not installed |")
                continue
            versions.update(peer.version.split(", "))
            pairs = []
            for k in range(args.rounds + 1):
                theirs = peer.call()
                mine = isometer(*command, "--threads", count)
                which = 1 if count == 1 else 0
                if k > 0:  # the first warms up
                    pairs.append((mine[which] / repeat, theirs[which]))
            peer.close()
            ratios = [a / b for a, b in pairs]
            mine, theirs = (statistics.median(p[k] for p in pairs) for k in (0, 1))
            ratio = statistics.median(ratios)
            shown = f"{ratio:.2g}" if ratio >= 0.01 else f"1/{1 / ratio:.0f}"
            bold = "**" if ratio < 1 else ""
            spread = f"{min(ratios):.2g} to {max(ratios):.2g}"
            rows.append(
                f"| {what} | {PEERS[name]} | {count} | {seconds(mine)} | {seconds(theirs)} | {bold}{shown}{bold} ({spread}) |"
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return versions, rows


def accuracy(folder):
    """Where the truth is known: what NumPy says, and what isometer says."""
    import numpy as np

    def matrix(name, a, truth):
        path = folder / "truth.npy"
        np.save(path, a)
        with np.errstate(all="ignore"):
            try:
                theirs = f"{np.linalg.cond(a):.16g}"
            except np.linalg.LinAlgError as e:
                theirs = f"error: {e}"
        r = isometer("cond", path)[2]["results"][0]
        c = r["cond"]
        if c["lo"] == "inf":
            mine = "inf, exact"
        elif c["lo"] is None:  # beyond the range of a double
            log = r["log10_cond"]
            mine = f"10^[{log['lo']:.10g}, {log['hi']:.10g}]"
        else:
            mine = f"[{c['lo']:.16g}, {c['hi']:.16g}]"
        return f"| {name} | {truth} | {theirs} | {mine} |"

    n16 = np.array([[1 / (i + j + 1) for j in range(16)] for i in range(16)])
    rows = [
        matrix("[[1, 2], [3, 4]]", np.array([[1.0, 2], [3, 4]]), "14.933034373659254..."),
        matrix("[[1, 2], [2, 4]]", np.array([[1.0, 2], [2, 4]]), "inf (singular)"),
        matrix("0 to 8 in rows of three", np.arange(9.0).reshape(3, 3), "inf (singular)"),
        matrix("Hilbert, order 16, as stored", n16, "by exact arithmetic"),
        matrix("upper triangle of -1, diagonal 1, order 64", np.eye(64) - np.triu(np.ones((64, 64)), 1), "at least 2^63 = 9.2e18"),
        matrix("diag(1e300, 1e-300)", np.diag([1e300, 1e-300]), "1e600"),
    ]
    layers = np.random.default_rng(3).standard_normal((200, 64, 64))
    product = np.eye(64)
    for w in layers:
        product = w @ product
    files = []
    for k, w in enumerate(layers):
        files.append(folder / f"layer-{k:03}.npy")
        np.save(files[-1], w)
    document = isometer("product", *files)[2]
    with np.errstate(all="ignore"):
        theirs = f"{np.linalg.cond(product):.2g}"
    log = document["log10_cond"] if "log10_cond" in document else None
    value = log["value"] if isinstance(log, dict) else log
    rows.append(f"| product of 200 Gaussian layers 64 x 64 | beyond the range of a double | {theirs} | 10^{value:.4f} |" if value else "")
    return [r for r in rows if r]


def processor():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="order 4096 and WeightWatcher as well: an hour or so")
    parser.add_argument("--only", nargs="+", help="sections: cond, norm, product, conv, gradients, kernel, lipschitz, audit")
    parser.add_argument("--jax", default=sys.executable, help="a Python that has neural-tangents")
    parser.add_argument("--weightwatcher", default=sys.executable, help="a Python that has WeightWatcher")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker[0], json.loads(args.worker[1]))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        versions, rows = speed(folder, args)
        truths = accuracy(folder)
    print(f"{time.strftime('%Y-%m-%d')}, {processor()}, {os.cpu_count()} cores, {args.rounds} rounds; {', '.join(sorted(versions))}.\n")
    print("| what | peer | threads | isometer | peer | ratio (range) |")
    print("|---|---|--:|--:|--:|--:|")
    print("\n".join(rows))
    print("\n| matrix | kappa | NumPy | isometer |\n|---|---|---|---|")
    print("\n".join(truths))


if __name__ == "__main__":
    main()
