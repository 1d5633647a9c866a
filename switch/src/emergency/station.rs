//! Where a telephone stands, and how an emergency service is told (RFC 4119, 5139).

use desk::PhoneNumber;

/// A telephone's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Station {
    /// What the emergency service calls back, and finds the place by where it
    /// is told no address: the emergency location number (ELIN).
    pub callback: Option<PhoneNumber>,
    /// Where it stands.
    pub address: Option<CivicAddress>,
}

/// A place as people write it (RFC 5139).
#[derive(Clone, PartialEq, Eq)]
pub struct CivicAddress {
    /// Two letters (ISO 3166): `US`.
    pub country: String,
    /// State or province.
    pub state: String,
    /// City.
    pub city: String,
    /// Street, its kind included.
    pub street: String,
    /// House number.
    pub number: String,
    /// Building, where there are several.
    pub building: Option<String>,
    /// Floor.
    pub floor: Option<String>,
    /// Room.
    pub room: Option<String>,
}

/// Where somebody is isn't for a log.
impl std::fmt::Debug for CivicAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CivicAddress(…)")
    }
}

impl CivicAddress {
    /// As a location object (PIDF-LO) of `entity`, a URI.
    pub(crate) fn location(&self, entity: &str) -> String {
        let mut civic = String::new();
        let own = |text: &Option<String>| text.as_deref().unwrap_or("").to_owned();
        for (element, text) in [
            ("country", self.country.clone()),
            ("A1", self.state.clone()),
            ("A3", self.city.clone()),
            ("RD", self.street.clone()),
            ("HNO", self.number.clone()),
            ("FLR", own(&self.floor)),
            ("BLD", own(&self.building)),
            ("ROOM", own(&self.room)),
        ] {
            if !text.is_empty() {
                civic.push_str(&format!("<ca:{element}>{}</ca:{element}>", escaped(&text)));
            }
        }
        // RFC 4119 section 2.2.1: a presence document whose status is a location. Passing it on is what it is for.
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
             <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             xmlns:gp=\"urn:ietf:params:xml:ns:pidf:geopriv10\" \
             xmlns:ca=\"urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr\" entity=\"{}\">\
             <tuple id=\"station\"><status><gp:geopriv><gp:location-info>\
             <ca:civicAddress>{civic}</ca:civicAddress></gp:location-info>\
             <gp:usage-rules><gp:retransmission-allowed>yes</gp:retransmission-allowed></gp:usage-rules>\
             <gp:method>Manual</gp:method></gp:geopriv></status></tuple></presence>\r\n",
            escaped(entity)
        )
    }
}

/// Text as XML's content or an attribute's value; control characters have no
/// place in either.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> CivicAddress {
        CivicAddress {
            country: "US".into(),
            state: "IL".into(),
            city: "Springfield".into(),
            street: "Oak & Elm <East>".into(),
            number: "400".into(),
            building: None,
            floor: Some("3".into()),
            room: Some("ICU\r\n\"2\"".into()),
        }
    }

    #[test]
    fn an_address_is_a_location_object() {
        let text = address().location("sip:+15550101990@192.0.2.1");
        let begins = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence ";
        assert!(text.starts_with(begins), "{text}");
        let civic = "<ca:civicAddress><ca:country>US</ca:country><ca:A1>IL</ca:A1><ca:A3>Springfield</ca:A3>\
                     <ca:RD>Oak &amp; Elm &lt;East&gt;</ca:RD><ca:HNO>400</ca:HNO><ca:FLR>3</ca:FLR>\
                     <ca:ROOM>ICU  &quot;2&quot;</ca:ROOM></ca:civicAddress>";
        assert!(text.contains(civic), "{text}");
        assert!(text.contains("entity=\"sip:+15550101990@192.0.2.1\""));
        // What is opened is closed: as many begin as end, and none is left out.
        let open = text.matches('<').count() - text.matches("</").count() - 1;
        assert_eq!(open, text.matches("</").count(), "{text}");
    }

    #[test]
    fn nobody_reads_it_in_a_log() {
        let station = Station {
            callback: Some(PhoneNumber("+15550101990".into())),
            address: Some(address()),
        };
        let shown = format!("{station:?}");
        assert!(
            !shown.contains("Oak") && !shown.contains("0101990"),
            "{shown}"
        );
    }
}
