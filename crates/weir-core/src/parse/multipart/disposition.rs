//! Content-Disposition (RFC 6266, RFC 7578 §4.2) and parameters of media types, in every reading that servers have.

use crate::normalize::{base64, charset, percent, quoted_printable};
use memchr::memchr;
use std::borrow::Cow;

/// Parameters read of one header value. More make it ambiguous.
const MAX_PARAMETERS: usize = 32;

/// A parameter of a header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'a> {
    pub name: &'a [u8],
    /// Without quotes, escapes kept.
    pub value: &'a [u8],
    /// Whether servers read its quoting differently.
    pub odd: bool,
}

/// The parameters after the first `;` of `text`, and whether there were too many.
pub(super) fn parameters(text: &[u8]) -> (Vec<Parameter<'_>>, bool) {
    let mut out = Vec::new();
    let Some(start) = memchr(b';', text) else { return (out, false) };
    let mut rest = &text[start + 1..];
    while !rest.is_empty() {
        if out.len() >= MAX_PARAMETERS {
            return (out, true);
        }
        let (parameter, after) = parameter(rest);
        if parameter.name != b"" || parameter.value != b"" {
            out.push(parameter);
        }
        rest = after;
    }
    (out, false)
}

/// The boundary of a server that searches the whole media type for it, as PHP does: up to the closing quote, or to the
/// next `,` or `;`.
pub(super) fn searched_boundary(media: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"boundary";
    let at = media.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME))?;
    let rest = &media[at + NAME.len()..];
    let value = &rest[memchr(b'=', rest)? + 1..];
    match value.strip_prefix(b"\"") {
        Some(quoted) => Some(&quoted[..memchr(b'"', quoted)?]),
        None => Some(value[..memchr::memchr2(b',', b';', value).unwrap_or(value.len())].trim_ascii()),
    }
}

fn parameter(text: &[u8]) -> (Parameter<'_>, &[u8]) {
    let end = memchr::memchr2(b'=', b';', text).unwrap_or(text.len());
    let name = text[..end].trim_ascii();
    if text.get(end) != Some(&b'=') {
        return (Parameter { name, value: b"", odd: !name.is_empty() }, text.get(end + 1..).unwrap_or_default());
    }
    let spaced = text[..end].last().is_some_and(u8::is_ascii_whitespace);
    let value = text[end + 1..].trim_ascii_start();
    let quote = value.first().copied().filter(|q| b"\"'".contains(q));
    let Some(quote) = quote else {
        let end = memchr(b';', value).unwrap_or(value.len());
        // An extended value (RFC 8187) has apostrophes of its own.
        let quotes: &[u8] = if name.ends_with(b"*") { b"\"\\" } else { b"\"'\\" };
        let odd = spaced || value[..end].iter().any(|b| quotes.contains(b) || b.is_ascii_whitespace());
        return (Parameter { name, value: value[..end].trim_ascii_end(), odd }, tail(value, end));
    };
    let inner = &value[1..];
    let (length, closed) = quoted_length(inner, quote);
    let after = inner.get(length + usize::from(closed)..).unwrap_or_default();
    let junk = memchr(b';', after).unwrap_or(after.len());
    let odd = spaced
        || quote == b'\''
        || !closed
        || !after[..junk].trim_ascii().is_empty()
        || memchr(b'\\', &inner[..length]).is_some();
    // Some servers take the next parameter without a semicolon before it.
    let rest = if memchr(b'=', &after[..junk]).is_some() { after } else { tail(after, junk) };
    (Parameter { name, value: &inner[..length], odd }, rest)
}

fn tail(text: &[u8], end: usize) -> &[u8] {
    text.get(end + 1..).unwrap_or_default()
}

/// Bytes before the closing quote, and whether there is one. A backslash escapes the byte after it.
fn quoted_length(text: &[u8], quote: u8) -> (usize, bool) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(quote, b'\\', rest)) {
        at += found;
        if text[at] == quote {
            return (at, true);
        }
        at += 2;
    }
    (text.len(), false)
}

