//! Conditions of a signature: what must be true of the request besides the match of its pattern in a value.

use super::format::{ConditionDoc, RequestPart};
use super::pattern::{Pattern, Syntax};
use crate::model::{DecodedHead, Message};
use crate::normalize::{percent, route};
use std::cell::OnceCell;

/// A condition, compiled.
#[derive(Debug)]
pub struct Condition {
    part: RequestPart,
    pattern: Pattern,
    negated: bool,
}

/// The parts of a request on which conditions are judged.
#[derive(Debug)]
pub struct RequestParts<'m> {
    message: &'m Message<'m>,
    /// The path in every reading of some server.
    paths: Vec<Vec<u8>>,
    /// Query parameters as `name=value`.
    query: Vec<Vec<u8>>,
    /// The beginning of the body in each form in which an application may read it.
    bodies: OnceCell<Vec<Vec<u8>>>,
}

impl<'m> RequestParts<'m> {
    /// The parts of `message`, whose head is `head`.
    pub fn new(message: &'m Message<'m>, head: &DecodedHead<'m>) -> Self {
        let spelled = percent::decode(head.raw_path(), percent::Plus::Keep).into_owned();
        let routed = route::run(&percent::decode(&head.path.text, percent::Plus::Keep)).into_owned();
        let readings = head.paths().map(|path| path.text.to_vec());
        let paths = readings.chain([spelled, routed]).collect();
        let query = head.query.iter().map(|(name, value)| [name.as_ref(), b"=", value.as_ref()].concat()).collect();
        Self { message, paths, query, bodies: OnceCell::new() }
    }

    /// Sets the forms of the body to those of `bodies`, if they are not known yet. Conditions on the body read only these.
    pub fn read_bodies(&self, bodies: impl FnOnce() -> Vec<Vec<u8>>) {
        self.bodies.get_or_init(bodies);
    }
}

impl Condition {
    /// Compiles `doc`. Like that of a signature, the pattern ignores case if `case_insensitive`.
    pub fn new(doc: &ConditionDoc, case_insensitive: bool) -> Result<Self, regex::Error> {
        let pattern = Pattern::new(&doc.pattern, Syntax { case_insensitive, ..Syntax::default() })?;
        Ok(Self { part: doc.part.clone(), pattern, negated: doc.negated })
    }

    /// Whether it reads the body.
    pub fn reads_body(&self) -> bool {
        self.part == RequestPart::Body
    }

    /// Whether it is about the value in which the signature matched, and not about the request.
    pub fn is_of_value(&self) -> bool {
        self.part == RequestPart::Parameter
    }

    /// Whether it is true of a value of the parameter `name`; true if it is about the request.
    pub fn holds_for(&self, name: &[u8]) -> bool {
        !self.is_of_value() || self.pattern.is_match(name) != self.negated
    }

    /// Bytes of `parts` that it reads.
    pub fn cost(&self, parts: &RequestParts<'_>) -> usize {
        self.texts(parts).map(<[u8]>::len).sum()
    }

    /// Whether it is true of a request; true if it is about a value.
    pub fn holds(&self, parts: &RequestParts<'_>) -> bool {
        self.is_of_value() || self.texts(parts).any(|text| self.pattern.is_match(text)) != self.negated
    }

    fn texts<'p>(&'p self, parts: &'p RequestParts<'_>) -> Box<dyn Iterator<Item = &'p [u8]> + 'p> {
        match &self.part {
            RequestPart::Method => Box::new(std::iter::once(parts.message.method)),
            RequestPart::Path => Box::new(parts.paths.iter().map(Vec::as_slice)),
            RequestPart::Body => Box::new(parts.bodies.get().into_iter().flatten().map(Vec::as_slice)),
            RequestPart::Credential => Box::new(credentials(parts)),
            RequestPart::ForeignReferer => Box::new(foreign_referer(parts.message).into_iter()),
            RequestPart::Parameter => Box::new(std::iter::empty()),
            RequestPart::Query => Box::new(parts.query.iter().map(Vec::as_slice)),
            RequestPart::Header(name) => Box::new(parts.message.headers_named(name)),
        }
    }
}

/// Parts of the names of headers and query parameters with which clients log in; lower case.
const CREDENTIALS: &[&[u8]] = &[
    b"cookie",
    b"auth",
    b"token",
    b"session",
    b"apikey",
    b"api-key",
    b"api_key",
    b"access-key",
    b"access_key",
    b"secret",
    b"passw",
    b"credential",
    b"jwt",
    b"saml",
    b"sso",
    b"signature",
    b"client-cert",
    b"ssl-cert",
    b"userid",
];
/// Most bytes of such a name.
const MAX_CREDENTIAL_NAME: usize = 64;

/// Names of headers and query parameters that have a value and may carry a credential.
fn credentials<'p>(parts: &'p RequestParts<'_>) -> impl Iterator<Item = &'p [u8]> + 'p {
    let headers = parts.message.headers.iter().filter(|h| !h.value.trim_ascii().is_empty()).map(|h| h.name);
    let query = parts.query.iter().filter_map(|parameter| {
        let at = memchr::memchr(b'=', parameter)?;
        (at + 1 < parameter.len()).then_some(&parameter[..at])
    });
    headers.chain(query).filter(|name| {
        let name = name[..name.len().min(MAX_CREDENTIAL_NAME)].to_ascii_lowercase();
        // `:authority` is the host.
        name != b":authority" && CREDENTIALS.iter().any(|part| memchr::memmem::find(&name, part).is_some())
    })
}

