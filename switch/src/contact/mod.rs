//! One contact: a person's journey through the desk, and the call legs it has.
//!
//! | stage | the caller hears | ends by |
//! |---|---|---|
//! | [`Stage::Opening`] | nothing yet: not answered | a media leg, or 503 |
//! | [`Stage::Answered`] | about to begin | the ACK, or a second |
//! | [`Stage::Flow`] | prompts | the flow |
//! | [`Stage::Queue`] | music and announcements | an offer, the flow, hang-up |
//! | [`Stage::Offer`] | the same: an agent's phone rings | an answer, or back to the queue |
//! | [`Stage::Outside`] | music (or what is heard there): a partner, or a number outside, is called | an answer, or back to the flow |
//! | [`Stage::Conversation`] | the agent or partner (music while held) | hang-up by either |
//! | [`Stage::Ended`] | nothing: hung up | messages still owed are acknowledged |
//!
//! A contact is in exactly one of them. Each operation is a file: [`arrive`],
//! [`flow`], [`wait`], [`partner`] (what these two share is in [`call`]), [`talk`],
//! [`transfer`] ([`taken`]: who is busy with one), [`outside`], [`onward`], [`early`], [`action`],
//! [`redirect`], [`replace`], [`callback`], [`verify`], [`end`].

mod action;
mod arrive;
mod call;
mod callback;
mod conference;
mod display;
mod early;
mod end;
mod flow;
mod history;
mod onward;
mod outbox;
mod outside;
mod partner;
mod promise;
mod redirect;
mod replace;
mod taken;
mod talk;
mod transfer;
mod verify;
mod wait;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use acd::{AgentId, Class, OfferId, QueueId, Refusal, ToAcd, Visit};
use desk::people::Level;
use desk::{Caller, ContactId, FoundTicket, Journey, PartnerId, PhoneNumber, TenantId, What};
use ivr_flows::{Flow, Piece, Session};
use media::codec::Format;
use media::dtmf::Digit;
use media::engine::{Command as MediaCommand, LegId as MediaLegId, PlayId};
use media::sdp::{Capabilities, LocalMedia, Negotiated, Streams};

use crate::admission::Permit;
use crate::input::{Counters, MediaKey, Note, NoteWhat, Now, Output, QueryId, RenderId};
use crate::phones::Phones;
use crate::setup::{Encryption, Setup, Trunk};
use crate::trunks::refusal::Patience;
use crate::trunks::{Trunks, Way};

pub(crate) use arrive::{Arrival, Opened, capabilities, natted};
pub(crate) use call::Call;
pub(crate) use conference::{Ask, Conference};
pub(crate) use outbox::Outbox;
pub(crate) use partner::target_of;
pub(crate) use replace::Taking;
pub(crate) use talk::LegEnd;
pub(crate) use transfer::Consult;

/// After how long without an ACK the flow begins all the same: the caller
/// listens since the 200, and an ACK that is lost is repeated only with it.
const BEGIN_WITHOUT_ACK: Duration = Duration::from_secs(1);
/// How long a media leg may take to be opened.
pub(crate) const MEDIA_OPEN_MAX: Duration = Duration::from_secs(2);
/// How long a prompt may take to be rendered, by the renderer's own deadline
/// and then some: this is the guard against a renderer that never answers.
const RENDER_MAX: Duration = Duration::from_secs(3);
/// How often a wait is announced to the distributor: its lease is ten seconds.
const WAIT_EVERY: Duration = Duration::from_secs(2);
/// How often a conversation is: its lease is thirty seconds.
pub(crate) const TALKING_EVERY: Duration = Duration::from_secs(5);
/// How often an acceptance is repeated until it is confirmed or refused.
const ACCEPT_EVERY: Duration = Duration::from_millis(250);
/// After which time without either the agent is let go.
const ACCEPT_MAX: Duration = Duration::from_secs(5);
/// How long a phone may take to show any sign of life.
pub(crate) const PROVISIONAL_MAX: Duration = Duration::from_secs(3);
/// How long it may take to ring once it said 100: a mobile is paged, a push is
/// delivered.
pub(crate) const TRYING_MAX: Duration = Duration::from_secs(8);
/// How often an unacknowledged end is repeated.
const OWED_EVERY: Duration = Duration::from_millis(500);
/// How often at most: then the leases do it.
const OWED_REPEATS_MAX: u8 = 40;
/// How long an ended contact may be kept for what it still owes.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(30);

