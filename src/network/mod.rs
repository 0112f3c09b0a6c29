//! Inert description of a network: widths, activation, initializer, multiplier alpha, normalization,
//! residual branches, dropout, number format. Nothing here draws or predicts.

pub mod activation;
