//! server

pub mod rtp;
pub mod store;
