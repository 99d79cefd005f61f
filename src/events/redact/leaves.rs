//! The values of a message where they stand in its octets: targets, headers, cookies, forms and JSON, escapes and all.
//!
//! What these walkers do not know (XML, multipart, whatever is encoded) is found by taking the message apart as an
//! inspection does, see [`super`].

use super::names::{is_cookie_attribute, is_secret, is_secret_header};
use super::text;
use crate::model::bytes::printable;
use crate::model::point::{OwnedKey, PathItem};
use crate::model::{Message, MessageKind, PointPath, Tag};
use crate::normalize::brackets::{self, Step};
use crate::normalize::json_text::{Lexer, Token, unescape};
use crate::normalize::percent::{self, Plus};
use std::borrow::Cow;
use std::ops::Range;

/// Steps of a path that are kept: no rule names a deeper point.
const MAX_STEPS: usize = 64;
/// Octets of a name in a path.
const MAX_NAME: usize = 256;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Leaf<'m> {
    /// Where it stands in the octets of the message.
    pub range: Range<usize>,
    /// Its point.
    pub path: PointPath,
    /// What it is once escapes are undone.
    pub decoded: Cow<'m, [u8]>,
    /// Whether its name says that it is a secret.
    pub secret: bool,
    /// How it is written.
    pub coding: Coding,
}

/// How a value is written in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Plain,
    /// With percent escapes.
    Percent(Plus),
    /// Between the quotes of JSON.
    Json,
    /// As a number in JSON: only a number may take its place.
    Number,
}

impl Leaf<'_> {
    /// Where in the octets of the message `part`, a stretch of the decoded value, stands.
    pub fn locate(&self, raw: &[u8], part: &Range<usize>) -> Option<Range<usize>> {
        let text = &raw[self.range.clone()];
        let (mut at, mut decoded) = (0, 0);
        let mut start = None;
        while at < text.len() {
            if decoded == part.start && start.is_none() {
                start = Some(at);
            }
            if decoded >= part.end {
                break;
            }
            let used = atom(&text[at..], self.coding);
            decoded += self.decoded_octets(&text[at..at + used]);
            at += used;
        }
        let start = start.filter(|_| decoded == part.end)?;
        Some(self.range.start + start..self.range.start + at)
    }

    fn decoded_octets(&self, atom: &[u8]) -> usize {
        match self.coding {
            Coding::Percent(plus) => percent::decode(atom, plus).len(),
            Coding::Json => decode(atom).len(),
            Coding::Plain | Coding::Number => atom.len(),
        }
    }
}

/// Octets of the first piece of `text` that is decoded on its own.
fn atom(text: &[u8], coding: Coding) -> usize {
    let length = match (coding, text) {
        (Coding::Percent(_), [b'%', b'u' | b'U', ..]) => 6,
        (Coding::Percent(_), [b'%', ..]) => 3,
        // Two halves of a pair make one character.
        (Coding::Json, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..]) => 12,
        (Coding::Json, [b'\\', b'u', ..]) => 6,
        (Coding::Json, [b'\\', ..]) => 2,
        _ => 1,
    };
    length.min(text.len())
}

/// Where `inner`, a slice of `outer`, stands in it; none where it is a slice of something else.
pub fn range_in(outer: &[u8], inner: &[u8]) -> Option<Range<usize>> {
    let start = (inner.as_ptr() as usize).checked_sub(outer.as_ptr() as usize)?;
    let end = start.checked_add(inner.len())?;
    (end <= outer.len()).then_some(start..end)
}

/// The leaves of `message`, whose parts are slices of `raw`.
pub fn of<'m>(message: &Message<'m>, raw: &'m [u8]) -> Vec<Leaf<'m>> {
    let mut out = Leaves { raw, leaves: Vec::new() };
    if message.kind == MessageKind::Request {
        out.target(message.target);
    }
    out.headers(message);
    let media = message.header("content-type").unwrap_or_default();
    out.body(message, media);
    out.leaves
}

/// The values of the JSON text in `text`, a value at `base`: ranges are those in `text`.
pub fn of_json<'m>(text: &'m [u8], base: &PointPath) -> Vec<Leaf<'m>> {
    let mut out = Leaves { raw: text, leaves: Vec::new() };
    out.json(text, base.0.clone());
    out.leaves
}

