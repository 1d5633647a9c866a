//! Kept inputs as a test: `make test` needs no fuzzer for what one has found.

use std::path::Path;

/// Gives every file of `fuzz/corpus/TARGET` to `run`.
pub(crate) fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder.join(target))
        .expect("the corpus is there")
        .map(|entry| entry.expect("the corpus can be listed").path())
        .collect();
    files.sort();
    assert!(files.len() > 3, "{target} has a corpus");
    for file in files {
        // Shown with a failure only.
        println!("{}", file.display());
        run(&std::fs::read(&file).expect("the input can be read"));
    }
}