/// Which side of a contact a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Caller,
    Agent,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Caller => Self::Agent,
            Self::Agent => Self::Caller,
        }
    }
}

/// How long we press a key, and let it go.
const KEY_MS: u32 = 120;
const KEY_GAP_MS: u32 = 80;

/// Whose is which leg, wish, prompt and offer.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) legs: HashMap<sip::LegId, (ContactId, Side)>,
    pub(crate) media: HashMap<MediaLegId, (ContactId, Side)>,
    pub(crate) wishes: HashMap<MediaKey, (ContactId, Side)>,
    pub(crate) renders: HashMap<RenderId, ContactId>,
    /// Actions being called, and of which hospital they are.
    pub(crate) queries: HashMap<QueryId, (ContactId, TenantId)>,
    pub(crate) offers: HashMap<OfferId, ContactId>,
    /// Agents called without the distributor, until that call is over.
    pub(crate) direct: HashMap<AgentId, OfferId>,
    /// Legs of agents who have sent a caller on and haven't heard yet how it went.
    pub(crate) transferors: HashMap<sip::LegId, ContactId>,
    /// Legs of telephones that are about to take another's place.
    pub(crate) takings: HashMap<sip::LegId, ContactId>,
    next_wish: u64,
    next_render: u64,
    next_query: u64,
    next_play: u64,
}

/// What a contact may touch while it works: everything of the switch except
/// the other contacts.
pub(crate) struct Cx<'a> {
    pub(crate) now: Now,
    pub(crate) setup: &'a Setup,
    pub(crate) sip: &'a mut sip::Endpoint,
    pub(crate) phones: &'a Phones,
    pub(crate) trunks: &'a mut Trunks,
    pub(crate) index: &'a mut Index,
    pub(crate) out: &'a mut VecDeque<Output>,
    pub(crate) counters: &'a mut Counters,
    /// The last command id given out.
    pub(crate) command: &'a mut u64,
    /// Permits of contacts that have ended, for the switch to release.
    pub(crate) released: &'a mut Vec<Permit>,
}

impl Index {
    /// A call made without the distributor is over.
    pub(crate) fn direct_over(&mut self, over: OfferId) {
        self.direct.retain(|_, offer| *offer != over);
    }
}

