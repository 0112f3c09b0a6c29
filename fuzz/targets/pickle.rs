//! The pickle of a PyTorch archive.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    isometer_fuzz::reads("x.pt", &isometer_fuzz::pytorch_archive(bytes));
});
