//! SDP: an input is an offer to us and, behind a NUL, an answer to ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use media::codec::{Codec, Format};
use media::sdp::{Capabilities, LocalMedia, Negotiated, SdpError, accept, answer, offer};

use super::bounds::within;

/// Does with `input` whatever can be done with it.
pub(crate) fn run(input: &[u8]) {
    let mut parts = input.split(|byte| *byte == 0);
    let theirs = parts.next().unwrap_or_default();
    let reply = parts.next().unwrap_or(theirs);
    let alone = Capabilities {
        codecs: vec![Codec::Pcma.into(), Format::G722],
        telephone_event: false,
        rtcp_mux: false,
        ..Capabilities::default()
    };
    for caps in [Capabilities::default(), alone] {
        for address in [
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ] {
            let local = LocalMedia::new(address, 4_000, 1);
            answered(theirs, &local, &caps);
            let ours = offer(&local, &caps);
            match within(reply.len(), 40, 8_192, || accept(&ours, reply)) {
                Ok(agreed) => {
                    plausible(&agreed, &local);
                    assert!(caps.codecs.contains(&agreed.codec), "what was offered");
                    assert!(caps.telephone_event || agreed.telephone_event.is_none());
                }
                Err(error) => refused(&error),
            }
        }
    }
}

fn answered(theirs: &[u8], local: &LocalMedia, caps: &Capabilities) {
    let (agreed, ours) = match within(theirs.len(), 40, 8_192, || answer(theirs, local, caps)) {
        Ok(agreed) => agreed,
        Err(error) => return refused(&error),
    };
    plausible(&agreed, local);
    assert!(caps.codecs.contains(&agreed.codec), "what we speak");
    assert!(ours.len() <= 4 * theirs.len() + 512, "an answer that grows");
    let ports: Vec<bool> = media_lines(&ours).collect();
    assert_eq!(
        ports.len(),
        media_lines(theirs).count(),
        "RFC 3264 section 6: as many m-lines as offered"
    );
    assert_eq!(
        ports.iter().filter(|open| **open).count(),
        1,
        "one stream is taken"
    );
    // The offerer understands the answer the way we meant it.
    if ports.first() == Some(&true) {
        let heard = accept(theirs, &ours).expect("our answer fits the offer");
        assert_eq!(heard.codec, agreed.codec);
        assert_eq!(heard.payload_type, agreed.payload_type);
        assert_eq!(heard.rtcp_mux, agreed.rtcp_mux);
        assert_eq!(heard.telephone_event, agreed.telephone_event);
        assert_eq!(heard.remote_rtp.ip(), local.address);
        assert_eq!(heard.remote_rtp.port(), local.port);
    }
}

/// For each m-line, whether its port is open.
fn media_lines(text: &[u8]) -> impl Iterator<Item = bool> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(b"m="))
        .map(|line| {
            let port = line.split(|byte| *byte == b' ').nth(1);
            port.is_some_and(|port| !port.starts_with(b"0"))
        })
}

fn plausible(agreed: &Negotiated, local: &LocalMedia) {
    assert!(agreed.payload_type < 128 && agreed.receive_payload_type < 128);
    assert!(agreed.telephone_event.is_none_or(|number| number < 128));
    assert_eq!(agreed.remote_rtp.is_ipv4(), local.address.is_ipv4());
    if agreed.direction.sends() {
        assert!(!agreed.remote_rtp.ip().is_unspecified() && agreed.remote_rtp.port() != 0);
    }
    let _ = agreed.on_hold();
}

fn refused(error: &SdpError) {
    assert!(matches!(error.status(), 400 | 413 | 488));
    assert!(error.to_string().len() < 200, "a message of bounded size");
}
