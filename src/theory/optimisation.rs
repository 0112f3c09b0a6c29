//! optimisation.
