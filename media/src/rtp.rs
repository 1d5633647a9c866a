//! RTP packets (RFC 3550 section 5).
