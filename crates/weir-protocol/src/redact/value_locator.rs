//! Locates the values of a message in its bytes: targets, headers, cookies, forms and JSON, including escapes.
//!
//! Other formats (XML, multipart, encoded values) are found by parsing the message as an inspection does, see [`super`].

use super::credentials::credentials;
use super::json_path::JsonPathTracker;
use super::located_value::{LocatedValue, ValueEncoding, range_in, unescaped};
use super::path_tokens::{self, is_ambiguous_secret};
use super::secret_names::{is_cookie_attribute, is_secret, is_secret_header};
use super::{name_value, secret_patterns};
use std::borrow::Cow;
use weir_core::model::bytes::printable;
use weir_core::model::point::{OwnedKey, PathItem};
use weir_core::model::{Message, MessageKind, PointPath, Tag};
use weir_core::normalize::brackets::{self, Step};
use weir_core::normalize::json_text::{Lexer, Token};
use weir_core::normalize::percent::{self, Plus};

/// Headers whose value is a URL or a path.
const URL_HEADERS: &[&str] = &[
    "content-location",
    "destination",
    "location",
    "referer",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Parameters beside the code of an authorization (RFC 6749 §4.1.2, OpenID Connect).
const OAUTH: &[&[u8]] =
    &[b"client_id", b"code_verifier", b"grant_type", b"id_token", b"redirect_uri", b"session_state", b"state"];
/// Bytes of a name in a path.
const MAX_NAME: usize = 256;

/// The values of `message`, whose parts are slices of `raw`.
pub fn of<'m>(message: &Message<'m>, raw: &'m [u8]) -> Vec<LocatedValue<'m>> {
    let mut out = ValueLocator { raw, values: Vec::new() };
    if message.kind == MessageKind::Request {
        out.target(message.target);
    }
    out.headers(message);
    let media = message.header("content-type").unwrap_or_default();
    out.body(message, media);
    out.values
}

/// The values of the JSON text `text`, the value at `base`; ranges refer to `text`.
pub fn of_json<'m>(text: &'m [u8], base: &PointPath) -> Vec<LocatedValue<'m>> {
    let mut out = ValueLocator { raw: text, values: Vec::new() };
    out.json(text, base.0.clone());
    out.values
}

/// Whether `text` begins like a JSON object or array.
pub fn looks_like_json(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    matches!(text.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'['))
}

/// The step to a member called `name`.
pub fn named(tag: Tag, name: &[u8]) -> PathItem {
    PathItem { tag, key: OwnedKey::Name(printable(name, MAX_NAME)) }
}

/// The steps to the value called `name`, as in the parsers of queries and forms.
fn steps_of(tag: Tag, name: &[u8]) -> Vec<PathItem> {
    let Some((base, steps)) = brackets::split(name) else { return vec![named(tag, name)] };
    let element = |index| PathItem { tag: Tag::Array, key: OwnedKey::Index(index) };
    let last = steps.len() - 1;
    let below = steps.iter().enumerate().filter_map(|(at, step)| match step {
        Step::Name(name) => Some(named(Tag::Hash, name)),
        Step::Index(index) => Some(element(*index)),
        // The index depends on the other values of the name; the path above applies to all.
        Step::Next => (at < last).then(|| element(0)),
    });
    std::iter::once(named(tag, base)).chain(below).collect()
}

fn plain(tag: Tag) -> PathItem {
    PathItem { tag, key: OwnedKey::None }
}

struct ValueLocator<'m> {
    raw: &'m [u8],
    values: Vec<LocatedValue<'m>>,
}

impl<'m> ValueLocator<'m> {
    /// Adds `value`, a slice of the message in this encoding.
    fn push(&mut self, value: &'m [u8], encoding: ValueEncoding, path: Vec<PathItem>, secret: bool) {
        let decoded = match encoding {
            ValueEncoding::Percent(plus) => percent::decode(value, plus),
            ValueEncoding::Json if memchr::memchr(b'\\', value).is_some() => unescaped(value),
            ValueEncoding::Json | ValueEncoding::Plain | ValueEncoding::Number => Cow::Borrowed(value),
        };
        if let Some(range) = range_in(self.raw, value).filter(|range| !range.is_empty()) {
            self.values.push(LocatedValue { range, path: PointPath(path), decoded, secret, encoding });
        }
    }

