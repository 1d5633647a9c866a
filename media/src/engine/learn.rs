//! Where a far side really is, and which packets are taken for its own.
//!
//! The signalled address wins. Only a leg marked natted may be learnt, from several packets in a row of one SSRC with
//! a negotiated payload, while both sides talk: from the host that its signalling comes from, or the one learnt before.
//! Another host, as a NAT with several addresses shows, must wait until neither has been heard for seconds, and has no
//! chance in the place of one that was learnt. Once learnt it stays, unless a new description comes or the same host
//! has been silent for a second and goes on from another port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::rtp::Packet;

/// Packets in a row that prove an address.
const PACKETS_IN_A_ROW: u8 = 3;
/// Silence after which another port of the same host may take over.
const SILENCE: Duration = Duration::from_secs(1);
/// Silence of the hosts that are believed after which any other may be learnt.
const STRANGERS_AFTER: Duration = Duration::from_secs(3);
/// Addresses tried at a time. More than one, so that a stranger's packets in between don't reset the right one's row.
const CANDIDATES: usize = 4;

/// A far side.
#[derive(Debug)]
pub(super) struct Remote {
    signalled: SocketAddr,
    rtp: SocketAddr,
    rtcp: SocketAddr,
    /// Its host by the description before: one that holds may name no address (RFC 3264 section 8.4), or one behind
    /// a NAT that can't be learnt anew while nothing is sent.
    before: Option<IpAddr>,
    trust: Trust,
}

#[derive(Debug)]
enum Trust {
    /// The signalled address and no other.
    Signalled,
    /// Natted, and not heard yet since the last description.
    Learning {
        /// Where its signalling comes from.
        signalling: IpAddr,
        /// When strangers may be learnt; none if never, since the far side was learnt before.
        strangers_at: Option<Duration>,
        candidates: [Option<Candidate>; CANDIDATES],
    },
    /// Natted, and known.
    Learnt {
        heard_at: Duration,
        candidates: [Option<Candidate>; CANDIDATES],
    },
}

impl Trust {
    fn new(now: Duration, natted: Option<IpAddr>) -> Trust {
        match natted {
            None => Trust::Signalled,
            Some(signalling) => Trust::Learning {
                signalling,
                strangers_at: Some(now + STRANGERS_AFTER),
                candidates: [None; CANDIDATES],
            },
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    in_a_row: u8,
}

/// Whether a packet is the far side's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// Accepted, and its source is the new address.
    Learnt,
    Ignored,
}

impl Remote {
    /// A far side at the signalled address; behind a NAT, `natted` says where its signalling comes from.
    pub(super) fn new(
        now: Duration,
        rtp: SocketAddr,
        rtcp: SocketAddr,
        natted: Option<IpAddr>,
    ) -> Remote {
        Remote {
            signalled: rtp,
            rtp,
            rtcp,
            before: None,
            trust: Trust::new(now, natted),
        }
    }

    /// Takes a new description. One that names the same address keeps what was learnt as the place to send to, since
    /// a session refresh would else interrupt the audio, but lets the same host be learnt anew.
    pub(super) fn renew(
        &mut self,
        now: Duration,
        rtp: SocketAddr,
        rtcp: SocketAddr,
        natted: Option<IpAddr>,
    ) {
        let (known, learnt) = match &self.trust {
            Trust::Signalled => (None, false),
            Trust::Learning { strangers_at, .. } => {
                (Some((self.rtp, self.rtcp)), strangers_at.is_none())
            }
            Trust::Learnt { .. } => (Some((self.rtp, self.rtcp)), true),
        };
        let same = rtp == self.signalled && natted.is_some();
        let host = self.rtp.ip();
        let before = if host.is_unspecified() || host == rtp.ip() {
            self.before
        } else {
            Some(host)
        };
        *self = Remote::new(now, rtp, rtcp, natted);
        self.before = before;
        if let (true, Some((rtp, rtcp))) = (same, known) {
            self.rtp = rtp;
            self.rtcp = rtcp;
            if let (Trust::Learning { strangers_at, .. }, true) = (&mut self.trust, learnt) {
                *strangers_at = None;
            }
        }
    }

    /// Where RTP is sent.
    pub(super) fn rtp(&self) -> SocketAddr {
        self.rtp
    }

    /// Where RTCP is sent.
    pub(super) fn rtcp(&self) -> SocketAddr {
        self.rtcp
    }

