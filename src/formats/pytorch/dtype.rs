//! Number formats by the names PyTorch gives them.

use crate::formats::skip::SkipReason;
use crate::linalg::element::ElementType;

/// A number format of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dtype {
    /// As in `torch.float32`.
    pub(super) name: &'static str,
    /// Bytes of a number.
    pub(super) item: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float(ElementType),
    Integer,
    Powers,
    Unknown,
}

const fn dtype(name: &'static str, item: usize, kind: Kind) -> Dtype {
    Dtype { name, item, kind }
}

/// Class of a typed storage, and the number format.
const STORAGES: [(&str, Dtype); 17] = [
    ("Double", dtype("float64", 8, Kind::Float(ElementType::F64))),
    ("Float", dtype("float32", 4, Kind::Float(ElementType::F32))),
    ("Half", dtype("float16", 2, Kind::Float(ElementType::F16))),
    (
        "BFloat16",
        dtype("bfloat16", 2, Kind::Float(ElementType::BF16)),
    ),
    (
        "ComplexFloat",
        dtype("complex64", 8, Kind::Float(ElementType::C64)),
    ),
    (
        "ComplexDouble",
        dtype("complex128", 16, Kind::Float(ElementType::C128)),
    ),
    ("Long", dtype("int64", 8, Kind::Integer)),
    ("Int", dtype("int32", 4, Kind::Integer)),
    ("Short", dtype("int16", 2, Kind::Integer)),
    ("Char", dtype("int8", 1, Kind::Integer)),
    ("Byte", dtype("uint8", 1, Kind::Integer)),
    ("Bool", dtype("bool", 1, Kind::Integer)),
    ("QInt8", dtype("qint8", 1, Kind::Integer)),
    ("QUInt8", dtype("quint8", 1, Kind::Integer)),
    ("QInt32", dtype("qint32", 4, Kind::Integer)),
    ("QUInt4x2", dtype("quint4x2", 1, Kind::Integer)),
    ("QUInt2x4", dtype("quint2x4", 1, Kind::Integer)),
];

/// Formats that have no storage class of their own.
const UNTYPED: [Dtype; 10] = [
    dtype("float8_e4m3fn", 1, Kind::Float(ElementType::F8E4M3)),
    dtype("float8_e5m2", 1, Kind::Float(ElementType::F8E5M2)),
    dtype("float8_e8m0fnu", 1, Kind::Powers),
    dtype("float8_e4m3fnuz", 1, Kind::Unknown),
    dtype("float8_e5m2fnuz", 1, Kind::Unknown),
    dtype("float4_e2m1fn_x2", 1, Kind::Unknown),
    dtype("complex32", 4, Kind::Unknown),
    dtype("uint16", 2, Kind::Integer),
    dtype("uint32", 4, Kind::Integer),
    dtype("uint64", 8, Kind::Integer),
];

impl Dtype {
    /// The format of a storage class such as `torch.FloatStorage`. Untyped storages count bytes.
    pub(super) fn of_storage(global: &str) -> Option<Dtype> {
        let class = global.strip_prefix("torch.")?;
        let class = class.strip_prefix("cuda.").unwrap_or(class);
        let class = class.strip_prefix("storage.").unwrap_or(class);
        let name = class.strip_suffix("Storage")?;
        if name == "Untyped" {
            return Some(dtype("uint8", 1, Kind::Integer));
        }
        let found = STORAGES.iter().find(|(class, _)| *class == name);
        found.map(|(_, dtype)| *dtype)
    }

    /// The format of a dtype such as `torch.float8_e4m3fn`.
    pub(super) fn named(global: &str) -> Option<Dtype> {
        let name = global.strip_prefix("torch.")?;
        let typed = STORAGES.iter().map(|(_, dtype)| *dtype);
        typed.chain(UNTYPED).find(|dtype| dtype.name == name)
    }

    /// The format of the numbers, or why they are not read.
    pub(super) fn element(self) -> Result<ElementType, SkipReason> {
        let dtype = self.name.to_string();
        match self.kind {
            Kind::Float(element) => Ok(element),
            Kind::Integer => Err(SkipReason::Integer { dtype }),
            Kind::Powers => Err(SkipReason::PowersOfTwo { dtype }),
            Kind::Unknown => Err(SkipReason::UnknownDtype { dtype }),
        }
    }
}
