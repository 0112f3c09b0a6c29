//! multiplier.
