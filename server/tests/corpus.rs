//! What fuzzing has found, and what it starts from.

#[path = "../../fuzz/drive/bounds.rs"]
mod bounds;
#[path = "../../fuzz/drive/config.rs"]
mod drive;
#[path = "../../fuzz/drive/replay.rs"]
mod replay;

use server::config;

#[test]
fn kept_settings_are_taken_or_refused() {
    replay::replay("config", drive::run);
}
