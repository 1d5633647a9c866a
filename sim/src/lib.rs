//! The simulated world: a busy help desk on virtual time, from a seed.
//!
//! The system under test is real: the switch with its SIP endpoint and flows,
//! the distributor and the desk. Around it everything is a model that may
//! misbehave: callers, analysts' phones, the network, the media threads, the
//! speech, the store. A world that breaks an invariant is played again from
//! its seed, line by line: `cargo run -p sim -- SEED`.
//!
//! | file | what |
//! |---|---|
//! | `dice` | the one source of chance |
//! | `agenda` | what is due when |
//! | `weather` | how hostile a world is |
//! | `hospital` | the help desk's set-up: two hospitals, alike on purpose |
//! | `crowd` | who calls and who works, by chance |
//! | `caller` | somebody who calls: a lean user agent client |
//! | `phone` | an analyst's phone |
//! | `audio` | who hears what: a model of the media threads |
//! | `voice` | the speech, and what each clip says |
//! | `store` | what is on disk |
//! | `tickets` | what is agreed about tickets, and what must hold of their events |
//! | `node` | the system under test |
//! | `world` | time passes: what is due happens, what is wanted is done |
//! | `oracle` | what must always hold |
//! | `runner` | many worlds, one after the other |
//! | `trace` | what happened, line by line |
//!
//! There is no clock, thread or socket inside a world.

mod agenda;
mod audio;
mod caller;
mod crowd;
mod dice;
mod hospital;
mod node;
mod oracle;
mod phone;
mod runner;
mod sip_text;
mod store;
mod tickets;
mod trace;
mod voice;
mod weather;
mod world;

pub use caller::{CallPlan, CallerEnd, Cue, Keys, Leave, Press};
pub use dice::Dice;
pub use hospital::{
    BELL, Door, Hospital, LINDQVIST, MAIN_NUMBER, MORALES, OKAFOR, STATION_NUMBER, STRANGER,
    THEATRE, WARD,
};
pub use phone::{Deed, Habit, PhonePlan, Reaction, Rung};
pub use runner::{Broken, play, play_and, replay};
pub use trace::Trace;
pub use weather::{Path, StoreWeather, Weather};
pub use world::{Failure, Figures, Fit, Heard, Reply, World, WorldConfig};
