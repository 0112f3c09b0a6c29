//! The reference MLP: weights drawn, forward and backward passes computed, nothing predicted. It
//! cannot see [`crate::theory`], so that agreement between the two means something.

pub mod deferred;
pub mod measure;
pub mod monte_carlo;
pub mod random;