/// Whether `text` begins as a JSON object or array does.
pub fn looks_like_json(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    matches!(text.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'['))
}

fn named(tag: Tag, name: &[u8]) -> PathItem {
    PathItem { tag, key: OwnedKey::Name(printable(name, MAX_NAME)) }
}

/// The steps to the value called `name`, as the parsers of queries and forms take them.
fn steps_of(tag: Tag, name: &[u8]) -> Vec<PathItem> {
    let Some((base, steps)) = brackets::split(name) else { return vec![named(tag, name)] };
    let element = |index| PathItem { tag: Tag::Array, key: OwnedKey::Index(index) };
    let last = steps.len() - 1;
    let below = steps.iter().enumerate().filter_map(|(at, step)| match step {
        Step::Name(name) => Some(named(Tag::Hash, name)),
        Step::Index(index) => Some(element(*index)),
        // Which element it is is told by the other values of the name; the path above holds for all.
        Step::Next => (at < last).then(|| element(0)),
    });
    std::iter::once(named(tag, base)).chain(below).collect()
}

fn plain(tag: Tag) -> PathItem {
    PathItem { tag, key: OwnedKey::None }
}

struct Leaves<'m> {
    raw: &'m [u8],
    leaves: Vec<Leaf<'m>>,
}

impl<'m> Leaves<'m> {
    /// Adds `value`, a slice of the octets, as it is written.
    fn push(&mut self, value: &'m [u8], coding: Coding, path: Vec<PathItem>, secret: bool) {
        let decoded = match coding {
            Coding::Percent(plus) => percent::decode(value, plus),
            Coding::Json if memchr::memchr(b'\\', value).is_some() => decode(value),
            Coding::Json | Coding::Plain | Coding::Number => Cow::Borrowed(value),
        };
        if let Some(range) = range_in(self.raw, value).filter(|range| !range.is_empty()) {
            self.leaves.push(Leaf { range, path: PointPath(path), decoded, secret, coding });
        }
    }

    fn target(&mut self, target: &'m [u8]) {
        let cut = memchr::memchr(b'?', target).unwrap_or(target.len());
        let (path, query) = target.split_at(cut);
        self.push(path, Coding::Plain, vec![plain(Tag::Uri)], false);
        let segments: Vec<&[u8]> = path.split(|&b| b == b'/').filter(|segment| !segment.is_empty()).collect();
        for (index, &segment) in segments.iter().enumerate() {
            let item = PathItem { tag: Tag::Path, key: OwnedKey::Index(index as u32) };
            self.push(segment, Coding::Percent(Plus::Keep), vec![item], false);
        }
        if let Some(last) = segments.last().filter(|_| !path.ends_with(b"/")) {
            let dot = memchr::memchr(b'.', last).unwrap_or(last.len());
            let name = &last[..dot];
            self.push(name, Coding::Percent(Plus::Keep), vec![plain(Tag::ActionName)], false);
            if let Some(dot) = memchr::memrchr(b'.', last) {
                let extension = &last[dot + 1..];
                self.push(extension, Coding::Percent(Plus::Keep), vec![plain(Tag::ActionExt)], false);
            }
        }
        self.form(query.strip_prefix(b"?").unwrap_or(query), &[], Tag::Get);
    }

    fn form(&mut self, text: &'m [u8], base: &[PathItem], tag: Tag) {
        for piece in crate::normalize::form::pieces(text) {
            let name = percent::decode(piece.name, Plus::Space);
            let path = [base, &steps_of(tag, &name)].concat();
            self.push(piece.value, Coding::Percent(Plus::Space), path, is_secret(&name));
        }
    }

    fn headers(&mut self, message: &Message<'m>) {
        let tag = if message.kind == MessageKind::Request { Tag::Header } else { Tag::ResponseHeader };
        for header in &message.headers {
            let path = vec![named(tag, &header.name.to_ascii_uppercase())];
            if header.is("cookie") || header.is("set-cookie") {
                self.cookies(header.value, &path, header.is("set-cookie"));
                continue;
            }
            let secret = is_secret_header(header.name);
            // The scheme of credentials (RFC 9110 §11.4) is no secret.
            let value = if secret { credentials(header.value) } else { header.value };
            self.push(value, Coding::Plain, path, secret);
        }
    }

