//! Offers and answers, from the well-behaved to the hostile.

use std::net::{IpAddr, SocketAddr};

use media::codec::Codec;
use media::sdp::{
    BYTES_MAX, Capabilities, Direction, Encryption, LocalMedia, Negotiated, SdpError, Streams,
    accept, answer, offer, offer_again,
};
use media::srtp::{Secret, Suite};
use proptest::prelude::*;

const LOCAL: &str = "192.0.2.1";

fn local(address: &str) -> LocalMedia {
    LocalMedia::new(address.parse::<IpAddr>().unwrap(), 40_000, 77)
}

/// A description out of lines separated by ` | `.
fn description(lines: &str) -> Vec<u8> {
    lines
        .split(" | ")
        .flat_map(|line| [line.as_bytes(), b"\r\n"].concat())
        .collect()
}

fn answered(lines: &str) -> Result<(Negotiated, String), SdpError> {
    let offer = description(lines);
    answer(&offer, &local(LOCAL), &Capabilities::default())
        .map(|(negotiated, bytes)| (negotiated, String::from_utf8(bytes).unwrap()))
}

/// `codec/payload type/telephone event rtp rtcp[ mux] direction ptime`.
fn summary(negotiated: &Negotiated) -> String {
    let Negotiated {
        codec,
        payload_type,
        telephone_event,
        remote_rtp,
        remote_rtcp,
        ..
    } = negotiated;
    let events = telephone_event.map_or("-".to_owned(), |number| number.to_string());
    let mux = if negotiated.rtcp_mux { " mux" } else { "" };
    let direction = negotiated.direction.name();
    let ptime = negotiated.ptime_ms;
    format!("{codec}/{payload_type}/{events} {remote_rtp} {remote_rtcp}{mux} {direction} {ptime}")
}

const HEAD: &str = "v=0 | o=- 1 1 IN IP4 198.51.100.7 | s=- | c=IN IP4 198.51.100.7 | t=0 0 | ";

/// Lines after the usual head, and what comes of them.
#[track_caller]
fn check(lines: &str, expected: &str) {
    let outcome = match answered(&format!("{HEAD}{lines}")) {
        Ok((negotiated, _)) => summary(&negotiated),
        Err(error) => error.to_string(),
    };
    assert_eq!(outcome, expected, "{lines}");
}

#[test]
fn codecs() {
    let usual = "198.51.100.7:5004 198.51.100.7:5005 sendrecv 20";
    check("m=audio 5004 RTP/AVP 0", &format!("PCMU/0/- {usual}"));
    check("m=audio 5004 RTP/AVP 8 0", &format!("PCMA/8/- {usual}"));
    check("m=audio 5004 RTP/AVP 9 18 8", &format!("PCMA/8/- {usual}"));
    check(
        "m=audio 5004 RTP/AVP 97 | a=rtpmap:97 pcmu/8000/1",
        &format!("PCMU/97/- {usual}"),
    );
    check(
        "m=audio 5004 RTP/AVP 0 96 101 | a=rtpmap:96 telephone-event/48000 | a=rtpmap:101 telephone-event/8000",
        &format!("PCMU/0/101 {usual}"),
    );
    check(
        "m=audio 5004 RTP/AVP 96 0 | a=rtpmap:96 opus/48000/2",
        &format!("PCMU/0/- {usual}"),
    );
    check("m=audio 5004 RTP/AVP 9 18", "no common codec");
    check(
        "m=audio 5004 RTP/AVP 0 | a=rtpmap:0 PCMU/16000",
        "no common codec",
    );
    check(
        "m=audio 5004 RTP/AVP banana 300 8",
        &format!("PCMA/8/- {usual}"),
    );
}

#[test]
fn addresses() {
    check(
        "m=audio 5004 RTP/AVP 0 | c=IN IP4 203.0.113.9",
        "PCMU/0/- 203.0.113.9:5004 203.0.113.9:5005 sendrecv 20",
    );
    check(
        "m=audio 5004 RTP/AVP 0 | a=rtcp:6000",
        "PCMU/0/- 198.51.100.7:5004 198.51.100.7:6000 sendrecv 20",
    );
    check(
        "m=audio 5004 RTP/AVP 0 | a=rtcp:6000 IN IP4 203.0.113.9",
        "PCMU/0/- 198.51.100.7:5004 203.0.113.9:6000 sendrecv 20",
    );
    check(
        "m=audio 5004 RTP/AVP 0 | a=rtcp:6000 | a=rtcp-mux",
        "PCMU/0/- 198.51.100.7:5004 198.51.100.7:5004 mux sendrecv 20",
    );
    check(
        "m=audio 5004 RTP/AVP 0 | c=IN IP4 224.2.1.1/127",
        "unusable media address",
    );
    check(
        "m=audio 5004 RTP/AVP 0 | c=IN IP4 phone.example",
        "unusable media address",
    );
    check(
        "m=audio 5004 RTP/AVP 0 | c=IN IP6 2001:db8::1",
        "unusable media address",
    );
    check(
        "m=audio 5004 RTP/AVP 0 | c=IN IP6 192.0.2.1",
        "unusable media address",
    );
    check(
        "m=audio 65535 RTP/AVP 0",
        "PCMU/0/- 198.51.100.7:65535 198.51.100.7:65535 sendrecv 20",
    );
}

