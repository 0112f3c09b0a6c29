//! What the entries of a matrix are, one by one: NaN, infinities, zeros, subnormals, the range.
//!
//! *Is this tensor broken?* [`entries`] counts, exactly, and tells where the first bad entry is.
//! Entries are judged by their bits, at the speed memory delivers them: a block whose smallest and
//! largest magnitudes are normal numbers holds nothing to count.
//!
//! ```
//! use isometer::linalg::{entries::entries, view::MatrixRef};
//!
//! let a = MatrixRef::row_major(&[1.0, 0.0, f64::INFINITY, f64::NAN, -7.0, 1e-310], 2, 3).unwrap();
//! let e = entries(&a);
//! assert_eq!((e.count, e.nan, e.inf, e.zero, e.subnormal), (6, 1, 1, 1, 1));
//! assert_eq!((e.nonfinite(), e.largest), (2, 7.0));
//! assert_eq!(e.first_nonfinite, Some((2, f64::INFINITY)));
//! ```

use super::element::ElementType;
use super::vectorised::vectorised;
use super::view::MatrixRef;
use rayon::prelude::*;
use std::ops::{BitAnd, BitOr, BitXor};

/// Numbers judged together; small enough to stay in the first cache for the second look.
const BLOCK: usize = 4096;

/// Numbers handed to one thread at a time.
const SHARE: usize = 64 * BLOCK;

/// Counts over the entries of a matrix; a complex entry counts as two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entries {
    /// Numbers looked at.
    pub count: u64,
    /// NaN.
    pub nan: u64,
    /// Infinities of either sign.
    pub inf: u64,
    /// Zeros of either sign.
    pub zero: u64,
    /// Subnormal numbers of the stored format.
    pub subnormal: u64,
    /// Largest magnitude of a finite number; 0 if there is none.
    pub largest: f64,
    /// Whether all numbers have the same bits (and there is at least one).
    pub constant: bool,
    /// Position, counting entries in row order, and value of the first that is not finite.
    pub first_nonfinite: Option<(u64, f64)>,
}

impl Entries {
    /// NaN and infinities together.
    pub fn nonfinite(&self) -> u64 {
        self.nan + self.inf
    }

    fn none() -> Entries {
        Entries {
            count: 0,
            nan: 0,
            inf: 0,
            zero: 0,
            subnormal: 0,
            largest: 0.0,
            constant: true,
            first_nonfinite: None,
        }
    }