    /// Cookies; of Set-Cookie all but the attributes of the cookie.
    fn cookies(&mut self, text: &'m [u8], base: &[PathItem], set: bool) {
        for (at, piece) in text.split(|&b| b == b';').enumerate() {
            let (name, value) = match memchr::memchr(b'=', piece) {
                Some(equals) => (piece[..equals].trim_ascii(), piece[equals + 1..].trim_ascii()),
                None => (&b""[..], piece.trim_ascii()),
            };
            let attribute = set && at > 0 && is_cookie_attribute(if name.is_empty() { value } else { name });
            let path = [base, &[named(Tag::Cookie, name)]].concat();
            self.push(value, Coding::Plain, path, !attribute);
        }
    }

    fn body(&mut self, message: &Message<'m>, media: &[u8]) {
        let tag = if message.kind == MessageKind::Request { Tag::Post } else { Tag::ResponseBody };
        let base = vec![plain(tag)];
        let body = message.body;
        if looks_like_json(body) {
            self.json(body, base);
        } else if is_form(media) || (media.is_empty() && memchr::memchr(b'=', body).is_some()) {
            self.form(body, &base, Tag::FormUrlencoded);
        }
    }

    fn json(&mut self, text: &'m [u8], base: Vec<PathItem>) {
        let mut walk = Walk { path: base, frames: Vec::new() };
        walk.path.push(plain(Tag::JsonDoc));
        for token in Lexer::new(text) {
            match token {
                Token::Mark(open @ (b'{' | b'[')) => walk.open(open == b'{'),
                Token::Mark(b'}' | b']') => walk.close(),
                Token::Mark(mark) => walk.mark(mark),
                Token::Text(text, _) if walk.wants_name() => walk.name(&decode(text)),
                Token::Word(word) if walk.wants_name() => walk.name(word),
                Token::Text(text, _) => {
                    let (path, secret) = walk.value();
                    self.push(text, Coding::Json, path, secret);
                }
                Token::Number(text) => {
                    let (path, secret) = walk.value();
                    self.push(text, Coding::Number, path, secret || !text::scan(text).is_empty());
                }
                Token::Word(word) => {
                    let (path, secret) = walk.value();
                    self.push(word, Coding::Plain, path, secret);
                }
                Token::Constant => {}
            }
        }
    }
}

fn is_form(media: &[u8]) -> bool {
    let essence = media.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(text.len());
    // Broken escapes stand for themselves, as in an inspection.
    let _strict = unescape(text, |piece| out.extend_from_slice(piece));
    Cow::Owned(out)
}

/// Schemes of credentials (the IANA registry of HTTP authentication schemes, and what is common besides).
const SCHEMES: &[&str] = &[
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "gnap",
    "hawk",
    "hoba",
    "jwt",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "signature",
    "token",
    "vapid",
];

/// What stands behind the scheme of credentials.
pub fn credentials(value: &[u8]) -> &[u8] {
    let word = value.iter().position(|b| *b == b' ').unwrap_or(0);
    let scheme = SCHEMES.iter().any(|scheme| value[..word].eq_ignore_ascii_case(scheme.as_bytes()));
    if scheme { value[word..].trim_ascii_start() } else { value }
}

/// An open object or array.
struct Frame {
    object: bool,
    /// Elements seen.
    index: u32,
    /// Whether a name was read and its value comes.
    named: bool,
    /// Length of the path at its value, the step for the current member apart.
    depth: usize,
    /// Whether it stands below a name that says that it is a secret.
    secret: bool,
    /// The same for the current member.
    member: bool,
}

struct Walk {
    path: Vec<PathItem>,
    frames: Vec<Frame>,
}

impl Walk {
    fn open(&mut self, object: bool) {
        let secret = self.frames.last().is_some_and(|frame| frame.secret || frame.member);
        if self.frames.last().is_some_and(|frame| !frame.object) {
            self.element();
        }
        self.frames.push(Frame { object, index: 0, named: false, depth: self.path.len(), secret, member: false });
    }

    fn close(&mut self) {
        self.frames.pop();
        self.done();
    }