impl Cx<'_> {
    pub(crate) fn acd(&mut self, message: ToAcd) {
        self.out.push_back(Output::ToAcd(message));
    }

    pub(crate) fn media(&mut self, command: MediaCommand) {
        self.out.push_back(Output::Media(command));
    }

    /// Presses a key towards whoever is at this leg.
    pub(crate) fn press(&mut self, leg: MediaLegId, key: char) {
        if let Some(digit) = Digit::from_char(key) {
            self.media(MediaCommand::SendDigits {
                leg,
                digits: vec![digit],
                tone_ms: KEY_MS,
                gap_ms: KEY_GAP_MS,
            });
        }
    }

    /// A new offer that the distributor hasn't made.
    pub(crate) fn direct_offer(&mut self) -> OfferId {
        *self.command += 1;
        OfferId(transfer::DIRECT | (*self.command & (transfer::DIRECT - 1)))
    }

    pub(crate) fn play_id(&mut self) -> PlayId {
        self.index.next_play += 1;
        PlayId(self.index.next_play)
    }

    /// Asks for a prompt.
    pub(crate) fn render(
        &mut self,
        whose: ContactId,
        tenant: TenantId,
        pieces: Vec<Piece>,
    ) -> RenderId {
        self.index.next_render += 1;
        let id = RenderId(self.index.next_render);
        self.index.renders.insert(id, whose);
        self.out.push_back(Output::Render { id, tenant, pieces });
        id
    }

    /// Takes one of the hospital's share of actions; none when it is used up.
    pub(crate) fn query(&mut self, whose: ContactId, tenant: TenantId) -> Option<QueryId> {
        let queries = &mut self.index.queries;
        let limits = self.setup.action_limits;
        let theirs = queries.values().filter(|(_, of)| *of == tenant).count();
        if queries.len() >= limits.all || theirs >= limits.per_tenant {
            return None;
        }
        self.index.next_query += 1;
        let id = QueryId(self.index.next_query);
        queries.insert(id, (whose, tenant));
        Some(id)
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn forget_query(&mut self, id: QueryId) {
        if self.index.queries.remove(&id).is_some() {
            self.out.push_back(Output::Forget(id));
        }
    }

    /// Asks for a media leg.
    pub(crate) fn wish(
        &mut self,
        whose: ContactId,
        side: Side,
        with: Option<MediaLegId>,
        towards: sip::Peer,
    ) -> MediaKey {
        self.index.next_wish += 1;
        let key = MediaKey(self.index.next_wish);
        self.index.wishes.insert(key, (whose, side));
        self.out.push_back(Output::OpenMedia {
            key,
            with,
            towards: towards.addr.ip(),
        });
        key
    }
}

/// One side's audio.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "almost every one there is is open"
)]
pub(crate) enum Audio {
    /// None asked for.
    None,
    /// Asked for.
    Opening(MediaKey),
    /// Open; negotiated or not yet.
    Open {
        leg: MediaLegId,
        local: LocalMedia,
        /// With the leg's secret where its audio may be encrypted.
        caps: Capabilities,
        negotiated: Option<Negotiated>,
        /// Our offer, while its answer is awaited.
        offered: Option<Vec<u8>>,
        /// Of the description sent last, what an offer in the call must repeat.
        streams: Streams,
    },
}

impl Audio {
    pub(crate) fn leg(&self) -> Option<MediaLegId> {
        match self {
            Self::Open { leg, .. } => Some(*leg),
            _ => None,
        }
    }

    /// Whether its far side presses keys in the audio: telephone events were
    /// agreed on.
    pub(crate) fn has_events(&self) -> bool {
        let Self::Open { negotiated, .. } = self else {
            return false;
        };
        let agreed = negotiated.as_ref();
        agreed.is_some_and(|agreed| agreed.receive_telephone_event.is_some())
    }

    /// The codec agreed on.
    pub(crate) fn codec(&self) -> Option<Format> {
        match self {
            Self::Open {
                negotiated: Some(negotiated),
                ..
            } => Some(negotiated.codec),
            _ => None,
        }
    }

    pub(crate) fn close(self, cx: &mut Cx<'_>) {
        match self {
            Self::None => {}
            Self::Opening(key) => {
                // The leg may come yet; it is closed when it does.
                cx.index.wishes.remove(&key);
            }
            Self::Open { leg, .. } => {
                cx.index.media.remove(&leg);
                cx.media(MediaCommand::Close { leg });
            }
        }
    }

    fn held(&self) -> bool {
        matches!(self, Self::Open { negotiated: Some(n), .. } if n.on_hold())
    }
}

/// What the caller's ear gets. One owner of this fact, so that "never in
/// silence" can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sound {
    /// Nothing: not answered, between prompts within one input, or listening
    /// for a key after a prompt.
    Nothing,
    /// A prompt is being made; `over` is what goes on meanwhile.
    Rendering {
        id: RenderId,
        play: ivr_flows::PlayId,
        barge_in: bool,
        since: Duration,
        music: bool,
    },
    /// A prompt.
    Prompt {
        play: ivr_flows::PlayId,
        media: PlayId,
    },
    /// Music on hold.
    Music,
    /// What is heard of a number outside before it answers.
    Early,
    /// The agent.
    Bridged,
}

