//! Session timers (RFC 4028): a call that one side has forgotten without a
//! word ends on the other side too.

use std::time::Duration;

use rsip::Method;

use crate::endpoint::{Authorization, Endpoint, Purpose, SessionTimer, Start};
use crate::leg::state::{Ask, Modify, Phase};
use crate::leg::{EndCause, LegId};
use crate::message::{Request, Response};
use crate::wire::{ALLOW, Writer};

/// Said with the BYE.
const EXPIRED: &str = "SIP;cause=408;text=\"Session expired\"";
/// The least interval believed, whatever a peer writes: no storm of refreshes.
const INTERVAL_MIN: Duration = Duration::from_secs(20);
/// How long a refresh waits that can't be sent now.
const BUSY: Duration = Duration::from_secs(2);
/// How often one refresh answers a challenge: a nonce may have grown stale.
const CHALLENGES_MAX: u8 = 2;
/// Min-SE where there is none (section 5).
const MIN_SE: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refresher {
    Uac,
    Uas,
}

/// What our 2xx says: Session-Expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    interval: Duration,
    refresher: Refresher,
}

/// The timer of a call that has one.
#[derive(Debug)]
pub(crate) struct Session {
    interval: Duration,
    /// We refresh; the peer does otherwise.
    ours: bool,
    refresh_at: Option<Duration>,
    /// How often the refresh under way has answered a challenge.
    challenges: u8,
    /// Unless it is refreshed before.
    ends_at: Duration,
}

impl Session {
    fn start(now: Duration, interval: Duration, ours: bool) -> Self {
        let interval = interval.max(INTERVAL_MIN);
        // Section 10: BYE a little before the end.
        let before = (interval / 3).min(Duration::from_secs(32));
        Self {
            interval,
            ours,
            refresh_at: ours.then(|| now + interval / 2),
            challenges: 0,
            ends_at: now + interval - before,
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.refresh_at
            .map_or(self.ends_at, |at| at.min(self.ends_at))
    }

    /// A refresh failed in a way that may pass.
    pub(crate) fn again_later(&mut self, now: Duration) {
        let left = self.ends_at.saturating_sub(now);
        self.refresh_at = self.ours.then(|| now + (left / 2).max(BUSY));
    }
}

/// Session-Expires: the interval, and who refreshes if that is said.
fn expires(value: Option<&str>) -> Option<(Duration, Option<Refresher>)> {
    let value = value?;
    let (seconds, params) = value.split_once(';').unwrap_or((value, ""));
    let seconds: u32 = seconds.trim().parse().ok()?;
    let refresher = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        let is = |role: &str| value.trim().eq_ignore_ascii_case(role);
        match name.trim().eq_ignore_ascii_case("refresher") {
            true if is("uac") => Some(Refresher::Uac),
            true if is("uas") => Some(Refresher::Uas),
            _ => None,
        }
    });
    Some((Duration::from_secs(seconds.into()), refresher))
}

fn min_se(value: Option<&str>) -> Duration {
    let seconds = value.and_then(|v| v.split(';').next()?.trim().parse::<u32>().ok());
    seconds.map_or(MIN_SE, |s| Duration::from_secs(s.into()))
}

/// What we grant a request that begins or refreshes a session (section 9), or
/// the Min-SE it has to respect. `ours`: who refreshes now, if anybody does.
pub(crate) fn grant(
    config: &SessionTimer,
    ours: Option<bool>,
    request: &Request,
) -> Result<Option<Granted>, Duration> {
    let supported = request.lists("Supported", "timer") || request.lists("Require", "timer");
    let asked = expires(request.header("Session-Expires"));
    if !supported {
        // It would neither refresh nor understand a 422.
        return Ok(None);
    }
    let floor = min_se(request.header("Min-SE")).max(config.min);
    let interval = match (asked, config.interval) {
        (Some((asked, _)), _) if asked < config.min => return Err(config.min),
        (Some((asked, _)), Some(most)) => asked.min(most.max(floor)),
        (Some((asked, _)), None) => asked,
        (None, Some(most)) => most.max(floor),
        (None, None) => return Ok(None),
    };
    let refresher = match (asked.and_then(|(_, who)| who), ours) {
        (Some(who), _) => who,
        (None, Some(false)) => Refresher::Uac,
        (None, _) => Refresher::Uas,
    };
    Ok(Some(Granted {
        interval,
        refresher,
    }))
}

impl Granted {
    pub(crate) fn write(self, writer: &mut Writer) {
        if self.refresher == Refresher::Uac {
            // Section 9: else the peer wouldn't know that it is its turn.
            writer.header("Require", "timer");
        }
        write_expires(writer, self.interval, Some(self.refresher));
    }

    pub(crate) fn begin(self, now: Duration) -> Session {
        Session::start(now, self.interval, self.refresher == Refresher::Uas)
    }
}

fn write_expires(writer: &mut Writer, interval: Duration, refresher: Option<Refresher>) {
    let who = match refresher {
        Some(Refresher::Uac) => ";refresher=uac",
        Some(Refresher::Uas) => ";refresher=uas",
        None => "",
    };
    writer.header("Session-Expires", &format!("{}{who}", interval.as_secs()));
}

/// What an INVITE of ours asks for.
pub(crate) fn write_wish(writer: &mut Writer, wish: Option<(Duration, Duration)>) {
    if let Some((interval, floor)) = wish {
        // Who refreshes is left to the peer, as section 7.1 recommends.
        write_expires(writer, interval, None);
        if floor > MIN_SE {
            writer.number("Min-SE", floor.as_secs());
        }
    }
}

