//! Tokens of JSON text (RFC 8259) as lenient parsers accept it: comments, single quotes and bare words are tokens too.
//! [`Lexer::broken`] says whether the text is strict JSON.
//!
//! This lexer exists because a strict parser stops at the first error, while a lenient backend reads on: the text after the
//! error must be inspected. It makes one pass without recursion and without copies. Tests compare its results on strict
//! JSON with those of `serde_json`.

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// `{`, `}`, `[`, `]`, `:` or `,`
    Mark(u8),
    /// The bytes between the quotes, and whether they contain escapes.
    Text(&'a [u8], bool),
    /// A number of the JSON grammar.
    Number(&'a [u8]),
    /// `true`, `false` or `null`.
    Constant,
    /// Anything else up to the next delimiter: never strict JSON.
    Word(&'a [u8]),
}

/// Iterates over the tokens of a text.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    input: &'a [u8],
    at: usize,
    /// Whether the text read so far is not strict JSON.
    pub broken: bool,
}

/// The UTF-8 signature; RFC 8259 §8.1 lets readers ignore it.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// Record separator before each text of a JSON sequence (RFC 7464).
const RECORD_SEPARATOR: u8 = 0x1e;

impl<'a> Lexer<'a> {
    /// A lexer for `input`. Text that is not UTF-8 counts as broken.
    pub fn new(input: &'a [u8]) -> Self {
        let at = if input.starts_with(BOM) { BOM.len() } else { 0 };
        Self { input, at, broken: std::str::from_utf8(input).is_err() }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Consumes `mark` if it is the next byte, without white space before it. This is faster than reading a token, and most
    /// JSON has no white space there.
    #[inline]
    pub fn next_is(&mut self, mark: u8) -> bool {
        let comes = self.input.get(self.at) == Some(&mark);
        self.at += usize::from(comes);
        comes
    }

    fn string(&mut self, quote: u8) -> Token<'a> {
        let start = self.at;
        let mut escaped = false;
        self.broken |= quote == b'\'';
        loop {
            self.at += plain(&self.input[self.at..], quote);
            match self.input.get(self.at) {
                Some(&byte) if byte == quote => {
                    let text = &self.input[start..self.at];
                    self.at += 1;
                    return Token::Text(text, escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at = (self.at + 2).min(self.input.len());
                }
                Some(_) => {
                    self.broken = true;
                    self.at += 1;
                }
                None => {
                    self.broken = true;
                    return Token::Text(&self.input[start..], escaped);
                }
            }
        }
    }

    fn word(&mut self) -> Token<'a> {
        let rest = &self.input[self.at..];
        let ends =
            |b: &u8| b.is_ascii_whitespace() || matches!(b, b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"' | b'\'');
        let len = rest.iter().position(ends).unwrap_or(rest.len()).max(1);
        let word = &rest[..len];
        self.at += len;
        if matches!(word, b"true" | b"false" | b"null") {
            return Token::Constant;
        }
        if is_number(word) {
            return Token::Number(word);
        }
        self.broken = true;
        Token::Word(word)
    }

    /// Skips a comment, if one begins here.
    fn comment(&mut self) -> bool {
        let rest = &self.input[self.at..];
        let len = match rest {
            [b'/', b'/', ..] | [b'#', ..] => memchr::memchr(b'\n', rest),
            [b'/', b'*', ..] => memchr::memmem::find(&rest[2..], b"*/").map(|at| at + 4),
            _ => return false,
        };
        self.broken = true;
        self.at += len.unwrap_or(rest.len());
        true
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let byte = *self.input.get(self.at)?;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | RECORD_SEPARATOR => self.at += 1,
                b'{' | b'}' | b'[' | b']' | b':' | b',' => {
                    self.at += 1;
                    return Some(Token::Mark(byte));
                }
                b'"' | b'\'' => {
                    self.at += 1;
                    return Some(self.string(byte));
                }
                b'/' | b'#' if self.comment() => {}
                _ => return Some(self.word()),
            }
        }
    }
}

