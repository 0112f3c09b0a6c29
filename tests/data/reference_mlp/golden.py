"""Outputs and gradients of small networks by PyTorch's automatic differentiation, in float64.

    python golden.py > golden.json

Weights come from an integer formula (`value`), which tests/reference_mlp/networks.rs repeats, so that no
random number generator has to match. Vectors and matrices are reported by their inner product with
other such values and by their squared norm.
"""

import json
import math
import platform
import sys

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
    "relu6": F.relu6,
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": lambda x: F.softplus(x, threshold=1000),
    "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid,
    "tanh": torch.tanh,
    "tanhshrink": F.tanhshrink,
    "erf": torch.erf,
    "hard_tanh": F.hardtanh,
    # not F.hardsigmoid: its derivative is 1/6 rounded to float32
    "hard_sigmoid": lambda x: torch.clamp(x + 3, 0, 6) / 6,
    "hard_swish": lambda x: x * torch.clamp(x + 3, 0, 6) / 6,
    "softsign": F.softsign,
    "softshrink": F.softshrink,
    "squareplus": lambda x: (x + torch.sqrt(x * x + 4)) / 2,
    "sin": torch.sin,
    "abs": torch.abs,
    "squared_relu": lambda x: F.relu(x) ** 2,
}

# everything that differs from the plain network
STRUCTURES = {
    "plain": {},
    "bias": {"bias": True},
    "multiplier": {"bias": True, "multiplier": -1.5},
    "dropout": {"bias": True, "dropout": True},
    "tied": {"bias": True, "tied": True, "square": True},
    "residual": {"bias": True, "beta": 0.7, "square": True},
    "residual_dropout": {"beta": -0.4, "square": True, "dropout": True, "multiplier": 2.5},
    "layer": {"bias": True, "norm": "layer"},
    "layer_after": {"norm": "layer", "after": True, "multiplier": 0.3},
    "rms": {"bias": True, "norm": "rms", "dropout": True},
    "rms_after": {"norm": "rms", "after": True, "bias": True},
    "batch": {"bias": True, "norm": "batch"},
    "batch_after": {"norm": "batch", "after": True, "bias": True, "dropout": True},
    "residual_layer": {"norm": "layer", "beta": 0.6, "square": True, "bias": True},
    "residual_rms_after": {"norm": "rms", "after": True, "beta": 1.1, "square": True, "dropout": True},
    "residual_batch": {"norm": "batch", "beta": 0.5, "square": True},
}

EXAMPLES = 6  # in batches; other networks see one
READOUT = 2


def value(tensor, index):
    """A number in [-1, 1), exact in double precision."""
    mask = 0xFFFFFFFF
    x = (tensor * 1000003 + index + 1) * 2654435761 & mask
    x ^= x >> 16
    x = x * 2246822519 & mask
    x ^= x >> 13
    x = x * 3266489917 & mask
    x ^= x >> 16
    return x / 2**31 - 1


def values(tensor, shape, scale=1.0):
    count = math.prod(shape)
    return torch.tensor([scale * value(tensor, k) for k in range(count)]).reshape(shape)


def project(tensor, x):
    """Inner product with a fixed tensor, and the squared norm."""
    x = x.detach()
    return [float((values(tensor, x.shape) * x).sum()), float((x * x).sum())]


def normalize(x, kind):
    match kind:
        case None:
            return x
        case "layer":
            return F.layer_norm(x, x.shape[1:], eps=0.0)
        case "rms":
            return F.rms_norm(x, x.shape[1:], eps=0.0)
        case "batch":
            # F.batch_norm refuses eps = 0
            centred = x - x.mean(0)
            return centred / (centred**2).mean(0).sqrt()


def case(activation, structure):
    phi = ACTIVATIONS[activation]
    s = STRUCTURES[structure]
    widths = [5, 5, 5, 5] if s.get("square") else [4, 6, 5, 5]
    depth = len(widths) - 1
    examples = EXAMPLES if s.get("norm") == "batch" else 1
    weights, biases = [], []
    for l, (n, m) in enumerate(zip(widths, widths[1:] + [READOUT]), 1):
        own = 1 if s.get("tied") and l <= depth else l
        weights.append(values(own, (m, n), 1.4 * math.sqrt(3 / n)))
        biases.append(values(100 + own, (m,), 0.3))
    if s.get("tied"):  # one tensor for all layers
        weights = [weights[0]] * depth + weights[depth:]
        biases = [biases[0]] * depth + biases[depth:]
    distinct = list({id(t): t for t in weights + biases}.values())
    for t in distinct:
        t.requires_grad_(True)
    masks = [2.0 * (values(200 + l, (examples, widths[l])) > -0.4) for l in range(1, depth + 1)]
    x0 = values(300, (examples, widths[0]))
    cotangent = values(400, (examples, READOUT))

    def affine(l, x):
        out = s.get("multiplier", 1.0) * (x @ weights[l - 1].T)
        return out + biases[l - 1] if s.get("bias") else out

    def stage(l, x):
        early, late = (None, s.get("norm")) if s.get("after") else (s.get("norm"), None)
        out = normalize(phi(normalize(x, early)), late)
        return out * masks[l - 1] if s.get("dropout") else out

    def last_hidden(x):
        for l in range(1, depth + 1):
            if "beta" in s:
                x = x + s["beta"] * affine(l, stage(l, x))
            else:
                x = stage(l, affine(l, x))
        return x

    x0.requires_grad_(True)
    hidden = last_hidden(x0)
    y = affine(depth + 1, hidden)
    wanted = [x0] + weights + (biases if s.get("bias") else [])
    gradients = torch.autograd.grad((cotangent * y).sum(), wanted)
    u, v = values(500, x0.shape), values(501, hidden.shape)
    _, jvp = torch.func.jvp(last_hidden, (x0.detach(),), (u,))
    (vjp,) = torch.autograd.grad((last_hidden(x0) * v).sum(), x0)
    out = {
        "activation": activation,
        "structure": structure,
        "output": [float(t) for t in y.detach().flatten()] if examples == 1 else project(600, y),
        "input": project(601, gradients[0]),
        "weights": [project(610 + l, g) for l, g in enumerate(gradients[1 : depth + 2], 1)],
        "biases": [project(620 + l, g) for l, g in enumerate(gradients[depth + 2 :], 1)],
        "jvp": project(602, jvp),
        "vjp": project(603, vjp),
    }
    flat = json.dumps(out)
    assert "NaN" not in flat and "Infinity" not in flat, (activation, structure)
    return out


def main():
    chosen = [(a, "bias") for a in ACTIVATIONS]
    chosen += [(a, s) for s in STRUCTURES if s != "bias" for a in ("relu", "tanh", "gelu")]
    cases = [case(a, s) for a, s in chosen]
    print(f"torch {torch.__version__}, python {platform.python_version()}", file=sys.stderr)
    head = {"torch": torch.__version__, "python": platform.python_version()}
    rows = ",\n".join(json.dumps(c) for c in cases)
    print("{" + json.dumps(head)[1:-1] + ', "cases": [\n' + rows + "\n]}")


if __name__ == "__main__":
    main()
