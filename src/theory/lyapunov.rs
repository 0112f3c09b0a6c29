//! lyapunov.