    fn mark(&mut self, mark: u8) {
        if let (b',', Some(frame)) = (mark, self.frames.last_mut()) {
            frame.index = frame.index.saturating_add(1);
            (frame.named, frame.member) = (false, false);
            self.path.truncate(frame.depth);
        }
    }

    fn wants_name(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.object && !frame.named)
    }

    fn name(&mut self, name: &[u8]) {
        let Some(frame) = self.frames.last_mut() else { return };
        (frame.named, frame.member) = (true, is_secret(name));
        self.path.truncate(frame.depth);
        if self.path.len() < MAX_STEPS {
            self.path.push(named(Tag::Hash, name));
        }
    }

    fn element(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let item = PathItem { tag: Tag::Array, key: OwnedKey::Index(frame.index) };
        self.path.truncate(frame.depth);
        if self.path.len() < MAX_STEPS {
            self.path.push(item);
        }
    }

    /// The path of a scalar that comes now, and whether a name above it says that it is a secret.
    fn value(&mut self) -> (Vec<PathItem>, bool) {
        if self.frames.last().is_some_and(|frame| !frame.object) {
            self.element();
        }
        let path = self.path.clone();
        let secret = self.frames.last().is_some_and(|frame| frame.secret || frame.member);
        self.done();
        (path, secret)
    }

    /// A value is over.
    fn done(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.named = false;
            frame.member = false;
            self.path.truncate(frame.depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::message;

    fn leaves(raw: &str) -> Vec<(String, String, bool)> {
        let raw = raw.as_bytes();
        let message = message::request(raw);
        let show = |leaf: Leaf<'_>| {
            assert_eq!(leaf.range.is_empty(), raw[leaf.range.clone()].is_empty());
            (leaf.path.to_string(), String::from_utf8_lossy(&leaf.decoded).into_owned(), leaf.secret)
        };
        of(&message, raw).into_iter().map(show).collect()
    }

    fn has(leaves: &[(String, String, bool)], path: &str, value: &str, secret: bool) {
        let want = (path.to_owned(), value.to_owned(), secret);
        assert!(leaves.contains(&want), "{want:?} is not in {leaves:#?}");
    }

    #[test]
    fn the_head_is_walked() {
        let got = leaves(
            "GET /a/b%20c.tar.gz?q=1&p%61ss=h%31 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abc\r\nCookie: a=1; b=\"2\"\r\n\r\n",
        );
        has(&got, "[path,1]", "b c.tar.gz", false);
        has(&got, "[action_name]", "b c", false);
        has(&got, "[action_ext]", "gz", false);
        has(&got, "[get,'q']", "1", false);
        has(&got, "[get,'pass']", "h1", true);
        has(&got, "[header,'AUTHORIZATION']", "abc", true);
        has(&got, "[header,'COOKIE'][cookie,'a']", "1", true);
        has(&got, "[header,'COOKIE'][cookie,'b']", "\"2\"", true);
    }

    #[test]
    fn json_is_walked() {
        let got = leaves(
            "POST / HTTP/1.1\r\n\r\n{\"a\":[1,{\"pin\":1234}],\"token\":{\"x\":[\"y\",2]},\"p\\u0061ss\":\"h\\\"2\",\"z\":\"plain\"}",
        );
        has(&got, "[post][json_doc][hash,'a'][array,0]", "1", false);
        has(&got, "[post][json_doc][hash,'a'][array,1][hash,'pin']", "1234", true);
        has(&got, "[post][json_doc][hash,'token'][hash,'x'][array,0]", "y", true);
        has(&got, "[post][json_doc][hash,'token'][hash,'x'][array,1]", "2", true);
        has(&got, "[post][json_doc][hash,'pass']", "h\"2", true);
        has(&got, "[post][json_doc][hash,'z']", "plain", false);
    }

    #[test]
    fn forms_are_walked() {
        let got = leaves("POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b+c&pwd=%41");
        has(&got, "[post][form_urlencoded,'a']", "b c", false);
        has(&got, "[post][form_urlencoded,'pwd']", "A", true);
        let got = leaves("GET /?a[b][]=x&a[0][c]=y HTTP/1.1\r\n\r\n");
        has(&got, "[get,'a'][hash,'b']", "x", false);
        has(&got, "[get,'a'][array,0][hash,'c']", "y", false);
    }
}
