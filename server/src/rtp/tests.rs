//! Media threads with real sockets on the loopback interface, and with rings.

mod flood;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::clip::Clip;
use media::codec::Codec;
use media::engine::{Channel, Command, Event, LegId, PlayId, PlayOutcome};
use media::rtp::{Header, Packet};
use media::sdp::Negotiated;
use tokio::sync::mpsc;

use super::{Media, MediaConfig, MediaError, RING_PACKET_BYTES, RingPhone, ThreadHint};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Each test has ports of its own, since they run at once.
fn start(first_port: u16) -> (Media, mpsc::Receiver<Event>) {
    Media::start(MediaConfig {
        bind: vec![HOST],
        ports: first_port..=first_port + 19,
        ..MediaConfig::default()
    })
    .unwrap()
}

fn phone() -> UdpSocket {
    let socket = UdpSocket::bind((HOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn connect(media: &Media, leg: LegId, far: SocketAddr) {
    let negotiated = Negotiated::plain(Codec::Pcmu, far);
    media
        .command(Command::Connect {
            leg,
            negotiated,
            natted: None,
        })
        .unwrap();
}

fn clip(frames: usize) -> Arc<Clip> {
    let sample = |n: usize| (n as i32 * 7_919 % 30_000 - 15_000) as i16;
    Clip::from_samples(&(0..frames * 160).map(sample).collect::<Vec<_>>())
}

/// The next event that `wanted` knows.
fn event<T>(events: &mut mpsc::Receiver<Event>, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let event = events.blocking_recv().expect("the threads run");
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
    panic!("no such event");
}

fn closed(events: &mut mpsc::Receiver<Event>, of: LegId) -> media::engine::LegStats {
    event(events, |event| match event {
        Event::Closed { leg, stats } if *leg == of => Some(*stats),
        _ => None,
    })
}

/// The loud frames that come, `count` of them.
fn frames(socket: &UdpSocket, count: usize) -> Vec<u8> {
    let mut audio = Vec::new();
    let mut buffer = [0; 1_500];
    while audio.len() < count * 160 {
        let length = socket.recv(&mut buffer).expect("audio comes");
        let packet = Packet::parse(&buffer[..length]).expect("it is RTP");
        if packet.payload != [0xff; 160] {
            audio.extend_from_slice(packet.payload);
        }
    }
    audio
}

#[test]
fn a_prompt_arrives_and_its_end_is_told() {
    let (media, mut events) = start(20_000);
    let phone = phone();
    let opened = media.open(ThreadHint::Any, HOST).unwrap();
    connect(&media, opened.leg, phone.local_addr().unwrap());
    let clip = clip(25);
    let play = Command::Play {
        leg: opened.leg,
        play: PlayId(3),
        clips: vec![clip.clone()],
        barge_in: true,
    };
    media.command(play).unwrap();
    assert_eq!(frames(&phone, 25), clip.bytes(Codec::Pcmu));
    let outcome = event(&mut events, |event| match event {
        Event::PlayEnded {
            play: PlayId(3),
            outcome,
            ..
        } => Some(*outcome),
        _ => None,
    });
    assert_eq!(outcome, PlayOutcome::Finished);
    media.command(Command::Close { leg: opened.leg }).unwrap();
    assert!(closed(&mut events, opened.leg).packets_sent >= 25);
    let figures = media.figures();
    assert_eq!((figures.legs, figures.ports_free), (0, 10));
    assert!(figures.slots > 0);
}

#[test]
fn two_phones_hear_each_other() {
    let (media, mut events) = start(20_100);
    let (one, two) = (phone(), phone());
    let a = media.open(ThreadHint::Any, HOST).unwrap();
    let b = media.open(ThreadHint::With(a.leg), HOST).unwrap();
    connect(&media, a.leg, one.local_addr().unwrap());
    connect(&media, b.leg, two.local_addr().unwrap());
    media
        .command(Command::Bridge { a: a.leg, b: b.leg })
        .unwrap();
    // The first frame of silence says that the commands were carried out.
    one.recv(&mut [0; 1_500]).unwrap();
    two.recv(&mut [0; 1_500]).unwrap();
    for (from, opened, to, byte) in [(&one, &a, &two, 1), (&two, &b, &one, 2)] {
        talk(from, opened.port, 0..20, byte);
        assert_eq!(frames(to, 20), [byte; 20 * 160]);
    }
    for leg in [a.leg, b.leg] {
        media.command(Command::Close { leg }).unwrap();
        let stats = closed(&mut events, leg);
        assert_eq!((stats.packets_received, stats.packets_lost), (20, 0));
    }
}

/// Sends packets of audio that consists of one byte.
fn talk(from: &UdpSocket, port: u16, sequences: std::ops::Range<u16>, byte: u8) {
    for sequence in sequences {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence) * 160,
            ssrc: 5,
        };
        let bytes = [&header.bytes()[..], &[byte; 160]].concat();
        from.send_to(&bytes, (HOST, port)).unwrap();
    }
}

#[test]
fn nothing_is_missed_when_a_socket_is_fetched_from_watched_and_fetched_again() {
    let (media, mut events) = start(20_300);
    let (one, two) = (phone(), phone());
    let a = media.open(ThreadHint::Any, HOST).unwrap();
    let b = media.open(ThreadHint::With(a.leg), HOST).unwrap();
    connect(&media, a.leg, one.local_addr().unwrap());
    connect(&media, b.leg, two.local_addr().unwrap());
    one.recv(&mut [0; 1_500]).unwrap();
    let pause = Duration::from_millis(200);
    let paced = |sequences: std::ops::Range<u16>, byte| {
        for sequence in sequences {
            talk(&one, a.port, sequence..sequence + 1, byte);
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    // Alone and steady, silent, steady again: watched, fetched, watched, fetched.
    paced(0..15, 1);
    std::thread::sleep(pause);
    paced(15..30, 1);
    // In mid-speech somebody hears it: watched.
    media
        .command(Command::Bridge { a: a.leg, b: b.leg })
        .unwrap();
    std::thread::sleep(pause);
    paced(30..50, 2);
    let heard = frames(&two, 20);
    assert_eq!(heard.iter().filter(|&&b| b != 1).count(), 20 * 160);
    // And nobody any more.
    media
        .command(Command::Unbridge { a: a.leg, b: b.leg })
        .unwrap();
    paced(50..70, 3);
    std::thread::sleep(pause);
    media.command(Command::Close { leg: a.leg }).unwrap();
    let stats = closed(&mut events, a.leg);
    assert_eq!((stats.packets_received, stats.packets_lost), (70, 0));
}

#[test]
fn the_far_side_moves_to_another_address_and_behind_a_nat() {
    let (media, mut events) = start(20_500);
    let (one, two, three) = (phone(), phone(), phone());
    let opened = media.open(ThreadHint::Any, HOST).unwrap();
    let port = opened.port;
    let at = |phone: &UdpSocket| phone.local_addr().unwrap();
    let sound = clip(10);
    let music = Command::Loop {
        leg: opened.leg,
        clip: sound.clone(),
        offset_ms: 0,
    };
    media.command(music).unwrap();
    let (sender, mut listener) = mpsc::channel(64);
    media.listen(opened.leg, sender).unwrap();
    let mut heard = |count: usize| -> Vec<u8> {
        let mut next = || listener.blocking_recv().expect("audio is accepted").payload[0];
        std::iter::repeat_with(&mut next).take(count).collect()
    };
    // Where it says it is, and nowhere else.
    connect(&media, opened.leg, at(&one));
    assert_eq!(frames(&one, 10).len(), 1_600);
    talk(&two, port, 0..4, 2);
    talk(&one, port, 0..4, 1);
    assert_eq!(heard(4), [1; 4]);
    // It moves.
    connect(&media, opened.leg, at(&two));
    assert_eq!(frames(&two, 10).len(), 1_600);
    talk(&one, port, 4..8, 1);
    talk(&two, port, 4..8, 2);
    assert_eq!(heard(4), [2; 4]);
    // It moves behind a NAT: what it says of itself is wrong, and its packets tell.
    let wrong = phone();
    let natted = Command::Connect {
        leg: opened.leg,
        negotiated: Negotiated::plain(Codec::Pcmu, at(&wrong)),
        natted: Some(at(&three).ip()),
    };
    media.command(natted).unwrap();
    assert_eq!(frames(&wrong, 1).len(), 160);
    talk(&three, port, 8..12, 3);
    // Of a row of three the last is accepted, and what comes after it.
    assert_eq!(heard(2), [3; 2]);
    let learned = event(&mut events, |event| match event {
        Event::Learned { remote, .. } => Some(*remote),
        _ => None,
    });
    assert_eq!(learned, at(&three));
    assert_eq!(frames(&three, 10).len(), 1_600);
    // And back again.
    connect(&media, opened.leg, at(&one));
    assert_eq!(frames(&one, 10).len(), 1_600);
    talk(&one, port, 12..16, 1);
    assert_eq!(heard(4), [1; 4]);
    media.command(Command::Close { leg: opened.leg }).unwrap();
    let stats = closed(&mut events, opened.leg);
    assert_eq!(stats.packets_received, 4 + 4 + 2 + 4);
}

/// Reads a ring as a socket is read.
fn ring_frame(phone: &RingPhone) -> Vec<u8> {
    let mut buffer = [0; RING_PACKET_BYTES];
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some((Channel::Rtp, length)) = phone.receive(&mut buffer) {
            return Packet::parse(&buffer[..length]).unwrap().payload.to_vec();
        }
        let mut ready = [nix::poll::PollFd::new(
            std::os::fd::AsFd::as_fd(phone),
            nix::poll::PollFlags::POLLIN,
        )];
        nix::poll::poll(&mut ready, 1_000u16).unwrap();
    }
    panic!("nothing came");
}

#[test]
fn a_ring_carries_audio_and_keys() {
    let (media, mut events) = start(20_200);
    let (leg, phone) = media.open_ring(ThreadHint::Any).unwrap();
    let (sender, mut heard) = mpsc::channel(64);
    connect(&media, leg, "192.0.2.7:4000".parse().unwrap());
    media.listen(leg, sender).unwrap();
    let clip = clip(10);
    media
        .command(Command::Loop {
            leg,
            clip: clip.clone(),
            offset_ms: 0,
        })
        .unwrap();
    let audio: Vec<u8> = std::iter::repeat_with(|| ring_frame(&phone))
        .filter(|frame| frame != &[0xff; 160])
        .take(10)
        .flatten()
        .collect();
    assert_eq!(audio, clip.bytes(Codec::Pcmu));

    let header = Header {
        marker: false,
        payload_type: 0,
        sequence: 1,
        timestamp: 0,
        ssrc: 5,
    };
    phone.send(Channel::Rtp, &[&header.bytes()[..], &[9; 160]].concat());
    let key = Header {
        marker: true,
        payload_type: 101,
        sequence: 2,
        timestamp: 160,
        ..header
    };
    phone.send(
        Channel::Rtp,
        &[&key.bytes()[..], &[7, 0x8a, 3, 32]].concat(),
    );
    let digit = event(&mut events, |event| match event {
        Event::Digit { digit, .. } => Some(digit.char()),
        _ => None,
    });
    assert_eq!(digit, '7');
    assert_eq!(heard.blocking_recv().unwrap().payload, [9; 160]);
}

#[test]
fn what_can_t_be_had_is_an_error() {
    let (media, _events) = Media::start(MediaConfig {
        bind: vec![HOST],
        ports: 20_300..=20_303,
        legs_max: 3,
        commands_max: 8,
        threads: 2,
        ..MediaConfig::default()
    })
    .unwrap();
    let first = media.open(ThreadHint::Any, HOST).unwrap();
    let second = media.open(ThreadHint::Any, HOST).unwrap();
    assert_ne!(first.leg.thread(), second.leg.thread());
    assert!(matches!(
        media.open(ThreadHint::Any, HOST),
        Err(MediaError::PortsExhausted)
    ));
    assert!(matches!(
        media.open(ThreadHint::Any, [1, 1, 1, 1].into()),
        Err(MediaError::Address(_))
    ));
    let hint = ThreadHint::With(first.leg);
    let _rings = [
        media.open_ring(hint).unwrap(),
        media.open_ring(hint).unwrap(),
    ];
    assert!(matches!(
        media.open_ring(hint),
        Err(MediaError::LegsExhausted)
    ));
    let nobody = LegId::new(9, 0, 1);
    assert!(matches!(
        media.command(Command::Stop { leg: nobody }),
        Err(MediaError::Thread)
    ));
    media.stop();
    // Without a thread the mailbox fills; a close is taken all the same.
    // A prompt may be refused when too much waits; what decides who hears what never is.
    let play = || {
        media.command(Command::Play {
            leg: first.leg,
            play: PlayId(1),
            clips: Vec::new(),
            barge_in: false,
        })
    };
    assert!((0..9).any(|_| matches!(play(), Err(MediaError::Busy))));
    assert!(media.command(Command::Stop { leg: first.leg }).is_ok());
    media.command(Command::Close { leg: first.leg }).unwrap();
}

#[test]
fn events_wait_for_a_slow_reader() {
    let (media, mut events) = Media::start(MediaConfig {
        events_max: 1,
        ..MediaConfig::default()
    })
    .unwrap();
    let (leg, _phone) = media.open_ring(ThreadHint::Any).unwrap();
    connect(&media, leg, "192.0.2.7:4000".parse().unwrap());
    for play in 0..50 {
        let clips = Vec::new();
        media
            .command(Command::Play {
                leg,
                play: PlayId(play),
                clips,
                barge_in: false,
            })
            .unwrap();
    }
    media.command(Command::Close { leg }).unwrap();
    let mut ended = 0;
    event(&mut events, |_| {
        ended += 1;
        (ended == 51).then_some(())
    });
}

#[test]
fn a_leg_on_ipv6_is_learnt() {
    let host = IpAddr::V6(Ipv6Addr::LOCALHOST);
    // Some build machines have no IPv6 at all.
    let Ok(phone) = UdpSocket::bind((host, 0)) else {
        return;
    };
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    let (media, mut events) = Media::start(MediaConfig {
        bind: vec![HOST, host],
        ports: 20_400..=20_419,
        ..MediaConfig::default()
    })
    .unwrap();
    let opened = media.open(ThreadHint::Any, host).unwrap();
    let wrong = UdpSocket::bind((host, 0)).unwrap();
    let negotiated = Negotiated::plain(Codec::Pcma, wrong.local_addr().unwrap());
    let leg = opened.leg;
    let connect = Command::Connect {
        leg,
        negotiated,
        natted: Some(host),
    };
    media.command(connect).unwrap();
    wrong.set_read_timeout(Some(PATIENCE)).unwrap();
    wrong.recv(&mut [0; 1_500]).unwrap();
    for sequence in 0..3 {
        let header = Header {
            marker: false,
            payload_type: 8,
            sequence,
            timestamp: 0,
            ssrc: 5,
        };
        let bytes = [&header.bytes()[..], &[1; 160]].concat();
        phone.send_to(&bytes, (host, opened.port)).unwrap();
    }
    let learned = event(&mut events, |event| match event {
        Event::Learned { remote, .. } => Some(*remote),
        _ => None,
    });
    assert_eq!(learned, phone.local_addr().unwrap());
    phone.recv(&mut [0; 1_500]).unwrap();
}
