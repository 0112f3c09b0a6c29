"""Kernels of deep networks: `isometer predict` against neural-tangents.

    python3 -m venv venv
    venv/bin/pip install "jax[cpu]==0.4.30" "neural-tangents==0.6.5" "numpy<2" "scipy<1.13"
    cargo build --release
    venv/bin/python benches/peers/kernel.py target/release/isometer

Both compute the diagonals of the NNGP and the tangent kernel of a fully connected network in double
precision. Isometer is charged for its whole process, and predicts much more on the way;
neural-tangents for the call alone, without import, on one input, not jitted ("call"), and, once, for the
compilation and for a call of the compiled function ("jit", "again"). Runs alternate; medians of wall seconds.
"""

import json
import statistics
import subprocess
import sys
import time

import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp  # noqa: E402
import neural_tangents.stax as stax  # noqa: E402

BINARY = sys.argv[1] if len(sys.argv) > 1 else "target/release/isometer"
RUNS = 5
CASES = [("relu", stax.Relu, 2.0, 0.1, 50), ("erf", stax.Erf, 2.0, 0.1, 50), ("gelu", stax.Gelu, 1.9830582574375475, 0.1729223907560664, 50)]


def theirs(phi, w2, b2, depth, compile):
    layers = []
    for _ in range(depth):
        layers += [stax.Dense(512, W_std=w2**0.5, b_std=b2**0.5), phi()]
    layers.append(stax.Dense(1, W_std=w2**0.5, b_std=b2**0.5))
    _, _, kernel = stax.serial(*layers)
    x = jnp.ones((1, 512))
    start = time.perf_counter()
    k = kernel(x, None, ("nngp", "ntk"))
    values = float(k.nngp[0, 0]), float(k.ntk[0, 0])
    call = time.perf_counter() - start
    if not compile:
        return values, call, None, None
    jitted = jax.jit(lambda x: (lambda k: (k.nngp, k.ntk))(kernel(x, None, ("nngp", "ntk"))))
    start = time.perf_counter()
    jitted(x)[0].block_until_ready()
    jit = time.perf_counter() - start
    start = time.perf_counter()
    jitted(x)[0].block_until_ready()
    return values, call, jit, time.perf_counter() - start


def ours(name, w2, b2, depth):
    command = [BINARY, "predict", "--depth", str(depth), "--width", "512", "--activation", name]
    command += ["--sigma-w2", repr(w2), "--sigma-b2", repr(b2), "--json"]
    start = time.perf_counter()
    out = subprocess.run(command, check=True, capture_output=True).stdout
    wall = time.perf_counter() - start
    kernel = json.loads(out)["kernel"]
    return (kernel["nngp"], kernel["ntk"]), wall


print("| activation | depth | isometer | call | ratio | jit | ratio | again | ratio | largest relative difference |")
print("|---|---|---|---|---|---|---|---|---|---|")
for name, phi, w2, b2, depth in CASES:
    runs = []
    for run in range(RUNS):
        (mine, wall) = ours(name, w2, b2, depth)
        values, call, *compiled = theirs(phi, w2, b2, depth, run == 0)
        if run == 0:
            jit, again = compiled
        difference = max(abs(a / b - 1) for a, b in zip(mine, values))
        runs.append((wall, call, difference))
    wall, call, difference = (statistics.median(c) for c in zip(*runs))
    row = f"| {name} | {depth} | {wall:.4f} |"
    for t in (call, jit, again):
        row += f" {t:.4f} | {t / wall:.1f} |"
    print(row + f" {difference:.0e} |")
