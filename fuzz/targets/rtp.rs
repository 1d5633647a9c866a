#![no_main]
//! libFuzzer's entrance; what is done with an input stands in `drive/rtp.rs`.

#[path = "../drive/bounds.rs"]
mod bounds;
#[path = "../drive/rtp.rs"]
mod drive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drive::run(input));
