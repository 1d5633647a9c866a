//! Whole calls between two endpoints, each message of each story lost once,
//! doubled once and delayed once. Both sides must be told the same as on a
//! perfect wire, and nothing may be left behind.

mod pair;

use pair::{Act, CALLEE, CALLER, Fate, Habit, Pair, ms};

struct Story {
    name: &'static str,
    habit: Habit,
    acts: &'static [(u64, Act)],
    caller: &'static [&'static str],
    callee: &'static [&'static str],
}

const LOCAL: &str = "ended Local";
const BYE: &str = "ended Bye(Bye { reason: Some(\"Q.850;cause=16\") })";
const INCOMING: &str = "incoming sip:5550100@198.51.100.20";

const STORIES: &[Story] = &[
    Story {
        name: "the caller hangs up",
        habit: Habit::Answers,
        acts: &[(0, Act::Call), (20_000, Act::HangUp(CALLER))],
        caller: &["answered", LOCAL],
        callee: &[INCOMING, "confirmed false", BYE],
    },
    Story {
        name: "the callee hangs up",
        habit: Habit::Answers,
        acts: &[(0, Act::Call), (20_000, Act::HangUp(CALLEE))],
        caller: &["answered", BYE],
        callee: &[INCOMING, "confirmed false", LOCAL],
    },
    Story {
        name: "a delayed offer",
        habit: Habit::Answers,
        acts: &[(0, Act::CallWithoutOffer), (20_000, Act::HangUp(CALLER))],
        caller: &["answered", LOCAL],
        callee: &[INCOMING, "confirmed true", BYE],
    },
    Story {
        name: "the caller gives up",
        habit: Habit::Rings,
        acts: &[(0, Act::Call), (20_000, Act::HangUp(CALLER))],
        caller: &[LOCAL],
        callee: &[INCOMING, "cancelled Some(\"Q.850;cause=16\")"],
    },
    Story {
        name: "the callee is busy",
        habit: Habit::Busy,
        acts: &[(0, Act::Call)],
        caller: &["refused 486"],
        callee: &[INCOMING, LOCAL],
    },
    Story {
        name: "the callee declines",
        habit: Habit::Rings,
        acts: &[(0, Act::Call), (20_000, Act::HangUp(CALLEE))],
        caller: &["refused 603"],
        callee: &[INCOMING, LOCAL],
    },
    Story {
        name: "either side changes the session",
        habit: Habit::Answers,
        acts: &[
            (0, Act::Call),
            (20_000, Act::Reinvite(CALLER)),
            (40_000, Act::Reinvite(CALLEE)),
            (60_000, Act::HangUp(CALLER)),
        ],
        caller: &[
            "answered",
            "reinvite answered",
            "reinvite",
            "confirmed false",
            LOCAL,
        ],
        callee: &[
            INCOMING,
            "confirmed false",
            "reinvite",
            "confirmed false",
            "reinvite answered",
            BYE,
        ],
    },
    Story {
        name: "either side changes the session by UPDATE",
        habit: Habit::Answers,
        acts: &[
            (0, Act::Call),
            (20_000, Act::Update(CALLER)),
            (40_000, Act::Update(CALLEE)),
            (60_000, Act::HangUp(CALLER)),
        ],
        caller: &["answered", "reinvite answered", "reinvite", LOCAL],
        callee: &[
            INCOMING,
            "confirmed false",
            "reinvite",
            "reinvite answered",
            BYE,
        ],
    },
    Story {
        name: "early media comes reliably, before the answer",
        habit: Habit::EarlyMedia,
        acts: &[(0, Act::Call), (20_000, Act::HangUp(CALLER))],
        caller: &["early media", "answered", LOCAL],
        callee: &[INCOMING, "confirmed false", BYE],
    },
    Story {
        name: "both hang up at once",
        habit: Habit::Answers,
        acts: &[
            (0, Act::Call),
            (20_000, Act::HangUp(CALLER)),
            (20_000, Act::HangUp(CALLEE)),
        ],
        caller: &["answered", LOCAL],
        callee: &[INCOMING, "confirmed false", LOCAL],
    },
    Story {
        name: "a phone signs in",
        habit: Habit::Silent,
        acts: &[(0, Act::Register)],
        caller: &["response 200"],
        callee: &["register 401 0", "register 200 1"],
    },
    Story {
        name: "a keep-alive",
        habit: Habit::Silent,
        acts: &[(0, Act::Options)],
        caller: &["response 200"],
        callee: &[],
    },
];

