//! Where a call has been, told to whom it is sent on (History-Info, RFC 7044).

use sip::wire::NameAddr;

/// Longest index taken over from others.
const INDEX_MAX: usize = 32;

/// The two entries that we add: the number of ours that was dialled, and whom
/// the call is sent to because of it (`mp`: somebody else, section 8.2.2).
/// `before`: the entries that came with the call, the latest last; if the last
/// of them is the number dialled, it stands for the first of ours.
pub(super) fn entries<'a>(
    before: impl Iterator<Item = &'a str>,
    dialled: &str,
    ours: &str,
    target: &str,
) -> Vec<String> {
    let last = before.last().and_then(|value| NameAddr::parse(value).ok());
    let index = last.as_ref().and_then(|entry| entry.params.get("index"));
    let index = index.filter(|index| {
        let mut parts = index.split('.');
        index.len() <= INDEX_MAX
            && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    });
    let is_dialled = last.is_some_and(|entry| entry.uri.user_raw() == Some(dialled));
    let mut entries = Vec::new();
    let index = match index {
        Some(index) if is_dialled => index.to_string(),
        last => {
            let index = last.map_or_else(|| "1".to_owned(), |last| format!("{last}.1"));
            entries.push(format!("<sip:{dialled}@{ours}>;index={index}"));
            index
        }
    };
    entries.push(format!("<{target}>;index={index}.1;mp={index}"));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_on_where_the_others_end() {
        let target = "sip:7000@partner.example";
        for (before, expected) in [
            (
                &[][..],
                &[
                    "<sip:1003@ours>;index=1",
                    "<sip:7000@partner.example>;index=1.1;mp=1",
                ][..],
            ),
            (
                &["<sip:1@x>;index=1", "<sip:1003@elsewhere>;index=1.1"],
                &["<sip:7000@partner.example>;index=1.1.1;mp=1.1"],
            ),
            (
                &["<sip:1@x>;index=1.2;rc=1"],
                &[
                    "<sip:1003@ours>;index=1.2.1",
                    "<sip:7000@partner.example>;index=1.2.1.1;mp=1.2.1",
                ],
            ),
            // What can't be an index is none.
            (
                &["<sip:1003@x>;index=1..1"],
                &[
                    "<sip:1003@ours>;index=1",
                    "<sip:7000@partner.example>;index=1.1;mp=1",
                ],
            ),
        ] {
            let entries = entries(before.iter().copied(), "1003", "ours", target);
            assert_eq!(entries, expected, "{before:?}");
        }
    }
}
