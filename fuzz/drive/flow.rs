//! Flows: an input is a YAML document and, behind a NUL, what happens to a caller who walks through it: pairs of bytes.
//! Whatever the checker lets through keeps its promises in a call.

use std::sync::Arc;
use std::time::Duration;

use ivr_flows::{
    CallbackDay, CallbackOffer, CallbackTime, CallerFacts, Expansions, Factor, Facts, Fields, Flow,
    HoursState, Input, Number, PartnerOutcome, Piece, PlayId, Promised, Role, Session, Step, Val,
    prompts, run_tests,
};

use super::bounds::within;

const HAPPENINGS_MAX: usize = 128;
/// More than a document of this size can ask to be rendered ahead.
const PROMPTS_MAX: usize = 50_000;

const HOUR: CallbackTime = CallbackTime {
    day: CallbackDay::Tomorrow,
    hour: 9,
};

/// Does with `input` whatever can be done with it.
pub(crate) fn run(input: &[u8]) {
    let cut = input.iter().position(|byte| *byte == 0);
    let (source, happenings) = input.split_at(cut.unwrap_or(input.len()));
    let source = String::from_utf8_lossy(source);
    let parsed = within(source.len(), 3_000, 3_000_000, || {
        Flow::parse("fuzzed.yaml", &source)
    });
    let flow = match parsed {
        Ok(flow) => Arc::new(flow),
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= 50);
            // To YAML, a carriage return alone ends a line too.
            let lines = 1 + source.matches(['\n', '\r']).count();
            for error in errors {
                let line = usize::try_from(error.line).expect("a line");
                assert!(line <= lines, "a line of the file");
                assert!(
                    error.to_string().len() <= 4_000,
                    "a message of bounded size"
                );
            }
            return;
        }
    };
    let _ = run_tests(&flow);
    let fill = Expansions {
        names: &["Dr Okafor"],
        hospital_name: "Saint Anne",
        positions: 1..=20,
    };
    let count = prompts(&flow, &fill).take(PROMPTS_MAX).count();
    assert!(
        count < PROMPTS_MAX,
        "what is to be rendered ahead is bounded"
    );

    let most = 1 + flow.nodes().count();
    let happenings = happenings.get(1..).unwrap_or_default();
    let facts = Facts {
        dnis: "1000".into(),
        ani_withheld: happenings.len() % 2 == 1,
        hospital: "st-anne".into(),
        hospital_name: "Saint Anne".into(),
        languages: [ivr_flows::Language::ENGLISH].into(),
    };
    let mut walk = Walk::new(Session::new(flow, facts));
    // A session keeps where it is, never what happened.
    within(happenings.len(), 1_000, 100_000, || {
        walk.session.start(walk.now);
        walk.carry_out();
        for pair in happenings.chunks(2).take(HAPPENINGS_MAX) {
            walk.happens(pair[0], *pair.get(1).unwrap_or(&0));
        }
    });
    walk.go_on(most);
}

/// A session and what its driver knows of it.
struct Walk {
    session: Session,
    now: Duration,
    on_air: Option<PlayId>,
    ticket: bool,
    ticket_given: bool,
    queue: bool,
    partner: bool,
    /// The fields that an action under way is asked for.
    action: Option<Vec<Arc<str>>>,
    talking: bool,
    hung_up: bool,
}

impl Walk {
    fn new(session: Session) -> Self {
        Self {
            session,
            now: Duration::from_secs(1_000),
            on_air: None,
            ticket: false,
            ticket_given: false,
            queue: false,
            partner: false,
            action: None,
            talking: false,
            hung_up: false,
        }
    }

