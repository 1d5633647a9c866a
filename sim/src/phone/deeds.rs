//! What people at phones do in the middle of a call, by plan or by chance.

use std::time::Duration;

use media::sdp::{self, Capabilities, LocalMedia};
use sip::{Credentials, LegId, Uri};

use super::{Call, Habit, Phone, PhoneTimer, Step};

/// What somebody at a phone does in the middle of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// The hold key; once more to come back.
    Hold,
    /// Sends the caller on: a number, a queue's or an account's name.
    Transfer(String),
    /// Calls somebody with a second call.
    Consult(String),
    /// Joins the caller with whom was called second. By the REFER of the first
    /// call, or of the second: phones differ.
    TransferAttended {
        /// The second call asks.
        by_second: bool,
    },
    /// Hangs up the first call, or the second.
    HangUp {
        /// Which.
        second: bool,
    },
    /// REFER with a wrong password.
    TransferForged(String),
    /// Calls to have the place of another call: the value of Replaces.
    Replace(String),
    /// The same of the first call, as another telephone of the same person's would.
    TakeOver,
}

/// Something somebody is going to do.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// Only while there is this call.
    during: Option<LegId>,
    deed: Deed,
}

impl Phone {
    /// Somebody is going to do something.
    pub(crate) fn plan_deed(&mut self, at: Duration, deed: Deed) {
        self.plan(at, None, deed);
    }

    fn plan(&mut self, at: Duration, during: Option<LegId>, deed: Deed) {
        self.deeds.push(Planned { during, deed });
        let timer = PhoneTimer::Deed(self.deeds.len() - 1);
        self.timers.push((at, timer));
    }

    /// The call that rings or is talked by here, as the value of a Replaces.
    pub(crate) fn replaces(&self) -> Option<String> {
        let call = self.calls.first()?;
        Some(self.endpoint.replaces(call.leg)?.to_string())
    }

    pub(super) fn local(&self, leg: LegId) -> LocalMedia {
        let port = 40_000 + (leg.0 % 10_000) as u16 * 2;
        LocalMedia::new(self.peer.addr.ip(), port, leg.0 & 0xffff)
    }

    pub(super) fn deed(&mut self, now: Duration, index: usize) {
        let Planned { during, deed } = self.deeds[index].clone();
        if during.is_some_and(|leg| !self.calls.iter().any(|call| call.leg == leg)) {
            return;
        }
        let legs: Vec<LegId> = self.calls.iter().map(|call| call.leg).collect();
        let credentials = || Credentials::new(self.user.clone(), self.secret.clone());
        let first = legs.first().copied();
        match &deed {
            Deed::Hold => {
                let Some(leg) = first else { return };
                let local = self.local(leg);
                let text = sdp::offer(&local, &Capabilities::default());
                let text = String::from_utf8(text).expect("text");
                let call = &mut self.calls[0];
                call.held = !call.held;
                let direction = if call.held {
                    "a=sendonly"
                } else {
                    "a=sendrecv"
                };
                let text = text.replace("a=sendrecv", direction);
                self.endpoint.reinvite(now, leg, text.as_bytes());
            }
            Deed::Transfer(to) => {
                let Some(leg) = first else { return };
                let to = format!("<sip:{to}@{}>", self.realm);
                let credentials = Some(credentials());
                self.endpoint.refer(now, leg, &to, &[], credentials);
            }
            Deed::TransferForged(to) => {
                let Some(leg) = first else { return };
                let to = format!("<sip:{to}@{}>", self.realm);
                let wrong = Credentials::new(self.user.clone(), "guess".to_owned());
                self.endpoint.refer(now, leg, &to, &[], Some(wrong));
            }
            Deed::Consult(_) | Deed::Replace(_) | Deed::TakeOver => {
                let (to, replaces) = match &deed {
                    Deed::Replace(value) => (&self.user, Some(value.clone())),
                    Deed::Consult(to) => (to, None),
                    _ => match self.replaces() {
                        Some(first) => (&self.user, Some(first)),
                        None => return,
                    },
                };
                let target = Uri::parse(&format!("sip:{to}@{}", self.realm)).expect("a URI");
                let local = self.local(LegId(5_000 + legs.len() as u64));
                let offer = sdp::offer(&local, &Capabilities::default());
                let from = sip::Identity {
                    display: None,
                    user: self.user.clone(),
                    host: Some(self.realm.clone()),
                };
                let mut invite = sip::Invite::new(target, self.switch, from, offer.clone());
                invite.credentials = Some(credentials());
                invite
                    .headers
                    .extend(replaces.map(|value| ("Replaces".to_owned(), value)));
                let leg = self.endpoint.invite(now, invite);
                if matches!(self.plan.habit, Habit::Chance { .. }) {
                    self.ends_consulting(now, leg);
                }
                self.calls.push(Call {
                    leg,
                    offer,
                    port: None,
                    answered: false,
                    hang_up_after: None,
                    vanish_into: None,
                    held: false,
                });
            }
            Deed::TransferAttended { by_second } => {
                let (Some(first), Some(second)) = (first, legs.get(1).copied()) else {
                    return;
                };
                let (asks, other) = match *by_second {
                    true => (second, first),
                    false => (first, second),
                };
                let Some(replaces) = self.endpoint.replaces(other) else {
                    return;
                };
                let realm = &self.realm;
                let to = format!("<sip:colleague@{realm}?Replaces={}>", replaces.escaped());
                let credentials = Some(credentials());
                self.endpoint.refer(now, asks, &to, &[], credentials);
            }
            Deed::HangUp { second } => {
                if let Some(leg) = legs.get(usize::from(*second)) {
                    self.endpoint.hangup(now, *leg, None);
                }
            }
        }
    }

