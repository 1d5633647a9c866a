//! What fuzzing has found, and what it starts from.

#[path = "../../fuzz/drive/bounds.rs"]
mod bounds;
#[path = "../../fuzz/drive/people.rs"]
mod people;
#[path = "../../fuzz/drive/replay.rs"]
mod replay;

#[test]
fn kept_files_of_people_are_taken_or_refused() {
    replay::replay("people", people::run);
}