/// The contents of all Content-Disposition headers of a part.
#[derive(Debug, Default)]
pub(super) struct Disposition<'a> {
    /// Field names, the first one first.
    pub names: Vec<&'a [u8]>,
    /// File names in every reading; not empty if the part is a file.
    pub files: Vec<Cow<'a, [u8]>>,
    /// Whether a field name or a file name is given more than once.
    pub ambiguous: bool,
    /// Whether servers may read it differently. True also if it is [`Self::ambiguous`].
    pub odd: bool,
    /// Whether there is a `filename` that every server knows. Many do not know `filename*` (RFC 8187).
    pub is_surely_file: bool,
    seen: bool,
}

impl<'a> Disposition<'a> {
    /// Adds one header value.
    pub(super) fn read(&mut self, value: &'a [u8]) {
        self.ambiguous |= std::mem::replace(&mut self.seen, true);
        let (parameters, too_many) = parameters(value);
        self.odd |= too_many;
        let mut continued = Vec::new();
        let (mut names, mut files) = (0, 0);
        for parameter in parameters {
            // Servers that search for `filename=` find it behind other bytes too.
            let lead = parameter.name.iter().take_while(|b| !b.is_ascii_alphanumeric()).count();
            let name = &parameter.name[lead..];
            let base = name.split(|&b| b == b'*').next().unwrap_or_default();
            let extended = name.len() > base.len();
            self.odd |= lead > 0;
            if base.eq_ignore_ascii_case(b"name") {
                names += 1;
                self.odd |= parameter.odd || extended;
                if !self.names.contains(&parameter.value) {
                    self.names.push(parameter.value);
                }
            } else if base.eq_ignore_ascii_case(b"filename") {
                let is_continued = name.get(base.len() + 1).is_some_and(u8::is_ascii_digit);
                files += usize::from(!extended);
                self.is_surely_file |= !extended && names_file(parameter.value);
                // A backslash is ordinary here: old browsers send paths with it as the separator.
                self.odd |= (parameter.odd && memchr(b'\\', parameter.value).is_none()) || is_continued;
                if is_continued {
                    continued.extend_from_slice(parameter.value);
                }
                self.file(parameter.value, extended);
            } else {
                self.odd |= parameter.odd;
            }
        }
        if !continued.is_empty() {
            if let Some(text) = extended_value(&continued) {
                self.push(Cow::Owned(text));
            }
            self.push(Cow::Owned(percent::decode(&continued, percent::Plus::Keep).into_owned()));
        }
        self.ambiguous |= names > 1 || files > 1;
        self.odd |= self.ambiguous;
    }

    /// Adds a file name in each reading.
    fn file(&mut self, value: &'a [u8], extended: bool) {
        self.odd |= value.is_empty();
        self.push(Cow::Borrowed(value));
        if memchr(b'\\', value).is_some() {
            let mut escaped = false;
            let plain = value.iter().copied().filter(|&b| {
                escaped = b == b'\\' && !escaped;
                !escaped
            });
            self.push(Cow::Owned(plain.collect()));
        }
        if extended && let Some(text) = extended_value(value) {
            self.push(Cow::Owned(text));
        }
        if value.starts_with(b"=?")
            && let Some(text) = encoded_words(value)
        {
            self.push(Cow::Owned(text));
        }
    }

    fn push(&mut self, file: Cow<'a, [u8]>) {
        if !self.files.contains(&file) {
            self.files.push(file);
        }
    }
}

/// Whether every server takes a value for the name of a file: to some, a path without a last segment is none.
fn names_file(value: &[u8]) -> bool {
    value.last().is_some_and(|last| !b"/\\.\"' \t\0".contains(last))
}

/// `charset'language'text` (RFC 8187 §3.2), decoded.
fn extended_value(value: &[u8]) -> Option<Vec<u8>> {
    let mut parts = value.splitn(3, |&b| b == b'\'');
    let (label, _, text) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = percent::decode(text, percent::Plus::Keep);
    let media = [b"x;charset=", label].concat();
    let charset = charset::declared(Some(&media))?;
    Some(charset::decode(&bytes, charset).text.into_owned())
}

