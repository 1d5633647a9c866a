//! Checking credentials.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::Ha1s;
use super::compute::{Algorithm, Covered, hex, response};
use crate::endpoint::Reply;
use crate::message::Request;
use crate::wire::{AuthParams, Scheme, Uri, method_name, quote};

/// Who may sign in. Looked up for every request with credentials.
pub trait Accounts {
    /// The stored hashes of a user in a realm.
    fn ha1s(&self, username: &str, realm: &str) -> Option<Ha1s>;

    /// Whether this (authenticated) user may register this address of record,
    /// `sip:user@realm`. By default its user part must be the user name.
    fn may_register(&self, username: &str, realm: &str, aor: &str) -> bool {
        let _ = realm;
        aor.strip_prefix("sip:")
            .and_then(|rest| rest.rsplit_once('@'))
            .is_some_and(|(user, _)| user == username)
    }
}

/// Bounds of an [`Authenticator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthLimits {
    /// How long a nonce is good; 300 s. After that the answer is `stale=true`.
    pub nonce_age_max: Duration,
    /// For how many used nonces the counts are remembered; 10,000. When there
    /// are more, the oldest become stale.
    pub nonces_max: usize,
    /// Which algorithms are offered; SHA-256, then MD5.
    pub challenges: Challenges,
}

/// Which algorithms a challenge offers, and in which order.
///
/// RFC 8760 section 2.4 wants the strongest first and clients to skip what they
/// don't know; many phones read the first challenge alone and give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Challenges {
    /// SHA-256, then MD5.
    #[default]
    Sha256First,
    /// MD5, then SHA-256: for phones that read one challenge alone.
    Md5First,
    /// SHA-256; who answers with MD5 is challenged again.
    Sha256Only,
    /// MD5: for phones that give up when any challenge has an algorithm they
    /// don't know (baresip 1.0 with libre 1.1, as Debian 12 has them).
    Md5Only,
}

impl Challenges {
    fn offered(self) -> &'static [Algorithm] {
        match self {
            Self::Sha256First => &[Algorithm::Sha256, Algorithm::Md5],
            Self::Md5First => &[Algorithm::Md5, Algorithm::Sha256],
            Self::Sha256Only => &[Algorithm::Sha256],
            Self::Md5Only => &[Algorithm::Md5],
        }
    }
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self {
            nonce_age_max: Duration::from_secs(300),
            nonces_max: 10_000,
            challenges: Challenges::default(),
        }
    }
}

/// What came of a request's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Accepted {
        /// The user.
        username: String,
    },
    /// None that could be judged, or stale ones, as every phone's first request
    /// has: answer with this 401.
    Challenge(Reply),
    /// Wrong ones, or a user nobody knows: answer with this 401, and make a
    /// note of where it came from. The reply doesn't tell which, nor that it
    /// isn't a first challenge.
    Refused(Reply),
}

/// Checks digest credentials of requests (as a user agent server: 401,
/// `Authorization`).
///
/// A nonce holds its time and number under a keyed hash, so handing one out
/// keeps nothing; only nonces that were used with right credentials take a
/// place in a bounded table, against replays.
pub struct Authenticator {
    key: [u8; 32],
    limits: AuthLimits,
    serial: u64,
    used: BTreeMap<u64, Used>,
    /// Nonces up to this number are stale: their counts were forgotten.
    floor: u64,
    refused: u64,
}

/// The counts seen with one nonce: the highest, and which of the 63 below it.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    highest: u32,
    seen: u64,
}

impl Used {
    /// False when `count` was used before (or too long ago to know).
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let step = count - self.highest;
            self.seen = self.seen.checked_shl(step).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let bit = match self.highest - count {
            back @ 0..=63 => 1_u64 << back,
            _ => return false,
        };
        let fresh = self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

struct Nonce {
    issued: Duration,
    serial: u64,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("used", &self.used.len())
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// An authenticator whose nonces are keyed with `key`.
    #[must_use]
    pub fn new(key: [u8; 32], limits: AuthLimits) -> Self {
        Self {
            key,
            limits,
            serial: 0,
            used: BTreeMap::new(),
            floor: 0,
            refused: 0,
        }
    }

