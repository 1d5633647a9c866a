//! Careline among others: behind Kamailio, across a network that loses and reorders, and with SIPp's less usual ways of
//! calling. Who was tried with what stands in `docs/interop.md`.

#[path = "../support/mod.rs"]
mod support;

mod bad_network;
mod behind_a_proxy;
mod closed_connection;
mod conference;
mod emergency;
mod encrypted;
mod less_usual;
mod outside;
mod wideband;

/// The matrix names the test that shows each of its lines; there are such tests.
#[test]
fn the_matrix_names_tests_that_exist() {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("readable");
    let tests = support::root().join("server/tests");
    let mut sources = String::new();
    for folder in [tests.clone(), tests.join("interop")] {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|ending| ending == "rs") {
                sources += &read(&path);
            }
        }
    }
    let matrix = read(&support::root().join("docs/interop.md"));
    let named = matrix.split('`').skip(1).step_by(2);
    // Files and programs have a dot or a slash in their names.
    let tests: Vec<&str> = named
        .filter(|name| name.contains('_') && !name.contains(['.', '/']))
        .collect();
    assert!(tests.len() > 10, "{tests:?}");
    for test in tests {
        assert!(sources.contains(&format!("fn {test}(")), "no test `{test}`");
    }
}