/// One stay in a queue.
#[derive(Debug, Clone)]
struct Stay {
    visit: Visit,
    queue: QueueId,
    name: Arc<str>,
    class: Class,
    /// When the contact began to wait at all: kept when it comes back.
    since: Duration,
    music: bool,
    /// Who is rung first if free.
    prefer: Option<AgentId>,
    /// By a transfer: the flow doesn't know that it is a queue.
    sent_on: bool,
    /// When the wait is announced next.
    announce_at: Duration,
}

/// An agent's phone being called.
#[derive(Debug)]
struct Offer {
    id: OfferId,
    agent: AgentId,
    /// Ring-no-answer then.
    until: Duration,
    call: Call,
    /// Registered contacts not tried yet, the best last.
    untried: Vec<crate::phones::Target>,
    /// By a transfer or a consultation, not by the distributor.
    direct: Option<transfer::Direct>,
}

#[derive(Debug)]
pub(crate) enum Progress {
    /// The media leg is being opened.
    Opening { since: Duration },
    /// INVITE sent, no sign of life yet.
    Calling { leg: sip::LegId, until: Duration },
    /// The phone rings.
    Ringing { leg: sip::LegId },
    /// The agent answered; the distributor has to confirm.
    Accepting {
        leg: sip::LegId,
        since: Duration,
        repeat_at: Duration,
    },
}

impl Progress {
    pub(crate) fn leg(&self) -> Option<sip::LegId> {
        match self {
            Self::Opening { .. } => None,
            Self::Calling { leg, .. } | Self::Ringing { leg } | Self::Accepting { leg, .. } => {
                Some(*leg)
            }
        }
    }
}

/// A partner being called.
#[derive(Debug)]
struct Outside {
    partner: PartnerId,
    trunked: Trunked,
    number: String,
    /// When the contact began to wait.
    since: Duration,
    music: bool,
    call: Call,
    /// Ways not tried yet, the best last.
    untried: Vec<Way>,
    /// By an agent, not by the flow.
    sent: Option<outside::SentOut>,
    /// Who was called has sent the call on.
    redirected: redirect::Redirected,
    /// How long the gateways have taken without ringing.
    patience: Patience,
    /// Something comes from there before it answers.
    early: bool,
}

/// A call that a trunk carries; given back with [`Trunks::release`].
#[derive(Debug)]
pub(crate) struct Trunked {
    pub(crate) trunk: Arc<Trunk>,
    /// By which way; none before the first is taken.
    pub(crate) way: Option<Way>,
}

/// With whom a caller talks.
#[derive(Debug)]
enum Other {
    Agent {
        offer: OfferId,
        agent: AgentId,
        /// The stay that the offer ended.
        visit: Visit,
    },
    Partner {
        partner: PartnerId,
        trunked: Trunked,
    },
}

/// Two people talking.
#[derive(Debug)]
struct Talk {
    other: Other,
    leg: sip::LegId,
    peer: sip::Peer,
    audio: Audio,
    announce_at: Duration,
    /// Nothing comes from them: the caller hears music meanwhile.
    quiet: bool,
}

#[derive(Debug)]
enum Stage {
    Opening { since: Duration },
    Answered { since: Duration },
    Flow,
    Queue(Stay),
    Offer(Stay, Box<Offer>),
    Outside(Box<Outside>),
    Conversation(Box<Talk>),
    Ended { since: Duration },
}

/// A message that is repeated until the distributor has acknowledged it.
#[derive(Debug)]
struct Owed {
    what: Owing,
    repeat_at: Duration,
    left: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owing {
    Leave(Visit),
    Finish(OfferId),
    Decline(OfferId, Refusal),
}

/// How a key reached us. Some phones send each one both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeysBy {
    Audio,
    Info,
}