    fn happens(&mut self, what: u8, how: u8) {
        let input = match what % 24 {
            0 => return self.wait(Duration::from_millis(u64::from(how) * 100)),
            1 | 2 => return self.fire(),
            3 | 4 => match self.on_air.take() {
                Some(play) if how % 8 == 7 => Input::ClipUnavailable { play },
                Some(play) if how % 8 == 6 => Input::PlayCut { play },
                Some(play) => Input::PlayEnded { play },
                None => return,
            },
            5 if self.on_air == Some(PlayId(how.into())) => return,
            5 => Input::PlayEnded {
                play: PlayId(how.into()),
            },
            6 | 7 => Input::Digit(char::from(b"0123456789*#A\xe9"[usize::from(how) % 14])),
            8 => {
                let role = Role::ALL[usize::from(how) % 5];
                Input::Identified(CallerFacts {
                    role,
                    known: role != Role::Unknown,
                    spoken_name: (how & 8 == 0).then(|| "Dr Okafor".into()),
                    ..CallerFacts::UNKNOWN
                })
            }
            9 if how >= 128 => match how % 6 {
                0 => Input::VerifyAsks(vec![Factor::BirthDate, Factor::Mrn, Factor::Code]),
                1 => Input::VerifyAsks(Vec::new()),
                2 => Input::Verified {
                    level: how % 4,
                    key: Some("S-17".into()),
                },
                3 => Input::NotVerified,
                locked => Input::CannotVerify {
                    locked: locked == 4,
                },
            },
            9 => Input::IdentifyFailed,
            10 => Input::Hours(
                [HoursState::Open, HoursState::Closed, HoursState::Holiday][usize::from(how) % 3],
            ),
            11 if self.ticket => {
                self.ticket = false;
                let fine = !how.is_multiple_of(4);
                self.ticket_given |= fine;
                Input::Ticket(if fine { "4719203855" } else { "47x" }.into())
            }
            12 => {
                self.ticket = false;
                Input::TicketFailed
            }
            13 | 14 => Input::QueuePosition {
                position: u32::from(how >> 1),
                signed_in: how & 1 == 1,
            },
            15 => Input::QueueRefused,
            16 if self.queue && !self.talking => {
                self.talking = true;
                Input::QueueAnswered
            }
            17 if self.partner && !self.talking => {
                let outcome = [
                    PartnerOutcome::Answered,
                    PartnerOutcome::Busy,
                    PartnerOutcome::Failed,
                    PartnerOutcome::NoAnswer,
                ][usize::from(how) % 4];
                self.talking = outcome == PartnerOutcome::Answered;
                self.partner = self.talking;
                Input::Partner(outcome)
            }
            18 if self.talking => {
                self.talking = false;
                self.partner = false;
                self.queue = false;
                if how.is_multiple_of(2) {
                    Input::ConversationEnded
                } else {
                    Input::ConversationBroken
                }
            }
            19 if how == 255 => {
                self.hung_up = true;
                Input::CallerHungUp
            }
            20 => match self.action.take() {
                Some(wanted) if !how.is_multiple_of(4) => {
                    let value = match how % 4 {
                        1 => Val::Truth(how & 8 == 0),
                        2 => Val::Number(i64::from(how)),
                        _ => Val::Text("words".into()),
                    };
                    let fields = wanted.into_iter().map(|name| (name, value.clone()));
                    Input::ActionAnswered(fields.collect::<Fields>())
                }
                _ => Input::ActionFailed,
            },
            21 => Input::CallbackOffer((how % 8 != 7).then(|| CallbackOffer {
                number: Number::new("5550177005").filter(|_| how & 1 == 0),
                place: how & 2 == 0,
                times: vec![HOUR; usize::from(how >> 2) % 5],
            })),
            22 => Input::Number(Number::new("15550142").filter(|_| how & 1 == 0)),
            23 => match how % 4 {
                0 => Input::NotPromised,
                1 => Input::Promised(Promised::Turn),
                2 => Input::Promised(Promised::ByPerson),
                _ => Input::Promised(Promised::At(HOUR)),
            },
            _ => return,
        };
        self.tell(input);
    }

    fn tell(&mut self, input: Input) {
        self.session.handle(self.now, input);
        self.carry_out();
    }

    fn fire(&mut self) {
        let Some(due) = self.session.poll_timeout() else {
            return;
        };
        self.now = self.now.max(due);
        self.session.handle_timeout(self.now);
        let next = self.session.poll_timeout();
        assert!(
            next.is_none_or(|next| next > self.now),
            "a timer that fired is gone"
        );
        self.carry_out();
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        let mut fired = 0;
        while self.session.poll_timeout().is_some_and(|due| due <= until) {
            self.fire();
            fired += 1;
            assert!(fired < 200, "timers run in circles");
        }
        self.now = until;
    }

