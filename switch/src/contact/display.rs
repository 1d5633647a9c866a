//! What an agent's telephone shows of a caller.

use std::fmt::Write as _;

use desk::Caller;
use desk::people::{Level, Traits};

use super::{Contact, Cx};

impl Contact {
    /// Whom the agent's display shows. Level 0: a clinician's or staff
    /// member's name is marked unproven, a patient's isn't shown at all.
    pub(super) fn shown_to_agent(&self, cx: &Cx<'_>) -> sip::Identity {
        let hospital = cx
            .setup
            .tenants
            .get(&self.tenant)
            .map_or("", |tenant| &tenant.name);
        let who = match &self.caller {
            _ if self.is_reaching() => "Callback".to_owned(),
            Caller::Unknown => "Unknown caller".to_owned(),
            Caller::Person {
                display_name: Some(name),
                traits,
                ..
            } => {
                let speciality = traits.speciality.iter().flat_map(|what| [", ", what]);
                let speciality: String = speciality.collect();
                let sure = match self.showing.level {
                    Level::Hint | Level::Confirmed => "unproven",
                    Level::Verified | Level::CalledBack => "verified",
                };
                format!("{name}{speciality} ({sure}){}", manner(traits))
            }
            // Whoever is cleared sees more on their screen.
            Caller::Person { traits, .. } => format!("Protected profile{}", manner(traits)),
            Caller::Place { name, .. } => name.clone(),
            Caller::PossiblePatient { traits, .. } => {
                format!("Patient, possible match{}", manner(traits))
            }
        };
        sip::Identity {
            display: Some(format!("{who} - {hospital}")),
            user: self
                .ani
                .as_ref()
                .map_or_else(|| "anonymous".to_owned(), |ani| ani.0.clone()),
            host: None,
        }
    }
}

/// How somebody is to be spoken to: known before the first word, or of no use.
fn manner(traits: &Traits) -> String {
    let mut text = String::new();
    if traits.relay {
        text.push_str(", relay call");
    }
    if traits.slow {
        text.push_str(", slowly");
    }
    if let Some(language) = traits.language {
        let _ = write!(text, ", speaks {}", language.tag());
    }
    text
}

#[cfg(test)]
mod tests {
    use desk::people::Tongue;

    use super::*;

    #[test]
    fn an_agent_sees_how_to_speak() {
        let mut traits = Traits::default();
        assert_eq!(manner(&traits), "");
        traits.relay = true;
        traits.slow = true;
        traits.language = Tongue::read("es");
        assert_eq!(manner(&traits), ", relay call, slowly, speaks es");
    }
}
