//! The request line at `[uri]`, `[path,i]`, `[action_name]`, `[action_ext]`, `[get,name]`, `[method]` and `[proto]`.
//!
//! Every byte of the target is in some value: the path as sent is one value at `[uri]` (including a fragment, if a client
//! sends one), each piece of the query is a name and a value, and an authority that holds more than a host is a value at
//! `[uri]` too. Segments are emitted separately only if they contain syntax, because the whole path is inspected anyway.

use super::Emitter;
use crate::model::{AnomalyKind, ByteClasses, Hint, Message, Segment, SkipReason, Stop, Tag, Zone};
use crate::normalize::{base64, hex, percent};
use memchr::memchr;
use std::borrow::Cow;

/// Path segments emitted as values of their own. Later ones are inspected within the whole path only.
const MAX_SEGMENTS: usize = 256;
/// A segment of plain letters and digits from this length on may hold an encoding (base64, hex, a token).
const MAYBE_ENCODED: usize = 20;
/// Shorter ones from this length on may be text in base64, which few words of a language happen to be.
const MAYBE_BASE64: usize = 8;
/// Bytes that a URI must not contain (RFC 3986 §2). Browsers encode them, attack tools often do not.
const NOT_IN_A_URI: ByteClasses = ByteClasses::HIGH
    .with(ByteClasses::CONTROL)
    .with(ByteClasses::BLANK)
    .with(ByteClasses::NEWLINE)
    .with(ByteClasses::DQUOTE)
    .with(ByteClasses::LT)
    .with(ByteClasses::GT)
    .with(ByteClasses::BACKSLASH)
    .with(ByteClasses::BACKTICK)
    .with(ByteClasses::CARET)
    .with(ByteClasses::LBRACE)
    .with(ByteClasses::RBRACE)
    .with(ByteClasses::PIPE)
    .with(ByteClasses::HASH);
/// Bytes of a plain authority: a host and a port.
const AUTHORITY: ByteClasses =
    ByteClasses::TOKEN.with(ByteClasses::COLON).with(ByteClasses::LBRACKET).with(ByteClasses::RBRACKET);

/// Emits the parts of the request line.
pub fn run<'a>(message: &Message<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    unusual_words(message, em)?;
    em.zone = Zone::PATH;
    let (authority, rest) = authority(message.target);
    em.enter(Segment::plain(Tag::Uri))?;
    report_bad_bytes(message.target, em);
    if !ByteClasses::of(authority).within(AUTHORITY) {
        em.value(authority)?;
    }
    let (path, query) = match memchr(b'?', rest) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, &b""[..]),
    };
    let result = em.value_as(path, Zone::PATH, Hint::None);
    em.leave();
    result?;
    segments(path, em)?;
    em.zone = Zone::QUERY;
    let pairs = em.split_form(query)?;
    em.pairs(Tag::Get, Tag::GetName, &pairs)?;
    let pairs = em.split_form_at_semicolons(query)?;
    em.pairs(Tag::Get, Tag::GetName, &pairs)
}

/// Emits a method or protocol with other bytes than a plain word: whatever a client can write is inspected.
fn unusual_words<'a>(message: &Message<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    em.zone = Zone::META.with(Zone::HEADER);
    if !ByteClasses::of(message.method).within(ByteClasses::TOKEN) {
        em.child(Segment::plain(Tag::Method), message.method)?;
    }
    if !ByteClasses::of(message.protocol).within(ByteClasses::TOKEN.with(ByteClasses::SLASH)) {
        em.child(Segment::plain(Tag::Proto), message.protocol)?;
    }
    Ok(())
}

/// The authority of an absolute-form target (RFC 9112 §3.2.2), and the rest of the target.
fn authority(target: &[u8]) -> (&[u8], &[u8]) {
    let scheme_end = target.iter().position(|b| !b.is_ascii_alphanumeric() && !b"+-.".contains(b));
    let Some(at) = scheme_end.filter(|&at| at > 0 && target[at..].starts_with(b"://")) else {
        return (b"", target);
    };
    let rest = &target[at + 3..];
    rest.split_at(rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len()))
}

