"""Optimum of LipSDP-Neuron by a public interior-point solver, for networks whose weights follow a formula.

    pip install numpy cvxpy clarabel
    python lipsdp.py > optima.csv

The semidefinite program is that of Fazlyab et al. (arXiv:1906.04893) with one multiplier for each
neuron: minimise rho over diagonal Lambda >= 0 such that

    rho |x_0|^2 - |W_L x_(L-1)|^2 - sum_k (x_k - a W_k x_(k-1))^T Lambda_k (b W_k x_(k-1) - x_k) >= 0.

Weight (i, j) of layer k (from 1) with n inputs is (((i*i + 3) * (2*j + 5) * (k + 2) + 7*i + k*j*j) mod 31 - 15) / 16 * 2^-s,
s = round(log2(n) / 2): exact in binary.
"""

import sys

import cvxpy as cp
import numpy as np

CASES = [
    ([6, 6, 6], 0.0, 1.0),
    ([8, 8, 8, 8], 0.0, 1.0),
    ([8, 8, 8, 8, 8, 8], 0.0, 1.0),
    ([4, 12, 7, 3], 0.0, 1.0),
    ([10, 10, 10, 1], 0.0, 1.0),
    ([8, 8, 8, 8], 0.1, 1.0),
    ([8, 8, 8, 8], -0.125, 1.125),
    ([6, 9, 6, 9, 6, 2], 0.25, 0.75),
    ([8, 8, 8, 8], -1.0, 1.0),
]


def weight(rows, cols, k):
    i, j = np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij")
    s = int(np.floor(np.log2(cols) / 2 + 0.5))
    return ((((i * i + 3) * (2 * j + 5) * (k + 2) + 7 * i + k * j * j) % 31) - 15) / 16.0 * 2.0**-s


def optimum(widths, a, b):
    layers = [weight(r, c, k + 1) for k, (c, r) in enumerate(zip(widths, widths[1:]))]
    starts = np.concatenate([[0], np.cumsum(widths[:-1])])
    total = starts[-1]

    def pick(k):
        return np.eye(total)[starts[k] : starts[k + 1]]

    # normalised by the naive bound, so that the solver sees numbers near 1
    naive = np.prod([np.linalg.norm(w, 2) for w in layers])
    rho = cp.Variable()
    m = rho * pick(0).T @ pick(0)
    scale = 1.0
    for k, w in enumerate(layers[:-1]):
        lam = cp.Variable(w.shape[0], nonneg=True)
        scale *= np.linalg.norm(w, 2) ** 2
        u, x = w @ pick(k), pick(k + 1)
        d = cp.diag(lam / scale)
        m = m + a * b * u.T @ d @ u - (a + b) / 2 * (u.T @ d @ x + x.T @ d @ u) + x.T @ d @ x
    last = layers[-1] @ pick(len(layers) - 1)
    m = m - last.T @ last / naive**2
    problem = cp.Problem(cp.Minimize(rho), [(m + m.T) / 2 >> 0])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return naive, np.sqrt(problem.value) * naive, problem.status


print(f"# cvxpy {cp.__version__}, clarabel, numpy {np.__version__}, python {sys.version.split()[0]}")
print("widths,lower_slope,upper_slope,product_of_norms,optimum,status")
for widths, a, b in CASES:
    naive, value, status = optimum(widths, a, b)
    print(f"{' '.join(map(str, widths))},{a},{b},{naive:.12g},{value:.10g},{status}")
