//! Safetensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| isometer_fuzz::reads("x.safetensors", bytes));
