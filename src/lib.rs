//! Isometer: condition numbers with proof, and backprop treated analytically as a product of
//! layer Jacobians.
//!
//! *How far is a matrix, or a network, from an isometry?* A matrix with condition number 1 stretches every
//! direction alike. A network whose layer Jacobians `J = D_L W_L ... D_1 W_1` multiply to something near an
//! isometry neither loses nor blows up its gradients. One idea, two halves: conditioning of matrices that exist,
//! and growth of gradients in networks that do not exist yet.
//!
//! ```
//! use isometer::linalg::condition::{ConditionOptions, condition};
//! use isometer::linalg::view::MatrixRef;
//!
//! let a = MatrixRef::row_major(&[1.0, 2.0, 3.0, 4.0], 2, 2).unwrap();
//! let c = condition(&a, &ConditionOptions::default()).unwrap();
//! let (value, lo, hi) = c.cond.enclosure.to_linear().unwrap();
//! let kappa = (15.0 + 221f64.sqrt()) / 2.0;
//! assert!(lo <= kappa && kappa <= hi && (value - kappa).abs() < 1e-12 && hi - lo < 1e-12);
//! ```
//!
//! # Where to look
//!
//! | you want to know | call |
//! |---|---|
//! | the condition number of a matrix, proved | [`linalg::condition::condition`] |
//! | its norms; all singular values | [`linalg::norms`]; [`linalg::singular::singular_values`] |
//! | whether it is exactly singular, and why | [`linalg::exact::IntegerMatrix::rank`], [`linalg::structure::structure`] |
//! | singular values of a product of a thousand layers | [`linalg::product::spectrum`] |
//! | how much a convolution stretches | [`bounds::convolution::convolution_condition`] |
//! | the tensors of a file | [`formats::open`] |
//! | whether a checkpoint is broken, which layer is out of line | [`audit::checkpoint::audit`] |
//! | what changed between two checkpoints | [`audit::diff::diff`] |
//! | how steep a network can be, at most | [`bounds::overview::overview`], [`bounds::lipschitz::lipschitz`] |
//! | an assertion about conditioning or gradients for your tests | [`bounds::checks`] |
//! | the Jacobian of softmax, attention, a normalization | [`bounds::jacobian`] |
//! | what gradients will do in a network that is only described | [`theory::predict::predict`] |
//! | the probability that a gradient is that small | [`theory::laws::ProductLaw::cdf_ln_square`] |
//! | which initialization keeps signals and gradients | [`theory::criticality::gains`] |
//! | what a multiplier alpha on the weights does | [`theory::sweep::sweep`] |
//! | whether f16 holds the gradients, and with which loss scale | [`theory::budget::budget`] |
//! | for which learning rates descent converges | [`theory::descent::judge`] |
//! | gradients of one network, drawn or loaded | [`mod@reference`]: [`reference::Mlp`] |
//! | whether a prediction is right | [`verify::check::check`] |
//! | a result as table, markdown, CSV or JSON | [`report`] |
//!
//! # What a number is worth
//!
//! Every number leaves its function with a word for it ([`scale::Certainty`]): `certified`, a proved enclosure that
//! includes the rounding of our own arithmetic; `exact`, a closed form or exact arithmetic; `upper` and `lower`
//! bounds; `probabilistic`, with the probability that it fails; `asymptotic`, true for wide or deep networks;
//! `estimate`, with its error. A magnitude that may leave the range of `f64` is a [`scale::LogScale`].
//!
//! # Reading order
//!
//! A module uses only those above it.
//!
//! 1. [`scale`]: magnitudes kept as logarithms, bounds with a direction, enclosures.
//! 2. [`linalg`]: the numerical kernel. Begin with [`linalg::view`] (a matrix as it is stored) and
//!    [`linalg::condition`].
//! 3. [`formats`]: files and streams to named tensors, memory-mapped; npy, npz, safetensors, PyTorch,
//!    ONNX, GGUF, Matrix Market and text.
//! 4. [`network`]: inert descriptions of networks, with the conventions of PyTorch and Keras, and their TOML form.
//! 5. [`bounds`]: what follows with certainty from the factors: products, Lipschitz constants, convolutions, single
//!    layers.
//! 6. [`theory`]: what gradients will do, by closed form, quadrature and inversion; exact laws at finite width,
//!    mean field, spectra, criticality, precision, step sizes. Never samples.
//! 7. [`mod@reference`]: the reference MLP, which draws weights and computes gradients and predicts nothing. It and
//!    [`theory`] cannot see each other, so that their agreement means something.
//! 8. [`audit`]: whole checkpoints: broken numbers, roles, spectra beside those of random matrices, findings with
//!    what to do; differences, clipping, trust ratios.
//! 9. [`verify`]: predictions against measurements with one error rate, and claims found in print decided by
//!    computation.
//! 10. [`report`]: results to tables, markdown, CSV, JSON and pictures; values in, bytes out.
//!
//! # Conventions
//!
//! Weights are `outputs x inputs`, layers are listed in the order in which they are applied, `sigma_w2` is the
//! variance of a weight times the fan-in, and `alpha` is the multiplier on weights. `chi` and laws are of
//! **squared** norms, Lyapunov exponents and `kappa` of norms; a name says so (`ln_mean_square`,
//! `log2_singular_values`). `mean` counts rare large draws, `typical` is the exponential of the mean logarithm. A
//! bug panics; a refusal is an `Err` with numbers in it; a finding is `Ok` with a verdict. Where a comment says
//! `Theorem: kato-temple`, the statement is `proofs/kato-temple.md` of the repository.

#![deny(missing_docs)]

pub mod audit;
pub mod bounds;
pub mod formats;
pub mod linalg;
pub mod network;
pub mod reference;
pub mod report;
pub mod scale;
pub mod theory;
pub mod verify;
