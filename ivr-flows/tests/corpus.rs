//! What fuzzing has found, and what it starts from.

#[path = "../../fuzz/drive/bounds.rs"]
mod bounds;
#[path = "../../fuzz/drive/condition.rs"]
mod condition;
#[path = "../../fuzz/drive/edit.rs"]
mod edit;
#[path = "../../fuzz/drive/flow.rs"]
mod flow;
#[path = "../../fuzz/drive/replay.rs"]
mod replay;

#[test]
fn kept_flows_keep_their_promises() {
    replay::replay("flow", flow::run);
}

#[test]
fn kept_edits_say_what_was_asked_for() {
    replay::replay("edit", edit::run);
}

#[test]
fn kept_conditions_are_taken_or_refused() {
    replay::replay("condition", condition::run);
}
