#![no_main]
//! libFuzzer's entrance; what is done with an input stands in `drive/edit.rs`.

#[path = "../drive/bounds.rs"]
mod bounds;
#[path = "../drive/edit.rs"]
mod drive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drive::run(input));
