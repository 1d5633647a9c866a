//! Just enough reading of SIP text for a lean caller and for watching the
//! wire: the messages read here were written by the system under test, whose
//! own parser is not used, so that the two can't be wrong together.

/// A message seen as lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight<'a> {
    text: &'a str,
}

impl<'a> Sight<'a> {
    /// `None` when it isn't text at all.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(|text| Self { text })
    }

    /// The status code, of a response.
    pub(crate) fn code(self) -> Option<u16> {
        self.text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The first line.
    pub(crate) fn first_line(self) -> &'a str {
        self.text.split("\r\n").next().unwrap_or("")
    }

    /// The first word: the method, of a request.
    pub(crate) fn method(self) -> &'a str {
        self.text.split(' ').next().unwrap_or("")
    }

    /// The value of the first header of this name.
    pub(crate) fn header(self, name: &str) -> Option<&'a str> {
        let mut rest = self.text;
        loop {
            let end = rest.find('\n')?;
            rest = &rest[end + 1..];
            if rest.starts_with('\r') {
                return None;
            }
            if rest.len() > name.len()
                && rest.as_bytes()[name.len()] == b':'
                && rest.as_bytes()[..name.len()].eq_ignore_ascii_case(name.as_bytes())
            {
                let line = rest.split('\n').next().unwrap_or("");
                return Some(line[name.len() + 1..].trim());
            }
        }
    }

    /// Every header line of this name, whole.
    pub(crate) fn lines(self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter(move |line| {
                line.len() > name.len()
                    && line.as_bytes()[name.len()] == b':'
                    && line.as_bytes()[..name.len()].eq_ignore_ascii_case(name.as_bytes())
            })
    }

    /// The method a response is to, or a request's own.
    pub(crate) fn cseq_method(self) -> &'a str {
        self.header("CSeq")
            .and_then(|value| value.split_whitespace().nth(1))
            .unwrap_or("")
    }

    /// The tag of the To header.
    pub(crate) fn to_tag(self) -> Option<&'a str> {
        tag(self.header("To")?)
    }

    /// The URI inside the Contact header.
    pub(crate) fn contact_uri(self) -> Option<&'a str> {
        let value = self.header("Contact")?;
        match (value.find('<'), value.find('>')) {
            (Some(from), Some(to)) if from < to => Some(&value[from + 1..to]),
            _ => value.split(';').next(),
        }
    }

    /// The port of the audio stream in the body.
    pub(crate) fn audio_port(self) -> Option<u16> {
        let at = self.text.find("m=audio ")?;
        self.text[at + 8..].split(' ').next()?.parse().ok()
    }
}

/// The tag parameter of a From or To value.
pub(crate) fn tag(value: &str) -> Option<&str> {
    let after = &value[value.find(";tag=")? + 5..];
    Some(after.split([';', ' ', '>']).next().unwrap_or(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_needs() {
        let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nvia: b\r\n\
            To: <sip:1@x>;tag=77\r\nCSeq: 12 INVITE\r\nContact: <sip:x@y:5060>;q=1\r\n\r\n\
            v=0\r\nm=audio 4000 RTP/AVP 0\r\nCall-ID: not a header\r\n";
        let sight = Sight::of(text.as_bytes()).unwrap();
        assert_eq!(sight.code(), Some(200));
        assert_eq!(sight.cseq_method(), "INVITE");
        assert_eq!(sight.to_tag(), Some("77"));
        assert_eq!(sight.contact_uri(), Some("sip:x@y:5060"));
        assert_eq!(sight.audio_port(), Some(4000));
        assert_eq!(sight.lines("Via").count(), 2);
        assert_eq!(sight.header("Call-ID"), None);
        let bye = Sight::of(b"BYE sip:x SIP/2.0\r\n\r\n").unwrap();
        assert_eq!((bye.method(), bye.code()), ("BYE", None));
    }
}
