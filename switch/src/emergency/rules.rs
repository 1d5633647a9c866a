//! Which numbers are emergency services', and who carries calls to them.

use std::collections::HashMap;
use std::sync::Arc;

use desk::{PhoneNumber, TenantId};

/// Calls to emergency services.
#[derive(Debug, Clone, Default)]
pub struct Emergency {
    /// The numbers, as they are dialled without anything before them. The first
    /// is what `urn:service:sos` and its sub-services mean (RFC 5031).
    pub numbers: Vec<EmergencyNumber>,
    /// For telephones of no hospital, and where a hospital says nothing.
    pub usual: EmergencyRoute,
    /// By hospital.
    pub hospitals: HashMap<TenantId, EmergencyRoute>,
}

/// A number of an emergency service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyNumber {
    /// As it is dialled here.
    pub dialled: Arc<str>,
    /// As trunks are called.
    pub sent: Arc<str>,
}

/// Who carries emergency calls, and what the service calls back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmergencyRoute {
    /// Trunks that are tried first, in this order. All others are tried after them.
    pub trunks: Vec<Arc<str>>,
    /// Called back where a station has no number of its own: the main number.
    pub callback: Option<PhoneNumber>,
}

/// What stands between the digits of a number that is written to be read.
const SEPARATORS: [char; 4] = ['-', '.', '(', ')'];

impl Emergency {
    /// The number meant by this number or service, if it is an emergency's.
    pub fn number(&self, uri: &sip::Uri) -> Option<&EmergencyNumber> {
        if uri.is_emergency_service() {
            return self.numbers.first();
        }
        self.dialled(&uri.user()?)
    }

    /// The same of digits.
    pub fn dialled(&self, user: &str) -> Option<&EmergencyNumber> {
        // Behind a semicolon stand parameters of the user part.
        let user = user.split(';').next().unwrap_or_default();
        let digits = || user.chars().filter(|c| !SEPARATORS.contains(c));
        let mut numbers = self.numbers.iter();
        numbers.find(|number| digits().eq(number.dialled.chars()))
    }

    /// The trunks to try first for a telephone of this hospital.
    pub(crate) fn trunks(&self, home: TenantId) -> &[Arc<str>] {
        let own = self.hospitals.get(&home).map(|route| &route.trunks);
        own.filter(|trunks| !trunks.is_empty())
            .unwrap_or(&self.usual.trunks)
    }

    /// The main number of its hospital.
    pub(crate) fn callback(&self, home: TenantId) -> Option<&PhoneNumber> {
        let own = self.hospitals.get(&home);
        own.and_then(|route| route.callback.as_ref())
            .or(self.usual.callback.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_dialled_directly_and_by_nothing_else() {
        let number = |dialled: &str, sent: &str| EmergencyNumber {
            dialled: dialled.into(),
            sent: sent.into(),
        };
        let rules = Emergency {
            numbers: vec![number("911", "911"), number("112", "911")],
            ..Emergency::default()
        };
        for (uri, expected) in [
            ("sip:911@x", Some("911")),
            ("sip:9-1-1;phone-context=x@x", Some("911")),
            ("tel:911;phone-context=example.org", Some("911")),
            ("sip:112@x", Some("112")),
            ("urn:service:sos", Some("911")),
            ("urn:service:sos.fire", Some("911")),
            ("sip:9911@x", None),
            ("sip:91@x", None),
            ("sip:ward911@x", None),
            ("sip:+911@x", None),
            ("sip:988@x", None),
            ("urn:service:counseling", None),
            ("sip:x", None),
        ] {
            let found = rules.number(&sip::Uri::parse(uri).expect("a URI"));
            let found = found.map(|number| &*number.dialled);
            assert_eq!(found, expected, "{uri}");
        }
        let nothing = Emergency::default();
        assert_eq!(
            nothing.number(&sip::Uri::parse("urn:service:sos").expect("a URI")),
            None
        );
    }

    #[test]
    fn a_hospitals_own_comes_first() {
        let route = |trunks: &[&str], callback: Option<&str>| EmergencyRoute {
            trunks: trunks.iter().map(|name| Arc::from(*name)).collect(),
            callback: callback.map(|number| PhoneNumber(number.into())),
        };
        let (own, other, third) = (TenantId(1), TenantId(2), TenantId(3));
        let rules = Emergency {
            numbers: Vec::new(),
            usual: route(&["city"], Some("1")),
            hospitals: [
                (own, route(&["county"], Some("2"))),
                (other, route(&[], None)),
            ]
            .into(),
        };
        for (home, trunk, callback) in [
            (own, "county", "2"),
            (other, "city", "1"),
            (third, "city", "1"),
        ] {
            assert_eq!(rules.trunks(home), [Arc::from(trunk)]);
            assert_eq!(rules.callback(home), Some(&PhoneNumber(callback.into())));
        }
    }
}
