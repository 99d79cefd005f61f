//! Header injection: a line end inside a value, then a header field or a whole response (CWE-93, CWE-113).

use super::{Detector, Match, Samples, Subject, work};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Tag, Zone};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "crlf.header",
    attack: AttackType::Crlf,
    about: "A line end followed by a header field or a status line, which would split the response or a mail",
    zones: Zone::PARAMETERS,
    filter: FILTER,
    run,
    samples: Samples {
        positive: &[
            "x\r\nSet-Cookie: a=b",
            "/\nLocation: http://evil.example",
            "a\r\n\r\nHTTP/1.1 200 OK",
            "\n\n<script>alert(1)</script>",
            "\rContent-Length: 0",
            "%\n0aSet-Cookie:crlf=injection",
            "x\nGET /admin HTTP/1.1",
            "x\rHEAD http://a.example/ HTTP/1.1",
            "en\r\nContent-Type: text/html\r\n\r\n<h1>x</h1>",
            "a b c d\r\nSet-Cookie: admin=1",
            "x\r\nTransfer-Encoding: chunked",
            "/a HTTP/1.1\r\nHost: x\r\n\r\n",
            "x\r\nContent-Length: 0<html>",
            "x\r\nX-Accel-Redirect: /a",
            "x\r\nSet-Cookie:y",
            "x\r\nAccess-Control-Allow-Origin: *",
        ],
        negative: &[
            "Hello\nLocation: my garden\nDate: Saturday",
            "Dinner\nStatus: draft\nHost: Ann",
            "---\ntitle: x\nlocation: https://example.com/a\n---",
            "BEGIN:VEVENT\r\nLOCATION:https://example.com/room\r\nEND:VEVENT",
            "content-length: 12\r\ncontent-type: application/json\r\n",
            "date: x\r\nlocation: /a\r\n",
            "The server answered with this line\nHTTP/1.1 502 Bad Gateway",
            "shopping\nContent-Type: gift",
            "Knee\r\nX-ray: normal",
            "web is down\nHost: web01.example\nStatus: down",
            "line one\nline two",
            "Dear all,\n\nNote: see below",
            "a\n\nb",
            "Set-Cookie is a header",
            "x\n\n<p>hello</p>",
        ],
    },
};

/// What the value of a header field looks like. The name of a field alone is an ordinary word: `Location: my garden`.
#[derive(Clone, Copy)]
enum Grammar {
    /// `name=value`
    Cookie,
    /// A URL or a path.
    Target,
    /// `type/subtype`
    MediaType,
    /// A number.
    Number,
    /// One of a few words.
    Words(&'static [&'static [u8]]),
    /// A host name or an address.
    Host,
    /// `5;url=...`
    Refresh,
}