    /// How many requests had wrong credentials, or an unknown user's, so far.
    /// First requests and stale nonces don't count.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Checks a request's credentials for `realm`. Unknown users cost and get
    /// the same as wrong passwords. A nonce is good only where it was sent to:
    /// who forges somebody's address can't make wrong passwords of theirs.
    pub fn check(
        &mut self,
        now: Duration,
        source: IpAddr,
        request: &Request,
        realm: &str,
        accounts: &dyn Accounts,
    ) -> Verdict {
        let ours = request
            .header_values("Authorization")
            .take(4)
            .filter_map(AuthParams::parse)
            .find(|params| params.is_digest() && params.get("realm").as_deref() == Some(realm));
        let judged =
            ours.map(|params| self.evaluate(now, source, request, realm, &params, accounts));
        match judged.unwrap_or(Judged::Unusable) {
            Judged::Right(username) => Verdict::Accepted { username },
            Judged::Stale => Verdict::Challenge(self.challenge(now, source, realm, true)),
            Judged::Unusable => Verdict::Challenge(self.challenge(now, source, realm, false)),
            Judged::Wrong => {
                self.refused += 1;
                // Not another challenge: many phones answer each with the same wrong password, and one of them would
                // use up the tries of everybody behind its address in a second.
                Verdict::Refused(Reply::new(403))
            }
        }
    }

    fn evaluate(
        &mut self,
        now: Duration,
        source: IpAddr,
        request: &Request,
        realm: &str,
        params: &AuthParams<'_>,
        accounts: &dyn Accounts,
    ) -> Judged {
        let Some(claim) = Claim::read(params, self.limits.challenges) else {
            return Judged::Unusable;
        };
        let Some(nonce) = self.open(&claim.nonce, source, realm) else {
            return Judged::Stale;
        };
        // Unknown users are checked against hashes nobody can know.
        let ha1s = accounts
            .ha1s(&claim.username, realm)
            .unwrap_or_else(|| self.nobody(&claim.username));
        let covered = Covered {
            method: method_name(request.method()),
            uri: &claim.uri,
            nonce: &claim.nonce,
            qop_auth: Some((&claim.nc, &claim.cnonce)),
        };
        let expected = response(claim.algorithm, &ha1s, &covered);
        let claimed = claim.response.to_ascii_lowercase();
        let right = same(expected.as_bytes(), claimed.as_bytes());
        if !right || !names_target(&claim.uri, request.uri()) {
            return Judged::Wrong;
        }
        if self.use_up(now, &nonce, claim.count) {
            Judged::Right(claim.username.into_owned())
        } else {
            Judged::Stale
        }
    }

    /// Counts a use of a nonce of ours. False when it is too old, forgotten, or
    /// was used with this count before.
    fn use_up(&mut self, now: Duration, nonce: &Nonce, count: u32) -> bool {
        let age = now.checked_sub(nonce.issued);
        if age.is_none_or(|age| age > self.limits.nonce_age_max) || nonce.serial <= self.floor {
            return false;
        }
        let fresh = self.used.entry(nonce.serial).or_default().take(count);
        while self.used.len() > self.limits.nonces_max {
            if let Some((forgotten, _)) = self.used.pop_first() {
                self.floor = forgotten;
            }
        }
        fresh
    }

    fn challenge(&mut self, now: Duration, source: IpAddr, realm: &str, stale: bool) -> Reply {
        self.serial += 1;
        let nonce = self.seal(now, self.serial, source, realm);
        let stale = if stale { ", stale=true" } else { "" };
        let value = |algorithm: Algorithm| {
            format!(
                "Digest realm={}, nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
                quote(realm),
                algorithm.token()
            )
        };
        let offered = self.limits.challenges.offered().iter();
        offered.fold(Reply::new(401), |reply, algorithm| {
            reply.with("WWW-Authenticate", value(*algorithm))
        })
    }

    /// Milliseconds and number, readable, with a keyed hash over both, whom it
    /// is for and the realm.
    fn seal(&self, now: Duration, serial: u64, source: IpAddr, realm: &str) -> String {
        let ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut nonce = format!("{ms:016x}{serial:016x}");
        let seal = self.hash(&[&nonce, &source.to_canonical().to_string(), realm]);
        nonce.push_str(&hex(&seal.as_bytes()[..12]));
        nonce
    }

    fn open(&self, nonce: &str, source: IpAddr, realm: &str) -> Option<Nonce> {
        let (readable, seal) = (nonce.get(..32)?, nonce.get(32..)?);
        let source = source.to_canonical().to_string();
        let expected = hex(&self.hash(&[readable, &source, realm]).as_bytes()[..12]);
        if !same(expected.as_bytes(), seal.as_bytes()) {
            return None;
        }
        Some(Nonce {
            issued: Duration::from_millis(u64::from_str_radix(&readable[..16], 16).ok()?),
            serial: u64::from_str_radix(&readable[16..], 16).ok()?,
        })
    }

    fn nobody(&self, username: &str) -> Ha1s {
        let sha256 = *self.hash(&["nobody", username]).as_bytes();
        let mut md5 = [0; 16];
        md5.copy_from_slice(&sha256[..16]);
        Ha1s { md5, sha256 }
    }

