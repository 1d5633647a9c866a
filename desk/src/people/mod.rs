//! The people and places of a hospital: who they are, how they are reached,
//! what they need, and what may be shown of them to whom.
//!
//! A calling number is a routing hint and never proof; what may be said and
//! shown because of it stands in one place, [`shown`]. Somebody who is staff
//! and patient has two profiles, and nothing here leads from one to the other.
//!
//! | file | what |
//! |---|---|
//! | `profile.rs` | a person or place, as their source tells of them |
//! | `availability.rs` | when somebody can be called, in their own zone |
//! | `shown.rs` | what is shown of whom, to whom, at which identity level |
//! | `register.rs` | everybody of one hospital, by id and by source |
//! | `export.rs` | everybody as a table |
//! | `code.rs` | a code that was sent for one call |
//! | `factors.rs` | what somebody knows of themselves, sealed |
//! | `import/` | CSV and FHIR files: what they would change, and what is wrong with them |

/// An enumeration with the words by which files name its values.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $value:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$about])* $value),+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }

            /// The value of that word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }
    };
}

mod availability;
mod code;
mod export;
mod factors;
pub mod import;
mod profile;
mod register;
mod shown;

pub use availability::*;
pub use code::SentCode;
pub use export::export;
pub use factors::*;
pub use profile::*;
pub use register::*;
pub use shown::*;
