//! What fuzzing has found, and what it starts from.

#[path = "../../fuzz/drive/bounds.rs"]
mod bounds;
#[path = "../../fuzz/drive/replay.rs"]
mod replay;
#[path = "../../fuzz/drive/rtp.rs"]
mod rtp;
#[path = "../../fuzz/drive/sdp.rs"]
mod sdp;

#[test]
fn kept_descriptions_are_taken_or_refused() {
    replay::replay("sdp", sdp::run);
}

#[test]
fn kept_packets_are_taken_or_ignored() {
    replay::replay("rtp", rtp::run);
}