    fn carry_out(&mut self) {
        let mut steps = 0;
        while let Some(step) = self.session.poll() {
            steps += 1;
            assert!(steps < 64, "one event asks for a bounded number of steps");
            assert!(!self.hung_up, "nothing follows the hang-up: {step:?}");
            match step {
                Step::Play { play, prompt, .. } => {
                    assert!(
                        !self.queue && !self.partner,
                        "prompts in a queue are announcements"
                    );
                    self.plays(play, &prompt);
                }
                Step::Announce { play, prompt } => {
                    let waits = self.queue || self.partner || self.action.is_some();
                    assert!(waits && !self.talking);
                    assert!(
                        self.on_air.is_none(),
                        "announcements don't cut one another off"
                    );
                    self.plays(play, &prompt);
                }
                Step::StopPlay { play } => assert_eq!(self.on_air.take(), Some(play)),
                Step::AskHours { .. }
                | Step::Identify
                | Step::SetRole(_)
                | Step::AskIncidents { .. }
                | Step::Informed
                | Step::PreviewIncident { .. }
                | Step::PublishIncident
                | Step::Subscribe { .. }
                | Step::AskCallback { .. }
                | Step::CheckNumber(_)
                | Step::Promise(_)
                | Step::Verify { .. }
                | Step::FindTicket { .. } => {}
                Step::Check => {
                    let answers = self.session.take_answers();
                    assert!(!answers.is_empty(), "nothing to compare");
                }
                Step::ResolveTicket => assert!(self.ticket_given),
                Step::OpenTicket { .. } => self.ticket = true,
                Step::EnterQueue { .. } => {
                    assert!(self.on_air.is_none() && !self.talking);
                    assert!(
                        !std::mem::replace(&mut self.queue, true),
                        "never in two queues"
                    );
                }
                Step::LeaveQueue => assert!(std::mem::take(&mut self.queue)),
                Step::Partner { .. } | Step::Transfer { .. } => {
                    assert!(self.on_air.is_none() && !self.talking && !self.queue);
                    assert!(!std::mem::replace(&mut self.partner, true));
                }
                Step::CallAction(call) => {
                    assert!(self.on_air.is_none() && !self.talking && !self.queue);
                    self.action = Some(call.wanted);
                }
                Step::LeavePartner => assert!(std::mem::take(&mut self.partner)),
                Step::HangUp { .. } => self.hung_up = true,
            }
        }
        self.check();
    }

    fn plays(&mut self, play: PlayId, prompt: &[Piece]) {
        assert!(!prompt.is_empty(), "no empty prompt is played");
        for piece in prompt {
            match piece {
                Piece::TicketPairs(..) => assert!(self.ticket_given, "a number that isn't there"),
                Piece::NumberPairs(_, number) => {
                    assert!(number.digits().len().is_multiple_of(2), "pairs of digits");
                }
                Piece::Text(_, text) => assert!(text.len() < 8_000, "a prompt of bounded size"),
            }
        }
        self.on_air = Some(play);
    }

    /// Never in silence, and always something to wait for.
    fn check(&self) {
        let elsewhere = self.queue || self.partner || self.talking || self.hung_up;
        assert!(
            self.session.poll_timeout().is_some() || elsewhere,
            "at {} nothing is waited for",
            self.session.node()
        );
        assert_eq!(self.session.ended(), self.hung_up);
    }

    /// Whoever does nothing from here on comes to a queue, a conversation or the end.
    fn go_on(&mut self, nodes: usize) {
        for _ in 0..nodes * 200 {
            if self.queue || self.partner || self.talking || self.hung_up {
                return;
            }
            match self.on_air.take() {
                Some(play) => self.tell(Input::PlayEnded { play }),
                None => self.fire(),
            }
        }
        panic!("stuck at {}", self.session.node());
    }
}
