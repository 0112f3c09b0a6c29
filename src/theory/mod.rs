//! Predictions in closed form or by deterministic quadrature and inversion. Nothing here samples.
//!
//! *What will gradients do in a network that has not been drawn?* At initialization the squared norm of a gradient
//! is multiplied from layer to layer by random factors. Two numbers are often mixed up: their mean (`chi` per
//! layer, which He initialization sets to 1) and their typical value, the exponential of the mean logarithm, which
//! one run sees and which decays in a deep network of mean 1.
//!
//! | you want to know | call | worth |
//! |---|---|---|
//! | everything about a model | [`predict::predict`] | exact or asymptotic, marked one by one |
//! | quantiles of a gradient, (leaky) ReLU and linear | [`laws::Network`], [`predict::gradient_law`] | exact |
//! | growth per layer for any activation | [`mean_field::LengthMap`] | width to infinity |
//! | variances that keep gradients | [`criticality::edge_of_chaos`], [`criticality::gains`] | width to infinity |
//! | whether two inputs become alike | [`mean_field::LengthMap::correlations`] | width to infinity |
//! | signals and gradients layer by layer | [`propagation::layers`] | width to infinity |
//! | how much one network differs from the mean | [`fluctuation::fluctuations`] | first order in 1/width |
//! | singular values of the Jacobian | [`spectrum::spectrum`] (wide), [`lyapunov`] (deep) | asymptotic |
//! | rank and traces of the Jacobian | [`rank`] | exact |
//! | what a multiplier alpha does | [`sweep::sweep`], [`effects::effects`], [`multiplier`] | exact where powers hold |
//! | normalization, residual branches, padding | [`normalization`], [`residual`], [`padding`] | width to infinity |
//! | underflow, overflow, loss scale | [`budget::budget`], [`precision`], [`census`] | as the norms are |
//! | step sizes, momentum, clipping, trust ratios | [`descent`], [`optimisation`] | exact |
//! | output variance and tangent kernel | [`kernel::kernel`] | width to infinity |
//! | a picture of order and chaos | [`diagram`], [`phase`] | width to infinity |
//!
//! A first order: [`averages`] (what an activation does to a Gaussian), [`mean_field`], [`criticality`], [`laws`],
//! [`predict`].
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::theory::predict::{Options, predict};
//!
//! // 50 He-initialized ReLU layers of width 16
//! let model = Model::new(vec![16; 51], Activation::Relu);
//! let p = predict(&model, &Options::default()).unwrap();
//! assert!((p.growth.chi - 1.0).abs() < 1e-12); // the mean square is kept ...
//! assert!(p.growth.typical_ln_square_per_layer.unwrap() < -0.1); // ... the typical one is not
//! // and a gradient is exactly 0 with the probability that some layer has no open gate
//! let dead = 1.0 - (1.0 - 0.5f64.powi(16)).powi(50);
//! assert!((p.input_gradient.unwrap().p_zero / dead - 1.0).abs() < 1e-9);
//! ```

pub mod averages;
pub mod budget;
pub mod census;
pub mod correlation;
pub mod criticality;
pub mod descent;
pub mod diagram;
pub mod effects;
pub mod fluctuation;
pub mod gain;
pub mod kernel;
pub mod laws;
pub mod lyapunov;
pub mod marchenko_pastur;
pub mod mean_field;
pub mod multiplier;
pub mod normalization;
pub mod optimisation;
pub mod padding;
pub mod phase;
pub mod precision;
pub mod predict;
pub mod prediction;
pub mod propagation;
pub mod quadrature;
pub mod rank;
pub mod residual;
pub(crate) mod roots;
pub mod special;
pub mod spectrum;
pub mod sweep;
