#![no_main]
//! libFuzzer's entrance; what is done with an input stands in `drive/people.rs`.

#[path = "../drive/bounds.rs"]
mod bounds;
#[path = "../drive/people.rs"]
mod drive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drive::run(input));
