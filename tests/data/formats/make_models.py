"""Writes the model files of this directory: pip install torch numpy onnx gguf, then run it here.

The matrix A is that of make.py. Everything is written by the libraries that people use, so that the
readers are tested against independent writers; `Small` is a class that only this script knows.
"""

import collections
import os
import sys
import zipfile

import gguf
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

# Old formats keep the path of the source of every class.
sys.modules["__main__"].__file__ = "make_models.py"
if os.path.exists("external.weights"):
    os.remove("external.weights")

i, j = np.indices((3, 4))
A = (i + 1) / 2.0**j - 3 * j
T = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
a = torch.tensor(A)
t = torch.tensor(T)
torch.manual_seed(0)


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(4, 3)
        self.head = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())
        self.register_buffer("seen", torch.zeros(3))
        with torch.no_grad():
            self.fc.weight.copy_(a.float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.fc(x))


f = a.float()
state = collections.OrderedDict(
    f64=a,
    f32=f,
    f16=a.half(),
    bf16=a.bfloat16(),
    c64=torch.complex(f, f.flip(0)),
    c128=torch.complex(a, a.flip(0)),
    e4m3=a.to(torch.float8_e4m3fn),
    e5m2=a.to(torch.float8_e5m2),
    transposed=a.t().contiguous().t(),
    part=torch.cat([torch.zeros(3, 2).double(), a, torch.ones(3, 1).double()], 1)[:, 2:6],
    tied=f,
    parameter=torch.nn.Parameter(f.clone()),
    cube=t,
    permuted=t.permute(2, 0, 1),
    rolled=t.permute(1, 0, 2),
    expanded=torch.ones(1).expand(3, 4),
    conjugate=torch.complex(f, f).conj(),
    bias=torch.arange(5.0),
    strided=torch.arange(10.0)[::2],
    scalar=torch.tensor(3.0),
    empty=torch.zeros(0, 3),
    ids=torch.tensor([[1, 2], [3, 4]]),
    u16=torch.tensor([[1, 2]], dtype=torch.uint16),
    mask=torch.tensor([[True]]),
    sparse=a.to_sparse(),
)
torch.save(state, "state.pt")
torch.save(f, "tensor.pt")
torch.save(state["f32"], "protocol4.pt", pickle_protocol=4)
plain = {k: v for k, v in state.items() if k not in ("e4m3", "e5m2", "u16")}
torch.save(plain, "legacy.pt", _use_new_zipfile_serialization=False)

