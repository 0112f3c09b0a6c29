//! precision.