    /// What somebody makes of a call just picked up, when chance has it: they
    /// hold, send the caller on, ask a colleague, and think better of it.
    pub(super) fn whims(&mut self, now: Duration, leg: LegId, people: u8, colleagues: u32) {
        if colleagues == 0 || !self.dice.chance(250_000) {
            return;
        }
        let clumsy = [100_000, 200_000, 400_000, 600_000][usize::from(people.min(3))];
        let begins = now + self.dice.millis(0, 12_000);
        let to = self.somebody(colleagues);
        match self.dice.below(7) {
            0 => {
                self.plan(begins, Some(leg), Deed::Hold);
                let resumes = begins + self.dice.millis(0, 8_000);
                self.plan(resumes, Some(leg), Deed::Hold);
            }
            1 => {
                if self.dice.chance(300_000) {
                    self.plan(begins, Some(leg), Deed::Hold);
                }
                let sends = begins + self.dice.millis(0, 3_000);
                self.plan(sends, Some(leg), Deed::Transfer(to));
                if self.dice.chance(clumsy) {
                    // Hung up or held as it is sent, or while it rings there.
                    let crosses = sends + self.soon();
                    let deed = self.slip();
                    self.plan(crosses, Some(leg), deed);
                }
            }
            2 => self.plan(begins, Some(leg), Deed::TransferForged(to)),
            4 => {
                self.plan(begins, Some(leg), Deed::TakeOver);
                if self.dice.chance(clumsy) {
                    let crosses = begins + self.soon();
                    let deed = self.slip();
                    self.plan(crosses, Some(leg), deed);
                }
            }
            3 => {
                // Whatever comes into their head, all at once or bit by bit.
                for _ in 0..2 + self.dice.below(4) {
                    let at = begins + self.soon();
                    let deed = match self.dice.below(4) {
                        0 => Deed::Transfer(self.somebody(colleagues)),
                        1 => Deed::Consult(self.somebody(colleagues)),
                        2 => self.hands_over(),
                        _ => self.slip(),
                    };
                    self.plan(at, Some(leg), deed);
                }
            }
            _ => {
                self.plan(begins, Some(leg), Deed::Hold);
                let asks = begins + self.dice.millis(0, 2_000);
                self.plan(asks, Some(leg), Deed::Consult(to));
                let decides = asks + self.dice.millis(0, 20_000);
                let deed = match self.dice.below(4) {
                    0 => Deed::HangUp { second: true },
                    _ => self.hands_over(),
                };
                self.plan(decides, Some(leg), deed);
                if self.dice.chance(clumsy) {
                    let at = decides + self.soon();
                    let deed = self.slip();
                    self.plan(at, Some(leg), deed);
                }
            }
        }
    }

    /// A consultation isn't for ever.
    fn ends_consulting(&mut self, now: Duration, leg: LegId) {
        let ends = now + self.dice.millis(10_000, 40_000);
        self.timers
            .push((ends, PhoneTimer::React(leg, Step::HangUp)));
    }

    /// Whom to send a caller to, or to ask: also nobody, themselves, and where
    /// nobody may be sent.
    fn somebody(&mut self, colleagues: u32) -> String {
        let name = match self.dice.below(8) {
            0 | 1 => "2006",
            2 => *self
                .dice
                .pick(&["service", "patients", "tier2", "clinical"]),
            3 => *self
                .dice
                .pick(&["+15551234567", "0015551234567", "911", "nobody"]),
            _ => return format!("analyst{}", self.dice.below(u64::from(colleagues)) + 1),
        };
        name.to_owned()
    }

    fn hands_over(&mut self) -> Deed {
        Deed::TransferAttended {
            by_second: self.dice.chance(500_000),
        }
    }

    fn slip(&mut self) -> Deed {
        match self.dice.below(3) {
            0 => Deed::Hold,
            1 => Deed::HangUp { second: false },
            _ => Deed::HangUp { second: true },
        }
    }

    /// As messages cross, or as people do.
    fn soon(&mut self) -> Duration {
        let most = *self.dice.pick(&[0, 5, 60, 400, 6_000]);
        self.dice.millis(0, most)
    }
}
