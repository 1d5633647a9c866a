//! The RFCs' vectors, another implementation's packets, and what no packet may do.

mod peer;

use proptest::prelude::*;

use super::transform::Rtp;
use super::*;
use peer::PEER;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn base64_of(bytes: &[u8]) -> String {
    let mut text = String::new();
    base64::encode(bytes, &mut text);
    text
}

/// A master key of these bytes.
fn key(suite: Suite, bytes: &[u8]) -> MasterKey {
    MasterKey::from_base64(suite, base64_of(bytes).as_bytes()).unwrap()
}

fn counted(suite: Suite) -> MasterKey {
    let bytes: Vec<u8> = (1..=44).collect();
    key(suite, &bytes[..suite.key_bytes() + suite.salt_bytes()])
}

fn rtp(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let [s0, s1] = sequence.to_be_bytes();
    let header = [0x80, 0, s0, s1, 0, 0, 0, 160, 0xca, 0xfe, 0xba, 0xbe];
    [&header, payload].concat()
}

fn sealed(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    bytes.resize(packet.len() + OVERHEAD_BYTES_MAX, 0);
    let length = outbound.rtp(&mut bytes, packet.len()).unwrap();
    bytes.truncate(length);
    bytes
}

fn sealed_rtcp(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    bytes.resize(packet.len() + OVERHEAD_BYTES_MAX, 0);
    let length = outbound.rtcp(&mut bytes, packet.len()).unwrap();
    bytes.truncate(length);
    bytes
}