    /// Judges an RTP packet; `telling` says that an address may be learnt from it: its payload type was negotiated,
    /// and nobody is on hold, when a stranger would be the only one to talk.
    #[inline]
    pub(super) fn rtp_from(
        &mut self,
        now: Duration,
        source: SocketAddr,
        packet: &Packet<'_>,
        telling: bool,
    ) -> Verdict {
        let known = source == self.rtp;
        match &mut self.trust {
            Trust::Signalled if known => Verdict::Accepted,
            Trust::Signalled => Verdict::Ignored,
            Trust::Learnt { heard_at, .. } if known => {
                *heard_at = now;
                Verdict::Accepted
            }
            // The signalled address may always have its leg back.
            Trust::Learnt { .. } if source == self.signalled && telling => self.learn(now, source),
            Trust::Learnt {
                heard_at,
                candidates,
            } => {
                let may = source.ip() == self.rtp.ip()
                    && now.saturating_sub(*heard_at) >= SILENCE
                    && telling;
                if may && row(candidates, source, packet) {
                    self.learn(now, source)
                } else {
                    Verdict::Ignored
                }
            }
            Trust::Learning {
                signalling,
                strangers_at,
                candidates,
            } => {
                let host = source.ip();
                let believed = host == *signalling
                    || host == self.signalled.ip()
                    || host == self.rtp.ip()
                    || Some(host) == self.before;
                // The signalled address, or the one learnt before a session refresh, needs no proof.
                if known || source == self.signalled {
                    if telling {
                        self.learn(now, source);
                    }
                    return Verdict::Accepted;
                }
                if !telling || !believed && strangers_at.is_none_or(|at| now < at) {
                    return Verdict::Ignored;
                }
                if let (true, Some(at)) = (believed, strangers_at) {
                    *at = now + STRANGERS_AFTER;
                }
                if row(candidates, source, packet) {
                    self.learn(now, source)
                } else {
                    Verdict::Ignored
                }
            }
        }
    }

    /// Whether an RTP packet from there could be accepted at all.
    pub(super) fn may_be(&self, source: SocketAddr) -> bool {
        source == self.rtp || !matches!(self.trust, Trust::Signalled)
    }

    /// Whether reports may come from there.
    pub(super) fn reports_from(&self, source: SocketAddr) -> bool {
        source.ip() == self.rtcp.ip() || source.ip() == self.rtp.ip()
    }

    /// Judges an RTCP packet, by its host alone: it moves no audio. Behind a NAT its port is learnt by the way.
    pub(super) fn rtcp_from(&mut self, source: SocketAddr) -> bool {
        let known = self.reports_from(source);
        if known && matches!(self.trust, Trust::Learnt { .. }) {
            self.rtcp = source;
        }
        known
    }

    /// Whether a packet from there, wanted or not, is a sign of the far side's life while it is on hold.
    pub(super) fn lives_at(&self, host: IpAddr) -> bool {
        host == self.rtp.ip() || host == self.rtcp.ip() || Some(host) == self.before
    }

    fn learn(&mut self, now: Duration, source: SocketAddr) -> Verdict {
        if source != self.rtp {
            // A guess until its first report comes.
            self.rtcp = SocketAddr::new(source.ip(), source.port().saturating_add(1));
        }
        self.rtp = source;
        self.trust = Trust::Learnt {
            heard_at: now,
            candidates: [None; CANDIDATES],
        };
        Verdict::Learnt
    }
}

/// Adds a packet to its source's row and says whether the row is long enough.
fn row(
    candidates: &mut [Option<Candidate>; CANDIDATES],
    source: SocketAddr,
    packet: &Packet<'_>,
) -> bool {
    let fresh = Candidate {
        source,
        ssrc: packet.ssrc,
        sequence: packet.sequence,
        in_a_row: 1,
    };
    for candidate in candidates.iter_mut().flatten() {
        if candidate.source == source {
            let next = candidate.ssrc == packet.ssrc
                && candidate.sequence.wrapping_add(1) == packet.sequence;
            *candidate = Candidate {
                in_a_row: if next { candidate.in_a_row + 1 } else { 1 },
                ..fresh
            };
            return candidate.in_a_row >= PACKETS_IN_A_ROW;
        }
    }
    // In a free place, else in that of the shortest row.
    let place = candidates
        .iter_mut()
        .min_by_key(|candidate| candidate.map_or(0, |candidate| candidate.in_a_row));
    if let Some(place) = place {
        *place = Some(fresh);
    }
    false
}
