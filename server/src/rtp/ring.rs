//! A leg without a network: two bounded rings of packets between a media thread and somebody in this process.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use media::engine::Channel;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{MediaError, lock};

/// Packets that wait in one direction; older ones give way to newer ones. A second of audio.
const PACKETS: usize = 50;
/// Longest packet carried.
pub const RING_PACKET_BYTES: usize = 1_024;

/// The far side of a ring leg.
#[derive(Debug)]
pub struct RingPhone(Ends);

/// A media thread's side.
#[derive(Debug)]
pub(super) struct RingEnd(Ends);

#[derive(Debug)]
struct Ends {
    incoming: Arc<Ring>,
    outgoing: Arc<Ring>,
}

#[derive(Debug)]
struct Ring {
    queue: Mutex<Queue>,
    /// Readable while something waits.
    ready: EventFd,
}

#[derive(Debug)]
struct Queue {
    packets: Box<[Packet]>,
    first: usize,
    count: usize,
    overwritten: u64,
}

#[derive(Debug, Clone, Copy)]
struct Packet {
    channel: Channel,
    length: usize,
    bytes: [u8; RING_PACKET_BYTES],
}

/// A ring leg's two sides.
pub(super) fn pair() -> Result<(RingEnd, RingPhone), MediaError> {
    let (one, other) = (Arc::new(Ring::new()?), Arc::new(Ring::new()?));
    let end = Ends {
        incoming: one.clone(),
        outgoing: other.clone(),
    };
    let phone = Ends {
        incoming: other,
        outgoing: one,
    };
    Ok((RingEnd(end), RingPhone(phone)))
}

impl RingPhone {
    /// Sends a packet to the leg. Longer ones than 1,024 bytes are dropped.
    pub fn send(&self, channel: Channel, packet: &[u8]) {
        self.0.outgoing.push(channel, packet);
    }

    /// Takes the next packet from the leg into `buffer` and returns its length.
    pub fn receive(&self, buffer: &mut [u8; RING_PACKET_BYTES]) -> Option<(Channel, usize)> {
        self.0.incoming.pop(buffer)
    }

    /// How many packets of the leg were overwritten because nobody took them in time.
    pub fn overwritten(&self) -> u64 {
        lock(&self.0.incoming.queue).overwritten
    }
}

impl AsFd for RingPhone {
    /// Readable while packets wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.incoming.ready.as_fd()
    }
}

impl RingEnd {
    pub(super) fn send(&self, channel: Channel, packet: &[u8]) {
        self.0.outgoing.push(channel, packet);
    }

    pub(super) fn receive(&self, buffer: &mut [u8; RING_PACKET_BYTES]) -> Option<(Channel, usize)> {
        self.0.incoming.pop(buffer)
    }
}

impl AsFd for RingEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.incoming.ready.as_fd()
    }
}

impl Ring {
    fn new() -> Result<Ring, MediaError> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let empty = Packet {
            channel: Channel::Rtp,
            length: 0,
            bytes: [0; RING_PACKET_BYTES],
        };
        Ok(Ring {
            queue: Mutex::new(Queue {
                packets: vec![empty; PACKETS].into_boxed_slice(),
                first: 0,
                count: 0,
                overwritten: 0,
            }),
            ready: EventFd::from_flags(flags).map_err(MediaError::system("eventfd"))?,
        })
    }

    fn push(&self, channel: Channel, bytes: &[u8]) {
        let mut queue = lock(&self.queue);
        let queue = &mut *queue;
        if bytes.len() > RING_PACKET_BYTES {
            return;
        }
        if queue.count == PACKETS {
            queue.first = (queue.first + 1) % PACKETS;
            queue.count -= 1;
            queue.overwritten += 1;
        }
        let place = (queue.first + queue.count) % PACKETS;
        let packet = &mut queue.packets[place];
        packet.channel = channel;
        packet.length = bytes.len();
        packet.bytes[..bytes.len()].copy_from_slice(bytes);
        queue.count += 1;
        if queue.count == 1 {
            // Can't overflow: it is read whenever the ring runs empty.
            let _ = self.ready.write(1);
        }
    }

    fn pop(&self, buffer: &mut [u8; RING_PACKET_BYTES]) -> Option<(Channel, usize)> {
        let mut queue = lock(&self.queue);
        if queue.count == 0 {
            return None;
        }
        let packet = &queue.packets[queue.first];
        let length = packet.length;
        buffer[..length].copy_from_slice(&packet.bytes[..length]);
        let channel = packet.channel;
        queue.first = (queue.first + 1) % PACKETS;
        queue.count -= 1;
        if queue.count == 0 {
            let _ = self.ready.read();
        }
        Some((channel, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let (end, phone) = pair().unwrap();
        for number in 0..60u8 {
            end.send(Channel::Rtp, &[number]);
        }
        end.send(Channel::Rtcp, &[0; RING_PACKET_BYTES + 1]);
        let mut buffer = [0; RING_PACKET_BYTES];
        let heard: Vec<u8> =
            std::iter::from_fn(|| phone.receive(&mut buffer).map(|_| buffer[0])).collect();
        assert_eq!(heard, (10..60).collect::<Vec<u8>>());
        assert_eq!(phone.overwritten(), 10);
    }
}
