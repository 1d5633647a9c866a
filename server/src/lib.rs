//! server

pub mod rtp;