#[test]
fn directions() {
    let with = |direction| format!("PCMU/0/- 198.51.100.7:5004 198.51.100.7:5005 {direction} 20");
    check("m=audio 5004 RTP/AVP 0 | a=sendonly", &with("recvonly"));
    check("m=audio 5004 RTP/AVP 0 | a=recvonly", &with("sendonly"));
    check("m=audio 5004 RTP/AVP 0 | a=inactive", &with("inactive"));
    check("a=sendonly | m=audio 5004 RTP/AVP 0", &with("recvonly"));
    check(
        "a=sendonly | m=audio 5004 RTP/AVP 0 | a=sendrecv",
        &with("sendrecv"),
    );
    check(
        "m=audio 5004 RTP/AVP 0 | c=IN IP4 0.0.0.0",
        "PCMU/0/- 0.0.0.0:5004 0.0.0.0:5005 recvonly 20",
    );
}

#[test]
fn streams() {
    check("m=video 5004 RTP/AVP 0", "no usable audio stream");
    check("m=audio 0 RTP/AVP 0", "no usable audio stream");
    check(
        "m=audio 5004 RTP/SAVP 0",
        "encrypted audio is not accepted here",
    );
    check("m=audio 5004 UDP/TLS/RTP/SAVP 0", "no usable audio stream");
    check(
        "m=audio 5004 RTP/AVP",
        "session description line 6: no format in m=",
    );
    check(
        "m=audio 70000 RTP/AVP 0",
        "session description line 6: no port in m=",
    );
    check("m=audio", "session description line 6: no port in m=");
    check("nonsense", "session description line 6: not type=value");
}

#[test]
fn other_streams_are_refused_in_their_place() {
    let (_, text) = answered(
        "v=0 | o=- 1 1 IN IP4 198.51.100.7 | s=- | t=3 4 | m=video 6000 RTP/AVP 31 34 | c=IN IP4 198.51.100.7 \
         | m=audio 5004 RTP/AVP 0 101 | c=IN IP4 198.51.100.7 | a=rtpmap:101 telephone-event/8000 \
         | m=audio 5006 RTP/AVP 0 | c=IN IP4 198.51.100.7",
    )
    .unwrap();
    let expected = description(
        "v=0 | o=- 77 1 IN IP4 192.0.2.1 | s=- | c=IN IP4 192.0.2.1 | t=3 4 | m=video 0 RTP/AVP 31 34 \
         | m=audio 40000 RTP/AVP 0 101 | a=rtpmap:0 PCMU/8000 | a=rtpmap:101 telephone-event/8000 \
         | a=fmtp:101 0-15 | a=ptime:20 | a=sendrecv | m=audio 0 RTP/AVP 0",
    );
    assert_eq!(text.as_bytes(), expected.as_slice());
}

#[test]
fn sloppy_but_clear_is_understood() {
    let bare = b"v=0\nc=IN IP4 198.51.100.7\nm=audio 5004 RTP/AVP  0 \na=ptime:30.0\na=\xff\xfe";
    let (negotiated, _) = answer(bare, &local(LOCAL), &Capabilities::default()).unwrap();
    assert_eq!(
        summary(&negotiated),
        "PCMU/0/- 198.51.100.7:5004 198.51.100.7:5005 sendrecv 30"
    );
}