/// Header fields that an injection sets, lower case, and whether the field alone is enough evidence. Those that are not
/// also begin lines of notes and tickets.
const FIELDS: &[(&[u8], Grammar, bool)] = &[
    (b"set-cookie", Grammar::Cookie, true),
    (b"location", Grammar::Target, false),
    (b"content-location", Grammar::Target, true),
    (b"content-type", Grammar::MediaType, true),
    (b"contenttype", Grammar::MediaType, true),
    (b"content-length", Grammar::Number, true),
    (b"contentlength", Grammar::Number, true),
    (b"content-encoding", Grammar::Words(&[b"gzip", b"deflate", b"br", b"identity"]), true),
    (b"transfer-encoding", Grammar::Words(&[b"chunked", b"identity"]), true),
    (b"x-xss-protection", Grammar::Number, true),
    (b"refresh", Grammar::Refresh, true),
    (b"access-control-allow-origin", Grammar::Target, true),
    (b"access-control-allow-credentials", Grammar::Words(&[b"true"]), true),
    (b"content-security-policy", Grammar::Words(&[b"default-src", b"script-src", b"none"]), true),
    (b"connection", Grammar::Words(&[b"close", b"keep-alive", b"upgrade"]), true),
    (b"authorization", Grammar::Words(&[b"basic", b"bearer", b"digest"]), false),
    (b"cookie", Grammar::Cookie, false),
    (b"x-forwarded-for", Grammar::Host, true),
    (b"x-forwarded-host", Grammar::Host, true),
    (b"remote-addr", Grammar::Host, true),
    (b"host", Grammar::Host, false),
    (b"last-modified", Grammar::Words(&[b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"]), true),
];
/// Methods with which a request that is smuggled in begins, lower case.
const METHODS: &[&[u8]] = &[b"get", b"post", b"head", b"put", b"delete", b"patch", b"options"];
/// Most lines of a value that is not a document. A document may quote headers.
const DOCUMENT_LINES: usize = 6;
/// Bytes after a line end that are read as a header field or status line.
const MAX_HEAD: usize = 64;
/// Most blanks before the first line end of a value that an application puts into a header.
const MAX_BLANKS: usize = 3;

const FILTER: ByteClassFilter = ByteClassFilter::any(ByteClasses::NEWLINE);

fn run(subject: &Subject<'_>) -> Option<Match> {
    // Whole bodies ordinarily have lines, and multipart has headers of its own. The content of a file is judged here only
    // where it is short text, which a field may be, too.
    let mut steps = subject.ancestors().map(|s| s.tag).skip_while(|t| *t == Tag::Percent);
    if steps.next() == Some(Tag::Post) || memchr::memmem::find(subject.bytes, b"form-data;").is_some() {
        return None;
    }
    let found = find(subject.bytes);
    let target = subject.value.zone.intersects(Zone::QUERY.with(Zone::COOKIE).with(Zone::PATH));
    if target && found.is_none_or(|found| found.confidence < Confidence::High) && ends_in_field(subject.bytes) {
        return Some(Match { confidence: Confidence::High, start: 0, end: subject.bytes.len() });
    }
    found
}

/// Whether a text is a value without blanks, a line end and a header field of any name with a hyphen, which ends it. Texts of
/// several lines travel in bodies. Known fields need a value that they have, as [`field`] says.
fn ends_in_field(text: &[u8]) -> bool {
    const MAX_VALUE: usize = 64;
    const MAX_FIELD: usize = 256;
    let Some(end) = memchr::memchr2(b'\n', b'\r', &text[..text.len().min(MAX_VALUE + 1)]) else { return false };
    let (value, rest) = text.split_at(end);
    work::count(end);
    if value.iter().any(|b| b.is_ascii_whitespace() || *b == b':') {
        return false;
    }
    let rest = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
    let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
    let field = rest.strip_suffix(b"\r").unwrap_or(rest);
    let field = &field[field.iter().take(2).take_while(|b| matches!(b, b' ' | b'\t')).count()..];
    if field.len() > MAX_FIELD || memchr::memchr2(b'\n', b'\r', field).is_some() {
        return false;
    }
    work::count(field.len());
    let name = field.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count();
    let (name, behind) = field.split_at(name);
    let filled = behind.trim_ascii_start().strip_prefix(b":").is_some_and(|value| !value.trim_ascii().is_empty());
    let mut parts = name.split(|b| *b == b'-');
    let first = parts.next().unwrap_or_default();
    // `X-ray: normal` is a line of a note.
    let own = first.eq_ignore_ascii_case(b"x") && !name[1..].to_ascii_lowercase().starts_with(b"-ra");
    let word = first.len() > 1 && first.iter().all(u8::is_ascii_alphabetic);
    let hyphened = name.contains(&b'-') && parts.all(|part| !part.is_empty());
    let known = FIELDS.iter().any(|(field, ..)| name.eq_ignore_ascii_case(field));
    filled && hyphened && (own || word) && !known
}

fn find(text: &[u8]) -> Option<Match> {
    let lines = memchr::memchr_iter(b'\n', text).take(DOCUMENT_LINES + 1).count();
    let carrier = Carrier::of(text);
    if carrier == Carrier::Headers {
        return None;
    }
    let mut previous_empty = false;
    // End of the white space after a line end. It is measured once for all line ends within it: measuring it again from
    // each of them would take quadratic time on a text of blank lines.
    let mut field_start = 0;
    for at in memchr::memchr2_iter(b'\n', b'\r', text) {
        let line = &text[at + 1..];
        if matches!(line.first(), Some(b'\n' | b'\r')) {
            previous_empty = true;
            continue;
        }
        if field_start <= at {
            let blanks = line.iter().inspect(|_| work::count(1)).take_while(|b| b.is_ascii_whitespace()).count();
            field_start = at + 1 + blanks;
        }
        let head = &text[field_start..text.len().min(field_start + MAX_HEAD)];
        work::count(head.len());
        let confidence = classify(head, previous_empty && at < 200, lines, carrier);
        if let Some(confidence) = confidence {
            return Some(Match { confidence, start: at, end: text.len().min(at + 1 + MAX_HEAD) });
        }
        previous_empty = false;
    }
    None
}

/// What precedes the first line end: the value that the application meant to get.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// A short value, or nothing.
    Value,
    /// A URL, or a value that ends with the version of HTTP, so that the rest of a request may follow.
    Request,
    /// A sentence or a mark of a document (`---`, `BEGIN:VEVENT`).
    Text,
    /// A header field: the text is a block of headers, as monitoring reports them.
    Headers,
}

impl Carrier {
    fn of(text: &[u8]) -> Self {
        /// Fields with which the headers of a response or request begin in reports, lower case.
        const FIRST: &[&[u8]] = &[
            b"content-",
            b"cache-control",
            b"date",
            b"server",
            b"accept",
            b"access-control-",
            b"etag",
            b"expires",
            b"last-modified",
            b"vary",
            b"x-",
            b"pragma",
            b"strict-transport",
            b"age",
            b"user-agent",
            b"referer",
            b"cf-",
            b"alt-svc",
            b"via",
            b"connection",
            b"keep-alive",
            b"request",
            b"from",
            b"subject",
        ];
        let end = memchr::memchr2(b'\n', b'\r', text).unwrap_or(text.len());
        let version = text[..end].trim_ascii_end();
        let version = &version[version.len().saturating_sub(b" HTTP/1.1".len())..];
        let url = [&b"http://"[..], b"https://"].iter().any(|scheme| text.starts_with(scheme));
        if url && !text[..end].contains(&b' ') || version.len() > 8 && version[..8].eq_ignore_ascii_case(b" HTTP/1.") {
            return Carrier::Request;
        }
        let end = end.min(MAX_HEAD);
        let line = text[..end].trim_ascii();
        work::count(end);
        let name = line.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
        let field = name > 0 && line[name..].starts_with(b":");
        let listed = |prefix: &&[u8]| line.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        if field && FIRST.iter().any(listed) && !sets_cookie(text) {
            return Carrier::Headers;
        }
        let blanks = line.iter().filter(|b| **b == b' ').count();
        let mark = line.len() >= 3 && line.iter().all(|b| matches!(b, b'-' | b'=' | b'#' | b'*' | b'+'));
        if blanks >= MAX_BLANKS || mark || field { Carrier::Text } else { Carrier::Value }
    }
}

/// Whether the first bytes of `text` name a field that scripts cannot read from a response, so that no report has it.
fn sets_cookie(text: &[u8]) -> bool {
    let text = text[..text.len().min(1024)].to_ascii_lowercase();
    work::count(text.len());
    memchr::memmem::find(&text, b"set-cookie:").is_some()
}

fn classify(head: &[u8], after_empty: bool, lines: usize, carrier: Carrier) -> Option<Confidence> {
    let lower = head.to_ascii_lowercase();
    let lower = lower.strip_prefix(b"0a").or(lower.strip_prefix(b"0d")).unwrap_or(&lower);
    let document = lines > DOCUMENT_LINES;
    let status = [&b"http/1."[..], b"http/0.", b"http/2"].iter().any(|version| lower.starts_with(version));
    let request = METHODS.iter().any(|method| {
        let target = lower.strip_prefix(*method).and_then(|rest| rest.strip_prefix(b" "));
        target.is_some_and(|target| target.starts_with(b"/") || target.starts_with(b"http"))
    }) && memchr::memmem::find(lower, b" http/").is_some();
    let markup =
        after_empty && (lower.starts_with(b"<script") || lower.starts_with(b"<html") || lower.starts_with(b"<svg"));
    let value = matches!(carrier, Carrier::Value | Carrier::Request);
    let certain = match field(lower) {
        Some(true) => carrier != Carrier::Text || lower.starts_with(b"set-cookie"),
        Some(false) => value,
        None => (status || request) && value || markup || carrier == Carrier::Request && lower.starts_with(b"host:"),
    };
    match (certain, document) {
        (true, false) => Some(Confidence::High),
        (true, true) if !markup => Some(Confidence::Low),
        _ => None,
    }
}

/// Whether a line begins with a header field whose value is one; the result says whether the field alone is evidence.
fn field(line: &[u8]) -> Option<bool> {
    let name_end = line.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
    let value = line[name_end..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    // Names of two parts behind the `X-` are no words of a note: `X-Accel-Redirect`.
    if line.starts_with(b"x-") && line[..name_end].iter().filter(|b| **b == b'-').count() > 1 && name_end > 6 {
        return Some(false);
    }
    let (_, grammar, alone) = FIELDS.iter().find(|(name, ..)| *name == &line[..name_end])?;
    fits(*grammar, value).then_some(*alone)
}

/// Whether a value is one that the field has.
fn fits(grammar: Grammar, value: &[u8]) -> bool {
    let end = value.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b';' | b','));
    let word = &value[..end.unwrap_or(value.len())];
    // An injection leaves the rest of the line to the application, so nothing may follow a field at the end of a value.
    let alone = || value[word.len()..].trim_ascii_start().is_empty() || value.get(word.len()) != Some(&b' ');
    match grammar {
        Grammar::Cookie => {
            let name = word.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-_.$[]%".contains(b)).count();
            name > 0 && (word.get(name) == Some(&b'=') || value.len() == name)
        }
        Grammar::Target => {
            let absolute = [&b"http:"[..], b"https:", b"//", b"javascript:", b"data:", b"ftp:"];
            let path = word.first() == Some(&b'/') && word.len() > 1;
            alone() && (path || word == b"*" || absolute.iter().any(|start| word.starts_with(start)))
        }
        Grammar::MediaType => {
            let kind = word.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'*')).count();
            kind > 1 && word.get(kind) == Some(&b'/') && word.len() > kind + 2
        }
        Grammar::Number => {
            let digits = word.iter().take_while(|b| b.is_ascii_digit()).count();
            digits > 0 && matches!(word.get(digits), None | Some(b'<')) && alone()
        }
        Grammar::Words(words) => words.contains(&word),
        Grammar::Host => {
            let name = |b: &u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(b);
            alone() && word.contains(&b'.') && word.iter().all(name) && value[word.len()..].iter().all(|b| *b != b'\n')
        }
        Grammar::Refresh => {
            word.first().is_some_and(u8::is_ascii_digit) && value.contains(&b';')
                || alone() && word.contains(&b'.') && word.len() > 4
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ends_in_field, find, work};

    #[test]
    fn a_line_end_and_any_field_end_a_value() {
        for text in ["/\r\nHeader-Test: abc", "x\nX-Injected: 1", "\r\nX-A:b\r\n", "\rFoo-Bar-2:\ta b"] {
            assert!(ends_in_field(text.as_bytes()), "{text:?}");
        }
        for text in [
            "Knee\r\nX-ray: normal",
            "a b\r\nFoo-Bar: x",
            "x\nnote: y",
            "Dear all,\nre-check: done\nthanks",
            "x\r\nHi",
            "x\nA-: b",
            "x\nFoo-Bar:",
            "\n",
            "",
        ] {
            assert!(!ends_in_field(text.as_bytes()), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r"[\r\n xX:a-]{0,24}") {
            ends_in_field(text.as_bytes());
        }
    }

    #[test]
    fn work_on_hostile_text_is_linear() {
        for unit in ["\n ", "\n\t\n", "\r\n ", "\nabc", "\n  x", "\nlocation "] {
            work::assert_linear(unit, 1 << 14, 70, find);
        }
    }
}
