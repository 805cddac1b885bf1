//! All fuzz targets in one program, because each would take as long to link as any other. `FUZZ_TARGET` says which one it is; without
//! it, it says which there are.
#![no_main]

use std::sync::OnceLock;

use ringback::testing::fuzz;

static TARGET: OnceLock<String> = OnceLock::new();

fn choose() {
    match std::env::var("FUZZ_TARGET") {
        Ok(name) => TARGET.set(name).unwrap_or_default(),
        Err(_) => {
            fuzz::TARGETS.iter().for_each(|(name, _)| println!("{name}"));
            std::process::exit(0);
        }
    }
}

libfuzzer_sys::fuzz_target!(init: choose(), |data: &[u8]| {
    fuzz::run(TARGET.get().map_or("", String::as_str), data)
});
