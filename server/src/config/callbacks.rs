//! How a hospital calls back.

use std::collections::HashMap;

use desk::PersonId;
use desk::people::{Availability, Register};
use serde::Deserialize;

use super::helpdesk::{HelpDesk, Hospital, Person};

/// How a hospital calls back whom it owes a call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackConfig {
    /// The number that customers see: one of the hospital's lines, with its `+` where customers see one.
    pub label: String,
    /// The flow that says who is calling.
    #[serde(default = "callback")]
    pub flow: String,
    /// Within which of the hospital's hours; at any hour of the day if absent. Nobody is called at night.
    #[serde(default)]
    pub hours: Option<String>,
    /// Whether within an hour that was agreed on the customer is called first, and waits for whoever is free next.
    /// Otherwise an agent is found first.
    #[serde(default)]
    pub customer_first: bool,
}

impl Person {
    /// When they can be called; their hours are those of `zone`.
    ///
    /// # Errors
    /// What can't be read, and how it is written.
    pub fn availability(&self, zone: &str) -> Result<Availability, String> {
        let week = self.available.iter();
        let week = week.map(|(days, hours)| (days.clone(), hours.clone()));
        let available = Availability::read(zone.to_owned(), week.collect(), Vec::new());
        available.map_err(|fault| fault.to_string())
    }
}

fn callback() -> String {
    "callback".to_owned()
}

impl Hospital {
    /// The flows that its callers, and whom it calls back, walk through, by name.
    pub fn flows(&self) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().map(|line| line.flow.as_str());
        lines.chain(self.callbacks.iter().map(|of| of.flow.as_str()))
    }

    /// What is wrong with its callbacks: in which key, and what.
    pub(super) fn callback_fault(
        &self,
        flows: Option<&std::collections::BTreeMap<String, std::sync::Arc<ivr_flows::Flow>>>,
    ) -> Option<(&'static str, String)> {
        let callbacks = self.callbacks.as_ref()?;
        let plain = callbacks.label.trim_start_matches('+');
        if self.lines.iter().all(|line| line.number != plain) {
            let label = &callbacks.label;
            return Some((
                "label",
                format!(
                    "\"{label}\" is no number of this hospital's `lines`: customers couldn't call it back"
                ),
            ));
        }
        if let Some(name) = &callbacks.hours
            && !self.hours.contains_key(name)
        {
            return Some((
                "hours",
                format!("there are no hours \"{name}\"; write them under `hours`"),
            ));
        }
        if self.zone.is_none() {
            let zone =
                "callbacks need `zone`, e.g. zone: America/Chicago: nobody is called at night";
            return Some(("hours", zone.to_owned()));
        }
        let flow = &callbacks.flow;
        match flows?.get(flow) {
            None => Some(("flow", format!("there is no flow \"{flow}\""))),
            Some(flow) if flow.queues().next().is_none() => Some((
                "flow",
                "leads to no queue: nobody could take the call".to_owned(),
            )),
            Some(_) => None,
        }
    }

    /// When its customers may be called.
    ///
    /// # Errors
    /// Its hours can't be read.
    pub fn callable(&self, imported: &Register) -> Result<desk::Callable, String> {
        let Some(callbacks) = &self.callbacks else {
            return Ok(desk::Callable::default());
        };
        let calendar = callbacks.hours.as_ref();
        let calendar = calendar.map(|name| self.calendar(name)).transpose()?;
        let zone = self.zone.as_deref().unwrap_or("UTC");
        let mut people = HashMap::new();
        let own = self.people.iter().filter(|own| !own.available.is_empty());
        for own in own {
            let available = own.availability(zone)?;
            people.insert(PersonId(own.id), available);
        }
        people.extend(imported.profiles().filter_map(|profile| {
            let available = profile.record.availability.clone()?;
            Some((profile.id, available))
        }));
        let callee = |(person, available): (PersonId, Availability)| {
            let callee = desk::Callee::available(&available);
            callee
                .map(|callee| (person, callee))
                .map_err(|fault| fault.to_string())
        };
        let people = people.into_iter().map(callee).collect::<Result<_, _>>()?;
        Ok(desk::Callable {
            desk: calendar.map(|calendar| desk::Exact {
                calendar,
                exception: None,
            }),
            anybody: Some(desk::Callee::anybody(zone).map_err(|fault| fault.to_string())?),
            people,
        })
    }
}