    fn hash(&self, parts: &[&str]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        hasher.finalize()
    }
}

/// The user that a request's credentials for `realm` name, right or wrong.
#[must_use]
pub fn claimed_user(request: &Request, realm: &str) -> Option<String> {
    let params = request
        .header_values("Authorization")
        .take(4)
        .filter_map(AuthParams::parse)
        .find(|params| params.is_digest() && params.get("realm").as_deref() == Some(realm))?;
    Some(params.get("username")?.into_owned())
}

/// What a request's credentials are.
enum Judged {
    /// The user's own.
    Right(String),
    /// Only the nonce is to blame.
    Stale,
    /// Another password, another user, or meant for another request.
    Wrong,
    /// None, incomplete ones, or by rules we don't offer: nothing was claimed
    /// that could be wrong.
    Unusable,
}

/// Complete credentials by the rules we offer.
struct Claim<'a> {
    username: Cow<'a, str>,
    nonce: Cow<'a, str>,
    uri: Cow<'a, str>,
    nc: Cow<'a, str>,
    cnonce: Cow<'a, str>,
    response: Cow<'a, str>,
    algorithm: Algorithm,
    count: u32,
}

impl<'a> Claim<'a> {
    fn read(params: &'a AuthParams<'_>, challenges: Challenges) -> Option<Self> {
        let nc = params.get("nc")?;
        // We offer qop=auth only, and who is offered it must use it
        // (RFC 7616 section 3.4): without a count there is no replay check.
        if !params.get("qop")?.eq_ignore_ascii_case("auth") || nc.len() != 8 {
            return None;
        }
        Some(Self {
            username: params.get("username")?,
            nonce: params.get("nonce")?,
            uri: params.get("uri")?,
            cnonce: params.get("cnonce")?,
            response: params.get("response")?,
            algorithm: Algorithm::parse(params.get("algorithm").as_deref())
                .filter(|algorithm| challenges.offered().contains(algorithm))?,
            count: u32::from_str_radix(&nc, 16).ok()?,
            nc,
        })
    }
}

/// Compares without telling by its time where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// RFC 7616 section 3.4.6: the digest's URI must name what the request is for.
/// Phones differ in what they repeat of the parameters, so user and host decide.
fn names_target(digest_uri: &str, target: &Uri) -> bool {
    if digest_uri == target.as_str() {
        return true;
    }
    let Ok(uri) = Uri::parse(digest_uri) else {
        return false;
    };
    uri.scheme() != Scheme::Other
        && uri.user() == target.user()
        && uri.host_str().eq_ignore_ascii_case(target.host_str())
}

#[cfg(test)]
mod tests {
    use super::super::{Credentials, authorize};
    use super::*;
    use crate::interface::Peer;
    use crate::message::Message;

    struct One;

    impl Accounts for One {
        fn ha1s(&self, username: &str, realm: &str) -> Option<Ha1s> {
            (username == "agent7").then(|| Ha1s::derive("agent7", realm, "secret"))
        }
    }

    const REALM: &str = "careline.example";
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

