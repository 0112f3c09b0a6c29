"""Condition numbers: `isometer cond` against `numpy.linalg.cond`, measured alternately.

    python3 -m venv .venv && .venv/bin/pip install -r benches/peers/requirements.txt
    cargo build --release
    .venv/bin/python benches/peers/cond.py [--runs 5] [--sizes 1024 2048] [--threads 1]

Isometer is charged for everything: starting the process, reading the file, printing. NumPy is
charged for the call alone, with the matrix in memory and the library imported. Times are CPU
seconds (user + system) on one thread and wall seconds otherwise; each row is a median over the
runs, and each ratio the median of the ratios of neighbouring runs, Isometer over NumPy, so below 1
means that Isometer is faster.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"])
parser.add_argument("--binary", default="target/release/isometer")
args = parser.parse_args()
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(args.threads)

import numpy  # noqa: E402  (after the thread count is fixed)


def cpu(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def timed(work, who):
    start = (time.perf_counter(), cpu(who))
    value = work()
    wall, used = time.perf_counter() - start[0], cpu(who) - start[1]
    return (used if args.threads == 1 else wall), value


def isometer(path, *flags):
    command = [args.binary, "cond", str(path), "--json", "--quiet", "--threads", str(args.threads), *flags]
    out = subprocess.run(command, check=True, capture_output=True).stdout
    return json.loads(out)["results"][0]


def main():
    print(f"numpy {numpy.__version__}, {args.threads} thread(s), Gaussian n x n, seconds (median of {args.runs})")
    print(f"{'n':>5} {'dtype':>8} {'numpy':>9} {'certified':>10} {'ratio':>6} {'estimate':>9} {'ratio':>6}  numpy inside the proof")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in args.dtypes:
            for n in args.sizes:
                a = numpy.random.default_rng(n).standard_normal((n, n)).astype(dtype)
                path = pathlib.Path(folder) / f"{dtype}-{n}.npy"
                numpy.save(path, a)
                rows = []
                for _ in range(args.runs + 1):
                    t_numpy, kappa = timed(lambda: numpy.linalg.cond(a), resource.RUSAGE_SELF)
                    t_proof, proof = timed(lambda: isometer(path), resource.RUSAGE_CHILDREN)
                    t_quick, quick = timed(lambda: isometer(path, "--estimate"), resource.RUSAGE_CHILDREN)
                    assert proof["certainty"] == "certified", proof
                    middle = proof["cond"]["value"]
                    assert abs(quick["cond"]["value"] - middle) <= 1e-6 * middle
                    rows.append((t_numpy, t_proof, t_quick))
                rows = rows[1:]  # the first warms up
                med = [statistics.median(r[k] for r in rows) for k in range(3)]
                ratio = [statistics.median(r[k] / r[0] for r in rows) for k in (1, 2)]
                inside = proof["cond"]["lo"] <= float(kappa) <= proof["cond"]["hi"]
                print(
                    f"{n:>5} {dtype:>8} {med[0]:>9.3f} {med[1]:>10.3f} {ratio[0]:>6.2f} {med[2]:>9.3f} {ratio[1]:>6.2f}"
                    f"  {'yes' if inside else 'no'}",
                    flush=True,
                )


if __name__ == "__main__":
    sys.exit(main())
