#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atlas_crdt_fuzz::room::run(data));