    fn register(authorization: Option<&str>) -> Request {
        let authorization =
            authorization.map_or(String::new(), |v| format!("Authorization: {v}\r\n"));
        let text = format!(
            "REGISTER sip:careline.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n\
             From: <sip:agent7@careline.example>;tag=1\r\nTo: <sip:agent7@careline.example>\r\n\
             Call-ID: x\r\nCSeq: 1 REGISTER\r\n{authorization}\r\n"
        );
        let peer = Peer::udp("192.0.2.9:5060".parse().unwrap());
        match crate::wire::parse_datagram(text.as_bytes(), peer) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn challenges(verdict: &Verdict) -> Vec<String> {
        match verdict {
            Verdict::Challenge(reply) => {
                assert_eq!(reply.code, 401);
                reply.headers.iter().map(|(_, v)| v.clone()).collect()
            }
            Verdict::Refused(_) => panic!("refused"),
            Verdict::Accepted { .. } => panic!("accepted"),
        }
    }

    fn credentials(challenge: &str, user: &str, password: &str, nc: u32) -> String {
        let challenge = AuthParams::parse(challenge).unwrap();
        let credentials = Credentials::new(user, password);
        authorize(
            &challenge,
            &credentials,
            "REGISTER",
            "sip:careline.example",
            "c0",
            nc,
        )
        .unwrap()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn right_credentials_are_accepted_once_per_count() {
        for algorithm in 0..2 {
            let mut auth = Authenticator::new([3; 32], AuthLimits::default());
            let offered = challenges(&auth.check(at(1), HERE, &register(None), REALM, &One));
            assert!(offered[0].contains("SHA-256") && offered[1].contains("MD5"));
            let mut check = |nc: u32, seconds: u64, outcome: &str| {
                let value = credentials(&offered[algorithm], "agent7", "secret", nc);
                let verdict = auth.check(at(seconds), HERE, &register(Some(&value)), REALM, &One);
                let got = match &verdict {
                    Verdict::Accepted { username } => username.clone(),
                    Verdict::Challenge(_) if challenges(&verdict)[0].contains("stale=true") => {
                        "stale".to_owned()
                    }
                    Verdict::Challenge(_) | Verdict::Refused(_) => "wrong".to_owned(),
                };
                assert_eq!(got, outcome, "nc {nc} at {seconds}");
            };
            check(1, 2, "agent7");
            check(1, 2, "stale");
            check(3, 3, "agent7");
            // 2 was overtaken, yet never used.
            check(2, 3, "agent7");
            check(2, 3, "stale");
            check(0xff, 4, "agent7");
            check(0x10, 4, "stale");
            check(0x100, 301, "agent7");
            check(0x101, 302, "stale");
            assert_eq!(auth.refused(), 0);
        }
    }

    #[test]
    fn wrong_credentials_look_alike() {
        let mut auth = Authenticator::new([3; 32], AuthLimits::default());
        let offered = challenges(&auth.check(at(1), HERE, &register(None), REALM, &One));
        let mut refused = 0;
        let mut check = |value: &str, counts: bool| {
            let verdict = auth.check(at(2), HERE, &register(Some(value)), REALM, &One);
            refused += u64::from(counts);
            assert_eq!(auth.refused(), refused, "{value}");
            if let (Verdict::Refused(reply), true) = (&verdict, counts) {
                return reply.clone();
            }
            assert!(!counts, "{value}: {verdict:?}");
            assert!(!challenges(&verdict)[0].contains("stale"), "{value}");
            Reply::new(401)
        };
        let wrong_password = credentials(&offered[0], "agent7", "guess", 1);
        let unknown_user = credentials(&offered[0], "nobody", "secret", 1);
        assert_eq!(check(&wrong_password, true), Reply::new(403));
        assert_eq!(check(&unknown_user, true), Reply::new(403));
        let good = credentials(&offered[0], "agent7", "secret", 1);
        let elsewhere = "uri=\"sip:elsewhere.example\"";
        check(
            &good.replace("uri=\"sip:careline.example\"", elsewhere),
            true,
        );
        // Not understood is not wrong.
        check(&good.replace("qop=auth", "qop=auth-int"), false);
        check(&good.replace("nc=00000001", "nc=1"), false);
        check(&good.replace("SHA-256", "SHA-512"), false);
        let other_realm = "other.example\", nonce";
        check(
            &good.replace("careline.example\", nonce", other_realm),
            false,
        );
        check("Digest", false);
        check("NoOneKnowsThisScheme opaque-data=here", false);
        check("Digest ,,,=,=\"", false);
    }

    #[test]
    fn a_nonce_is_good_only_where_it_was_sent() {
        let mut auth = Authenticator::new([3; 32], AuthLimits::default());
        let offered = challenges(&auth.check(at(1), HERE, &register(None), REALM, &One));
        let elsewhere = "192.0.2.10".parse().unwrap();
        for password in ["secret", "guess"] {
            let value = credentials(&offered[0], "agent7", password, 1);
            let verdict = auth.check(at(1), elsewhere, &register(Some(&value)), REALM, &One);
            // Nothing to hold against anybody, and nothing learnt.
            assert!(matches!(verdict, Verdict::Challenge(_)), "{password}");
            assert!(challenges(&verdict)[0].contains("stale=true"));
        }
        assert_eq!(auth.refused(), 0);
    }

    #[test]
    fn a_nonce_of_another_key_is_stale() {
        let mut other = Authenticator::new([9; 32], AuthLimits::default());
        let offered = challenges(&other.check(at(1), HERE, &register(None), REALM, &One));
        let value = credentials(&offered[0], "agent7", "secret", 1);
        let mut auth = Authenticator::new([3; 32], AuthLimits::default());
        let verdict = auth.check(at(1), HERE, &register(Some(&value)), REALM, &One);
        assert!(challenges(&verdict)[0].contains("stale=true"));
    }

    #[test]
    fn forgotten_nonces_are_stale_not_replayable() {
        let limits = AuthLimits {
            nonces_max: 2,
            ..AuthLimits::default()
        };
        let mut auth = Authenticator::new([3; 32], limits);
        let mut values = Vec::new();
        for _ in 0..3 {
            let offered = challenges(&auth.check(at(1), HERE, &register(None), REALM, &One));
            values.push(credentials(&offered[0], "agent7", "secret", 1));
        }
        for value in &values {
            let verdict = auth.check(at(2), HERE, &register(Some(value)), REALM, &One);
            assert!(matches!(verdict, Verdict::Accepted { .. }));
        }
        let verdict = auth.check(at(2), HERE, &register(Some(&values[0])), REALM, &One);
        assert!(challenges(&verdict)[0].contains("stale=true"));
    }
}
