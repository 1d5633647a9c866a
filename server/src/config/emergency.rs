//! Emergency services: which numbers, who carries them, and where each
//! telephone stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use desk::PhoneNumber;
use serde::Deserialize;
use switch::{CivicAddress, EmergencyNumber, EmergencyRoute, Station};

use super::HelpDesk;

/// How many digits an emergency number has.
const DIGITS: std::ops::RangeInclusive<usize> = 2..=6;
/// Telephones named in a warning.
const NAMED_MAX: usize = 20;

/// Calls to emergency services, in `operator.yaml`. Without it nobody can make any.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencyConfig {
    /// Numbers that are dialled for it, without anything before them. The first is
    /// what `urn:service:sos` means.
    #[serde(default = "default_numbers")]
    pub numbers: Vec<String>,
    /// What trunks are called for a number, where that isn't the number itself.
    #[serde(default)]
    pub sent_as: BTreeMap<String, String>,
    /// Trunks that are tried first, in this order. All others are tried after them.
    #[serde(default)]
    pub trunks: Vec<String>,
    /// What the service calls back where a telephone has no `callback` of its own.
    pub callback: Option<String>,
}

fn default_numbers() -> Vec<String> {
    ["911", "112", "988"].map(str::to_owned).to_vec()
}

/// What a hospital has of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HospitalEmergency {
    /// Trunks that are tried first for its telephones, in place of the operator's.
    #[serde(default)]
    pub trunks: Vec<String>,
    /// Its main number, in place of the operator's.
    pub callback: Option<String>,
}

/// Where a telephone stands.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationConfig {
    /// What an emergency service calls back, and finds the place by (ELIN).
    pub callback: Option<String>,
    /// Two letters: US.
    pub country: Option<String>,
    /// State or province.
    pub state: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Street.
    pub street: Option<String>,
    /// House number.
    pub number: Option<String>,
    /// Building, where there are several.
    pub building: Option<String>,
    /// Floor.
    pub floor: Option<String>,
    /// Room.
    pub room: Option<String>,
}

/// Where somebody sits isn't for a log.
impl std::fmt::Debug for StationConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StationConfig").finish_non_exhaustive()
    }
}

/// A number that can be called back.
fn callback(number: &Option<String>) -> Result<Option<PhoneNumber>, String> {
    let Some(number) = number else {
        return Ok(None);
    };
    let digits = number.strip_prefix('+').unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!(
            "callback \"{number}\": a number outside can dial, digits with an optional leading +"
        ));
    }
    Ok(Some(PhoneNumber(number.clone())))
}

fn route(trunks: &[String], number: &Option<String>) -> Result<EmergencyRoute, String> {
    Ok(EmergencyRoute {
        trunks: trunks.iter().map(|name| Arc::from(name.as_str())).collect(),
        callback: callback(number)?,
    })
}

impl EmergencyConfig {
    /// The numbers as the calls use them.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn numbers(&self) -> Result<Vec<EmergencyNumber>, String> {
        let fault = |number: &String| {
            Err(format!(
                "emergency: number \"{number}\": it is written with {} to {} digits, e.g. \"911\"",
                DIGITS.start(),
                DIGITS.end()
            ))
        };
        let is_number = |text: &String| {
            DIGITS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        for number in self.numbers.iter().chain(self.sent_as.values()) {
            if !is_number(number) {
                return fault(number);
            }
        }
        if self.numbers.is_empty() {
            return Err("emergency: `numbers` is empty; leave it out for 911, 112 and 988".into());
        }
        if let Some(stray) = self.sent_as.keys().find(|key| !self.numbers.contains(key)) {
            return Err(format!(
                "emergency: sent_as \"{stray}\" isn't among `numbers`"
            ));
        }
        let numbers = self.numbers.iter().map(|dialled| EmergencyNumber {
            dialled: dialled.as_str().into(),
            sent: self.sent_as.get(dialled).unwrap_or(dialled).as_str().into(),
        });
        Ok(numbers.collect())
    }

    /// For telephones of no hospital, and hospitals that say nothing.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn route(&self) -> Result<EmergencyRoute, String> {
        route(&self.trunks, &self.callback).map_err(|fault| format!("emergency: {fault}"))
    }
}

impl HospitalEmergency {
    /// As the calls use it.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn route(&self) -> Result<EmergencyRoute, String> {
        route(&self.trunks, &self.callback).map_err(|fault| format!("emergency: {fault}"))
    }
}

impl StationConfig {
    /// As the calls use it.
    ///
    /// # Errors
    /// What is missing of an address.
    pub fn station(&self) -> Result<Station, String> {
        let needed = [
            ("country", &self.country),
            ("state", &self.state),
            ("city", &self.city),
            ("street", &self.street),
            ("number", &self.number),
        ];
        let finer = [&self.building, &self.floor, &self.room];
        let callback = callback(&self.callback)?;
        let written =
            |text: &&Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
        let missing = needed.iter().find(|(_, text)| !written(text));
        let address = match missing {
            Some((name, _)) => {
                let begun =
                    needed.iter().map(|(_, text)| text).any(written) || finer.iter().any(written);
                if begun {
                    return Err(format!(
                        "an address has country, state, city, street and number; `{name}` is missing"
                    ));
                }
                None
            }
            None => {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                Some(CivicAddress {
                    country: text(&self.country),
                    state: text(&self.state),
                    city: text(&self.city),
                    street: text(&self.street),
                    number: text(&self.number),
                    building: self.building.clone(),
                    floor: self.floor.clone(),
                    room: self.room.clone(),
                })
            }
        };
        if address.as_ref().is_some_and(|address| {
            address.country.len() != 2 || !address.country.bytes().all(|b| b.is_ascii_uppercase())
        }) {
            return Err("the country is two capital letters (ISO 3166), e.g. US".into());
        }
        Ok(Station { callback, address })
    }
}

