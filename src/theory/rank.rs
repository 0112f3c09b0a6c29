//! Law of the rank of `J` at finite width, and exact moments of `tr J^T J` and `tr (J^T J)^2`.