fn opened(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut bytes = packet.to_vec();
    let length = inbound.rtp(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn opened_rtcp(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut bytes = packet.to_vec();
    let length = inbound.rtcp(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

#[test]
fn session_keys_are_those_of_rfc_3711_b_3() {
    let master = hex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6");
    let key = key(Suite::AesCm128HmacSha1_80, &master);
    let [cipher, salt, auth] = transform::session_keys(&key);
    assert_eq!(cipher, hex("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(salt, hex("30cbbc08863d8c85d49db34a9ae1"));
    assert_eq!(auth, hex("cebe321f6ff7716b6fd4ab49af256a156d38baa4"));
}

#[test]
fn counter_mode_is_that_of_rfc_3711_b_2() {
    let mut stream = [0; 48];
    let start = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000");
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    transform::stream_of(&key, &start, &mut stream);
    let expected = "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0";
    assert_eq!(stream.to_vec(), hex(expected));
}

#[test]
fn a_packet_of_rfc_7714_16_1_1() {
    let session = Rtp::of_session(&hex("000102030405060708090a0b0c0d0e0f"), b"Quid pro quo");
    let mut packet = hex("8040f17b8041f8d35501a0b2");
    packet.extend(b"Gallia est omnis divisa in partes tres");
    let length = packet.len();
    packet.resize(length + 16, 0);
    session.protect(&mut packet, 12, length, 0x5501_a0b2, 0xf17b);
    let expected = "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b\
                    36de3adf8833899d7f27beb16a9152cf765ee4390cce";
    assert_eq!(packet, hex(expected));
}

#[test]
fn another_implementation_agrees() {
    let mut extended = hex("900f1234decafbadcafebabebede000110aa0000");
    extended.extend(b"hello careline!! 1234567");
    let rolled = rtp(3, &[0x55; 20]);
    let report = [hex("81c90007cafebabe"), (0..24).collect()].concat();
    for (suite, [first, later, ..]) in PEER {
        let key = counted(suite);
        let mut outbound = Outbound::new(&key);
        assert_eq!(sealed(&mut outbound, &extended), hex(first), "{suite:?}");
        for sequence in [0x9000, 0xffff] {
            sealed(&mut outbound, &rtp(sequence, &[0x55; 20]));
        }
        assert_eq!(sealed(&mut outbound, &rolled), hex(later), "{suite:?}");
    }
    for (suite, [first, later, first_report, second_report]) in PEER {
        let key = counted(suite);
        let mut inbound = Inbound::new(&key, 0);
        assert_eq!(opened(&mut inbound, &hex(first)), Ok(extended.clone()));
        // Between the two lie packets that moved its count on.
        let mut outbound = Outbound::new(&key);
        for sequence in [0x9000, 0xffff] {
            let packet = sealed(&mut outbound, &rtp(sequence, &[0x55; 20]));
            opened(&mut inbound, &packet).unwrap();
        }
        assert_eq!(opened(&mut inbound, &hex(later)), Ok(rolled.clone()));
        for theirs in [first_report, second_report] {
            assert_eq!(opened_rtcp(&mut inbound, &hex(theirs)), Ok(report.clone()));
        }
        // It counts reports from 1, we from 0 as RFC 3711 section 3.4 says.
        let ours = [0; 3].map(|_| sealed_rtcp(&mut outbound, &report));
        assert_eq!(ours[1..], [hex(first_report), hex(second_report)]);
    }
}

#[test]
fn nothing_is_taken_twice_nor_too_late() {
    for suite in Suite::ALL {
        let key = counted(suite);
        let (mut outbound, mut inbound) = (Outbound::new(&key), Inbound::new(&key, 0));
        let packets: Vec<Vec<u8>> = (0..300u16)
            .map(|n| {
                sealed(
                    &mut outbound,
                    &rtp(65_400u16.wrapping_add(n), &[n as u8; 160]),
                )
            })
            .collect();
        // Every other, so that the ones between are late.
        for packet in packets.iter().step_by(2) {
            assert!(opened(&mut inbound, packet).is_ok());
        }
        for (n, packet) in packets.iter().enumerate() {
            let late_but_in_time = n % 2 == 1 && n > 170;
            let taken = opened(&mut inbound, packet);
            assert_eq!(taken.is_ok(), late_but_in_time, "{suite:?} {n} {taken:?}");
            assert_eq!(opened(&mut inbound, packet), Err(Refusal::Replayed));
        }
    }
}

#[test]
fn an_mki_is_passed_over() {
    for suite in Suite::ALL {
        let key = counted(suite);
        let (mut outbound, mut inbound) = (Outbound::new(&key), Inbound::new(&key, 4));
        let plain = rtp(9, b"abcdefgh");
        let mut packet = sealed(&mut outbound, &plain);
        let place = match suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => packet.len(),
            Suite::AesCm128HmacSha1_80 => packet.len() - 10,
            Suite::AesCm128HmacSha1_32 => packet.len() - 4,
        };
        packet.splice(place..place, [0, 0, 0, 1]);
        assert_eq!(opened(&mut inbound, &packet), Ok(plain), "{suite:?}");
    }
}

#[test]
fn sources_are_bounded() {
    let key = counted(Suite::AeadAes128Gcm);
    let mut inbound = Inbound::new(&key, 0);
    let from = |source: u8| {
        let mut packet = rtp(1, b"x");
        packet[11] = source;
        sealed(&mut Outbound::new(&key), &packet)
    };
    for source in 0..16 {
        assert!(opened(&mut inbound, &from(source)).is_ok());
    }
    assert_eq!(opened(&mut inbound, &from(16)), Err(Refusal::Sources));
    assert_eq!(opened(&mut inbound, &from(3)), Err(Refusal::Replayed));
}

#[test]
fn keys_are_not_shown() {
    let secret = Secret::new([0x41; 32]);
    let key = secret.master(Suite::AesCm128HmacSha1_80);
    let keys = Keys {
        local: key.clone(),
        remote: key.clone(),
        remote_mki_bytes: 0,
    };
    let shown = format!(
        "{secret:?} {keys:?} {:?} {:?}",
        Outbound::new(&key),
        Inbound::new(&key, 0)
    );
    let mut text = String::new();
    key.write_base64(&mut text);
    assert!(
        !shown.contains(&text[..8]) && !shown.contains("65"),
        "{shown}"
    );
    let mut source = secret.clone();
    let drawn = [source.draw(), source.draw(), source];
    assert!(drawn.iter().all(|other| *other != secret) && drawn[0] != drawn[1]);
    // Every suite has a key of its own, and every leg.
    let other = Secret::new([0x42; 32]);
    assert_ne!(key.key(), secret.master(Suite::AeadAes128Gcm).key());
    assert_ne!(key.key(), other.master(Suite::AesCm128HmacSha1_80).key());
}

#[test]
fn base64_is_exact() {
    for (text, expected) in [
        ("Zm9vYmFy", Some(&b"foobar"[..])),
        ("Zm9vYg==", Some(b"foob")),
        ("Zm9vYg", Some(b"foob")),
        ("Zm9vYmE=", Some(b"fooba")),
    ] {
        let mut out = vec![0; expected.unwrap().len()];
        base64::decode(text.as_bytes(), &mut out).unwrap();
        assert_eq!(Some(&out[..]), expected);
    }
    for wrong in ["", "Zm9v", "Zm9vYmFyYQ==", "Zm9v!mFy", "Zm9vYmF=y"] {
        assert!(
            base64::decode(wrong.as_bytes(), &mut [0; 6]).is_none(),
            "{wrong}"
        );
    }
}

/// The packets before the rollover were lost, or came while the leg was on hold.
#[test]
fn a_source_first_heard_after_its_rollover_is_opened() {
    for suite in Suite::ALL {
        let key = counted(suite);
        let mut outbound = Outbound::new(&key);
        for sequence in [65_000, 65_535] {
            sealed(&mut outbound, &rtp(sequence, b"lost"));
        }
        let mut inbound = Inbound::new(&key, 0);
        for sequence in [3, 5, 4] {
            let plain = rtp(sequence, b"heard");
            let packet = sealed(&mut outbound, &plain);
            let mut damaged = packet.clone();
            damaged[13] ^= 1;
            assert_eq!(opened(&mut inbound, &damaged), Err(Refusal::Forged));
            assert_eq!(opened(&mut inbound, &packet), Ok(plain), "{suite:?}");
            assert_eq!(opened(&mut inbound, &packet), Err(Refusal::Replayed));
        }
        // Far from zero there was no rollover.
        let mut inbound = Inbound::new(&key, 0);
        let packet = sealed(&mut outbound, &rtp(30_000, b"late"));
        assert_eq!(opened(&mut inbound, &packet), Err(Refusal::Forged));
    }
}

fn suites() -> impl Strategy<Value = Suite> {
    (0usize..4).prop_map(|place| Suite::ALL[place])
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(
        suite in suites(),
        secret: [u8; 32],
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        start in 0u16..0x8000,
        count in 1usize..12,
    ) {
        let key = Secret::new(secret).master(suite);
        let (mut outbound, mut inbound) = (Outbound::new(&key), Inbound::new(&key, 0));
        let mut text = String::new();
        key.write_base64(&mut text);
        prop_assert_eq!(MasterKey::from_base64(suite, text.as_bytes()), Some(key));
        for n in 0..count {
            let plain = rtp(start + n as u16, &payload);
            let packet = sealed(&mut outbound, &plain);
            prop_assert_eq!(opened(&mut inbound, &packet), Ok(plain));
            let report = [&[0x80, 201, 0, 1, 1, 2, 3, 4][..], &payload].concat();
            let packet = sealed_rtcp(&mut outbound, &report);
            prop_assert_eq!(opened_rtcp(&mut inbound, &packet), Ok(report));
        }
    }

    /// One bit anywhere, and the packet is refused; the genuine one is still taken after it.
    #[test]
    fn damage_is_noticed(suite in suites(), payload in proptest::collection::vec(any::<u8>(), 1..200), at: usize) {
        let key = counted(suite);
        let plain = rtp(7, &payload);
        let packet = sealed(&mut Outbound::new(&key), &plain);
        let mut inbound = Inbound::new(&key, 0);
        let mut damaged = packet.clone();
        damaged[at / 8 % packet.len()] ^= 1 << (at % 8);
        prop_assert!(opened(&mut inbound, &damaged).is_err());
        prop_assert_eq!(opened(&mut inbound, &packet), Ok(plain));
    }

    #[test]
    fn any_bytes_are_survived(suite in suites(), bytes in proptest::collection::vec(any::<u8>(), 0..100), mki in 0usize..=16) {
        let mut inbound = Inbound::new(&counted(suite), mki);
        prop_assert!(opened(&mut inbound, &bytes).is_err());
        prop_assert!(opened_rtcp(&mut inbound, &bytes).is_err());
        let mut outbound = Outbound::new(&counted(suite));
        let mut tight = bytes.clone();
        let _ = outbound.rtp(&mut tight, bytes.len());
        let _ = outbound.rtcp(&mut tight, bytes.len() + 5);
    }
}

/// The index a late joiner and a long call need: RFC 3711 section 3.3.1 and appendix A.
#[test]
fn a_day_of_packets_rolls_over() {
    let key = counted(Suite::AeadAes128Gcm);
    let (mut outbound, mut inbound) = (Outbound::new(&key), Inbound::new(&key, 0));
    // A packet every half minute's worth of numbers: gaps up to half the range are bridged.
    for n in 0..4_000u32 {
        let packet = sealed(&mut outbound, &rtp((n * 30_000) as u16, b"x"));
        assert!(opened(&mut inbound, &packet).is_ok(), "{n}");
    }
}
