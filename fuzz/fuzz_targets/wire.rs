#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code)]
mod targets;
#[path = "../wire.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::wire(data));
