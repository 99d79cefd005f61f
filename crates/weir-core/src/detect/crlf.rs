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
        ],
        negative: &[
            "line one\nline two",
            "Dear all,\n\nNote: see below",
            "a\n\nb",
            "Set-Cookie is a header",
            "x\n\n<p>hello</p>",
        ],
    },
};

/// Header fields that an injection sets, lower case.
const FIELDS: &[&[u8]] = &[
    b"set-cookie",
    b"location",
    b"content-type",
    b"content-length",
    b"transfer-encoding",
    b"x-xss-protection",
    b"refresh",
    b"link",
    b"access-control-allow-origin",
    b"host",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"status",
    b"contenttype",
    b"contentlength",
    b"last-modified",
    b"remote-addr",
    b"connection",
    b"cookie",
    b"authorization",
    b"content-encoding",
];
/// Most lines of a value that is not a document. A document may quote headers.
const DOCUMENT_LINES: usize = 6;
/// Bytes after a line end that are read as a header field or status line.
const MAX_HEAD: usize = 64;

const FILTER: ByteClassFilter = ByteClassFilter::any(ByteClasses::NEWLINE);

fn run(subject: &Subject<'_>) -> Option<Match> {
    // Whole bodies and files ordinarily have lines, and multipart has headers of its own.
    let mut steps = subject.ancestors().map(|s| s.tag).skip_while(|t| *t == Tag::Percent);
    if matches!(steps.next(), Some(Tag::Post | Tag::File))
        || memchr::memmem::find(subject.bytes, b"form-data;").is_some()
    {
        return None;
    }
    find(subject.bytes)
}

fn find(text: &[u8]) -> Option<Match> {
    let lines = memchr::memchr_iter(b'\n', text).take(DOCUMENT_LINES + 1).count();
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
        let confidence = classify(head, previous_empty && at < 200, lines);
        if let Some(confidence) = confidence {
            return Some(Match { confidence, start: at, end: text.len().min(at + 1 + MAX_HEAD) });
        }
        previous_empty = false;
    }
    None
}

fn classify(head: &[u8], after_empty: bool, lines: usize) -> Option<Confidence> {
    let lower = head.to_ascii_lowercase();
    let lower = lower.strip_prefix(b"0a").or(lower.strip_prefix(b"0d")).unwrap_or(&lower);
    let document = lines > DOCUMENT_LINES;
    let name_end = lower.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
    let colon = lower[name_end..].trim_ascii_start().starts_with(b":");
    let field = colon && FIELDS.contains(&&lower[..name_end]);
    let status = lower.starts_with(b"http/1.") || lower.starts_with(b"http/0.") || lower.starts_with(b"http/2");
    let request =
        [&b"get /"[..], b"post /", b"head /", b"put /", b"get http", b"delete /"].iter().any(|m| lower.starts_with(m))
            && memchr::memmem::find(lower, b" http/").is_some();
    let markup =
        after_empty && (lower.starts_with(b"<script") || lower.starts_with(b"<html") || lower.starts_with(b"<svg"));
    match (field || status || request, markup) {
        (true, _) if !document => Some(Confidence::High),
        (true, _) => Some(Confidence::Low),
        (_, true) if !document => Some(Confidence::High),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{find, work};

    #[test]
    fn work_on_hostile_text_is_linear() {
        for unit in ["\n ", "\n\t\n", "\r\n ", "\nabc", "\n  x", "\nlocation "] {
            work::assert_linear(unit, 1 << 14, 70, find);
        }
    }
}
