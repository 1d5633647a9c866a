//! server

pub mod phone;
pub mod rtp;
pub mod store;
