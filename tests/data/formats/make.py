"""Writes the small files of this directory: pip install numpy scipy safetensors, then run it here.

The matrix A[i, j] = (i + 1) / 2**j - 3 j (3 x 4) is exact in every float format from float16 up.
"""

import gzip
import io
import zipfile

import numpy as np
import scipy.io
import scipy.sparse
from safetensors.numpy import save_file

i, j = np.indices((3, 4))
A = (i + 1) / 2.0**j - 3 * j
Z = A + 1j * A[::-1]
K = np.array([[1, -2, 3], [40, 50, -60]])
T = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

for order in "CF":
    for kind in ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8", "<c8", "<c16", ">c8", ">c16"):
        data = Z if "c" in kind else A
        name = kind.replace("<", "le_").replace(">", "be_")
        np.save(f"{name}_{order}.npy", np.asarray(data, dtype=kind, order=order))
    np.save(f"cube_{order}.npy", np.asarray(T, order=order))
    np.save(f"int_cube_{order}.npy", np.asarray(T, dtype=">i4", order=order))

for kind in ("i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8"):
    name = kind.replace("<", "le_").replace(">", "be_")
    np.save(f"int_{name}.npy", K.astype(kind))
for kind in ("u1", "<u2", ">u4", "<u8"):
    name = kind.replace("<", "le_").replace(">", "be_")
    np.save(f"int_{name}.npy", abs(K).astype(kind))
np.save("bool.npy", K > 0)
np.save("int_too_large.npy", np.array([[1, 2], [2**53, 2**53 + 1]]))

for version in ((1, 0), (2, 0), (3, 0)):
    with open(f"version{version[0]}.npy", "wb") as f:
        np.lib.format.write_array(f, A, version=version)

np.save("scalar.npy", np.float64(3))
np.save("vector.npy", np.arange(5.0))
np.save("empty.npy", np.zeros((0, 3)))
np.save("record.npy", np.zeros(3, dtype=[("a", "<f4"), ("b", "<i4", (2,))]))
np.save("text.npy", np.array([["a", "b"]]))
np.save("object.npy", np.array([[None, 1]], dtype=object), allow_pickle=True)
np.save("raw.npy", np.zeros((2, 2), dtype="V2"))
np.save("longdouble.npy", np.zeros((2, 2), dtype=np.longdouble))
buffer = io.BytesIO()
np.save(buffer, A)
with gzip.GzipFile("a.npy.gz", "wb", mtime=0) as f:
    f.write(buffer.getvalue())

arrays = dict(w=A, half=A.astype(np.float16), fortran=np.asfortranarray(A), cube=T,
              ids=K, bias=np.arange(5.0), z=Z)
# savez stamps the time of day into the archive; a fixed date keeps the bytes the same.
for name, method in (("stored.npz", zipfile.ZIP_STORED), ("deflated.npz", zipfile.ZIP_DEFLATED)):
    with zipfile.ZipFile(name, "w", method) as z:
        for key, value in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, value)
            info = zipfile.ZipInfo(key + ".npy", (2020, 1, 1, 0, 0, 0))
            info.compress_type = method
            z.writestr(info, buffer.getvalue())

save_file(
    dict(w=A.astype(np.float32), d=A, h=A.astype(np.float16), cube=T, ids=K,
         mask=K > 0, bias=np.arange(5, dtype=np.float32), z=Z.astype(np.complex64)),
    "model.safetensors",
    metadata={"format": "np", "note": "small"},
)

S = np.array([[2.0, -1, 0], [-1, 2, -1], [0, -1, 2.5]])
W = np.array([[0.0, 2, -3], [-2, 0, 4], [3, -4, 0]])
H = np.array([[1, 2 + 1j, 0], [2 - 1j, 3, -1j], [0, 1j, 5]])
for name, m, symmetry in (("general", A, "general"), ("symmetric", S, "symmetric"),
                          ("skew", W, "skew-symmetric"), ("hermitian", H, "hermitian"),
                          ("complex", Z, "general")):
    scipy.io.mmwrite(f"array_{name}.mtx", m, symmetry=symmetry)
    scipy.io.mmwrite(f"coordinate_{name}.mtx", scipy.sparse.coo_array(m), symmetry=symmetry)
scipy.io.mmwrite("array_integer.mtx", K, symmetry="general")
scipy.io.mmwrite("pattern.mtx", scipy.sparse.coo_array(S), field="pattern", symmetry="symmetric")
with open("coordinate_general.mtx", "rb") as f, gzip.GzipFile("a.mtx.gz", "wb", mtime=0) as g:
    g.write(f.read())

np.savetxt("a.txt", A, header="a comment")
np.savetxt("a.csv", A, delimiter=",")
np.savetxt("a.tsv", A, delimiter="\t", header="w\tx\ty\tz", comments="")
np.savetxt("complex.txt", Z)
with open("a.csv", "rb") as f, gzip.GzipFile("a.csv.gz", "wb", mtime=0) as g:
    g.write(f.read())