impl HelpDesk {
    /// How the calls call back for this hospital.
    pub fn callbacks(&self, hospital: &Hospital) -> Option<switch::Callbacks> {
        let callbacks = hospital.callbacks.as_ref()?;
        Some(switch::Callbacks {
            label: desk::PhoneNumber(callbacks.label.clone()),
            flow: std::sync::Arc::clone(self.flows.get(&callbacks.flow)?),
            times_first: match callbacks.customer_first {
                true => desk::First::Customer,
                false => desk::First::Agent,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hospital(callbacks: &str) -> Hospital {
        let text = format!(
            "id: 1\nname: St. Anne\ncountry_code: \"1\"\n\
             lines: [{{ number: \"15550101002\", flow: staff }}]\n\
             hours: {{ desk: {{ week: {{ mon-fri: 10:00-22:00 }} }} }}\n{callbacks}\n"
        );
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn what_is_wrong_is_said() {
        let zone = "zone: America/Chicago\n";
        for (text, key) in [
            ("callbacks: { label: \"+15550101003\" }", "label"),
            (
                "callbacks: { label: \"15550101002\", hours: night }",
                "hours",
            ),
        ] {
            let fault = hospital(&format!("{zone}{text}")).callback_fault(None);
            assert_eq!(fault.map(|(at, _)| at), Some(key), "{text}");
        }
        let fine = "callbacks: { label: \"+15550101002\", hours: desk }";
        assert_eq!(
            hospital(&format!("{zone}{fine}")).callback_fault(None),
            None
        );
        // Nobody knows when its night is.
        assert!(hospital(fine).callback_fault(None).is_some());
        assert_eq!(hospital("").callback_fault(None), None);
        let none = Default::default();
        let fault = hospital(&format!("{zone}{fine}")).callback_fault(Some(&none));
        assert_eq!(fault.map(|(at, _)| at), Some("flow"));
    }

    /// Whoever has said when they can be reached is called then, and when the desk is there.
    #[test]
    fn availability_is_the_persons() {
        let text = "zone: America/Chicago\ncallbacks: { label: \"15550101002\", hours: desk }\n\
                    people: [{ id: 1, key: okafor, role: clinician, name: Dr. Okafor, spoken: Doctor Okafor, \
                    numbers: [\"+15550177001\"], available: { tue: 08:00-12:00 } }]";
        let callable = hospital(text).callable(&Register::default()).unwrap();
        // Monday, 2026-11-23, 10:00 in Chicago; the desk opens at ten on Tuesday too.
        let ten = 1_795_449_600_000;
        let (day, hour) = (24 * 3_600_000, 3_600_000);
        let within = desk::Span {
            from: ten,
            to: ten + 6 * day,
        };
        let of = |person| callable.choices(person, within, hour, 1)[0];
        assert_eq!(
            of(None),
            desk::Span {
                from: ten,
                to: ten + 10 * hour
            }
        );
        let hers = desk::Span {
            from: ten + day,
            to: ten + day + 2 * hour,
        };
        assert_eq!(of(Some(PersonId(1))), hers);
        assert_eq!(of(Some(PersonId(2))), of(None));
        let wrong = text.replace("08:00-12:00", "eight");
        assert!(hospital(&wrong).callable(&Register::default()).is_err());
    }

    /// The desk is there until ten, and nobody is called after eight.
    #[test]
    fn nobody_is_called_at_night() {
        let fine = "zone: America/Chicago\ncallbacks: { label: \"15550101002\", hours: desk }";
        let callable = hospital(fine).callable(&Register::default()).unwrap();
        // Monday, 2026-11-23, 10:00 and 20:00 in Chicago.
        let (ten, eight) = (1_795_449_600_000, 1_795_485_600_000);
        assert_eq!(callable.next(None, ten - 1, eight), Some(ten));
        assert_eq!(callable.next(None, eight, eight + 10 * 3_600_000), None);
    }
}