#[test]
fn limits() {
    let refused =
        |bytes: &[u8]| answer(bytes, &local(LOCAL), &Capabilities::default()).unwrap_err();
    assert_eq!(refused(b"").status(), 400);
    assert_eq!(
        refused(&vec![b'v'; BYTES_MAX + 1]),
        SdpError::TooLarge("bytes")
    );
    assert_eq!(
        refused(&[b"v=0\n".as_slice(), &[b'\n'; 600]].concat()),
        SdpError::TooLarge("lines")
    );
    let media = format!("v=0 | {}", "m=audio 1 RTP/AVP 0 | ".repeat(17));
    assert_eq!(refused(&description(&media)), SdpError::TooLarge("media"));
    let formats = format!("v=0 | m=audio 1 RTP/AVP{}", " 0".repeat(65));
    assert_eq!(
        refused(&description(&formats)),
        SdpError::TooLarge("formats")
    );
    assert_eq!(
        answered(&format!("{HEAD}m=audio 1 RTP/AVP 9"))
            .unwrap_err()
            .status(),
        488
    );
}

#[test]
fn our_offer_is_answered_and_accepted() {
    for (ours, theirs) in [
        ("192.0.2.1", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::2"),
    ] {
        let caps = Capabilities::default();
        let offered = offer(&local(ours), &caps);
        let phone = LocalMedia {
            port: 5004,
            ..local(theirs)
        };
        let (theirs_view, answered) = answer(&offered, &phone, &caps).unwrap();
        let our_view = accept(&offered, &answered).unwrap();
        assert_eq!(our_view.remote_rtp, SocketAddr::new(phone.address, 5004));
        assert_eq!(
            theirs_view.remote_rtp,
            SocketAddr::new(local(ours).address, 40_000)
        );
        assert_eq!(our_view.codec, Codec::Pcmu.into());
        assert_eq!(
            (our_view.telephone_event, our_view.rtcp_mux),
            (Some(101), true)
        );
    }
}

#[test]
fn answers_with_a_mind_of_their_own() {
    let offered = offer(&local(LOCAL), &Capabilities::default());
    let accepted = |lines: &str| accept(&offered, &description(&format!("{HEAD}{lines}")));
    let other =
        accepted("m=audio 5004 RTP/AVP 8 96 | a=rtpmap:96 telephone-event/8000 | a=sendonly")
            .unwrap();
    assert_eq!(
        summary(&other),
        "PCMA/8/96 198.51.100.7:5004 198.51.100.7:5005 recvonly 20"
    );
    assert_eq!(other.receive_telephone_event, Some(101));
    assert_eq!(accepted("m=audio 0 RTP/AVP 0"), Err(SdpError::NoAudio));
    assert_eq!(
        accepted("m=audio 5004 RTP/AVP 18"),
        Err(SdpError::NoCommonCodec)
    );
    assert_eq!(
        accepted("a=nothing"),
        Err(SdpError::Mismatch("no stream in the answer"))
    );
}

#[test]
fn a_hold_of_ours_reaches_the_answer() {
    let held = LocalMedia {
        direction: Direction::SendOnly,
        ..local(LOCAL)
    };
    let offered = offer(&held, &Capabilities::default());
    let (phone, answered) =
        answer(&offered, &local("198.51.100.7"), &Capabilities::default()).unwrap();
    assert_eq!(phone.direction, Direction::RecvOnly);
    assert_eq!(
        accept(&offered, &answered).unwrap().direction,
        Direction::SendOnly
    );
}

const KEY_30: &str = "inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e";
const KEY_28: &str = "inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHA==";

fn caps(encryption: Encryption) -> Capabilities {
    Capabilities {
        encryption,
        ..Capabilities::default()
    }
}

fn offered() -> Capabilities {
    caps(Encryption::Offered(Secret::new([7; 32])))
}

fn required() -> Capabilities {
    caps(Encryption::Required(Secret::new([7; 32])))
}

/// What an offer of these lines comes to: the suite, or the words of the refusal.
#[track_caller]
fn check_keys(caps: &Capabilities, lines: &str, expected: &str) {
    let offer = description(&format!("{HEAD}{lines}"));
    let outcome = match answer(&offer, &local(LOCAL), caps) {
        Ok((negotiated, text)) => {
            let text = String::from_utf8(text).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("a=crypto:"));
            match (&negotiated.srtp, line) {
                (Some(keys), Some(line)) => {
                    assert_eq!(keys.local.suite(), keys.remote.suite());
                    assert!(!line.contains(&KEY_30[7..]) && !line.contains(&KEY_28[7..]));
                    line.rsplit_once(" inline:").unwrap().0.to_owned()
                }
                (None, None) => "clear".to_owned(),
                other => panic!("{other:?}"),
            }
        }
        Err(error) => {
            assert_eq!(error.status(), 488);
            error.to_string()
        }
    };
    assert_eq!(outcome, expected, "{lines}");
}