    fn target(&mut self, target: &'m [u8]) {
        let bytes_cut = memchr::memchr(b'?', target).unwrap_or(target.len());
        let (path, query) = target.split_at(bytes_cut);
        self.push(path, ValueEncoding::Plain, vec![plain(Tag::Uri)], false);
        let segments: Vec<&[u8]> = path.split(|&b| b == b'/').filter(|segment| !segment.is_empty()).collect();
        self.path_tokens(path, &[plain(Tag::Uri)]);
        for (index, &segment) in segments.iter().enumerate() {
            let item = PathItem { tag: Tag::Path, key: OwnedKey::Index(index as u32) };
            self.push(segment, ValueEncoding::Percent(Plus::Keep), vec![item], false);
        }
        if let Some(last) = segments.last().filter(|_| !path.ends_with(b"/")) {
            let dot = memchr::memchr(b'.', last).unwrap_or(last.len());
            let name = &last[..dot];
            self.push(name, ValueEncoding::Percent(Plus::Keep), vec![plain(Tag::ActionName)], false);
            if let Some(dot) = memchr::memrchr(b'.', last) {
                let extension = &last[dot + 1..];
                self.push(extension, ValueEncoding::Percent(Plus::Keep), vec![plain(Tag::ActionExt)], false);
            }
        }
        self.form(query.strip_prefix(b"?").unwrap_or(query), &[], Tag::Get);
    }

    /// Tokens and matrix parameters, which are parts of segments, of a path or URL at `at`.
    fn path_tokens(&mut self, path: &'m [u8], at: &[PathItem]) {
        let mut spans = Vec::new();
        path_tokens::scan(path, &mut spans);
        for span in spans {
            self.push(&path[span.range], ValueEncoding::Percent(Plus::Keep), at.to_vec(), true);
        }
    }

    fn form(&mut self, text: &'m [u8], base: &[PathItem], tag: Tag) {
        let names =
            || weir_core::normalize::form::encoded_pairs(text).map(|piece| percent::decode(piece.name, Plus::Space));
        let oauth = names().any(|name| OAUTH.iter().any(|known| name.eq_ignore_ascii_case(known)));
        let mut named = false;
        for piece in weir_core::normalize::form::encoded_pairs(text) {
            let name = percent::decode(piece.name, Plus::Space);
            let path = [base, &steps_of(tag, &name)].concat();
            let value = percent::decode(piece.value, Plus::Space);
            let secret = is_secret(&name)
                || is_ambiguous_secret(&name, &value)
                || (oauth && name.eq_ignore_ascii_case(b"code"))
                || (named && name_value::is_holding(&name));
            if name_value::is_naming(&name) {
                named = is_secret(&value);
            }
            self.push(piece.value, ValueEncoding::Percent(Plus::Space), path, secret);
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
            // The authentication scheme (RFC 9110 §11.4) is not a secret.
            let value = if secret { credentials(header.value) } else { header.value };
            if URL_HEADERS.iter().any(|known| header.name.eq_ignore_ascii_case(known.as_bytes())) {
                self.path_tokens(value, &path);
            }
            self.push(value, ValueEncoding::Plain, path, secret);
        }
    }

