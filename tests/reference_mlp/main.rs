//! The reference MLP against implementations and identities of other kinds.

mod checkpoint;
mod differences;
mod dual;
mod golden;
mod identities;
mod laws;
mod narrow;
mod networks;