/// What a consultation's call begins with.
#[derive(Debug)]
pub(crate) struct Consulting {
    pub(crate) consult: Consult,
    pub(crate) line: crate::setup::Line,
    /// The number of ours that the caller dialled.
    pub(crate) dnis: PhoneNumber,
    caller: Caller,
    level: Level,
    ani: Option<PhoneNumber>,
    carried: Vec<(String, String)>,
    class: Option<Class>,
    /// See [`Contact::secure`].
    secure: bool,
    /// The caller's media: the two may be joined.
    with: Option<MediaLegId>,
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Contact {
    id: ContactId,
    tenant: TenantId,
    clinical: bool,
    permit: Option<Permit>,
    dnis: PhoneNumber,
    ani: Option<PhoneNumber>,
    /// Max-Forwards of the INVITE: calls we make for it have one less
    /// (RFC 7332), so that a phone that forwards to us doesn't go in circles.
    hops_left: Option<u8>,
    /// Headers of its INVITE that go along on the calls made for it.
    carried: Vec<(String, String)>,
    caller: Caller,
    leg: sip::LegId,
    peer: sip::Peer,
    /// What the caller's account says of it.
    encryption: Option<Encryption>,
    /// It comes by a trunk.
    by_trunk: bool,
    /// It came for a `sips:` address: nobody is called for it but by TLS (RFC 3261 section 26.2.2).
    secure: bool,
    /// The caller types: a text telephone was heard.
    text: bool,
    /// The INVITE's offer, until it is answered.
    offer_in: Option<Vec<u8>>,
    audio: Audio,
    sound: Sound,
    session: Session,
    flow: Arc<Flow>,
    /// An HTTP action that the flow has called.
    acting: Option<action::Acting>,
    /// The caller's own ticket, asked for by its number.
    found: Option<FoundTicket>,
    /// Who calls, where it is a supervisor by a number for supervisors.
    supervisor: Option<AgentId>,
    /// How sure it is who they are.
    showing: verify::Showing,
    /// An agent's question to a colleague; the session is never begun then.
    consult: Option<Box<Consult>>,
    /// The keys of one.
    typed: conference::Typed,
    /// A third one hears the two, and is heard.
    pub(crate) conference: Option<Conference>,
    /// The callback that was offered to the caller.
    offered: promise::Offered,
    /// What is wanted of the switch, as it takes another contact too.
    pub(crate) asks: Option<Ask>,
    /// The queue waited in last, and how urgently.
    came: Option<(Arc<str>, Class)>,
    /// Who sent the caller on, until somebody answers (RFC 3892).
    referred_by: Option<String>,
    /// The way by which keys come: the first one that brought one.
    keys_by: Option<KeysBy>,
    /// Keys come in the caller's audio, whether or not they come in INFO too.
    keys_in_audio: bool,
    stage: Stage,
    /// An agent who is busy with this contact without talking with its caller.
    taken: Option<taken::Taken>,
    /// A telephone about to take the place of the agent's.
    taking: Option<Box<replace::Waiting>>,
    /// How many stays there have been.
    visits: u32,
    /// When the first of them began.
    waiting_since: Option<Duration>,
    outbox: Outbox,
    owed: Vec<Owed>,
    /// Nobody called: somebody is called, as the desk owes it to them.
    calling_back: Option<Box<callback::CallingBack>>,
    /// The time in the switch's heap for which this contact is entered.
    pub(crate) wake: Option<Duration>,
}

/// A contact as the invariants see it; for tests and live views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Not answered yet.
    Arriving,
    /// In the flow. `listening`: no prompt, a key is awaited or an answer is due.
    Flow {
        /// Nothing is being played.
        listening: bool,
    },
    /// In a queue.
    Queue {
        /// Music, or an announcement.
        sounding: bool,
    },
    /// An agent is being called for it.
    Offer {
        /// Which offer.
        offer: OfferId,
        /// Music, or an announcement.
        sounding: bool,
    },
    /// A partner is being called for it.
    Outside {
        /// Music, or an announcement.
        sounding: bool,
    },
    /// Talking.
    Conversation {
        /// By which offer; none when it is with a partner.
        offer: Option<OfferId>,
        /// One of the two has put the other on hold.
        held: bool,
    },
    /// Over.
    Ended,
}

