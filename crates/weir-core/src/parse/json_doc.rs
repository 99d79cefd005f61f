//! JSON (RFC 8259) at `[json_doc]`: members at `[hash,name]`, elements at `[array,i]`. Duplicate names stay separate.
//!
//! One streaming pass without a tree of values and without recursion. If the text is not strict JSON (comments, single
//! quotes, trailing commas or garbage), the strings found in it are emitted, and the text itself is inspected too.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, ParserSet, Segment, SkipReason, Stop, Tag};
use crate::normalize::json_text::{Lexer, Token, unescape};

/// Media types of one JSON text.
const MEDIA: &[&str] = &["application/json", "text/json", "text/x-json", "+json"];
/// Media types of several JSON texts, one after the other.
const MEDIA_LINES: &[&str] = &[
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-seq",
];
/// Longest number that is not emitted, because it carries no syntax.
const MAX_PLAIN_NUMBER: usize = 32;
/// Up to this many names of an object are compared pairwise; more are sorted.
const FEW_NAMES: usize = 8;

/// Values declared by a JSON media type, or beginning like an object, an array or a string.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if is_utf16(value.bytes) {
        return Applicability::No;
    }
    if value.is_declared(ParserSet::JSON_DOC) || value.is_media(MEDIA) || value.is_media(MEDIA_LINES) {
        return Applicability::Declared;
    }
    if !value.classes.intersects(ByteClasses::LBRACE.with(ByteClasses::LBRACKET).with(ByteClasses::DQUOTE)) {
        return Applicability::No;
    }
    let text = value.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(value.bytes);
    let first = text.iter().find(|b| !b.is_ascii_whitespace() && **b != 0x1e);
    Applicability::sniffed(matches!(first, Some(b'{' | b'[' | b'"')))
}

/// Whether the document is in UTF-16, which is decoded first. With a NUL beside its first byte it is not valid in UTF-8.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[' | b'"', 0, ..] | [0, b'{' | b'[' | b'"', ..])
}

/// Emits every member name, every string, and numbers that are more than a plain number.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    em.enter(Segment::plain(Tag::JsonDoc))?;
    let declared = applicability(value) == Applicability::Declared;
    let mut lexer = Lexer::new(value.bytes);
    let mut walker = Walker {
        em,
        frames: Vec::with_capacity(16),
        names: Vec::with_capacity(32),
        documents: 0,
        broken: false,
        scalar: false,
        too_deep: false,
    };
    while let Some(token) = lexer.next() {
        if walker.frames.is_empty() && walker.documents == 1 && walker.scalar && !declared {
            // A quoted text followed by something else is prose, not JSON.
            return Err(ParseError::NotApplicable);
        }
        walker.token(token)?;
        // A colon nearly always follows a name, and a comma a value: consume them without another token.
        match walker.frames.last_mut() {
            Some(frame) if frame.key.is_some() && !frame.colon => frame.colon = lexer.next_is(b':'),
            Some(frame) if frame.after_value && lexer.next_is(b',') => walker.comma(),
            _ => {}
        }
    }
    let unclosed = !walker.frames.is_empty();
    while !walker.frames.is_empty() {
        walker.close();
    }
    let several = walker.documents != 1 && !value.is_media(MEDIA_LINES);
    // Several JSON texts in a row are accepted, except under a media type of exactly one JSON text.
    let garbage = several && (walker.documents == 0 || value.is_media(MEDIA));
    let (scalar, too_deep) = (walker.scalar, walker.too_deep);
    if lexer.broken || walker.broken || unclosed || garbage {
        return Err(ParseError::Broken(AnomalyKind::BadJson));
    }
    if too_deep {
        return Err(ParseError::Limit);
    }
    // The quotes of a lone string may themselves be the attack (`"><script>"`), or what is between strings (`") or ("`).
    Ok(if scalar { Parsed::Added } else { Parsed::Covered })
}

/// An open object or array.
struct Frame<'a> {
    object: bool,
    /// Whether the current point moved down for it. It does not for a document, nor past the depth limit.
    entered: bool,
    /// Elements read.
    index: u32,
    /// The name of the member whose value comes next.
    key: Option<&'a [u8]>,
    /// Whether the colon after that name was read.
    colon: bool,
    /// Whether a value was read since the last comma.
    after_value: bool,
    /// Whether the last token was a comma.
    comma: bool,
    /// Index of its first name in [`Walker::names`].
    names: usize,
}

struct Walker<'w, 'x, 'a> {
    em: &'w mut Emitter<'x, 'a>,
    frames: Vec<Frame<'a>>,
    /// Names of all open objects.
    names: Vec<&'a [u8]>,
    documents: u32,
    broken: bool,
    /// Whether a document was neither an object nor an array.
    scalar: bool,
    too_deep: bool,
}

