//! Who calls and who works, by chance.

use std::collections::VecDeque;
use std::time::Duration;

use crate::caller::{CallPlan, Cue, Leave, Press};
use crate::dice::Dice;
use crate::hospital::{BELL, Door, Hospital, LINDQVIST, MORALES, OKAFOR, STRANGER, THEATRE, WARD};
use crate::phone::{Habit, PhonePlan};

/// Numbers that the hospitals' rules allow.
const CALLABLE: [&str; 2] = ["+15559000001", "+15559000002"];
/// The usual length of a talk in the random world.
const TALK: Duration = Duration::from_secs(30);

/// How many analysts `contacts` callers get, and over which time they call.
pub(crate) fn scale(contacts: u32, dice: &mut Dice) -> (usize, Duration) {
    let analysts = if contacts <= 60 {
        3 + dice.below(6) as usize
    } else {
        (contacts as usize / 100).clamp(8, 48)
    };
    // Each takes somebody about every 40 seconds; sometimes half, sometimes twice as busy.
    let load = [50, 90, 110, 200][dice.below(4) as usize];
    let seconds = u64::from(contacts) * 40 * 100 / (analysts as u64 * load);
    (analysts, Duration::from_secs(seconds.max(20)))
}

pub(crate) fn phone(dice: &mut Dice, people: u8, span: Duration, colleagues: u32) -> PhonePlan {
    let late = dice.chance(200_000);
    PhonePlan {
        signs_in: Some(if late {
            dice.between(Duration::ZERO, span / 2)
        } else {
            dice.millis(0, 3_000)
        }),
        lease: Duration::from_secs(*dice.pick(&[30, 120, 300, 600])),
        signs_out: (people > 0 && dice.chance(200_000))
            .then(|| (dice.millis(5_000, 120_000), dice.millis(1_000, 60_000))),
        next: VecDeque::new(),
        habit: Habit::Chance {
            people,
            talk: TALK,
            colleagues,
        },
    }
}

/// A telephone of the partner's: never registered, and human.
pub(crate) fn partner(people: u8) -> PhonePlan {
    PhonePlan {
        habit: Habit::Chance {
            people,
            talk: TALK,
            colleagues: 0,
        },
        ..PhonePlan::absent()
    }
}

/// Most who are offered a callback take it, at the number they call from or at another.
fn wants_callback(dice: &mut Dice, plan: &mut CallPlan) {
    let mut presses = |text: &str, keys: &str, dice: &mut Dice| {
        let mut cue = Cue::Hearing(text.to_owned(), dice.millis(0, 6_000));
        for key in keys.chars() {
            plan.presses.push(Press { cue, key });
            cue = Cue::Following(dice.millis(100, 900));
        }
    };
    if dice.chance(250_000) {
        return;
    }
    presses("To be called back instead", "1", dice);
    presses(
        "your turn, press 1.",
        dice.pick::<&str>(&["1", "1", "1", "2", "9", "0"]),
        dice,
    );
    let other = format!(
        "{}#",
        CALLABLE[dice.below(2) as usize].trim_start_matches('+')
    );
    presses("Please key in the number", &other, dice);
    presses(
        "If that is right",
        dice.pick::<&str>(&["1", "1", "1", "2"]),
        dice,
    );
}

pub(crate) fn caller(dice: &mut Dice, people: u8, span: Duration) -> CallPlan {
    let at = dice.between(Duration::ZERO, span);
    let hospital = *dice.pick(&Hospital::ALL);
    let door = dice.weighted(&[
        (3, Door::Staff),
        (3, Door::Patient),
        (2, Door::Clinician),
        (1, Door::Location),
        (2, Door::Portal),
        (1, Door::Extension),
        (1, Door::Pharmacy),
        (1, Door::Systems),
        (1, Door::Password),
    ]);
    let from = *dice.pick(&[
        Some(OKAFOR),
        Some(LINDQVIST),
        Some(MORALES),
        Some(BELL),
        Some(WARD),
        Some(THEATRE),
        Some(STRANGER),
        Some(CALLABLE[0]),
        Some(CALLABLE[1]),
        None,
    ]);
    let mut plan = CallPlan::new(at, hospital.number(door), from);
    if dice.chance(5_000) {
        // Not a number of ours.
        plan.dials = "15550109999".to_owned();
    }
    if door == Door::Extension {
        // An agent's, a queue's, nobody's, and one outside that isn't for callers.
        let extension = *dice.pick(&["2002", "2002", "2006", "2999", "9001"]);
        let mut when = dice.millis(1_000, 15_000);
        for key in extension.chars() {
            let cue = Cue::Answer(when);
            plan.presses.push(Press { cue, key });
            when += dice.millis(200, 1_500);
        }
    } else if door == Door::Password && dice.chance(800_000) {
        // What they are asked for, and often something before or beyond it.
        let mut when = dice.millis(3_000, 8_000);
        for _ in 0..=dice.below(3) {
            for key in "4711#90210#03011980#".chars() {
                let cue = Cue::Answer(when);
                plan.presses.push(Press { cue, key });
                when += dice.millis(100, 400);
            }
            when += dice.millis(200, 15_000);
        }
    } else if dice.chance(700_000) {
        let mut when = Duration::ZERO;
        for _ in 0..=dice.below(3) {
            when += dice.millis(200, 15_000);
            plan.presses.push(Press {
                cue: Cue::Answer(when),
                key: *dice.pick(&['1', '2', '3', '1', '2', '3', '0', '9', '#', '*']),
            });
        }
    }
    if matches!(
        door,
        Door::Clinician | Door::Portal | Door::Pharmacy | Door::Systems
    ) {
        wants_callback(dice, &mut plan);
    }
    // Everybody loses patience at some time, and nobody talks for ever.
    plan.leaves
        .push(Leave::AfterDialling(dice.millis(20_000, 240_000)));
    plan.leaves
        .push(Leave::AfterTalking(dice.between(TALK / 8, TALK * 3)));
    let hasty = [50_000, 150_000, 300_000, 500_000][usize::from(people.min(3))];
    if dice.chance(hasty) {
        plan.leaves.push(match dice.below(7) {
            0 => Leave::AfterDialling(dice.millis(0, 40)),
            1 => Leave::AfterDialling(dice.millis(0, 1_500)),
            2 => Leave::AfterAnswer(dice.millis(0, 30)),
            3 => Leave::AfterAnswer(dice.millis(0, 20_000)),
            4 => Leave::AfterRinging(dice.millis(0, 400)),
            5 => Leave::AfterRinging(dice.millis(0, 15_000)),
            _ => Leave::AfterTalking(dice.millis(0, 600)),
        });
    }
    if people >= 2 {
        plan.never_acks = dice.chance(10_000);
        if dice.chance(20_000) {
            plan.vanishes = Some(dice.millis(0, 60_000));
        }
    }
    plan
}