fn play(story: &Story, fate: Fate) -> Pair {
    let mut pair = Pair::new(story.habit, fate);
    for (at, act) in story.acts {
        pair.at(ms(*at), *act);
    }
    pair.run(ms(600_000));
    pair.assert_empty();
    pair
}

fn check(story: &Story, fate: Fate, what: &str) {
    let pair = play(story, fate);
    // A provisional response is not repeated by itself, so ringing may be
    // missed or heard twice.
    let told = |side: usize| -> Vec<&str> {
        let told = pair.told[side].iter().map(String::as_str);
        told.filter(|t| !t.starts_with("ringing")).collect()
    };
    assert_eq!(told(CALLER), story.caller, "caller; {}: {what}", story.name);
    assert_eq!(told(CALLEE), story.callee, "callee; {}: {what}", story.name);
}

#[test]
fn stories_survive_any_one_fault() {
    for story in STORIES {
        let perfect = play(story, Pair::perfect());
        check(story, Pair::perfect(), "nothing");
        for (index, (_, line)) in perfect.sent.iter().enumerate() {
            let delays: [(&str, &[u64]); 4] = [
                ("lost", &[]),
                ("doubled", &[10, 11]),
                ("doubled late", &[10, 700]),
                ("delayed", &[900]),
            ];
            for (what, delays) in delays {
                let delays: Vec<_> = delays.iter().map(|d| ms(*d)).collect();
                let fate = Box::new(move |i: usize, _: &str| {
                    if i == index {
                        delays.clone()
                    } else {
                        vec![ms(10)]
                    }
                });
                check(story, fate, &format!("{what} {index} {line}"));
            }
        }
    }
}

#[test]
fn the_whole_message_flow_of_a_call() {
    let pair = play(&STORIES[0], Pair::perfect());
    let lines: Vec<_> = pair.sent.iter().map(|(_, line)| line.as_str()).collect();
    let contact = lines[3].split(' ').nth(1).unwrap();
    assert!(contact.ends_with("@198.51.100.20:5060"));
    assert_eq!(
        lines,
        [
            "INVITE sip:5550100@198.51.100.20 SIP/2.0",
            "SIP/2.0 180 Ringing",
            "SIP/2.0 200 OK",
            &format!("ACK {contact} SIP/2.0"),
            &format!("BYE {contact} SIP/2.0"),
            "SIP/2.0 200 OK",
        ]
    );
}

/// Every way to lose the crossing CANCEL and 200: the call is always over.
#[test]
fn a_200_crossing_a_cancel_is_acked_and_ended() {
    for hangup_at in (900..1200).step_by(5) {
        let mut pair = Pair::new(Habit::Answers, Pair::perfect());
        pair.at(ms(0), Act::Call);
        pair.at(ms(hangup_at), Act::HangUp(CALLER));
        pair.run(ms(600_000));
        pair.assert_empty();
        let last = |side: usize| pair.told[side].last().unwrap().as_str();
        assert_eq!(last(CALLER), LOCAL);
        assert!(last(CALLEE).starts_with("cancelled") || last(CALLEE).starts_with("ended Bye"));
    }
}

#[test]
fn a_cancel_waits_for_a_provisional() {
    // The callee says nothing before its 100, 200 ms later.
    let mut pair = Pair::new(Habit::Silent, Pair::perfect());
    pair.at(ms(0), Act::Call);
    pair.at(ms(50), Act::HangUp(CALLER));
    pair.run(ms(600_000));
    pair.assert_empty();
    let lines: Vec<_> = pair.sent.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines[1], "SIP/2.0 100 Trying");
    assert!(lines[2].starts_with("CANCEL "));
    assert_eq!(pair.told[CALLER], [LOCAL]);
    assert!(pair.told[CALLEE][1].starts_with("cancelled"));
}

