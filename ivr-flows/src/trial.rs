//! A flow's own tests, run on virtual time.

use crate::Flow;

/// What came of one of the flow's own tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The test's name.
    pub name: String,
    /// Its line in the file.
    pub line: u32,
    /// Why it failed; `None`: passed.
    pub failure: Option<String>,
    /// Everything the caller heard, a prompt an entry.
    pub heard: Vec<String>,
    /// The nodes walked through, in order.
    pub visited: Vec<String>,
}

/// Runs the tests written in the flow's document.
pub fn run_tests(flow: &Flow) -> Vec<TestResult> {
    let _ = flow;
    Vec::new()
}

/// The nodes no test walked through.
pub fn unvisited<'a>(flow: &'a Flow, results: &[TestResult]) -> Vec<&'a str> {
    let _ = (flow, results);
    Vec::new()
}