/// The Referer of a request, if it is a URL of another host.
fn foreign_referer<'m>(message: &'m Message<'m>) -> Option<&'m [u8]> {
    let referer = message.headers_named("referer").next()?;
    let at = memchr::memmem::find(referer, b"://")?;
    let rest = &referer[at + 3..];
    let authority = rest.split(|b| matches!(b, b'/' | b'?' | b'#')).next()?;
    let host = |text: &[u8]| text.rsplit(|b| *b == b'@').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let own = message.headers_named("host").next()?;
    (!authority.is_empty() && host(authority) != host(own)).then_some(referer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Header;
    use crate::parse::facts::facts;

    fn holds(part: RequestPart, pattern: &str, target: &str) -> bool {
        let answer = |negated| judged(part.clone(), pattern, target, negated);
        assert_ne!(answer(false), answer(true), "{pattern}");
        answer(false)
    }

    fn judged(part: RequestPart, pattern: &str, target: &str, negated: bool) -> bool {
        let headers = vec![Header { name: b"X-Empty", value: b"" }, Header { name: b"x-two", value: b"b" }];
        let (method, target, body) = (b"PUT", target.as_bytes(), b"login");
        let message = Message { method, target, headers, body, ..Message::default() };
        let doc = ConditionDoc { part, pattern: pattern.into(), negated };
        let parts = RequestParts::new(&message, &facts(&message));
        parts.read_bodies(|| vec![message.body.to_vec()]);
        Condition::new(&doc, true).unwrap().holds(&parts)
    }

    #[test]
    fn each_part_is_read() {
        let header = |name: &str| RequestPart::Header(name.into());
        assert!(holds(RequestPart::Method, "^put$", "/") && !holds(RequestPart::Method, "^get$", "/"));
        assert!(holds(header("x-empty"), "^$", "/") && !holds(header("x-none"), "^$", "/"));
        assert!(holds(header("X-Two"), "^b$", "/") && !holds(header("X-Two"), "^$", "/"));
        assert!(holds(RequestPart::Body, "^login$", "/") && !holds(RequestPart::Body, "=", "/?a=b"));
        assert!(holds(RequestPart::Query, "^a b=c$", "/?x=1&a+b=%63") && !holds(RequestPart::Query, "c", "/c"));
    }

    #[test]
    fn a_name_is_that_of_the_value_alone() {
        let condition = |negated| {
            let doc = ConditionDoc { part: RequestPart::Parameter, pattern: "^next$".into(), negated };
            Condition::new(&doc, true).unwrap()
        };
        assert!(condition(false).holds_for(b"Next") && !condition(false).holds_for(b"nextday"));
        assert!(!condition(true).holds_for(b"next") && condition(true).holds_for(b"q"));
        let message = Message { method: b"GET", target: b"/?q=1", ..Message::default() };
        assert!(condition(false).holds(&RequestParts::new(&message, &facts(&message))));
    }

    #[test]
    fn a_referer_of_another_host_is_foreign() {
        for (referer, foreign) in [
            ("https://other.example/x", true),
            ("https://app.example.other.example/", true),
            ("https://app.example@other.example/", true),
            ("https://APP.example/x?https://other.example", false),
            ("app.example", false),
        ] {
            let headers = vec![
                Header { name: b"Host", value: b"app.example" },
                Header { name: b"Referer", value: referer.as_bytes() },
            ];
            let message = Message { method: b"GET", target: b"/", headers, ..Message::default() };
            let doc = ConditionDoc { part: RequestPart::ForeignReferer, pattern: ".".into(), negated: false };
            let condition = Condition::new(&doc, true).unwrap();
            assert_eq!(condition.holds(&RequestParts::new(&message, &facts(&message))), foreign, "{referer}");
        }
    }

    #[test]
    fn a_credential_is_known_by_its_name() {
        let holds = |header: (&str, &str), target: &str| {
            let headers = vec![Header { name: header.0.as_bytes(), value: header.1.as_bytes() }];
            let message = Message { method: b"GET", target: target.as_bytes(), headers, ..Message::default() };
            let doc = ConditionDoc { part: RequestPart::Credential, pattern: String::new(), negated: true };
            !Condition::new(&doc, true).unwrap().holds(&RequestParts::new(&message, &facts(&message)))
        };
        for name in ["Cookie", "Authorization", "X-Auth-Token", "x-api-key", "X-Session-Id", "PRIVATE-TOKEN"] {
            assert!(holds((name, "a"), "/x"), "{name}");
            assert!(!holds((name, " "), "/x"), "{name} without a value");
        }
        assert!(holds(("Accept", "*/*"), "/x?access_token=a") && !holds(("Accept", "*/*"), "/x?access_token="));
        for name in ["Accept", ":authority", "X-Request-Id", "Idempotency-Key", "Sec-WebSocket-Key", "Keep-Alive"] {
            assert!(!holds((name, "a"), "/token?a=token"), "{name}");
        }
    }

    #[test]
    fn absence_is_the_negation_of_an_empty_pattern() {
        let absent = |name: &str| judged(RequestPart::Header(name.into()), "", "/", true);
        assert!(absent("X-None") && !absent("X-Two") && !absent("X-Empty"));
    }

    #[test]
    fn a_path_is_read_in_every_form_that_a_server_may_route() {
        for target in ["/mgmt/x", "//mgmt//x?q", "/a/..;/mgmt/x", "/%6dgmt/x", "/%256dgmt/./x", "/mgmt;a=1/x"] {
            assert!(holds(RequestPart::Path, "^/mgmt/x", target), "{target}");
        }
        assert!(!holds(RequestPart::Path, "^/mgmt/x", "/a?/mgmt/x"));
        assert!(holds(RequestPart::Path, r"^/a/\.\.;/", "/a/..;/mgmt/x"));
    }
}