impl Sound {
    /// Is it what is heard while waiting?
    fn is_of_waiting(self) -> bool {
        matches!(self, Self::Music | Self::Early)
    }
}

impl Contact {
    pub(crate) fn id(&self) -> ContactId {
        self.id
    }

    pub(crate) fn view(&self) -> View {
        // Where nobody is on the line yet, nobody is in silence.
        let sounding = self.sound != Sound::Nothing || self.has_nobody();
        match &self.stage {
            Stage::Opening { .. } | Stage::Answered { .. } => View::Arriving,
            Stage::Flow => View::Flow {
                listening: !sounding,
            },
            Stage::Queue(_) => View::Queue { sounding },
            Stage::Offer(_, offer) => View::Offer {
                offer: offer.id,
                sounding,
            },
            Stage::Outside(_) => View::Outside { sounding },
            Stage::Conversation(talk) => View::Conversation {
                offer: match talk.other {
                    Other::Agent { offer, .. } => Some(offer),
                    Other::Partner { .. } => None,
                },
                held: self.audio.held() || talk.audio.held(),
            },
            Stage::Ended { .. } => View::Ended,
        }
    }

    /// Do we know where the caller's audio goes?
    fn can_hear(&self) -> bool {
        matches!(
            self.audio,
            Audio::Open {
                negotiated: Some(_),
                ..
            }
        )
    }

    /// Is the flow under way?
    fn has_begun(&self) -> bool {
        !matches!(
            self.stage,
            Stage::Opening { .. } | Stage::Answered { .. } | Stage::Ended { .. }
        )
    }

    /// Nothing is owed any more (or it was owed for too long): forget it.
    pub(crate) fn is_done(&self, now: Duration) -> bool {
        match self.stage {
            Stage::Ended { since } => {
                (self.owed.is_empty() && self.outbox.is_empty()) || now >= since + LINGER_MAX
            }
            _ => false,
        }
    }

