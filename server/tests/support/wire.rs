//! What reaches a telephone by the loopback, seen beneath it: for what a telephone doesn't record. (baresip 1.0.0 records
//! nothing any more of a call that it has held.) It takes the right to capture, which root has.

use std::io::Write as _;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use media::codec::Codec;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::ear::pitch_share;

/// How often there was no right to look.
static MISSED: AtomicUsize = AtomicUsize::new(0);

/// Half a second.
const ENOUGH: usize = 25;

/// Listens until half a second of RTP in a row, none of it sent before, has reached this port and passes. False: there is
/// no right to look.
///
/// # Panics
/// When it doesn't come.
pub fn reaches(
    port: u16,
    what: &str,
    within: Duration,
    passes: impl Fn(&[Vec<u8>]) -> bool,
) -> bool {
    let Ok(tap) = socket(
        AddressFamily::Packet,
        SockType::Datagram,
        SockFlag::empty(),
        SockProtocol::EthAll,
    ) else {
        // Straight to the terminal: said also when all else is well.
        let missed = MISSED.fetch_add(1, Ordering::Relaxed) + 1;
        let _ = writeln!(
            std::io::stderr(),
            "NOT LOOKED AT ({missed} so far), without the right to capture: {what}"
        );
        return false;
    };
    // Whatever kind of socket it is: read is read.
    let tap = UdpSocket::from(tap);
    tap.set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a timeout");
    let until = Instant::now() + within;
    let mut buffer = [0; 4096];
    let mut packets: Vec<Vec<u8>> = Vec::new();
    let mut came_at = Instant::now();
    loop {
        assert!(
            Instant::now() < until,
            "{what} never reached port {port}: {} packets",
            packets.len()
        );
        let Ok(length) = tap.recv(&mut buffer) else {
            continue;
        };
        let Some(rtp) = rtp_to(port, &buffer[..length]) else {
            continue;
        };
        // Each is seen twice: as it leaves, and as it comes.
        if packets.last().is_some_and(|last| last[..] == *rtp) {
            continue;
        }
        if came_at.elapsed() > Duration::from_millis(200) {
            packets.clear();
        }
        came_at = Instant::now();
        packets.push(rtp.to_vec());
        if packets.len() >= ENOUGH && passes(&packets[packets.len() - ENOUGH..]) {
            return true;
        }
    }
}

/// Is it this pitch? (µ-law, without header extensions.)
pub fn is_tone(packets: &[Vec<u8>], hertz: f64) -> bool {
    let audio = packets.iter().filter(|packet| packet[1] & 0x7f == 0);
    let samples: Vec<f64> = audio
        .flat_map(|packet| &packet[12..])
        .map(|byte| f64::from(Codec::Pcmu.decode(*byte)))
        .collect();
    samples.len() >= 3_000 && pitch_share(&samples, hertz) > 0.8
}

/// The RTP packet in an IP packet to this port.
fn rtp_to(port: u16, ip: &[u8]) -> Option<&[u8]> {
    let (header, protocol) = match ip.first()? >> 4 {
        4 => (usize::from(ip[0] & 0x0f) * 4, ip.get(9)),
        // Without extension headers, which nobody adds on the loopback.
        6 => (40, ip.get(6)),
        _ => return None,
    };
    let udp = ip.get(header..).filter(|_| protocol == Some(&17))?;
    let to = u16::from_be_bytes([*udp.get(2)?, *udp.get(3)?]);
    let rtp = udp.get(8..)?;
    // RTCP's types are 192 to 223 (RFC 5761 section 4).
    let is_rtp = rtp.len() > 12 && rtp[0] >> 6 == 2 && !(192..=223).contains(&rtp[1]);
    (to == port && is_rtp).then_some(rtp)
}
