#![no_main]
//! libFuzzer's entrance; what is done with an input stands in `drive/condition.rs`.

#[path = "../drive/bounds.rs"]
mod bounds;
#[path = "../drive/condition.rs"]
mod drive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drive::run(input));
