//! Careline among others: behind Kamailio, across a network that loses and reorders, and with SIPp's less usual ways of
//! calling. Who was tried with what stands in `docs/interop.md`.

#[path = "../support/mod.rs"]
mod support;

mod bad_network;
mod behind_a_proxy;