    /// When something is due next.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        let mut consider = |at: Option<Duration>| {
            if let Some(at) = at {
                next = Some(next.map_or(at, |n| n.min(at)));
            }
        };
        match &self.stage {
            Stage::Opening { since } => consider(Some(*since + MEDIA_OPEN_MAX)),
            // Without an SDP answer there is nobody to speak to: then the leg
            // ends by itself (RFC 3261 section 13.3.1.4).
            Stage::Answered { since } => {
                consider(self.can_hear().then_some(*since + BEGIN_WITHOUT_ACK));
            }
            Stage::Flow => {}
            Stage::Queue(stay) => consider(Some(stay.announce_at)),
            Stage::Offer(stay, offer) => {
                consider(Some(stay.announce_at));
                consider(Some(match offer.call.progress {
                    Progress::Opening { since } => offer.until.min(since + MEDIA_OPEN_MAX),
                    Progress::Calling { until, .. } => offer.until.min(until),
                    Progress::Ringing { .. } => offer.until,
                    Progress::Accepting {
                        since, repeat_at, ..
                    } => repeat_at.min(since + ACCEPT_MAX),
                }));
            }
            Stage::Outside(outside) => {
                consider(match outside.call.progress {
                    Progress::Opening { since } => Some(since + MEDIA_OPEN_MAX),
                    Progress::Calling { until, .. } => Some(until),
                    Progress::Ringing { .. } | Progress::Accepting { .. } => None,
                });
                consider(outside.sent.as_ref().map(|sent| sent.until));
            }
            Stage::Conversation(talk) => consider(match talk.other {
                Other::Agent { .. } => Some(talk.announce_at),
                Other::Partner { .. } => None,
            }),
            Stage::Ended { since } => consider(Some(*since + LINGER_MAX)),
        }
        if self.has_begun() {
            consider(self.session.poll_timeout());
        }
        if let Sound::Rendering { since, .. } = self.sound {
            consider(Some(since + RENDER_MAX));
        }
        consider(self.action_deadline());
        consider(self.taken_deadline());
        consider(self.taking_deadline());
        consider(self.callback_deadline());
        consider(self.outbox.repeat_at());
        for owed in &self.owed {
            consider(Some(owed.repeat_at));
        }
        next
    }

    /// Does what is due.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        match self.stage {
            Stage::Opening { since } if now >= since + MEDIA_OPEN_MAX => {
                self.refuse_arrival(cx, cx.setup.sip.refusal_code);
            }
            Stage::Answered { since } if self.can_hear() && now >= since + BEGIN_WITHOUT_ACK => {
                self.begin(cx);
            }
            _ => {}
        }
        if self.has_begun() && self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
            self.carry_out(cx);
        }
        self.render_timeout(cx);
        self.action_timeout(cx);
        self.wait_timeout(cx);
        self.partner_timeout(cx);
        self.talk_timeout(cx);
        self.taken_timeout(cx);
        self.taking_timeout(cx);
        self.callback_timeout(cx);
        self.outbox.timeout(cx);
        if self.outbox.gave_up_on_ticket() {
            self.session.handle(now, ivr_flows::Input::TicketFailed);
            self.carry_out(cx);
        }
        self.owed_timeout(cx);
    }

    fn note(&self, cx: &mut Cx<'_>, what: NoteWhat) {
        match what {
            NoteWhat::OneWayAudio(..) => cx.counters.one_way += 1,
            NoteWhat::NowInClear(_) => cx.counters.now_in_clear += 1,
            NoteWhat::AnswerUnusable(_) => cx.counters.answers_unusable += 1,
            _ => {}
        }
        cx.out.push_back(Output::Note(Note {
            contact: self.id,
            tenant: self.tenant,
            what,
        }));
    }

    fn tell_desk(&mut self, cx: &mut Cx<'_>, what: What) {
        // Nobody's journey.
        if self.consult.is_some() {
            return;
        }
        self.outbox.push(self.id, self.tenant, what, cx);
    }

    fn journey(&mut self, cx: &mut Cx<'_>, journey: Journey) {
        self.tell_desk(cx, What::Journey(journey));
    }

    /// Sends a message that is repeated until [`Self::settle`] or for a
    /// bounded number of times.
    fn owe(&mut self, cx: &mut Cx<'_>, what: Owing) {
        self.send_owed(cx, what);
        self.owed.push(Owed {
            what,
            repeat_at: cx.now.mono + OWED_EVERY,
            left: OWED_REPEATS_MAX,
        });
    }

    fn send_owed(&self, cx: &mut Cx<'_>, what: Owing) {
        cx.acd(match what {
            Owing::Leave(visit) => ToAcd::Leave {
                contact: acd::ContactId(self.id.0),
                visit,
            },
            Owing::Finish(offer) => ToAcd::Finish { offer },
            Owing::Decline(offer, why) => ToAcd::Decline { offer, why },
        });
    }

    fn owed_timeout(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let mut due = Vec::new();
        self.owed.retain_mut(|owed| {
            if owed.repeat_at > now {
                return true;
            }
            if owed.left == 0 {
                if let Owing::Decline(offer, _) | Owing::Finish(offer) = owed.what {
                    cx.index.offers.remove(&offer);
                }
                return false;
            }
            due.push(owed.what);
            owed.left -= 1;
            owed.repeat_at = now + OWED_EVERY;
            true
        });
        for what in due {
            self.send_owed(cx, what);
        }
    }

    /// What was owed is known to the other side.
    fn settle(&mut self, known: impl Fn(Owing) -> bool) {
        self.owed.retain(|owed| !known(owed.what));
    }

    /// Forgets every trace in the index. The last thing done to a contact.
    pub(crate) fn forget(&mut self, cx: &mut Cx<'_>) {
        if let Some(permit) = self.permit.take() {
            cx.released.push(permit);
        }
        for owed in &self.owed {
            if let Owing::Decline(offer, _) | Owing::Finish(offer) = owed.what {
                cx.index.offers.remove(&offer);
            }
        }
        if !self.outbox.is_empty() {
            cx.counters.desk_unanswered += 1;
        }
    }
}
