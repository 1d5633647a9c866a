#![no_main]
//! libFuzzer's entrance; what is done with an input stands in `drive/config.rs`. The server's configuration is compiled
//! in by itself: sockets, database, TLS and voice would take minutes to build and have no part in it.

#[path = "../drive/bounds.rs"]
mod bounds;
#[allow(dead_code, unused_imports)]
#[path = "../../server/src/config/mod.rs"]
mod config;
#[path = "../drive/config.rs"]
mod drive;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drive::run(input));
