//! Where a redirection leads (RFC 3261 sections 8.1.3.4 and 21.3).

use crate::message::Response;
use crate::wire::{NameAddr, Uri, thousandths};

/// The addresses that a 3xx names, the preferred first: by `q` (1 where there is none), then as they stand. At most
/// `most`; what can't be read is left out. What is made of them is a matter of policy: nothing here says that any may
/// be called.
#[must_use]
pub fn contacts(response: &Response, most: usize) -> Vec<Uri> {
    let read = response.contacts().filter_map(|value| {
        let address = NameAddr::parse(value).ok()?;
        let q = address.params.get("q").and_then(thousandths);
        Some((q.unwrap_or(1000), address.uri))
    });
    let mut contacts: Vec<(u16, Uri)> = read.collect();
    contacts.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
    contacts.truncate(most);
    contacts.into_iter().map(|(_, uri)| uri).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Peer, parse_datagram};

    fn led_to(contacts_of: &str, most: usize) -> Vec<String> {
        let text = format!(
            "SIP/2.0 302 Moved Temporarily\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.2>;tag=2\r\nCall-ID: 1\r\n\
             CSeq: 1 INVITE\r\n{contacts_of}Content-Length: 0\r\n\r\n"
        );
        let peer = Peer::udp(([192, 0, 2, 2], 5060).into());
        match parse_datagram(text.as_bytes(), peer) {
            Ok(Message::Response(response)) => contacts(&response, most)
                .iter()
                .map(|uri| uri.as_str().to_owned())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_preferred_comes_first() {
        for (contacts, expected) in [
            ("", &[][..]),
            ("Contact: <sip:1@x>\r\n", &["sip:1@x"]),
            (
                "Contact: <sip:1@x>;q=0.2, <sip:2@x>, \"A, B\" <sip:3@x>;q=0.75\r\nm: sip:4@x;q=1.0\r\n",
                &["sip:2@x", "sip:4@x", "sip:3@x", "sip:1@x"],
            ),
            // No such q: as if there were none.
            (
                "Contact: <sip:1@x>;q=0.5, <sip:2@x>;q=7\r\n",
                &["sip:2@x", "sip:1@x"],
            ),
            // `*` means something in a REGISTER alone.
            ("Contact: *\r\nContact: <tel:+1555>\r\n", &["tel:+1555"]),
            ("Contact: <sip:1@x?Replaces=a>\r\n", &["sip:1@x?Replaces=a"]),
        ] {
            assert_eq!(led_to(contacts, 9), expected, "{contacts}");
        }
    }

    #[test]
    fn a_flood_of_them_is_cut_after_sorting() {
        let many: Vec<String> = (0..300)
            .map(|n| format!("<sip:{n}@x>;q=0.{n:03}"))
            .collect();
        let many = format!("Contact: {}\r\n", many.join(","));
        assert_eq!(led_to(&many, 2), ["sip:299@x", "sip:298@x"]);
    }
}