#[test]
fn keys_are_agreed_on_as_the_policy_says() {
    let savp = "m=audio 5004 RTP/SAVP 0 | a=crypto";
    let avp = "m=audio 5004 RTP/AVP 0 | a=crypto";
    let cm = format!("{savp}:3 AES_CM_128_HMAC_SHA1_80 {KEY_30}");
    check_keys(&offered(), &cm, "3 AES_CM_128_HMAC_SHA1_80");
    check_keys(&required(), &cm, "3 AES_CM_128_HMAC_SHA1_80");
    check_keys(
        &Capabilities::default(),
        &cm,
        "encrypted audio is not accepted here",
    );
    // Keys on a stream that may go in the clear: taken where we may.
    let optional = format!("{avp}:1 AEAD_AES_128_GCM {KEY_28}");
    check_keys(&offered(), &optional, "1 AEAD_AES_128_GCM");
    check_keys(&required(), &optional, "1 AEAD_AES_128_GCM");
    check_keys(&Capabilities::default(), &optional, "clear");
    // Nothing is taken in the clear that must not be.
    check_keys(&offered(), "m=audio 5004 RTP/AVP 0", "clear");
    check_keys(
        &required(),
        "m=audio 5004 RTP/AVP 0",
        "encryption is required",
    );
    check_keys(
        &offered(),
        "m=audio 5004 RTP/SAVP 0",
        "no common crypto suite",
    );
    // Of two streams the encrypted one, whichever stands first.
    check_keys(
        &offered(),
        &format!("m=audio 5002 RTP/AVP 0 | {cm}"),
        "3 AES_CM_128_HMAC_SHA1_80",
    );
    check_keys(
        &offered(),
        &format!("{cm} | m=audio 5002 RTP/AVP 0"),
        "3 AES_CM_128_HMAC_SHA1_80",
    );
    check_keys(
        &required(),
        &format!("m=audio 5002 RTP/AVP 0 | {cm}"),
        "3 AES_CM_128_HMAC_SHA1_80",
    );
    // The first line that can be used.
    for passed_over in [
        "1 F8_128_HMAC_SHA1_80 inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e".to_owned(),
        "1 AES_CM_128_HMAC_SHA1_80 inline:dG9vIHNob3J0".into(),
        format!("1 AES_CM_128_HMAC_SHA1_80 {KEY_30} UNENCRYPTED_SRTP"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {KEY_30} KDR=1"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {KEY_30}|1:4;{KEY_30}|2:4"),
        format!("1 AES_CM_128_HMAC_SHA1_80 {KEY_30}|2^20|1:99"),
        format!("9999999999 AES_CM_128_HMAC_SHA1_80 {KEY_30}"),
        "banana".into(),
    ] {
        let lines = format!(
            "{savp}:{passed_over} | a=crypto:5 AES_CM_128_HMAC_SHA1_32 {KEY_30}|2^31|1:4 WSH=64"
        );
        check_keys(&offered(), &lines, "5 AES_CM_128_HMAC_SHA1_32");
        check_keys(
            &offered(),
            &format!("{savp}:{passed_over}"),
            "no common crypto suite",
        );
    }
}

#[test]
fn our_keys_are_answered_and_accepted() {
    for (ours, protocol) in [(offered(), "RTP/AVP"), (required(), "RTP/SAVP")] {
        let offer = offer(&local(LOCAL), &ours);
        let text = String::from_utf8(offer.clone()).unwrap();
        assert!(
            text.contains(&format!("m=audio 40000 {protocol} 0 8 101")),
            "{text}"
        );
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("a=crypto:")?.split(' ').nth(1))
            .collect();
        assert_eq!(names, Suite::ALL.map(Suite::name));
        let theirs = caps(Encryption::Offered(Secret::new([9; 32])));
        let (their_view, answered) = answer(&offer, &local("198.51.100.7"), &theirs).unwrap();
        let our_view = accept(&offer, &answered).unwrap();
        let (ours, theirs) = (our_view.srtp.unwrap(), their_view.srtp.unwrap());
        assert_eq!(ours.local.suite(), Suite::AeadAes256Gcm);
        assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
        // An answer without keys, or with keys that weren't asked for.
        let with = |keys: &str| {
            accept(
                &offer,
                &description(&format!("{HEAD}m=audio 5004 {protocol} 0{keys}")),
            )
            .map(|negotiated| negotiated.srtp.is_some())
        };
        let bare = if protocol == "RTP/AVP" {
            Ok(false)
        } else {
            Err(SdpError::EncryptionRequired)
        };
        assert_eq!(with(""), bare);
        let key = |tag| format!(" | a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 {KEY_30}");
        assert_eq!(with(&key(3)), Ok(true));
        assert!(with(&key(1)).is_err() && with(&key(77)).is_err());
    }
}

