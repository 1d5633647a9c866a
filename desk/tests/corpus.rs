//! What fuzzing has found, and what it starts from.

#[path = "../../fuzz/drive/bounds.rs"]
mod bounds;
#[path = "../../fuzz/drive/people.rs"]
mod people;
#[path = "../../fuzz/drive/replay.rs"]
mod replay;

use proptest::prelude::*;

#[test]
fn kept_files_of_people_are_taken_or_refused() {
    replay::replay("people", people::run);
}

const FILES: [&[u8]; 4] = [
    include_bytes!("../../fuzz/corpus/people/table.csv"),
    include_bytes!("../../fuzz/corpus/people/proxies.csv"),
    include_bytes!("../../fuzz/corpus/people/bundle.json"),
    include_bytes!("../../fuzz/corpus/people/lines.ndjson"),
];
/// What is put into files: what ends fields, and values that mean something elsewhere.
const PIECES: [&[u8]; 16] = [
    b",",
    b"\"",
    b"\n",
    b"\r\n",
    b"|",
    b"{",
    b"}",
    b"[",
    b"null",
    b"true",
    b"\xff",
    b"\0",
    b"2026-02-30",
    b"24:00-00:00",
    b"-1",
    "\u{202e}".as_bytes(),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_with_anything_in_it_is_taken_or_refused(
        file in 0..FILES.len(),
        kind in 0_u8..8,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, 0..PIECES.len()), 1..8),
    ) {
        let mut input = FILES[file].to_vec();
        // Mostly read as what it is.
        input[0] = if file < 2 { kind & 6 } else { kind | 1 };
        for (at, remove, piece) in edits {
            let at = 1 + at.index(input.len() - 1);
            let end = (at + remove.saturating_sub(20)).min(input.len());
            input.splice(at..end, PIECES[piece].iter().copied());
        }
        people::run(&input);
    }
}