impl<'a> Walker<'_, '_, 'a> {
    fn token(&mut self, token: Token<'a>) -> Result<(), Stop> {
        match token {
            Token::Mark(b'{') => self.open(true),
            Token::Mark(b'[') => self.open(false),
            Token::Mark(close @ (b'}' | b']')) => {
                match self.frames.last() {
                    Some(frame) => self.broken |= frame.object != (close == b'}') || frame.comma || frame.key.is_some(),
                    None => self.broken = true,
                }
                self.close();
                Ok(())
            }
            Token::Mark(b':') => {
                match self.frames.last_mut() {
                    Some(frame) if frame.key.is_some() && !frame.colon => frame.colon = true,
                    _ => self.broken = true,
                }
                Ok(())
            }
            Token::Mark(_) => {
                self.comma();
                Ok(())
            }
            Token::Text(text, escaped) => {
                let text = if escaped { self.decode(text)? } else { text };
                if self.frames.last().is_some_and(|frame| frame.object && !frame.colon) {
                    self.key(text)
                } else {
                    self.scalar(Some(text))
                }
            }
            Token::Number(text) if text.len() > MAX_PLAIN_NUMBER || text.iter().any(|b| b | 0x20 == b'e') => {
                self.scalar(Some(text))
            }
            Token::Number(_) | Token::Constant => self.scalar(None),
            // Parsing goes on after the error, because lenient backends do so too.
            Token::Word(word) => {
                self.broken = true;
                if self.frames.last().is_some_and(|frame| frame.object && !frame.colon) {
                    self.key(word)
                } else {
                    self.scalar(None)
                }
            }
        }
    }

    fn decode(&mut self, text: &[u8]) -> Result<&'a [u8], Stop> {
        // No escape is shorter than the text that it encodes.
        self.em.charge_decoded(text.len())?;
        let mut out = bumpalo::collections::Vec::with_capacity_in(text.len(), self.em.bump);
        self.broken |= !unescape(text, |piece| out.extend_from_slice_copy(piece));
        Ok(out.into_bump_slice())
    }

    fn comma(&mut self) {
        match self.frames.last_mut() {
            Some(frame) => {
                self.broken |= !frame.after_value || frame.key.is_some();
                (frame.after_value, frame.comma, frame.key, frame.colon) = (false, true, None, false);
                frame.index = frame.index.saturating_add(1);
            }
            None => self.broken = true,
        }
    }

    fn key(&mut self, name: &'a [u8]) -> Result<(), Stop> {
        let frame = self.frames.last_mut().expect("asked by the caller");
        self.broken |= frame.after_value || frame.key.is_some();
        (frame.key, frame.after_value, frame.comma) = (Some(name), false, false);
        self.names.push(name);
        self.em.name(Tag::HashName, name)
    }

    /// The step to the next value; `None` if it is a document.
    fn step(&mut self) -> Option<Segment<'a>> {
        let Some(frame) = self.frames.last_mut() else {
            self.documents += 1;
            return None;
        };
        self.broken |= frame.after_value || (frame.object && !frame.colon);
        (frame.after_value, frame.comma, frame.colon) = (true, false, false);
        Some(if frame.object {
            Segment::named(Tag::Hash, frame.key.take().unwrap_or_default())
        } else {
            Segment::indexed(Tag::Array, frame.index)
        })
    }

    fn scalar(&mut self, text: Option<&'a [u8]>) -> Result<(), Stop> {
        let step = self.step();
        self.scalar |= step.is_none();
        match (text, step) {
            (None, _) => Ok(()),
            (Some(text), Some(segment)) => self.em.child(segment, text),
            (Some(text), None) => self.em.value(text),
        }
    }

    fn open(&mut self, object: bool) -> Result<(), Stop> {
        let step = self.step();
        let mut entered = false;
        if let Some(segment) = step {
            if self.frames.len() < self.em.limits.json_depth {
                self.em.enter(segment)?;
                entered = true;
            } else {
                // Deeper strings are emitted at the deepest point allowed, and the text itself is inspected.
                if !self.too_deep {
                    self.em.skip(SkipReason::DepthLimit);
                }
                self.too_deep = true;
                self.em.budget.spend(1)?;
            }
        }
        let names = self.names.len();
        self.frames.push(Frame {
            object,
            entered,
            index: 0,
            key: None,
            colon: false,
            after_value: false,
            comma: false,
            names,
        });
        Ok(())
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        if has_duplicate(&mut self.names[frame.names..]) {
            self.em.anomaly(AnomalyKind::DuplicateJsonKey);
        }
        self.names.truncate(frame.names);
        if frame.entered {
            self.em.leave();
        }
    }
}

