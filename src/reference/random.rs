//! Streams of random numbers: one for each (seed, sample, purpose), so that results depend neither on
//! the number of threads nor on the order in which samples are drawn.
//!
//! ```
//! use isometer::reference::random::{Purpose, stream};
//! use rand::RngExt;
//!
//! let first: f64 = stream(1, 0, Purpose::Layer(1)).random();
//! let again: f64 = stream(1, 0, Purpose::Layer(1)).random();
//! let other: f64 = stream(1, 1, Purpose::Layer(1)).random(); // another sample
//! assert!(first == again && first != other);
//! ```

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator behind every draw.
pub type Stream = Xoshiro256PlusPlus;

/// What a stream is used for; streams of different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Inputs, tangents and cotangents.
    Probe,
    /// Weights and bias of layer `l`, counted from 1.
    Layer(usize),
    /// Which units of layer `l` dropout keeps.
    Dropout(usize),
    /// Anything else, by a number of the caller's.
    Other(u32),
}

impl Purpose {
    fn code(self) -> u64 {
        let tagged = |tag: u64, value: u64| tag << 48 | value;
        match self {
            Purpose::Probe => tagged(0, 0),
            Purpose::Layer(l) => tagged(1, l as u64),
            Purpose::Dropout(l) => tagged(2, l as u64),
            Purpose::Other(k) => tagged(3, u64::from(k)),
        }
    }
}

/// The stream of one purpose of one sample. The state is 256 bits of the ChaCha8 key stream of
/// (seed, sample, purpose), so that neighbouring samples have unrelated states.
///
/// # Examples
/// ```
/// use isometer::reference::random::{Purpose, stream};
/// let draw = |seed, sample, purpose| rand::Rng::next_u64(&mut stream(seed, sample, purpose));
/// assert_eq!(draw(1, 2, Purpose::Probe), draw(1, 2, Purpose::Probe));
/// assert_ne!(draw(1, 2, Purpose::Probe), draw(1, 2, Purpose::Layer(1)));
/// ```
pub fn stream(seed: u64, sample: u64, purpose: Purpose) -> Stream {
    let mut key = [0u8; 32];
    for (bytes, word) in key
        .chunks_exact_mut(8)
        .zip([seed, sample, purpose.code(), 0x1505_0e7e])
    {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut source = ChaCha8Rng::from_seed(key);
    let mut state = [0u8; 32];
    source.fill_bytes(&mut state);
    Stream::from_seed(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let first = |seed, sample, purpose| stream(seed, sample, purpose).next_u64();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..4 {
            for sample in 0..4 {
                for purpose in [
                    Purpose::Probe,
                    Purpose::Layer(1),
                    Purpose::Layer(2),
                    Purpose::Dropout(1),
                    Purpose::Other(1),
                ] {
                    let value = first(seed, sample, purpose);
                    assert_eq!(value, first(seed, sample, purpose));
                    assert!(seen.insert(value), "two streams start alike");
                }
            }
        }
    }
}
