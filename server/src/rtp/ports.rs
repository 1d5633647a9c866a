//! UDP ports for RTP.

use std::collections::VecDeque;
use std::net::{IpAddr, UdpSocket};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{MediaConfig, MediaError, lock, udp};

/// How long a port rests at least, also when all others are taken.
const REST_MIN: Duration = Duration::from_secs(1);
/// How many ports that others hold are tried before giving up.
const ATTEMPTS: usize = 32;

/// Pairs of ports, an even one for RTP and the next for RTCP. The longest unused is given out first.
#[derive(Debug)]
pub(super) struct PortPool {
    rest: Duration,
    epoch: Instant,
    free: Mutex<VecDeque<Free>>,
}

#[derive(Debug, Clone, Copy)]
struct Free {
    port: u16,
    rested_at: Duration,
}

impl PortPool {
    /// All pairs of the range, in an order the seed decides: a port that can be guessed is easier to send noise to.
    pub(super) fn new(config: &MediaConfig) -> PortPool {
        let first = config.ports.start().next_multiple_of(2).max(2);
        let last = *config.ports.end();
        let mut free: Vec<Free> = (first..last)
            .step_by(2)
            .map(|port| Free {
                port,
                rested_at: Duration::ZERO,
            })
            .collect();
        let mut state = config.seed;
        for index in (1..free.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            free.swap(index, (state >> 33) as usize % (index + 1));
        }
        PortPool {
            rest: config.port_rest,
            epoch: Instant::now(),
            free: Mutex::new(free.into()),
        }
    }

    /// Binds the next pair.
    pub(super) fn bind(&self, address: IpAddr) -> Result<(u16, UdpSocket, UdpSocket), MediaError> {
        for _ in 0..ATTEMPTS {
            let port = self.take().ok_or(MediaError::PortsExhausted)?;
            match udp(address, port).and_then(|rtp| Ok((rtp, udp(address, port + 1)?))) {
                Ok((rtp, rtcp)) => return Ok((port, rtp, rtcp)),
                Err(error) => {
                    // Somebody else's, perhaps not for ever.
                    self.release(port);
                    if error.kind() != std::io::ErrorKind::AddrInUse {
                        return Err(MediaError::System {
                            what: "binding an RTP port",
                            source: error,
                        });
                    }
                }
            }
        }
        Err(MediaError::PortsExhausted)
    }

    /// Takes a port back, to rest.
    pub(super) fn release(&self, port: u16) {
        let rested_at = self.epoch.elapsed() + self.rest;
        lock(&self.free).push_back(Free { port, rested_at });
    }

    pub(super) fn free(&self) -> usize {
        lock(&self.free).len()
    }

    /// The one that has rested longest; one that rests still only where there is no other, and has rested for a
    /// second at least: a packet of the call before is a smaller evil than a caller refused.
    fn take(&self) -> Option<u16> {
        let now = self.epoch.elapsed();
        let enough = self.rest.saturating_sub(REST_MIN);
        lock(&self.free)
            .pop_front_if(|free| free.rested_at.saturating_sub(enough) <= now)
            .map(|free| free.port)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn pool(first: u16, last: u16, rest: Duration) -> PortPool {
        PortPool::new(&MediaConfig {
            ports: first..=last,
            port_rest: rest,
            ..MediaConfig::default()
        })
    }

    #[test]
    fn pairs_lie_within_the_range() {
        for (first, last, pairs) in [
            (100, 103, 2),
            (101, 104, 1),
            (100, 100, 0),
            (65_534, 65_535, 1),
        ] {
            let pool = pool(first, last, Duration::ZERO);
            let mut ports: Vec<u16> = std::iter::from_fn(|| pool.take()).collect();
            ports.sort_unstable();
            assert_eq!(ports.len(), pairs);
            assert!(
                ports
                    .iter()
                    .all(|port| port % 2 == 0 && *port >= first && *port < last)
            );
        }
    }

    #[test]
    fn a_released_port_rests() {
        let mut pool = pool(100, 101, Duration::from_secs(3_600));
        assert_eq!(pool.take(), Some(100));
        pool.release(100);
        assert_eq!((pool.take(), pool.free()), (None, 1));
        // Where there is no other, a second is enough.
        pool.epoch -= REST_MIN;
        assert_eq!(pool.take(), Some(100));
    }

    #[test]
    fn a_port_of_somebody_else_is_passed_over() {
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let pool = pool(29_000, 29_003, Duration::from_secs(3_600));
        let _taken = udp(host, 29_001);
        let (port, ..) = pool.bind(host).unwrap();
        assert_eq!(port, 29_002);
        assert!(matches!(pool.bind(host), Err(MediaError::PortsExhausted)));
    }
}