/// Reports bytes that do not belong in a target.
fn report_bad_bytes(target: &[u8], em: &mut Emitter<'_, '_>) {
    let classes = ByteClasses::of(target);
    if classes.intersects(NOT_IN_A_URI) {
        em.anomaly(AnomalyKind::BadUriByte);
    }
    if classes.intersects(ByteClasses::CONTROL) && memchr(0, target).is_some() {
        em.anomaly(AnomalyKind::NulByte);
    }
    if classes.intersects(ByteClasses::CONTROL.with(ByteClasses::NEWLINE))
        && target.iter().any(|b| b.is_ascii_control() && *b != 0)
    {
        em.anomaly(AnomalyKind::ControlByte);
    }
    if !classes.intersects(ByteClasses::PERCENT) {
        return;
    }
    if percent::has_bad_escape(target) {
        em.anomaly(AnomalyKind::BadPercent);
    }
    if memchr::memmem::find(target, b"%00").is_some() || memchr::memmem::find(target, b"%u0000").is_some() {
        em.anomaly(AnomalyKind::NulByte);
    }
}

/// Emits the segments that contain syntax, decoded.
fn segments<'a>(path: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let mut parts = path.split(|&b| b == b'/').filter(|part| !part.is_empty()).peekable();
    let mut index = 0;
    while let Some(part) = parts.next() {
        if index as usize >= MAX_SEGMENTS {
            em.skip(SkipReason::CountLimit);
            return Ok(());
        }
        let is_last = parts.peek().is_none() && !path.ends_with(b"/");
        if is_last {
            action(part, index, em)?;
        } else {
            piece(Segment::indexed(Tag::Path, index), part, em)?;
        }
        index += 1;
    }
    Ok(())
}

/// Emits the last segment: its name up to the first dot, its extension past the last dot and, if it has dots, the whole
/// segment too, so that an attack with a dot in it is not split.
fn action<'a>(segment: &'a [u8], index: u32, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let Some(first) = memchr(b'.', segment) else { return piece(Segment::plain(Tag::ActionName), segment, em) };
    let last = memchr::memrchr(b'.', segment).unwrap_or(first);
    piece(Segment::plain(Tag::ActionName), &segment[..first], em)?;
    piece(Segment::plain(Tag::ActionExt), &segment[last + 1..], em)?;
    piece(Segment::indexed(Tag::Path, index), segment, em)
}

/// Emits `text` decoded unless it is a plain word, and then the values of its `;` parameters (RFC 3986 §3.3).
fn piece<'a>(segment: Segment<'a>, text: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let classes = ByteClasses::of(text);
    if classes.within(ByteClasses::TOKEN) && !may_be_encoded(text) {
        return Ok(());
    }
    em.budget.spend(text.len())?;
    let text = match percent::decode(text, percent::Plus::Keep) {
        Cow::Borrowed(same) => same,
        Cow::Owned(decoded) => em.copy(&decoded)?,
    };
    em.enter(segment)?;
    let result = em.value(text).and_then(|()| parameters(text, em));
    em.leave();
    result
}

/// Whether letters and digits may hold an encoding.
fn may_be_encoded(text: &[u8]) -> bool {
    text.len() >= MAYBE_ENCODED
        || text.len() >= MAYBE_BASE64
            && base64::peek(text).is_some_and(|first| hex::is_ascii_text(&first))
            && base64::decode(text).is_some_and(|decoded| hex::is_ascii_text(&decoded))
}

