//! By what a hospital's callers show who they are.

use desk::{Evidence, VerificationRules};
use serde::Deserialize;

/// By what callers show who they are, at level 2: two of these. Nobody can where they are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationConfig {
    /// Clinicians and staff, e.g. `[staff_pin, birth_date]`.
    #[serde(default)]
    pub staff: Vec<Evidence>,
    /// Patients and proxies, e.g. `[birth_date, mrn]`.
    #[serde(default)]
    pub patients: Vec<Evidence>,
    /// The action that sends codes to the contact of record; without one `code` can't be asked for.
    #[serde(default)]
    pub code: Option<String>,
}

impl VerificationConfig {
    /// What is wrong with it: in which key, and what.
    pub(super) fn fault(&self, is_action: impl Fn(&str) -> bool) -> Option<(&'static str, String)> {
        if let Some(action) = self.code.as_deref().filter(|action| !is_action(action)) {
            let what = format!(
                "`verification`: there is no action \"{action}\"; write it under `actions`"
            );
            return Some(("code", what));
        }
        let sets = [("staff", &self.staff), ("patients", &self.patients)];
        for (key, set) in sets {
            let fine = match set[..] {
                [] => true,
                [one, other] => one != other,
                _ => false,
            };
            if !fine {
                let what = "level 2 takes two of birth_date, mrn, staff_pin and code, each once";
                return Some((key, format!("`verification`: {what}")));
            }
            if set.contains(&Evidence::Code) && self.code.is_none() {
                let what = "codes are sent by an action; name it: code: send-code";
                return Some((key, format!("`verification`: {what}")));
            }
        }
        None
    }

    /// As the desk wants it.
    pub fn rules(&self) -> VerificationRules {
        VerificationRules {
            staff: self.staff.clone(),
            patients: self.patients.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_ones_or_none() {
        let fault = |text: &str| {
            let config: VerificationConfig = serde_saphyr::from_str(text).unwrap();
            config.fault(|name| name == "send-code").map(|(key, _)| key)
        };
        assert_eq!(fault("{}"), None);
        assert_eq!(
            fault("staff: [staff_pin, birth_date]\npatients: [birth_date, mrn]"),
            None
        );
        assert_eq!(fault("staff: [staff_pin]"), Some("staff"));
        assert_eq!(fault("patients: [mrn, mrn]"), Some("patients"));
        assert_eq!(
            fault("patients: [mrn, birth_date, staff_pin]"),
            Some("patients")
        );
        assert_eq!(fault("staff: [staff_pin, code]"), Some("staff"));
        assert_eq!(fault("staff: [staff_pin, code]\ncode: send-code"), None);
        assert_eq!(fault("code: send-cod"), Some("code"));
        let odd = serde_saphyr::from_str::<VerificationConfig>("staff: [shoe_size, mrn]");
        assert!(odd.is_err());
    }
}
