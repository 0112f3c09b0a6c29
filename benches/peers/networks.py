"""Gradient norms of random networks: isometer's samplers against a PyTorch loop.

    pip install numpy torch
    cargo build --release
    python benches/peers/networks.py [--networks 20] [--rounds 3]

He-ReLU, depth 50, width 256, scalar readout: draw the weights, run forward and backward, take the norms of the
gradients with respect to the input and to every weight matrix. CPU seconds (user + system) per network of
alternating runs, medians; ratios are PyTorch over isometer. Isometer is charged for its whole process,
statistics included; PyTorch for the loop alone. One thread each.
"""

import argparse
import os
import resource
import statistics
import subprocess
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import torch  # noqa: E402

DEPTH, WIDTH = 50, 256
BINARY = os.environ.get("ISOMETER", "target/release/isometer")


def torch_networks(count):
    torch.set_num_threads(1)
    gain = (2.0 / WIDTH) ** 0.5
    start = time.process_time()
    for _ in range(count):
        weights = [(torch.randn(WIDTH, WIDTH) * gain).requires_grad_() for _ in range(DEPTH)]
        readout = (torch.randn(1, WIDTH) * gain).requires_grad_()
        x0 = torch.randn(WIDTH, requires_grad=True)
        x = x0
        for w in weights:
            x = torch.relu(w @ x)
        (readout @ x).sum().backward()
        _ = [p.grad.norm().item() for p in [x0, readout, *weights]]
    return (time.process_time() - start) / count


def isometer_networks(sampler, count):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [BINARY, "check", "--depth", str(DEPTH), "--width", str(WIDTH), "--activation", "relu"]
    command += ["--samples", str(count), "--sampler", sampler, "--threads", "1", "--quiet", "--json"]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch_networks(2)
    rows = {"torch loop": [], "matrices": [], "deferred": []}
    for _ in range(args.rounds):
        rows["torch loop"].append(torch_networks(args.networks))
        rows["matrices"].append(isometer_networks("matrices", 10 * args.networks))
        rows["deferred"].append(isometer_networks("deferred", 500 * args.networks))
    base = statistics.median(rows["torch loop"])
    print(f"torch {torch.__version__}, CPU ms per network, one thread")
    for name, values in rows.items():
        median = statistics.median(values)
        spread = f"{1e3 * min(values):.3f} to {1e3 * max(values):.3f}"
        print(f"{name:12} {1e3 * median:9.3f}  ({spread})  ratio {base / median:8.1f}")


if __name__ == "__main__":
    main()