/// The values of `;name=value` parameters of a segment.
fn parameters<'a>(text: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    for (count, parameter) in text.split(|&b| b == b';').skip(1).enumerate() {
        let value = memchr(b'=', parameter).map_or(parameter, |at| &parameter[at + 1..]);
        if ByteClasses::of(value).within(ByteClasses::TOKEN) {
            continue;
        }
        if count >= MAX_SEGMENTS {
            em.skip(SkipReason::CountLimit);
            return Ok(());
        }
        em.value(value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::model::AnomalyKind as K;
    use crate::parse::testing::messages::{extract_raw, extract_target};
    use proptest::prelude::*;

    #[test]
    fn targets_are_split_into_values() {
        for (target, values) in [
            ("/", vec!["[uri]=/"]),
            ("*", vec!["[uri]=*", "[action_name]=*"]),
            ("/a/b.php", vec!["[uri]=/a/b.php"]),
            ("/a%27/b", vec!["-[uri]=/a%27/b", "[path,0]=a'", "[uri][percent]=/a'/b"]),
            ("/a/b'.x.php", vec!["[uri]=/a/b'.x.php", "[action_name]=b'", "[path,1]=b'.x.php"]),
            ("/a;x='1/b", vec!["[uri]=/a;x='1/b", "[path,0]=a;x='1", "[path,0]='1"]),
            ("/?a=b&c", vec!["[uri]=/", "[get_name]=a", "[get,'a']=b", "[get_name]=c"]),
            ("/?=x", vec!["[uri]=/", "[get,'']=x"]),
            ("/?a+b=c+d%2B", vec!["[uri]=/", "[get_name]=a b", "[get,'a b']=c d+"]),
            (
                "/?a=1&b=3&a=2",
                vec![
                    "[uri]=/",
                    "[get_name]=a",
                    "[get,'a'][array,0]=1",
                    "[get,'a'][array,1]=2",
                    "[get,'a'][pollution]=1,2",
                    "[get_name]=b",
                    "[get,'b']=3",
                ],
            ),
            ("/?a=%253cb", vec!["[uri]=/", "[get_name]=a", "[get,'a']=%3cb", "[get,'a'][percent]=<b"]),
            ("http://h/p?q=r", vec!["[uri]=/p", "[get_name]=q", "[get,'q']=r"]),
            ("http://u'@h/p", vec!["[uri]=u'@h", "[uri]=/p"]),
            ("/a#b?c=d", vec!["[uri]=/a#b", "[action_name]=a#b", "[get_name]=c", "[get,'c']=d"]),
            ("host:443", vec!["[uri]=host:443", "[action_name]=host:443"]),
        ] {
            let parsed = extract_target(target.as_bytes());
            let got: Vec<_> = parsed.values.iter().filter(|v| !v.contains("[header")).collect();
            assert_eq!(got, values.iter().collect::<Vec<_>>(), "{target}");
        }
    }

    #[test]
    fn encodings_of_evasions_are_decoded() {
        for (target, entry) in [
            ("/%c0%ae%c0%ae/etc", "[uri][percent][charset]=/../etc"),
            ("/?f=%c0%ae%c0%ae%c0%af", "[get,'f'][charset]=../"),
            ("/?f=%u002e%u002e%u2215", "[get,'f']=..∕"),
            ("/?f=%25252e", "[get,'f'][percent][percent]=."),
            ("/?f=%%32%65", "[get,'f'][percent]=."),
            ("/?f=%2BADw-script%2BAD4-", "[get,'f'][charset]=<script>"),
            ("/?f=%fe%ff%00<%00a", "[get,'f'][charset]=<a"),
        ] {
            let parsed = extract_target(target.as_bytes());
            assert!(parsed.has(entry), "{target}: {:?}", parsed.values);
        }
    }

    #[test]
    fn bad_targets_are_anomalies() {
        for (target, kind, odd) in [
            ("/a%2", K::BadPercent, true),
            ("/a%20b[0]", K::BadUriByte, false),
            ("/a%20", K::BadPercent, false),
            ("/a<b", K::BadUriByte, true),
            ("/a#b", K::BadUriByte, true),
            ("/\u{e9}", K::BadUriByte, true),
            ("/a\0", K::NulByte, true),
            ("/a%00", K::NulByte, true),
            ("/a\0", K::ControlByte, false),
            ("/a\u{1}", K::ControlByte, true),
            ("/?a=%25252e", K::DeepEncoding, true),
            ("/?a=%252e", K::DeepEncoding, false),
            ("/%252e", K::DeepEncoding, false),
            ("/%25252e", K::DeepEncoding, true),
            ("/%c0%ae", K::OverlongUtf8, true),
        ] {
            let parsed = extract_target(target.as_bytes());
            assert_eq!(parsed.has_anomaly(kind), odd, "{target:?} {:?}", parsed.anomalies);
        }
    }

    #[test]
    fn unusual_methods_and_protocols_are_emitted() {
        let parsed = extract_raw(b"GET' / HTTP/1.1<\r\n\r\n");
        assert!(parsed.has("[method]=GET'") && parsed.has("[proto]=HTTP/1.1<"), "{:?}", parsed.values);
    }

    proptest! {
        /// Every part of a target is in some inspected value, however it is written.
        #[test]
        fn every_part_of_a_target_is_inspected(needle in "[a-z]{5}", before in "[&=;a?/#'. ]{0,6}", after in "[&=;b?/#%']{0,6}") {
            let parsed = extract_target(format!("/x?{before}{needle}{after}").as_bytes());
            prop_assert!(parsed.inspects(&needle), "{:?}", parsed.values);
            let parsed = extract_target(format!("{before}{needle}{after}").as_bytes());
            prop_assert!(parsed.inspects(&needle), "{:?}", parsed.values);
        }
    }
}