/// The INVITE has arrived, everything said to it is lost for a while, and the
/// caller is gone: the phone must not ring on.
#[test]
fn a_phone_is_cancelled_though_its_first_words_were_lost() {
    let check = |lost: usize, hangup_at: u64| {
        let mut answers = 0;
        let fate = Box::new(move |_: usize, line: &str| {
            let answer = line.starts_with("SIP/2.0 1");
            answers += usize::from(answer);
            if answer && answers <= lost {
                vec![]
            } else {
                vec![ms(10)]
            }
        });
        let mut pair = Pair::new(Habit::Rings, fate);
        pair.at(ms(0), Act::Call);
        pair.at(ms(hangup_at), Act::HangUp(CALLER));
        pair.run(ms(60_000));
        let what = format!("{lost} lost, {hangup_at}");
        assert_eq!(pair.told[CALLER], [LOCAL], "{what}");
        let cancelled = "cancelled Some(\"Q.850;cause=16\")";
        assert_eq!(pair.told[CALLEE], [INCOMING, cancelled], "{what}");
        pair.run(ms(600_000));
        pair.assert_empty();
    };
    check(1, 15);
    check(1, 400);
    check(3, 15);
    // Timer A alone would have come again at 15.5 s only.
    check(5, 8_000);
}

/// Nobody is there, and the caller is gone: silence soon.
#[test]
fn an_invite_is_not_repeated_long_after_the_hangup() {
    let fate = Box::new(|_: usize, _: &str| vec![]);
    let mut pair = Pair::new(Habit::Rings, fate);
    pair.at(ms(0), Act::Call);
    pair.at(ms(100), Act::HangUp(CALLER));
    pair.run(ms(4_100));
    let sent = pair.sent.len();
    assert_eq!(sent, 4);
    pair.run(ms(600_000));
    assert_eq!(pair.sent.len(), sent);
    pair.assert_empty();
}

#[test]
fn a_dead_peer_is_noticed() {
    let check = |lost: fn(&str) -> bool, act: &[(u64, Act)], caller: &[&str], callee: &[&str]| {
        let fate = Box::new(
            move |_: usize, line: &str| {
                if lost(line) { vec![] } else { vec![ms(10)] }
            },
        );
        let mut pair = Pair::new(Habit::Answers, fate);
        for (at, act) in act {
            pair.at(ms(*at), *act);
        }
        pair.run(ms(900_000));
        pair.assert_empty();
        let told = |side: usize| -> Vec<&str> {
            let told = pair.told[side].iter().map(String::as_str);
            told.filter(|t| !t.starts_with("ringing")).collect()
        };
        assert_eq!(told(CALLER), caller);
        assert_eq!(told(CALLEE), callee);
    };
    let call = &[(0, Act::Call)];
    check(
        |l| l.starts_with("INVITE"),
        call,
        &["ended TransactionTimeout"],
        &[],
    );
    // No ACK ever: the callee ends the call with BYE.
    check(
        |l| l.starts_with("ACK"),
        call,
        &["answered", "ended Bye(Bye { reason: None })"],
        &[INCOMING, "ended AckTimeout"],
    );
    check(
        |l| l.starts_with("BYE"),
        &[
            (0, Act::Call),
            (5_000, Act::HangUp(CALLER)),
            (60_000, Act::HangUp(CALLEE)),
        ],
        &["answered", LOCAL],
        &[INCOMING, "confirmed false", LOCAL],
    );
    check(
        |l| l.starts_with("REGISTER"),
        &[(0, Act::Register)],
        &["timeout"],
        &[],
    );
    // All answers lost: the caller rings out, then the callee's 200 does.
    check(
        |l| l.starts_with("SIP/2.0 200") || l.starts_with("BYE"),
        call,
        &["ended TransactionTimeout"],
        &[INCOMING, "ended AckTimeout"],
    );
}

#[test]
fn glare_is_resolved() {
    let mut pair = Pair::new(Habit::Answers, Pair::perfect());
    pair.at(ms(0), Act::Call);
    pair.at(ms(10_000), Act::Reinvite(CALLER));
    pair.at(ms(10_000), Act::Reinvite(CALLEE));
    pair.at(ms(30_000), Act::HangUp(CALLER));
    pair.run(ms(600_000));
    pair.assert_empty();
    for side in [CALLER, CALLEE] {
        let count = |what: &str| pair.told[side].iter().filter(|t| *t == what).count();
        assert_eq!(count("reinvite answered"), 1, "{:?}", pair.told[side]);
        assert_eq!(count("reinvite"), 1);
    }
    let refused = pair
        .sent
        .iter()
        .filter(|(_, l)| l.starts_with("SIP/2.0 491"));
    assert_eq!(refused.count(), 2);
}

#[test]
fn the_same_seed_plays_the_same_call() {
    let sent = || play(&STORIES[6], Pair::perfect()).sent;
    assert_eq!(sent(), sent());
}
