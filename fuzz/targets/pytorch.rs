//! PyTorch files as a whole, both forms.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| isometer_fuzz::reads("x.pt", bytes));
