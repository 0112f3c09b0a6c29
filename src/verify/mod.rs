//! Prediction and measurement brought together: comparisons with an error budget that is derived,
//! and one verdict with a family-wise error rate.

