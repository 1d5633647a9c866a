//! The shipped flows pass the checker, their own tests, and leave no node untried.

use ivr_flows::{CheckError, Drafts, Purpose, run_tests, unvisited};

fn told<T>(errors: Vec<CheckError>) -> T {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    panic!("{}", errors.join("\n"))
}

fn shipped() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/flows");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the folder of shipped flows")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .map(|path| {
            let name = path
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned();
            (
                name,
                std::fs::read_to_string(&path).expect("a readable flow"),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn shipped_flows_pass_their_own_tests() {
    let mut failures = Vec::new();
    let mut drafts = Drafts::default();
    let mut names = Vec::new();
    for (file, source) in shipped() {
        let name = drafts.add(&file, &source).unwrap_or_else(told);
        names.push((file, name));
    }
    let flows = drafts.link().unwrap_or_else(told);
    for (file, name) in names {
        let flow = &flows[&name];
        assert_eq!(
            format!("{}.yaml", flow.name()),
            file,
            "a shipped flow is named like its file"
        );
        assert_eq!(flow.purpose(), Purpose::Callers, "{file}");
        let results = run_tests(flow);
        assert!(!results.is_empty(), "{file} has no tests");
        for result in &results {
            if let Some(failure) = &result.failure {
                failures.push(format!(
                    "{file}:{}: {}: {failure}",
                    result.line, result.name
                ));
            }
        }
        let untried = unvisited(flow, &results);
        println!(
            "{file}: {} tests, {} of {} nodes walked",
            results.len(),
            flow.nodes().count() - untried.len(),
            flow.nodes().count()
        );
        if !untried.is_empty() {
            failures.push(format!(
                "{file}: no test walks through {}",
                untried.join(", ")
            ));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