class Bare(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(a.float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.w


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Bare()
        self.register_buffer("seen", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


small = Small()
torch.save(small, "module.pt")
# These two formats embed the source text of every class.
torch.save(Outer(), "module_legacy.pt", _use_new_zipfile_serialization=False)
torch.jit.script(Outer()).save("script.pt")
optimizer = torch.optim.Adam(small.parameters())
small(torch.ones(2, 4)).sum().backward()
optimizer.step()
torch.save(
    {
        "epoch": 3,
        "model": small.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [{"loss": np.float64(0.5), "weight": f}],
        "names": ("a", b"b", 1.5, None, True, 2**70, {1, 2}),
    },
    "training.pt",
)

with zipfile.ZipFile("state.pt") as old, zipfile.ZipFile("deflated.pt", "w") as new:
    for name in old.namelist():
        if name.split("/")[1] in ("data.pkl", "byteorder", "data"):
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))

torch.serialization.set_crc32_options(False)
torch.save({"w": f}, "unchecked.pt")

# --- ONNX -------------------------------------------------------------------------------------

A32 = A.astype(np.float32)


def raw(name, value):
    return numpy_helper.from_array(np.ascontiguousarray(value), name)


def typed(name, kind, value):
    value = np.asarray(value)
    return helper.make_tensor(name, kind, value.shape, value.flatten())


initializers = [
    raw("f32", A32),
    raw("f64", A),
    raw("f16", A.astype(np.float16)),
    raw("cube", T),
    raw("bias", np.arange(5, dtype=np.float32)),
    raw("ids", np.array([[1, 2], [3, 4]])),
    raw("c64", (A + 1j * A[::-1]).astype(np.complex64)),
    typed("f32_typed", TensorProto.FLOAT, A32),
    typed("f64_typed", TensorProto.DOUBLE, A),
    typed("f16_typed", TensorProto.FLOAT16, A),
    typed("bf16_typed", TensorProto.BFLOAT16, A),
    typed("e4m3_typed", TensorProto.FLOAT8E4M3FN, A),
    typed("e5m2_typed", TensorProto.FLOAT8E5M2, A),
    typed("c64_typed", TensorProto.COMPLEX64, A + 1j * A[::-1]),
    typed("c128_typed", TensorProto.COMPLEX128, A + 1j * A[::-1]),
    helper.make_tensor("text", TensorProto.STRING, (1, 1), [b"x"]),
    helper.make_tensor("int4", TensorProto.INT4, (2, 2), [1, 2, 3, 4]),
]


def constant(node, output, tensor):
    return helper.make_node("Constant", [], [output], name=node, value=tensor)


def branch(name, tensor):
    return helper.make_graph(
        [helper.make_node("Identity", [tensor.name], [name + "_out"])],
        name,
        [],
        [helper.make_tensor_value_info(name + "_out", TensorProto.FLOAT, None)],
        [tensor],
    )


nodes = [
    constant("k", "k_out", raw("", A32)),
    constant("", "unnamed", raw("", A32)),
    constant("first", "first_out", raw("value", A32)),
    constant("second", "second_out", raw("value", 2 * A32)),
    helper.make_node("If", ["c"], ["y"], name="choice",
                     then_branch=branch("yes", raw("w", A32)),
                     else_branch=branch("no", raw("w", -A32))),
]
sparse = helper.make_sparse_tensor(raw("sparse", np.float32([1, 2])), raw("at", np.int64([0, 5])), [3, 4])
graph = helper.make_graph(
    nodes, "g", [helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], initializers,
    sparse_initializer=[sparse])
function = helper.make_function(
    "local", "Scaled", ["x"], ["z"],
    [constant("inner", "s", raw("", 3 * A32)), helper.make_node("Mul", ["x", "s"], ["z"])],
    [helper.make_opsetid("", 20)])
model = helper.make_model(graph, functions=[function], producer_name="make_models.py")
onnx.save(model, "model.onnx")
onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [raw("w", A32), raw("v", A)])),
          "external.onnx", save_as_external_data=True, location="external.weights",
          size_threshold=0)

# --- GGUF -------------------------------------------------------------------------------------

B = np.sin(np.arange(2 * 256, dtype=np.float32)).reshape(2, 256)
writer = gguf.GGUFWriter("model.gguf", "test")
writer.add_string("general.name", "small")
writer.add_array("tokens", ["a", "bc", ""])
writer.add_array("merges", [1, 2, 3])
writer.add_float32("eps", 0.5)
writer.add_bool("flag", True)
writer.add_int64("deep", -7)
writer.add_tensor("f32", A32)
writer.add_tensor("f16", A.astype(np.float16))
writer.add_tensor("f64", A)
writer.add_tensor("bf16", gguf.quants.quantize(A32, gguf.GGMLQuantizationType.BF16),
                  raw_dtype=gguf.GGMLQuantizationType.BF16)
writer.add_tensor("cube", T)
writer.add_tensor("bias", np.arange(5, dtype=np.float32))
writer.add_tensor("ids", np.array([[1, 2]], dtype=np.int32))
for kind in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
    q = gguf.GGMLQuantizationType[kind]
    coded = gguf.quants.quantize(B, q)
    writer.add_tensor(kind, coded, raw_dtype=q)
    if kind == "Q8_0":
        np.save("gguf_q8_0.npy", gguf.quants.dequantize(coded, q))
for kind, scales in (("Q2_K", [80, 82]), ("Q3_K", [108]), ("Q4_K", [0, 2]), ("Q5_K", [0, 2]),
                     ("Q6_K", [208])):
    q = gguf.GGMLQuantizationType[kind]
    size = gguf.constants.GGML_QUANT_SIZES[q][1]
    coded = np.zeros((2, size), dtype=np.uint8)
    for k, at in enumerate(scales):
        coded[:, at:at + 2] = np.float16([[0.5 + k], [2 + k]]).view(np.uint8)
    writer.add_tensor(kind, coded, raw_dtype=q)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
