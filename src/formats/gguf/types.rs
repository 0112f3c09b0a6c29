//! Types of GGUF tensors: how their blocks are laid out. Format: `ggml-common.h` of ggml.

use crate::linalg::element::ElementType;

/// What the bytes of a type mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float(ElementType),
    Integer,
    /// A scale in binary16 before 32 signed bytes.
    Q8_0,
    /// Other blocks of codes. Their scales are numbers of this format at these offsets.
    Blocks(ElementType, &'static [usize]),
}

/// A tensor type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Type {
    id: u32,
    pub(super) name: &'static str,
    /// Numbers in a block.
    pub(super) block: usize,
    /// Bytes of a block.
    pub(super) bytes: usize,
    pub(super) kind: Kind,
}

const fn plain(id: u32, name: &'static str, bytes: usize, kind: Kind) -> Type {
    Type {
        id,
        name,
        block: 1,
        bytes,
        kind,
    }
}

const fn blocks(
    id: u32,
    name: &'static str,
    block: usize,
    bytes: usize,
    scales: &'static [usize],
) -> Type {
    Type {
        id,
        name,
        block,
        bytes,
        kind: Kind::Blocks(ElementType::F16, scales),
    }
}

/// Every type with a known layout. MXFP4, NVFP4 and IQ1_M have scales of formats that are always
/// finite or are spread over the block.
const TYPES: [Type; 34] = [
    plain(0, "F32", 4, Kind::Float(ElementType::F32)),
    plain(1, "F16", 2, Kind::Float(ElementType::F16)),
    blocks(2, "Q4_0", 32, 18, &[0]),
    blocks(3, "Q4_1", 32, 20, &[0, 2]),
    blocks(6, "Q5_0", 32, 22, &[0]),
    blocks(7, "Q5_1", 32, 24, &[0, 2]),
    Type {
        id: 8,
        name: "Q8_0",
        block: 32,
        bytes: 34,
        kind: Kind::Q8_0,
    },
    blocks(9, "Q8_1", 32, 36, &[0, 2]),
    blocks(10, "Q2_K", 256, 84, &[80, 82]),
    blocks(11, "Q3_K", 256, 110, &[108]),
    blocks(12, "Q4_K", 256, 144, &[0, 2]),
    blocks(13, "Q5_K", 256, 176, &[0, 2]),
    blocks(14, "Q6_K", 256, 210, &[208]),
    Type {
        id: 15,
        name: "Q8_K",
        block: 256,
        bytes: 292,
        kind: Kind::Blocks(ElementType::F32, &[0]),
    },
    blocks(16, "IQ2_XXS", 256, 66, &[0]),
    blocks(17, "IQ2_XS", 256, 74, &[0]),
    blocks(18, "IQ3_XXS", 256, 98, &[0]),
    blocks(19, "IQ1_S", 256, 50, &[0]),
    blocks(20, "IQ4_NL", 32, 18, &[0]),
    blocks(21, "IQ3_S", 256, 110, &[0]),
    blocks(22, "IQ2_S", 256, 82, &[0]),
    blocks(23, "IQ4_XS", 256, 136, &[0]),
    plain(24, "I8", 1, Kind::Integer),
    plain(25, "I16", 2, Kind::Integer),
    plain(26, "I32", 4, Kind::Integer),
    plain(27, "I64", 8, Kind::Integer),
    plain(28, "F64", 8, Kind::Float(ElementType::F64)),
    blocks(29, "IQ1_M", 256, 56, &[]),
    plain(30, "BF16", 2, Kind::Float(ElementType::BF16)),
    blocks(34, "TQ1_0", 256, 54, &[52]),
    blocks(35, "TQ2_0", 256, 66, &[64]),
    blocks(39, "MXFP4", 32, 17, &[]),
    blocks(40, "NVFP4", 64, 36, &[]),
    blocks(41, "Q1_0", 128, 18, &[0]),
];

impl Type {
    pub(super) fn of(id: u32) -> Option<Type> {
        TYPES.iter().find(|t| t.id == id).copied()
    }

    /// The format of the scales and where they lie in a block; none for plain numbers.
    pub(super) fn scales(self) -> Option<(ElementType, &'static [usize])> {
        match self.kind {
            Kind::Q8_0 => Some((ElementType::F16, &[0])),
            Kind::Blocks(_, []) | Kind::Float(_) | Kind::Integer => None,
            Kind::Blocks(element, offsets) => Some((element, offsets)),
        }
    }
}
