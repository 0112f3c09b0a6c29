//! fluctuation.
