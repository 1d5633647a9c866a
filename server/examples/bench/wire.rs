//! Just enough SIP to load a server with: messages from templates, answers
//! read without copying.

use std::net::SocketAddr;

/// A message, its parts where they lie.
pub(crate) struct Seen<'a> {
    first: &'a str,
    head: &'a str,
    /// What follows the empty line.
    pub(crate) body: &'a str,
}

impl<'a> Seen<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (top, body) = text.split_once("\r\n\r\n")?;
        let (first, head) = top.split_once("\r\n")?;
        Some(Self { first, head, body })
    }

    /// The status code; none for requests.
    pub(crate) fn code(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method of a request, or of the request that a response is to.
    pub(crate) fn method(&self) -> &'a str {
        self.header("CSeq")
            .and_then(|value| value.rsplit(' ').next())
            .unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.lines(name).next().map(|(_, value)| value)
    }

    /// Every line of that name, whole and its value.
    fn lines<'n>(&self, name: &'n str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a, 'n> {
        self.head.split("\r\n").filter_map(move |line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then_some((line, value.trim()))
        })
    }

    /// Which call of this load it belongs to, by its Call-ID.
    pub(crate) fn number(&self) -> Option<usize> {
        self.header("Call-ID")?.split('@').next()?.parse().ok()
    }

    /// The Contact's URI.
    pub(crate) fn contact(&self) -> Option<&'a str> {
        self.header("Contact")?.split_once('<')?.1.split('>').next()
    }

    /// The audio port in the body.
    pub(crate) fn audio_port(&self) -> Option<u16> {
        let rest = self.body.split("m=audio ").nth(1)?;
        rest.split(' ').next()?.parse().ok()
    }

    /// An answer to this request. `tag` is added to To where it has none.
    pub(crate) fn answer(&self, status: &str, tag: usize, more: &str, body: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for (line, _) in self.lines(name) {
                text.push_str(line);
                if name == "To" && !line.contains(";tag=") {
                    text.push_str(&format!(";tag=b{tag}"));
                }
                text.push_str("\r\n");
            }
        }
        finish(text, more, body)
    }
}

/// A request of ours. `to` is the whole value, tag included.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) number: usize,
    pub(crate) cseq: u32,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) local: SocketAddr,
    /// As Via names it.
    pub(crate) transport: &'static str,
}

impl Request<'_> {
    pub(crate) fn write(&self, more: &str, body: &str) -> String {
        let Self {
            method,
            uri,
            number,
            cseq,
            from,
            to,
            local,
            transport,
        } = self;
        let text = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {local};branch=z9hG4bK{number}x{cseq}{method}\r\n\
             From: <sip:{from}@{local}>;tag=f{number}\r\n\
             To: {to}\r\n\
             Call-ID: {number}@{local}\r\n\
             CSeq: {cseq} {method}\r\n\
             Contact: <sip:{from}@{local}>\r\n\
             Max-Forwards: 70\r\n"
        );
        finish(text, more, body)
    }
}

fn finish(mut text: String, more: &str, body: &str) -> String {
    text.push_str(more);
    if !body.is_empty() {
        text.push_str("Content-Type: application/sdp\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    text
}

/// A phone's session description.
pub(crate) fn sdp(audio_port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {audio_port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
    )
}
