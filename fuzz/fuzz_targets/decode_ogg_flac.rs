#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringback::testing::fuzz::run("decode_ogg_flac", data));