    /// Cookies; the attributes in Set-Cookie are not secrets.
    fn cookies(&mut self, text: &'m [u8], base: &[PathItem], set: bool) {
        for (at, piece) in text.split(|&b| b == b';').enumerate() {
            let (name, value) = match memchr::memchr(b'=', piece) {
                Some(equals) => (piece[..equals].trim_ascii(), piece[equals + 1..].trim_ascii()),
                None => (&b""[..], piece.trim_ascii()),
            };
            let attribute = set && at > 0 && is_cookie_attribute(if name.is_empty() { value } else { name });
            let path = [base, &[named(Tag::Cookie, name)]].concat();
            self.push(value, ValueEncoding::Plain, path, !attribute);
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
        let mut walk = JsonPathTracker::new([base, vec![plain(Tag::JsonDoc)]].concat());
        let mut pairs = NamedValues::default();
        for token in Lexer::new(text) {
            match token {
                Token::Mark(open @ (b'{' | b'[')) => {
                    walk.open(open == b'{');
                    pairs.open();
                }
                Token::Mark(b'}' | b']') => {
                    walk.close();
                    pairs.close();
                }
                Token::Mark(mark) => walk.mark(mark),
                Token::Text(text, _) if walk.wants_name() => walk.name(&unescaped(text)),
                Token::Word(word) if walk.wants_name() => walk.name(word),
                Token::Text(text, _) => {
                    let value = unescaped(text);
                    let (path, mut secret) = walk.value();
                    secret |= last_name(&path).is_some_and(|name| is_ambiguous_secret(name, &value));
                    pairs.value(&path, &value, self.values.len());
                    self.push(text, ValueEncoding::Json, path, secret);
                }
                Token::Number(text) => {
                    let (path, secret) = walk.value();
                    pairs.value(&path, text, self.values.len());
                    self.push(text, ValueEncoding::Number, path, secret || !secret_patterns::scan(text).is_empty());
                }
                Token::Word(word) => {
                    let (path, secret) = walk.value();
                    pairs.value(&path, word, self.values.len());
                    self.push(word, ValueEncoding::Plain, path, secret);
                }
                Token::Constant => {}
            }
            for secret in pairs.secrets.drain(..) {
                if let Some(value) = self.values.get_mut(secret) {
                    value.secret = true;
                }
            }
        }
    }
}

/// Finds values whose name is the value of another member of the same object.
#[derive(Default)]
struct NamedValues {
    /// Of each open object: whether a member names a secret, and the values that it may name.
    open: Vec<(bool, Vec<usize>)>,
    /// Numbers of values found to be secrets.
    secrets: Vec<usize>,
}

impl NamedValues {
    fn open(&mut self) {
        self.open.push((false, Vec::new()));
    }

    fn close(&mut self) {
        self.open.pop();
    }

    /// The value at `path` gets the number `number`.
    fn value(&mut self, path: &[PathItem], value: &[u8], number: usize) {
        let (Some((named, values)), Some(name)) = (self.open.last_mut(), last_name(path)) else { return };
        if name_value::is_naming(name) && is_secret(value) {
            *named = true;
        }
        if name_value::is_holding(name) && !value.is_empty() {
            values.push(number);
        }
        if *named {
            self.secrets.append(values);
        }
    }
}

/// The name of the last member of a path.
fn last_name(path: &[PathItem]) -> Option<&[u8]> {
    match &path.last()?.key {
        OwnedKey::Name(name) => Some(name.as_bytes()),
        _ => None,
    }
}

fn is_form(media: &[u8]) -> bool {
    let essence = media.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::parse::message;

    fn values(raw: &str) -> Vec<(String, String, bool)> {
        let raw = raw.as_bytes();
        let message = message::request(raw);
        let show = |value: LocatedValue<'_>| {
            assert_eq!(value.range.is_empty(), raw[value.range.clone()].is_empty());
            (value.path.to_string(), String::from_utf8_lossy(&value.decoded).into_owned(), value.secret)
        };
        of(&message, raw).into_iter().map(show).collect()
    }

    fn has(values: &[(String, String, bool)], path: &str, value: &str, secret: bool) {
        let want = (path.to_owned(), value.to_owned(), secret);
        assert!(values.contains(&want), "{want:?} is not in {values:#?}");
    }

    #[test]
    fn the_head_is_walked() {
        let got = values(
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
        let got = values(
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
        let got = values("POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b+c&pwd=%41");
        has(&got, "[post][form_urlencoded,'a']", "b c", false);
        has(&got, "[post][form_urlencoded,'pwd']", "A", true);
        let got = values("GET /?a[b][]=x&a[0][c]=y HTTP/1.1\r\n\r\n");
        has(&got, "[get,'a'][hash,'b']", "x", false);
        has(&got, "[get,'a'][array,0][hash,'c']", "y", false);
    }
}
