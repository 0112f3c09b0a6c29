//! Descriptions of networks in TOML: what is read is written and read again as the same.
#![no_main]

use isometer::network::Model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(model) = Model::from_toml(text)
    {
        let written = model.to_toml();
        let again = Model::from_toml(&written).expect("what is written can be read");
        assert_eq!(written, again.to_toml());
    }
});