    /// Both parts; positions of `other` are its own. Whether all bits agree is for the caller to say.
    fn join(self, other: Entries) -> Entries {
        Entries {
            count: self.count + other.count,
            nan: self.nan + other.nan,
            inf: self.inf + other.inf,
            zero: self.zero + other.zero,
            subnormal: self.subnormal + other.subnormal,
            largest: self.largest.max(other.largest),
            constant: self.constant && other.constant,
            first_nonfinite: match (self.first_nonfinite, other.first_nonfinite) {
                (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
                (a, b) => a.or(b),
            },
        }
    }
}

/// The bits of one number.
trait Word:
    Copy + Ord + Send + Sync + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self>
{
    const ZERO: Self;
    const ONES: Self;
}
macro_rules! word {
    ($($ty:ty),*) => {$(impl Word for $ty { const ZERO: Self = 0; const ONES: Self = Self::MAX; })*};
}
word!(u8, u16, u32, u64);

/// How the bits of a format are to be read.
#[derive(Clone, Copy)]
struct Format<W> {
    /// All bits but the sign.
    magnitude: W,
    /// Bits of the smallest normal number.
    normal: W,
    /// Bits of infinity; of NaN where the format has no infinity.
    infinity: W,
    /// Whether [`infinity`](Format::infinity) is one.
    has_infinity: bool,
    value: fn(W) -> f64,
}

const F8E4M3: Format<u8> = Format {
    magnitude: 0x7f,
    normal: 0x08,
    infinity: 0x7f,
    has_infinity: false,
    value: super::element::f8_e4m3_to_f64,
};
const F8E5M2: Format<u8> = Format {
    magnitude: 0x7f,
    normal: 0x04,
    infinity: 0x7c,
    has_infinity: true,
    value: super::element::f8_e5m2_to_f64,
};
const F16: Format<u16> = Format {
    magnitude: 0x7fff,
    normal: 0x0400,
    infinity: 0x7c00,
    has_infinity: true,
    value: |w| half::f16::from_bits(w).to_f64(),
};
const BF16: Format<u16> = Format {
    magnitude: 0x7fff,
    normal: 0x0080,
    infinity: 0x7f80,
    has_infinity: true,
    value: |w| half::bf16::from_bits(w).to_f64(),
};
const F32: Format<u32> = Format {
    magnitude: 0x7fff_ffff,
    normal: 0x0080_0000,
    infinity: 0x7f80_0000,
    has_infinity: true,
    value: |w| f64::from(f32::from_bits(w)),
};
const F64: Format<u64> = Format {
    magnitude: u64::MAX >> 1,
    normal: 0x0010_0000_0000_0000,
    infinity: 0x7ff0_0000_0000_0000,
    has_infinity: true,
    value: f64::from_bits,
};

/// What one look at a block tells: smallest and largest magnitude, and the bits in which words differ from the first.
struct Glance<W> {
    least: W,
    most: W,
    differing: W,
}

#[inline(always)]
fn glance_inline<W: Word>(words: impl Iterator<Item = W>, first: W, magnitude: W) -> Glance<W> {
    let mut g = Glance {
        least: W::ONES,
        most: W::ZERO,
        differing: W::ZERO,
    };
    for w in words {
        let size = w & magnitude;
        g.least = if size < g.least { size } else { g.least };
        g.most = if size > g.most { size } else { g.most };
        g.differing = g.differing | (w ^ first);
    }
    g
}

macro_rules! glances {
    ($($name:ident, $ty:ty, $size:literal;)*) => {$(
        vectorised! {
            fn $name(words: &[[u8; $size]], first: $ty, magnitude: $ty) -> Glance<$ty> {
                glance_inline(words.iter().map(|b| <$ty>::from_le_bytes(*b)), first, magnitude)
            }
        }
    )*};
}
glances! {
    glance_u8, u8, 1;
    glance_u16, u16, 2;
    glance_u32, u32, 4;
    glance_u64, u64, 8;
}

fn detail<W: Word>(words: impl Iterator<Item = W>, f: &Format<W>) -> Entries {
    let mut e = Entries::none();
    let mut most = W::ZERO;
    for (k, w) in words.enumerate() {
        let size = w & f.magnitude;
        if size >= f.infinity {
            let is_nan = size > f.infinity || !f.has_infinity;
            e.nan += u64::from(is_nan);
            e.inf += u64::from(!is_nan);
            e.first_nonfinite.get_or_insert((k as u64, (f.value)(w)));
        } else {
            e.zero += u64::from(size == W::ZERO);
            e.subnormal += u64::from(size != W::ZERO && size < f.normal);
            most = most.max(size);
        }
    }
    e.largest = (f.value)(most);
    e
}

macro_rules! counting {
    ($name:ident, $ty:ty, $size:literal, $glance:ident) => {
        /// Counts over words that lie one after the other.
        fn $name(words: &[[u8; $size]], f: &Format<$ty>) -> Entries {
            let Some(first) = words.first().map(|b| <$ty>::from_le_bytes(*b)) else {
                return Entries::none();
            };
            let share = |(at, part): (usize, &[[u8; $size]])| {
                let mut all = Entries::none();
                for (k, block) in part.chunks(BLOCK).enumerate() {
                    let g = $glance(block, first, f.magnitude);
                    let mut e = if g.most >= f.infinity || g.least < f.normal {
                        detail(block.iter().map(|b| <$ty>::from_le_bytes(*b)), f)
                    } else {
                        Entries {
                            largest: (f.value)(g.most),
                            ..Entries::none()
                        }
                    };
                    e.count = block.len() as u64;
                    e.constant = g.differing == 0;
                    if let Some((index, _)) = &mut e.first_nonfinite {
                        *index += (at * SHARE + k * BLOCK) as u64;
                    }
                    all = all.join(e);
                }
                all
            };
            if words.len() <= SHARE {
                return share((0, words));
            }
            words
                .par_chunks(SHARE)
                .enumerate()
                .map(share)
                .reduce(Entries::none, Entries::join)
        }
    };
}
counting!(count_u8, u8, 1, glance_u8);
counting!(count_u16, u16, 2, glance_u16);
counting!(count_u32, u32, 4, glance_u32);
counting!(count_u64, u64, 8, glance_u64);

fn of_bytes(element: ElementType, bytes: &[u8]) -> Entries {
    match element {
        ElementType::F8E4M3 => count_u8(bytes.as_chunks().0, &F8E4M3),
        ElementType::F8E5M2 => count_u8(bytes.as_chunks().0, &F8E5M2),
        ElementType::F16 => count_u16(bytes.as_chunks().0, &F16),
        ElementType::BF16 => count_u16(bytes.as_chunks().0, &BF16),
        ElementType::F32 | ElementType::C64 => count_u32(bytes.as_chunks().0, &F32),
        ElementType::F64 | ElementType::C128 => count_u64(bytes.as_chunks().0, &F64),
    }
}

/// Counts over all entries. On all threads where the entries lie in a file or buffer without gaps; memory is
/// read once.
///
/// # Examples
/// ```
/// use isometer::linalg::{entries::entries, view::MatrixRef};
/// let e = entries(&MatrixRef::row_major(&[2.0; 6], 2, 3).unwrap());
/// assert!(e.constant && e.nonfinite() == 0 && e.first_nonfinite.is_none());
/// ```
pub fn entries(a: &MatrixRef<'_>) -> Entries {
    let parts = a.components();
    let mut found = match a.gapless_bytes() {
        Some((element, bytes)) => of_bytes(element, bytes),
        None => by_lines(a),
    };
    if let Some((index, _)) = &mut found.first_nonfinite {
        *index /= parts as u64;
    }
    found
}

/// Line by line through the widened numbers; subnormals are those of the stored format.
fn by_lines(a: &MatrixRef<'_>) -> Entries {
    let element = a.element_type();
    let mut line = vec![0.0; a.cols() * a.components()];
    let mut all = Entries::none();
    let mut first = None;
    for i in 0..a.rows() {
        a.read_row(i, &mut line);
        let Some(bits) = first.or(line.first().map(|x| x.to_bits())) else {
            break;
        };
        first = Some(bits);
        let mut e = detail(line.iter().map(|x| x.to_bits()), &F64);
        e.count = line.len() as u64;
        e.constant = line.iter().all(|x| x.to_bits() == bits);
        e.subnormal = line
            .iter()
            .filter(|x| **x != 0.0 && x.abs() < element.smallest_normal())
            .count() as u64;
        if let Some((index, _)) = &mut e.first_nonfinite {
            *index += (i * line.len()) as u64;
        }
        all = all.join(e);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::view::Elements;
    use proptest::prelude::*;

    fn bytes_of(element: ElementType, words: &[u64]) -> Vec<u8> {
        let size = element.size() / if element.is_complex() { 2 } else { 1 };
        words
            .iter()
            .flat_map(|w| w.to_le_bytes()[..size].to_vec())
            .collect()
    }

    const ALL: [ElementType; 8] = [
        ElementType::F8E4M3,
        ElementType::F8E5M2,
        ElementType::F16,
        ElementType::BF16,
        ElementType::F32,
        ElementType::F64,
        ElementType::C64,
        ElementType::C128,
    ];

    proptest! {
        /// Counting bits agrees with looking at every number, gaps or not.
        #[test]
        fn bits_and_numbers_agree(
            which in 0usize..ALL.len(),
            words in proptest::collection::vec(prop_oneof![
                any::<u64>(), Just(0), Just(u64::MAX), Just(1), Just(0x7f80_7c00_7f80_7c7c), Just(0x7ff0_0000_7f80_0000)
            ], 1..60),
        ) {
            let element = ALL[which];
            let parts = if element.is_complex() { 2 } else { 1 };
            let cols = words.len() / parts;
            prop_assume!(cols > 0);
            let bytes = bytes_of(element, &words[..cols * parts]);
            let a = MatrixRef::with_strides(Elements::Bytes(element, &bytes), 1, cols, cols, 1).unwrap();
            // the same through the plain route, NaN payloads and all
            let (quick, plain) = (entries(&a), by_lines(&a));
            prop_assert_eq!(quick.count, (cols * parts) as u64);
            prop_assert_eq!((quick.nan, quick.inf, quick.zero, quick.subnormal), (plain.nan, plain.inf, plain.zero, plain.subnormal));
            prop_assert_eq!(quick.largest, plain.largest);
            let place = plain.first_nonfinite.map(|(k, _)| k / parts as u64);
            prop_assert_eq!(quick.first_nonfinite.map(|(k, _)| k), place);
        }
    }

    #[test]
    fn long_arrays_are_counted_once_and_in_order() {
        let n = 3 * SHARE + 17;
        let mut x = vec![1.5f32; n];
        let all = |x: &[f32]| {
            let bytes: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
            let a = Elements::Bytes(ElementType::F32, &bytes);
            entries(&MatrixRef::with_strides(a, 1, x.len(), x.len(), 1).unwrap())
        };
        assert!(all(&x).constant);
        x[2 * SHARE + 5] = f32::NAN;
        x[n - 1] = f32::NEG_INFINITY;
        x[7] = 1e-40;
        x[9] = -0.0;
        x[SHARE] = -2.5;
        let e = all(&x);
        assert_eq!(
            (e.count, e.nan, e.inf, e.zero, e.subnormal),
            (n as u64, 1, 1, 1, 1)
        );
        assert_eq!(e.first_nonfinite.unwrap().0, (2 * SHARE + 5) as u64);
        assert!(!e.constant && e.largest == 2.5);
    }

    #[test]
    fn formats_have_the_limits_they_should() {
        for (largest, f) in [(448.0, F8E4M3), (57344.0, F8E5M2)] {
            assert_eq!((f.value)(f.infinity - 1), largest);
        }
        for e in ALL {
            let smallest = e.smallest_normal();
            assert_eq!(smallest.log2().fract(), 0.0, "{e}");
        }
        assert_eq!((F16.value)(F16.normal), ElementType::F16.smallest_normal());
        assert_eq!(
            (BF16.value)(BF16.normal),
            ElementType::BF16.smallest_normal()
        );
        assert_eq!((F32.value)(F32.normal), ElementType::F32.smallest_normal());
        assert_eq!(
            (F8E4M3.value)(F8E4M3.normal),
            ElementType::F8E4M3.smallest_normal()
        );
        assert_eq!(
            (F8E5M2.value)(F8E5M2.normal),
            ElementType::F8E5M2.smallest_normal()
        );
        assert_eq!((F64.value)(F64.normal), ElementType::F64.smallest_normal());
    }
}