/// Whether a name occurs twice.
fn has_duplicate(names: &mut [&[u8]]) -> bool {
    if names.len() <= FEW_NAMES {
        return names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    }
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ParsedBody, parse_body};
    use proptest::prelude::*;

    fn json(text: &str) -> ParsedBody {
        parse_body("application/json", text.as_bytes())
    }

    #[test]
    fn members_and_elements_have_points() {
        let parsed = json(r#"{"user":{"name":"a\u0027b","tags":["x",{"y":"z"}]},"n":1e999}"#);
        parsed.has("[post][json_doc][hash,'user'][hash,'name']", "a'b");
        parsed.has("[post][json_doc][hash,'user'][hash,'tags'][array,0]", "x");
        parsed.has("[post][json_doc][hash,'user'][hash,'tags'][array,1][hash,'y']", "z");
        parsed.has("[post][json_doc][hash,'n']", "1e999");
        parsed.has("[post][json_doc][hash_name]", "user");
        assert!(parsed.covered("[post]") && parsed.anomalies.is_empty(), "{parsed:?}");
    }

    #[test]
    fn text_that_only_lenient_parsers_accept_is_emitted_and_stays_inspected() {
        for text in [
            r#"{"q":"evil",}"#,
            r#"{'q':'evil'}"#,
            r#"{q:"evil"}"#,
            r#"{"q":"evil"} trailing"#,
            r#"{"q":"evil"}{"#,
            r#"{"q":"evil""#,
            r#"{/**/"q":"evil"}"#,
            r#"{"a":1 "q":"evil"}"#,
            r#"{"a":NaN,"q":"evil"}"#,
            r#"{"a":"\x41","q":"evil"}"#,
            "{\"a\":\"\u{1}\",\"q\":\"evil\"}",
        ] {
            let parsed = json(text);
            parsed.has("[post][json_doc][hash,'q']", "evil");
            assert!(!parsed.covered("[post]"), "{text}");
            assert_eq!(parsed.anomalies, ["bad_json"], "{text}");
        }
    }

    #[test]
    fn duplicate_names_stay_separate_and_are_an_anomaly() {
        let parsed = json(r#"{"a":"one","a":"two"}"#);
        parsed.has("[post][json_doc][hash,'a']", "one");
        parsed.has("[post][json_doc][hash,'a']", "two");
        assert_eq!(parsed.anomalies, ["duplicate_json_key"]);
        let many: Vec<String> = (0..20).map(|n| format!("\"k{}\":1", n % 19)).collect();
        assert_eq!(json(&format!("{{{}}}", many.join(","))).anomalies, ["duplicate_json_key"]);
        assert!(json(r#"{"a":{"a":{"a":"x"}}}"#).anomalies.is_empty());
    }

    #[test]
    fn the_private_number_name_of_serde_json_is_an_ordinary_name() {
        let parsed = json(r#"{"$serde_json::private::Number":"evil"}"#);
        parsed.has("[post][json_doc][hash,'$serde_json::private::Number']", "evil");
    }

    #[test]
    fn deep_nesting_is_reported_and_strings_are_still_emitted() {
        for depth in [1_000, 100_000] {
            let text = format!("{}\"evil\"{}", "[".repeat(depth), "]".repeat(depth));
            let parsed = json(&text);
            assert_eq!(parsed.skipped, ["depth_limit"]);
            assert!(!parsed.covered("[post]") && parsed.values.iter().any(|(_, v, _)| v == "evil"));
            parse_body("application/json", "[{\"a\":".repeat(depth).as_bytes());
        }
    }

    #[test]
    fn several_documents_are_read() {
        let lines = b"{\"a\":\"x\"}\n{\"a\":\"y\"}\n";
        for (media, covered, odd) in
            [("application/x-ndjson", true, false), ("text/plain", true, false), ("application/json", false, true)]
        {
            let parsed = parse_body(media, lines);
            parsed.has("[post][json_doc][hash,'a']", "x");
            parsed.has("[post][json_doc][hash,'a']", "y");
            assert_eq!((parsed.covered("[post]"), !parsed.anomalies.is_empty()), (covered, odd), "{media}");
        }
    }

    #[test]
    fn json_is_found_whatever_is_declared_and_within_strings() {
        let parsed = parse_body("text/plain", br#" {"a":"{\"b\":\"evil\"}"}"#);
        parsed.has("[post][json_doc][hash,'a'][json_doc][hash,'b']", "evil");
        let parsed = parse_body("text/plain", br#""><script>""#);
        assert!(!parsed.covered("[post]"));
        assert!(parse_body("text/plain", br#""a" or "b""#).anomalies.is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"[\[\]{}:,"'a0 \\u/*]{0,60}"#) {
            json(&text);
        }

        #[test]
        fn accepts_as_strict_what_serde_json_accepts(text in r#"[\[\]{}:,"a0.e\-]{0,12}"#) {
            let strict = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(!json(&text).anomalies.contains(&"bad_json"), strict || text.is_empty(), "{}", text);
        }
    }
}
