//! Keys as telephones send them: in the audio, in INFO, or each one both ways.

use std::time::Duration;

use sim::{
    CallPlan, Cue, Door, Habit, Hospital, Keys, Leave, PhonePlan, Press, Reaction, STRANGER,
    Weather, World,
};

const FIRST: Duration = Duration::from_secs(10);
const SERVICE: usize = 2;

/// The menu is answered by key, and while the service desk rings the number is
/// asked for again. What was heard, in its order.
fn heard(keys: Keys) -> Vec<String> {
    let phones = (1..=6).map(|phone| match phone {
        SERVICE => PhonePlan {
            habit: Habit::Always(Reaction::Ignore),
            ..PhonePlan::reliable()
        },
        _ => PhonePlan::absent(),
    });
    let mut world = World::story(Weather::calm(), phones.collect());
    let mut plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(STRANGER))
        .presses_at("press 1", Duration::from_millis(2_500), '2')
        .leaves(Leave::AfterAnswer(Duration::from_secs(60)));
    plan.keys = keys;
    plan.presses.push(Press {
        cue: Cue::Answer(Duration::from_secs(40)),
        key: '*',
    });
    let caller = world.call(plan);
    if let Err(failure) = world.run() {
        panic!("at {:?}: {}", failure.at, failure.what);
    }
    let heard = world.heard(caller).iter();
    heard.map(|(_, text)| text.clone()).collect()
}

#[test]
fn a_key_counts_once_however_it_is_sent() {
    let audio = heard(Keys::Audio);
    let number = |text: &&String| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit());
    assert_eq!(
        audio.iter().filter(number).count(),
        2,
        "told, and again: {audio:?}"
    );
    assert_eq!(heard(Keys::Info), audio);
    assert_eq!(heard(Keys::Both), audio);
}

/// In a conversation a key of INFO alone goes on to whoever listens; one that crosses in the audio crosses once.
#[test]
fn a_key_of_a_conversation_reaches_the_other_side_once() {
    let passed = |keys: Keys| {
        let phones = (1..=6).map(|phone| match phone {
            SERVICE => PhonePlan::reliable(),
            _ => PhonePlan::absent(),
        });
        let mut world = World::story(Weather::calm(), phones.collect());
        let mut plan = CallPlan::new(FIRST, Hospital::StAnne.number(Door::Staff), Some(STRANGER))
            .presses_at("press 1", Duration::from_millis(2_500), '2')
            .leaves(Leave::AfterAnswer(Duration::from_secs(90)));
        plan.keys = keys;
        plan.presses.push(Press {
            cue: Cue::Answer(Duration::from_secs(80)),
            key: '7',
        });
        world.call(plan);
        if let Err(failure) = world.run() {
            panic!("at {:?}: {}", failure.at, failure.what);
        }
        world.pressed().to_owned()
    };
    assert_eq!(passed(Keys::Info), "7");
    assert_eq!(passed(Keys::Both), "");
    assert_eq!(passed(Keys::Audio), "");
}