impl HelpDesk {
    /// Emergency numbers that this one would take away from the telephones
    /// that register here.
    pub fn emergency_lost(&self, next: &HelpDesk) -> Vec<String> {
        let kept = next.emergency.as_ref().map_or(&[][..], |e| &e.numbers);
        let had = self.emergency.as_ref().map_or(&[][..], |e| &e.numbers);
        let lost = had.iter().filter(|number| !kept.contains(number));
        lost.map(|number| {
            format!("emergency: {number} could no longer be called from the telephones that register here")
        })
        .collect()
    }

    /// What an emergency service couldn't be told, or nobody call. Nothing is
    /// refused because of it; somebody should put it right.
    pub fn emergency_gaps(&self) -> Vec<String> {
        let Some(emergency) = &self.emergency else {
            return vec![
                "operator.yaml has no `emergency`: no emergency service can be called from the telephones that \
                 register here"
                    .to_owned(),
            ];
        };
        let mut gaps = Vec::new();
        if emergency.trunks.is_empty() {
            gaps.push(
                "operator.yaml: `emergency` names no trunks: any trunk there is will be asked to carry emergency calls"
                    .to_owned(),
            );
        }
        // Whose hand dials the code for a line outside first is still in need.
        for code in ["9", "0"] {
            let mut rules = self.hospitals.iter().flat_map(|hospital| &hospital.outside);
            let first = emergency.numbers.first();
            let with_code = first.map(|first| format!("{code}{first}"));
            if rules.any(|rule| rule.prefix.starts_with(code))
                && let (Some(first), Some(with_code)) = (first, with_code)
                && !emergency.numbers.contains(&with_code)
            {
                gaps.push(format!(
                    "operator.yaml: `emergency`: who dials {code} for a line outside and then {first} reaches nobody; add \
                     \"{with_code}\" to `numbers` and {{ \"{with_code}\": \"{first}\" }} to `sent_as`"
                ));
            }
        }
        let agents = self.agents.iter();
        let agents =
            agents.map(|agent| (&agent.user, &agent.station, emergency.callback.is_some()));
        let phones = self.hospitals.iter().flat_map(|hospital| {
            let own = hospital.emergency.callback.is_some() || emergency.callback.is_some();
            let phones = hospital.phones.iter();
            phones.map(move |phone| (&phone.user, &phone.station, own || phone.number.is_some()))
        });
        let all: Vec<_> = agents.chain(phones).collect();
        let without = |lacks: &dyn Fn(&StationConfig, bool) -> bool| -> Vec<&str> {
            let found = all
                .iter()
                .filter(|(_, station, known)| lacks(station, *known));
            found.map(|(user, ..)| user.as_str()).collect()
        };
        let mut tell = |users: Vec<&str>, what: &str| {
            if users.is_empty() {
                return;
            }
            let shown = users.get(..NAMED_MAX).unwrap_or(&users).join(", ");
            let more = users.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            gaps.push(format!("{what}: {shown}{more}"));
        };
        tell(
            without(&|station, _| station.street.is_none()),
            "no emergency service learns where these accounts' telephones stand (write `station`)",
        );
        tell(
            without(&|station, known| station.callback.is_none() && !known),
            "no emergency service can call these accounts' telephones back (write `callback`)",
        );
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(fields: &[(&str, &str)]) -> Result<Station, String> {
        let text: String = fields
            .iter()
            .map(|(name, value)| format!("{name}: \"{value}\"\n"))
            .collect();
        let config: StationConfig = serde_saphyr::from_str(&text).expect("well-formed");
        config.station()
    }

    #[test]
    fn an_address_is_whole_or_not_there() {
        let whole = [
            ("country", "US"),
            ("state", "IL"),
            ("city", "Springfield"),
            ("street", "Oak Street"),
            ("number", "400"),
        ];
        let written = station(&whole).expect("well-formed");
        assert_eq!(
            written.address.map(|address| address.city),
            Some("Springfield".into())
        );
        assert_eq!(
            station(&[("callback", "+15550101990")]).map(|station| station.address),
            Ok(None)
        );
        for left_out in 0..whole.len() {
            let mut fields = whole.to_vec();
            let (name, _) = fields.remove(left_out);
            let fault = station(&fields).expect_err("incomplete");
            assert!(fault.contains(&format!("`{name}` is missing")), "{fault}");
        }
        assert!(station(&[("room", "3")]).is_err());
        assert!(station(&[("callback", "call me")]).is_err());
        let mut abroad = whole;
        abroad[0].1 = "usa";
        assert!(station(&abroad).is_err());
    }

    #[test]
    fn numbers() {
        for (text, expected) in [
            ("{}", Some("911=911 112=112 988=988")),
            (
                "sent_as: {\"112\": \"911\"}",
                Some("911=911 112=911 988=988"),
            ),
            ("numbers: [\"112\", \"933\"]", Some("112=112 933=933")),
            ("numbers: []", None),
            ("numbers: [\"9 1 1\"]", None),
            ("numbers: [\"1\"]", None),
            ("sent_as: {\"999\": \"911\"}", None),
        ] {
            let config: EmergencyConfig = serde_saphyr::from_str(text).expect("well-formed");
            let told = config.numbers().ok().map(|numbers| {
                let numbers = numbers.iter().map(|n| format!("{}={}", n.dialled, n.sent));
                numbers.collect::<Vec<_>>().join(" ")
            });
            assert_eq!(told.as_deref(), expected, "{text}");
        }
    }
}
