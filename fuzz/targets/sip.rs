#![no_main]
//! libFuzzer's entrance; what is done with an input stands in `drive/sip.rs`.

#[path = "../drive/bounds.rs"]
mod bounds;
#[path = "../drive/sip.rs"]
mod drive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drive::run(input));