proptest! {
    #[test]
    fn any_crypto_is_survived(value in "[ -~]{0,120}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for value in [value.into_bytes(), bytes] {
            let lines = [description(&format!("{HEAD}m=audio 5004 RTP/SAVP 0")), b"a=crypto:".to_vec(), value].concat();
            let _ = answer(&lines, &local(LOCAL), &offered());
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = answer(&bytes, &local(LOCAL), &Capabilities::default());
    }

    /// Mutations of a good offer: whatever is answered is a description that can be read again.
    #[test]
    fn mutated_offers_are_survived(
        edits in proptest::collection::vec((0usize..400, any::<u8>()), 0..6),
        cut in 0usize..400,
    ) {
        let mut bytes = description(&format!(
            "{HEAD}m=audio 5004 RTP/AVP 0 8 101 | a=rtpmap:101 telephone-event/8000 | a=rtcp:5005 IN IP4 1.2.3.4 \
             | a=ptime:20 | m=video 6000 RTP/AVP 31"
        ));
        for (place, byte) in edits {
            if let Some(here) = bytes.get_mut(place) {
                *here = byte;
            }
        }
        bytes.truncate(bytes.len().min(cut.max(120)));
        if let Ok((_, answered)) = answer(&bytes, &local(LOCAL), &Capabilities::default()) {
            let again = answer(&answered, &local("198.51.100.7"), &Capabilities::default());
            prop_assert!(again.is_ok(), "{again:?}");
        }
    }
}

/// What we say next in a dialog in which we answered these streams, encrypted if they were.
fn said_again(lines: &str) -> (Vec<u8>, Capabilities) {
    let caps = Capabilities {
        encryption: Encryption::Offered(Secret::new([7; 32])),
        ..Capabilities::default()
    };
    let local = local(LOCAL);
    let offered = description(&format!("{HEAD}{lines}"));
    let (_, answered) = answer(&offered, &local, &caps).unwrap();
    let again = offer_again(&local, &caps, &Streams::of(&answered));
    (again, caps)
}

/// The lines that name streams.
fn stream_lines(description: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(description);
    let lines = text.lines().filter(|line| line.starts_with("m="));
    lines.map(str::to_owned).collect()
}

/// RFC 3264 section 8: a stream for each there was, in its place.
#[test]
fn an_offer_in_a_call_has_a_stream_for_each_before() {
    let (again, _) = said_again("m=video 5000 RTP/AVP 31 | m=audio 5004 RTP/AVP 0 | m=text 0 x y");
    let audio = "m=audio 40000 RTP/AVP 0 8 101";
    assert_eq!(
        stream_lines(&again),
        ["m=video 0 RTP/AVP 31", audio, "m=text 0 x y"]
    );
    // And once more.
    let once_more = offer_again(
        &local(LOCAL),
        &Capabilities::default(),
        &Streams::of(&again),
    );
    assert_eq!(stream_lines(&once_more), stream_lines(&again));
    // The answer's stream in that place counts.
    let answer = description(&format!(
        "{HEAD}m=video 0 RTP/AVP 31 | m=audio 5008 RTP/AVP 8 | m=text 0 x y"
    ));
    let agreed = accept(&again, &answer).unwrap();
    assert_eq!(agreed.remote_rtp.port(), 5_008);
    let short = description(&format!("{HEAD}m=audio 5008 RTP/AVP 8"));
    assert!(matches!(accept(&again, &short), Err(SdpError::Mismatch(_))));
    assert_eq!(Streams::of(b"nonsense"), Streams::default());
}

/// A call that is encrypted stays so, though keys are only offered to those who never used them.
#[test]
fn an_offer_in_an_encrypted_call_keeps_its_profile() {
    let caps = Capabilities {
        encryption: Encryption::Required(Secret::new([9; 32])),
        ..Capabilities::default()
    };
    let phone = local("198.51.100.7");
    let first = String::from_utf8(offer(&phone, &caps)).unwrap();
    let lines: Vec<&str> = first.lines().skip(5).collect();
    let (again, _) = said_again(&lines.join(" | "));
    let [line] = &stream_lines(&again)[..] else {
        panic!("one stream")
    };
    assert!(line.starts_with("m=audio 40000 RTP/SAVP "), "{line}");
    // An answer in the clear isn't one.
    let clear = description(&format!("{HEAD}m=audio 5008 RTP/AVP 0"));
    assert_eq!(accept(&again, &clear), Err(SdpError::EncryptionRequired));
}