/// Number of bytes of `text` before the first `quote`, backslash or control byte. Eight bytes are examined at a time: most
/// strings are too short for the setup cost of a vectorised search.
fn plain(text: &[u8], quote: u8) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // Sets the highest bit of each byte that is less than `than`. A borrow may set it wrongly, but only in bytes after a
    // correct one, and only the first one is used.
    let less = |bytes: u64, than: u8| bytes.wrapping_sub(ONES * u64::from(than)) & !bytes & HIGH;
    let is = |bytes: u64, byte: u8| less(bytes ^ (ONES * u64::from(byte)), 1);
    let mut chunks = text.chunks_exact(8);
    let mut at = 0;
    for chunk in &mut chunks {
        let bytes = u64::from_le_bytes(chunk.try_into().expect("eight"));
        let marks = less(bytes, b' ') | is(bytes, quote) | is(bytes, b'\\');
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let ends = |b: &u8| *b < b' ' || *b == quote || *b == b'\\';
    at + chunks.remainder().iter().position(ends).unwrap_or(chunks.remainder().len())
}

/// Whether `text` is a number of RFC 8259 §6.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = &fraction[len..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// Passes the decoded pieces of `text`, the content of a string, to `put`. Returns whether every escape is strict JSON.
/// A lone surrogate becomes U+FFFD, and an unknown escape the character after the backslash.
pub fn unescape(text: &[u8], mut put: impl FnMut(&[u8])) -> bool {
    let mut strict = true;
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        put(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(&kind) = rest.first() else { return false };
        let plain = match kind {
            b'u' => {
                let (used, right) = unicode(rest, &mut put);
                strict &= right;
                rest = &rest[used..];
                continue;
            }
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'"' | b'\\' | b'/' => kind,
            other => {
                strict = false;
                other
            }
        };
        put(&[plain]);
        rest = &rest[1..];
    }
    put(rest);
    strict
}

/// Decodes `uXXXX`, or a pair of surrogates, at the start of `rest`. Returns its length, and whether it is well-formed.
fn unicode(rest: &[u8], put: &mut impl FnMut(&[u8])) -> (usize, bool) {
    let Some(first) = hex4(&rest[1..]) else {
        put(b"u");
        return (1, false);
    };
    let mut used = 5;
    let mut code = u32::from(first);
    if (0xd800..0xdc00).contains(&first)
        && let Some(tail) = rest[5..].strip_prefix(b"\\u")
        && let Some(second @ 0xdc00..0xe000) = hex4(tail)
    {
        used = 11;
        code = 0x10000 + ((u32::from(first) - 0xd800) << 10) + (u32::from(second) - 0xdc00);
    }
    let mut buffer = [0; 4];
    put(char::from_u32(code).unwrap_or('\u{fffd}').encode_utf8(&mut buffer).as_bytes());
    (used, true)
}

fn hex4(text: &[u8]) -> Option<u16> {
    let digits = text.get(..4)?;
    digits.iter().try_fold(0u16, |code, &b| Some(code << 4 | (b as char).to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let strict = unescape(text, |piece| out.extend_from_slice(piece));
        (out, strict)
    }

    #[test]
    fn decodes_escapes() {
        for (text, want, strict) in [
            (r"a\u0027b", "a'b", true),
            (r"\ud83d\ude00", "😀", true),
            (r"\ud83dx", "\u{fffd}x", true),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}", true),
            (r"\n\/\\", "\n/\\", true),
            (r"\'\x41", "'x41", false),
            (r"\u00", "u00", false),
            ("\\", "", false),
        ] {
            assert_eq!(decoded(text.as_bytes()), (want.as_bytes().to_vec(), strict), "{text}");
        }
    }

    #[test]
    fn recognises_strict_json() {
        for (text, broken) in [
            (r#"{"a":[1,-0.5e+3,true,null,"x"]}"#, false),
            ("\u{feff}[1]", false),
            ("\u{1e}{}\n\u{1e}{}", false),
            ("[01]", true),
            ("[1.]", true),
            ("[NaN]", true),
            ("['a']", true),
            ("[1] // x", true),
            ("/* x */ [1]", true),
            ("[\"a\nb\"]", true),
            ("[\"a", true),
        ] {
            let mut lexer = Lexer::new(text.as_bytes());
            while lexer.next().is_some() {}
            assert_eq!(lexer.broken, broken, "{text}");
            assert_eq!(lexer.position(), text.len());
        }
    }

    proptest! {
        #[test]
        fn strings_decode_as_serde_json_does(text in ".*") {
            let quoted = serde_json::to_string(&text).unwrap();
            let token = Lexer::new(quoted.as_bytes()).next();
            let Some(Token::Text(inner, _)) = token else { panic!("{token:?}") };
            prop_assert_eq!(decoded(inner), (text.into_bytes(), true));
        }

        #[test]
        fn terminates_on_anything(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Lexer::new(&bytes).count() <= bytes.len());
            decoded(&bytes);
        }
    }
}
