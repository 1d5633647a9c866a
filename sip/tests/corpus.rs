//! What fuzzing has found, and what it starts from.

#[path = "../../fuzz/drive/bounds.rs"]
mod bounds;
#[path = "../../fuzz/drive/sip.rs"]
mod drive;
#[path = "../../fuzz/drive/replay.rs"]
mod replay;

#[test]
fn kept_conversations_end_well() {
    replay::replay("sip", drive::run);
}