/// What a request of ours inside a call with a timer says (section 7.4): the
/// roles stay.
pub(crate) fn write_refresh(writer: &mut Writer, session: Option<&Session>) {
    if let Some(session) = session {
        let who = if session.ours {
            Refresher::Uac
        } else {
            Refresher::Uas
        };
        write_expires(writer, session.interval, Some(who));
        if session.interval > MIN_SE {
            writer.number("Min-SE", MIN_SE.as_secs());
        }
    }
}

/// The timer that a 2xx to a request of ours begins (section 7.2).
pub(crate) fn begun(now: Duration, response: &Response) -> Option<Session> {
    let (interval, refresher) = expires(response.header("Session-Expires"))?;
    Some(Session::start(
        now,
        interval,
        refresher != Some(Refresher::Uas),
    ))
}

/// What a 422 wants: no more than a day.
pub(crate) fn raised(interval: Duration, response: &Response) -> Option<Duration> {
    let floor = min_se(response.header("Min-SE"));
    let sensible = floor > interval && floor <= Duration::from_secs(86_400);
    (response.code() == 422 && sensible).then_some(floor)
}

impl Endpoint {
    /// Refreshes what is due, ends what wasn't refreshed.
    pub(crate) fn session_due(&mut self, now: Duration, leg: LegId) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        let Some(session) = &mut up.session else {
            return;
        };
        if !matches!(up.phase, Phase::Unconfirmed | Phase::Talking) {
            // It is ending by other means.
            if session.deadline() <= now {
                up.session = None;
            }
            return;
        }
        if session.ends_at <= now {
            up.phase = Phase::ByeAfterAck {
                reason: Some(EXPIRED.into()),
            };
            self.ended(leg, EndCause::SessionExpired);
            return self.send_bye(now, leg);
        }
        if session.refresh_at.is_none_or(|at| at > now) {
            return;
        }
        session.refresh_at = None;
        session.challenges = 0;
        if up.able.update {
            return self.send_refresh(now, leg, None);
        }
        let ready = matches!(up.phase, Phase::Talking)
            && up.ok.is_none()
            && up.again.is_none()
            && matches!(up.modify, Modify::Idle);
        if ready {
            let ask = Ask {
                sdp: up.local_sdp.to_vec(),
                attempts: 1,
                update: false,
                refresh: true,
                authorized: false,
            };
            self.send_ask(now, leg, ask, None);
        } else {
            session.refresh_at = Some(now + BUSY);
        }
    }

    /// UPDATE without a body: nothing changes but the timer (section 7.4).
    fn send_refresh(&mut self, now: Duration, leg: LegId, authorization: Option<Authorization>) {
        let Some(crate::leg::Leg::Up(mut up)) = self.legs.remove(&leg.0) else {
            return;
        };
        let cseq = up.dialog.next_cseq();
        let (mut composed, peer, _) = self.compose_inside(&up.dialog, Method::Update, cseq);
        let writer = &mut composed.writer;
        self.write_contact(&up.dialog.own(), peer, writer);
        writer.header("Allow", ALLOW);
        writer.header("Supported", "timer");
        write_refresh(writer, up.session.as_ref());
        if let Some((name, value)) = &authorization {
            writer.header(name, value);
        }
        let bytes = composed.writer.finish("", &[]);
        self.insert_leg(leg, crate::leg::Leg::Up(up));
        self.start_client(
            now,
            Start {
                method: Method::Update,
                branch: &composed.branch,
                peer,
                bytes,
                purpose: Purpose::Refresh(leg),
                head: None,
            },
        );
    }

    /// The answer to our refreshing UPDATE.
    pub(crate) fn refresh_response(&mut self, now: Duration, leg: LegId, response: &Response) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        match response.code() {
            ..200 => {}
            200..300 => {
                up.dialog.refresh(response.contacts());
                self.session_refreshed(now, leg, response);
            }
            481 | 408 => self.lose(now, leg, EndCause::DialogLost),
            401 | 407 => {
                let answered = match &mut up.session {
                    Some(session) if session.challenges < CHALLENGES_MAX => {
                        session.challenges += 1;
                        session.challenges > 1
                    }
                    _ => return self.refresh_refused(now, leg, response),
                };
                match self.answer_challenge(leg, "UPDATE", answered, response) {
                    Some(authorization) => self.send_refresh(now, leg, Some(authorization)),
                    None => self.refresh_refused(now, leg, response),
                }
            }
            code => {
                // What UPDATE can't do, re-INVITE may.
                up.able.update &= !matches!(code, 405 | 420 | 501);
                self.refresh_refused(now, leg, response);
            }
        }
    }

    /// A refresh was answered: the timer starts anew, or there is none any more.
    pub(crate) fn session_refreshed(&mut self, now: Duration, leg: LegId, response: &Response) {
        if let Some(up) = self.up_mut(leg) {
            up.session = begun(now, response);
            self.arm_leg(leg);
        }
    }

    /// A refresh was refused; there is still time to try again.
    pub(crate) fn refresh_refused(&mut self, now: Duration, leg: LegId, response: &Response) {
        let Some(up) = self.up_mut(leg) else {
            return;
        };
        let by_update = up.able.update;
        if let Some(session) = &mut up.session {
            if let Some(interval) = raised(session.interval, response) {
                session.interval = interval;
                session.refresh_at = session.ours.then_some(now);
            } else if !by_update && response.method() == Method::Update {
                session.refresh_at = session.ours.then_some(now);
            } else {
                session.again_later(now);
            }
            self.arm_leg(leg);
        }
    }

    /// Who refreshes the session of a call, if it has a timer.
    pub(crate) fn refreshes(&self, leg: LegId) -> Option<bool> {
        match self.legs.get(&leg.0) {
            Some(crate::leg::Leg::Up(up)) => up.session.as_ref().map(|session| session.ours),
            _ => None,
        }
    }
}
