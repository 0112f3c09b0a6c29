//! Matrix Market.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| isometer_fuzz::reads("x.mtx", bytes));