/// `=?charset?B?text?=` (RFC 2047), decoded; words in a row are joined.
fn encoded_words(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.strip_prefix(b"=?") {
        let mut parts = start.splitn(4, |&b| b == b'?');
        let (label, encoding, text, after) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let bytes = match encoding {
            b"B" | b"b" => base64::decode(text)?,
            b"Q" | b"q" => {
                let text: Vec<u8> = text.iter().map(|&b| if b == b'_' { b' ' } else { b }).collect();
                quoted_printable::decode(&text).unwrap_or(text)
            }
            _ => return None,
        };
        out.extend_from_slice(&charset::decode(&bytes, charset::named(label)).text);
        rest = after.strip_prefix(b"=")?.trim_ascii_start();
    }
    out.extend_from_slice(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> (Vec<String>, Vec<String>, bool, bool) {
        let mut disposition = Disposition::default();
        disposition.read(value.as_bytes());
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let names = disposition.names.iter().map(|n| text(n)).collect();
        (names, disposition.files.iter().map(|f| text(f)).collect(), disposition.ambiguous, disposition.odd)
    }

    #[test]
    fn reads_names_in_every_way() {
        for (value, names, files, ambiguous, odd) in [
            (r#"form-data; name="a""#, "a", "", false, false),
            (r#"form-data; name="a b"; filename="x.png""#, "a b", "x.png", false, false),
            (r#"form-data;name=a;filename=x.php"#, "a", "x.php", false, false),
            (r#"form-data; NAME="a"; FileName="x""#, "a", "x", false, false),
            (r#"form-data; name='a'; filename='x;y'"#, "a", "x;y", false, true),
            (r#"form-data; name="a"; filename="C:\dir\x.php""#, "a", r"C:\dir\x.php|C:dirx.php", false, false),
            (r#"form-data; name="a"; filename="x\".php""#, "a", r#"x\".php|x".php"#, false, false),
            (r#"form-data; name="a"; name="b""#, "a|b", "", true, true),
            (r#"form-data; name="a"; filename="x.png"; filename="x.php""#, "a", "x.png|x.php", true, true),
            (r#"form-data; name="a; filename=x"#, "a; filename=x", "", false, true),
            (r#"form-data; name="a"x; filename="y""#, "a", "y", false, true),
            (r#"form-data; name="a"; filename*=UTF-8''%2e%2e%2fx"#, "a", "UTF-8''%2e%2e%2fx|../x", false, false),
            (r#"form-data; name="a"; filename*0="x.p"; filename*1="hp""#, "a", "x.p|hp|x.php", false, true),
            (
                r#"form-data; name="a"; filename*0*=utf-7''%2BAC4-.; filename*1*=%2Fx"#,
                "a",
                "utf-7''%2BAC4-.|..|%2Fx|../x|utf-7''+AC4-./x",
                false,
                true,
            ),
            (r#"form-data; name="a"; filename="=?utf-8?B?Li4veA==?=""#, "a", "=?utf-8?B?Li4veA==?=|../x", false, false),
            (r#"form-data; name="a"; filename="=?cp037?B?TKKD?=""#, "a", "=?cp037?B?TKKD?=|<sc", false, false),
            (r#"form-data; name="a"; filename="=?utf-8?Q?=2e_x?=""#, "a", "=?utf-8?Q?=2e_x?=|. x", false, false),
            (r#"form-data; name="a"; filename="""#, "a", "", false, true),
            (r#"form-data; name ="a""#, "a", "", false, true),
            (r#"form-data; name="a"filename="x.php""#, "a", "x.php", false, true),
            (r#"form-data; name="a"; .filename="x.php""#, "a", "x.php", false, true),
            ("form-data", "", "", false, false),
        ] {
            let got = read(value);
            assert_eq!((got.0.join("|"), got.1.join("|")), (names.into(), files.into()), "{value}");
            assert_eq!((got.2, got.3), (ambiguous, odd), "{value}");
        }
    }
}
