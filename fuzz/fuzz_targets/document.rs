#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringback::testing::fuzz::run("document", data));
