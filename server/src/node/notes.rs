//! What of the calls' notes is worth a line in the log: what somebody may have
//! to act on. The rest is there for who looks for it (`debug`).

use switch::{Note, NoteWhat};

/// Writes a note down.
pub(super) fn log(note: &Note) {
    let (contact, tenant) = (note.contact.0, note.tenant.0);
    tracing::debug!(contact, tenant, what = ?note.what);
    let words = match &note.what {
        NoteWhat::Emergency {
            account,
            number,
            step,
        } => {
            // What an alert hangs on: somebody of the house has to know, and meet those who come.
            return tracing::warn!(
                call = contact,
                tenant,
                account = &**account,
                number = &**number,
                ?step,
                "EMERGENCY CALL"
            );
        }
        NoteWhat::OneWayAudio(..) => {
            "audio goes one way: this side isn't heard, or (unheard) doesn't hear us"
        }
        NoteWhat::TargetForbidden(_) => {
            "an agent's transfer or question leads where the dial rules don't: refused"
        }
        NoteWhat::NotEncrypted(_) => "encryption is required and couldn't be had: refused",
        NoteWhat::NowInClear(_) => "a call that was encrypted goes on in the clear",
        NoteWhat::AnswerUnusable(_) => {
            "an answer to an offer of ours can't be used: the call goes on as it was"
        }
        _ => return,
    };
    tracing::warn!(contact, tenant, what = ?note.what, "{words}");
}
