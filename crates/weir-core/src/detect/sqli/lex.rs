//! SQL tokens, as lenient as all common databases together: whatever one of them reads as code is code here.
//!
//! Inline comments and control bytes are white space; of `/*!50000 ... */` the content counts. A line comment at the end of
//! the text, or a block comment without an end, is a [`TokenKind::Tail`]: it hides what the application appends.

use super::words::{Word, meaning};

/// Where in the statement of the application the value is assumed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Outside of any literal: `id = VALUE`.
    Plain,
    /// Inside of a literal or name in these quotes: the code begins after the first such quote in the value.
    Quoted(u8),
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word with its meaning.
    Word(Word),
    /// A number in any notation.
    Number,
    /// A closed text literal.
    Text,
    /// A text literal that the value leaves open. The closing quote of the application closes it.
    Open,
    /// `@x`, `@@x`, `:x`
    Variable,
    /// `||`, `&&`: logic in MySQL, concatenation elsewhere.
    Pipes,
    /// `=`, `<`, `<>`, `<=>`...
    Compare,
    /// `+`, `-`, `/`, `%`, `^`, `|`, `&`, `~`, `!`
    Operator,
    /// `*`
    Star,
    /// `(`
    Left,
    /// `)`
    Right,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// `::`, a cast in PostgreSQL
    Cast,
    /// A comment up to the end of the text.
    Tail,
    /// Anything else.
    Other,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Whether an inline comment precedes it.
    pub after_comment: bool,
    /// First byte.
    pub start: u32,
    /// Past the last byte.
    pub end: u32,
}

/// Reads tokens from a text.
pub struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    after_comment: bool,
}

/// Longest `$tag$...$tag$` literal that is recognised. The bound keeps many openings from taking quadratic time.
const MAX_DOLLAR: usize = 128;

/// Longest word in typographic quotes that is read as a literal.
const MAX_CURLY: usize = 8;

/// Typographic quotes, which some applications and databases convert to `'`.
const CURLY: [&[u8]; 6] = [
    "\u{2018}".as_bytes(),
    "\u{2019}".as_bytes(),
    "\u{2bc}".as_bytes(),
    "\u{ff07}".as_bytes(),
    "\u{2032}".as_bytes(),
    "\u{2b9}".as_bytes(),
];

/// Signs of currency that SQL Server accepts before a number.
const CURRENCY: [&[u8]; 4] = ["\u{a3}".as_bytes(), "\u{a4}".as_bytes(), "\u{a5}".as_bytes(), "\u{20ac}".as_bytes()];

impl<'t> Lexer<'t> {
    /// A lexer for `text` in `context`; `None` if the text does not contain the closing quote of the context.
    pub fn new(text: &'t [u8], context: Context) -> Option<Self> {
        let at = match context {
            Context::Plain => 0,
            Context::Quoted(quote) => closing(text, quote)?,
        };
        Some(Self::from(text, at))
    }

    /// A lexer for `text` from `at` on, where a token begins.
    pub fn from(text: &'t [u8], at: usize) -> Self {
        Self { text, at, after_comment: false }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips white space and inline comments. A comment up to the end of the text becomes a token.
    fn skip(&mut self) -> Option<Token> {
        loop {
            let b = *self.text.get(self.at)?;
            if !MAY_SKIP[usize::from(b)] {
                return None;
            }
            let rest = &self.text[self.at..];
            let start = self.at;
            if b <= b' ' || b == 0x7f || b == 0xa0 {
                self.at += 1;
            } else if let Some(blank) = wide_blank(rest) {
                self.at += blank;
            } else if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") {
                // MariaDB reads the content of `/*M! ... */`.
                self.at += 3 + usize::from(rest[2] == b'M');
                while self.peek(0).is_ascii_digit() && self.at - start < 9 {
                    self.at += 1;
                }
                self.after_comment = true;
            } else if rest.starts_with(b"*/") {
                self.at += 2;
                self.after_comment = true;
            } else if rest.starts_with(b"/*") {
                match memchr::memmem::find(&rest[2..], b"*/") {
                    Some(end) => self.at += end + 4,
                    None => return Some(self.tail(start)),
                }
                self.after_comment = true;
            } else if b == b'#' || is_line_comment(rest) {
                match memchr::memchr(b'\n', rest) {
                    Some(end) => self.at += end + 1,
                    None => return Some(self.tail(start)),
                }
                self.after_comment = true;
            } else {
                return None;
            }
        }
    }

    fn tail(&mut self, start: usize) -> Token {
        self.at = self.text.len();
        self.token(TokenKind::Tail, start)
    }

    fn token(&mut self, kind: TokenKind, start: usize) -> Token {
        let after_comment = std::mem::take(&mut self.after_comment);
        Token { kind, after_comment, start: start as u32, end: self.at as u32 }
    }

    fn take(&mut self, kind: TokenKind, bytes: usize) -> Token {
        let start = self.at;
        self.at += bytes;
        self.token(kind, start)
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        self.at += word_length(&self.text[start..]);
        if self.peek(0) == b'\'' && is_text_prefix(&self.text[start..self.at]) {
            return self.text_literal(b'\'', start);
        }
        let kind = TokenKind::Word(meaning(&self.text[start..self.at]));
        self.token(kind, start)
    }

    /// A number; digits that run into letters are a word, unless the letters are a keyword (`1or 2`).
    fn number(&mut self) -> Token {
        let start = self.at;
        let hex = self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X') && self.peek(2).is_ascii_hexdigit();
        if hex {
            self.at += 2;
            while self.peek(0).is_ascii_hexdigit() {
                self.at += 1;
            }
            return self.token(TokenKind::Number, start);
        }
        while self.peek(0).is_ascii_digit() || self.peek(0) == b'.' {
            self.at += 1;
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                while self.peek(0).is_ascii_digit() {
                    self.at += 1;
                }
            } else if matches!(self.peek(1), b'(' | b' ' | b'.') && self.text[self.at - 1] == b'.' {
                self.at += 1;
            }
        }
        if !self.peek(0).is_ascii_alphabetic() && self.peek(0) != b'_' {
            return self.token(TokenKind::Number, start);
        }
        let letters = self.text[self.at..].iter().position(|b| !b.is_ascii_alphabetic());
        let letters = &self.text[self.at..self.at + letters.unwrap_or(self.text.len() - self.at)];
        if is_glued_keyword(letters) {
            return self.token(TokenKind::Number, start);
        }
        // Oracle's `1d` and `1f` end before a keyword too: `1dor 2`.
        if let Some((b'd' | b'D' | b'f' | b'F', rest)) = letters.split_first()
            && is_glued_keyword(rest)
        {
            self.at += 1;
            return self.token(TokenKind::Number, start);
        }
        self.word();
        self.token(TokenKind::Word(Word::Plain), start)
    }

    /// A literal in `quote` that begins at the current byte; doubled and escaped quotes belong to it.
    fn text_literal(&mut self, quote: u8, start: usize) -> Token {
        self.at += 1;
        loop {
            match memchr::memchr2(quote, b'\\', &self.text[self.at..]) {
                None => {
                    self.at = self.text.len();
                    return self.token(TokenKind::Open, start);
                }
                Some(skip) => self.at += skip,
            }
            if self.peek(0) == b'\\' {
                self.at = (self.at + 2).min(self.text.len());
            } else if self.peek(1) == quote && quote != b'`' {
                self.at += 2;
            } else {
                self.at += 1;
                return self.token(TokenKind::Text, start);
            }
        }
    }

    fn delimited(&mut self, close: u8) -> Option<Token> {
        let rest = &self.text[self.at + 1..];
        let len = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b' ')))?;
        (len > 0 && rest[len] == close).then(|| self.take(TokenKind::Word(Word::Plain), len + 2))
    }

    fn dollar(&mut self) -> Token {
        let rest = &self.text[self.at + 1..];
        let tag = rest
            .iter()
            .position(|&b| b == b'$')
            .filter(|&n| n <= 16 && rest[..n].iter().all(u8::is_ascii_alphanumeric));
        if let Some(tag) = tag {
            let mark = &self.text[self.at..self.at + tag + 2];
            let body = &self.text[self.at + mark.len()..];
            if let Some(end) = memchr::memmem::find(&body[..body.len().min(MAX_DOLLAR)], mark) {
                return self.take(TokenKind::Text, end + 2 * mark.len());
            }
        }
        self.take(TokenKind::Other, 1)
    }

    fn beyond_ascii(&mut self) -> Token {
        let rest = &self.text[self.at..];
        if let Some(quote) = curly(rest) {
            let short = rest[quote..].iter().take(MAX_CURLY).position(|b| !b.is_ascii_alphanumeric());
            let inner = short.unwrap_or(rest.len().min(MAX_CURLY + quote) - quote);
            let after = &rest[quote + inner..];
            return match curly(after) {
                Some(close) => self.take(TokenKind::Text, quote + inner + close),
                None if after.is_empty() && inner > 0 => self.take(TokenKind::Open, quote + inner),
                None => self.take(TokenKind::Other, quote),
            };
        }
        // SQL Server reads a sign of currency before a number as part of it.
        match currency(rest) {
            Some(sign) => self.take(TokenKind::Operator, sign),
            None => self.word(),
        }
    }

    fn symbol(&mut self, b: u8) -> Token {
        let next = self.peek(1);
        match b {
            b'(' => self.take(TokenKind::Left, 1),
            b')' => self.take(TokenKind::Right, 1),
            b',' => self.take(TokenKind::Comma, 1),
            b';' => self.take(TokenKind::Semicolon, 1),
            b'*' => self.take(TokenKind::Star, 1),
            b'|' if next == b'|' => self.take(TokenKind::Pipes, 2),
            b'&' if next == b'&' => self.take(TokenKind::Pipes, 2),
            b'<' if next == b'=' && self.peek(2) == b'>' => self.take(TokenKind::Compare, 3),
            b'<' if next == b'@' => self.take(TokenKind::Compare, 2),
            b'-' if next == b'>' => self.take(TokenKind::Operator, 2 + usize::from(self.peek(2) == b'>')),
            b':' if next == b':' => self.take(TokenKind::Cast, 2),
            b'?' if self.asks_for_key() => self.take(TokenKind::Compare, 1 + usize::from(matches!(next, b'|' | b'&'))),
            // `\N` is `null` in MySQL.
            b'\\' if next == b'N' && !self.peek(2).is_ascii_alphanumeric() => self.take(TokenKind::Number, 2),
            b'<' | b'>' | b'=' | b'!' | b'~' | b'^' if next == b'=' => self.take(TokenKind::Compare, 2),
            b'<' if next == b'>' => self.take(TokenKind::Compare, 2),
            b':' if next == b'=' => self.take(TokenKind::Compare, 2),
            b'=' | b'<' | b'>' => self.take(TokenKind::Compare, 1),
            b'+' | b'-' | b'/' | b'%' | b'^' | b'|' | b'&' | b'~' | b'!' => self.take(TokenKind::Operator, 1),
            b'.' => self.take(TokenKind::Dot, 1),
            _ => self.take(TokenKind::Other, 1),
        }
    }

    /// Whether the `?` here is PostgreSQL's operator for a key of a JSON document: `data ? 'a'`, `data ?| array[...]`.
    fn asks_for_key(&self) -> bool {
        let rest = &self.text[self.at + 1..];
        let rest = rest.strip_prefix(b"|").or(rest.strip_prefix(b"&")).unwrap_or(rest);
        let blanks = rest.iter().take(4).take_while(|b| **b == b' ').count();
        rest.get(blanks) == Some(&b'\'')
    }

    fn variable(&mut self) -> Token {
        let start = self.at;
        if self.peek(1) == b'>' {
            return self.take(TokenKind::Compare, 2);
        }
        while self.peek(0) == b'@' {
            self.at += 1;
        }
        let name = self.at;
        // MySQL has a variable without a name: `@:=1`.
        if self.peek(0) == b':' && self.peek(1) == b'=' {
            return self.token(TokenKind::Variable, start);
        }
        while self.peek(0).is_ascii_alphanumeric() || matches!(self.peek(0), b'_' | b'$' | b'#') {
            self.at += 1;
        }
        let kind = if self.at > name { TokenKind::Variable } else { TokenKind::Other };
        self.token(kind, start)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if let Some(tail) = self.skip() {
            return Some(tail);
        }
        let b = *self.text.get(self.at)?;
        let token = match b {
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            0x80.. => self.beyond_ascii(),
            b'\'' | b'"' => self.text_literal(b, self.at),
            b'`' => self.delimited(b'`').unwrap_or_else(|| self.take(TokenKind::Other, 1)),
            b'[' => self.delimited(b']').unwrap_or_else(|| self.take(TokenKind::Other, 1)),
            b'$' => self.dollar(),
            b'@' => self.variable(),
            _ => self.symbol(b),
        };
        Some(token)
    }
}

/// The place after the first `quote` in `text`; for `'` if there is none, after the first typographic quote.
pub fn closing(text: &[u8], quote: u8) -> Option<usize> {
    let straight = memchr::memchr(quote, text).map(|at| at + 1);
    if straight.is_some() || quote != b'\'' {
        return straight;
    }
    CURLY.iter().filter_map(|curly| memchr::memmem::find(text, curly).map(|at| at + curly.len())).min()
}

/// Whether each byte may begin white space or a comment.
static MAY_SKIP: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = b <= b' ' as usize
            || matches!(b as u8, b'#' | b'*' | b'-' | b'/' | 0x7f | 0xa0 | 0xc2 | 0xe1..=0xe3 | 0xef);
        b += 1;
    }
    table
};

/// Whether each byte is an ASCII letter, a digit, `_` or `$`.
pub(super) static WORD_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = (b as u8).is_ascii_alphanumeric() || matches!(b as u8, b'_' | b'$');
        b += 1;
    }
    table
};

/// Length of the word at the start of `text`.
fn word_length(text: &[u8]) -> usize {
    let more = |at: usize| match text[at] {
        // A no-break space in an 8-bit character set; within UTF-8 it follows another byte of the character.
        0xa0 => at > 0 && text[at - 1] >= 0x80,
        0xc2 | 0xca | 0xe1..=0xe3 | 0xef => !ends_word(&text[at..]),
        b => b >= 0x80 || WORD_BYTES[usize::from(b)],
    };
    let ascii = text.iter().position(|b| !WORD_BYTES[usize::from(*b)]).unwrap_or(text.len());
    (ascii..text.len()).find(|&at| !more(at)).unwrap_or(text.len())
}

/// Whether the text begins with white space, a typographic quote or a sign of currency.
fn ends_word(text: &[u8]) -> bool {
    wide_blank(text).is_some() || curly(text).is_some() || currency(text).is_some()
}

/// Length of the typographic quote at the start of `text`.
#[inline]
fn curly(text: &[u8]) -> Option<usize> {
    starts_with_any(text, &CURLY)
}

/// Length of the sign of currency at the start of `text`.
#[inline]
fn currency(text: &[u8]) -> Option<usize> {
    starts_with_any(text, &CURRENCY)
}

/// Length of the one of `signs` at the start of `text`. Other text ends at its first byte: all signs begin with one of few.
#[inline]
fn starts_with_any(text: &[u8], signs: &[&[u8]]) -> Option<usize> {
    let [0xc2 | 0xca | 0xe2 | 0xef, ..] = text else { return None };
    signs.iter().find(|sign| text.starts_with(sign)).map(|sign| sign.len())
}

/// Length of the white space beyond ASCII at the start of `text`, which SQL Server and Oracle read as a blank.
pub fn wide_blank(text: &[u8]) -> Option<usize> {
    match text {
        [0xc2, 0x85 | 0xa0, ..] => Some(2),
        [0xe1, 0x9a, 0x80, ..] | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..] => Some(3),
        [0xe2, 0x81, 0x9f, ..] | [0xe3, 0x80, 0x80, ..] | [0xef, 0xbb, 0xbf, ..] => Some(3),
        _ => None,
    }
}

/// Whether letters that follow a number directly are a keyword, so that the number ends before them.
pub fn is_glued_keyword(letters: &[u8]) -> bool {
    matches!(meaning(letters), Word::Logic | Word::Union | Word::Compare | Word::Select | Word::Condition)
}

/// Whether `--` begins a comment here. MySQL requires white space after it, other databases do not. To not let `1--1 or 2`
/// hide code, text that follows without white space must be a single word up to the end of the line.
fn is_line_comment(rest: &[u8]) -> bool {
    let Some(after) = rest.strip_prefix(b"--") else { return false };
    let word = after.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).unwrap_or(after.len());
    match after.get(word) {
        None | Some(b'\n' | b'\r') => true,
        Some(next) => word == 0 && !matches!(next, b'\'' | b'"' | b'(' | b'@' | b'.' | b'~' | b'!'),
    }
}

/// `N'..'`, `X'..'`, `_latin1'..'`: words that belong to the literal after them.
fn is_text_prefix(word: &[u8]) -> bool {
    matches!(word, [b'n' | b'N' | b'x' | b'X' | b'b' | b'B' | b'e' | b'E'] | [b'_', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str, context: Context) -> Vec<TokenKind> {
        Lexer::new(text.as_bytes(), context).map(|l| l.map(|t| t.kind).collect()).unwrap_or_default()
    }

    #[test]
    fn every_sign_is_found_by_its_first_byte() {
        for sign in CURLY {
            assert_eq!((curly(sign), currency(sign)), (Some(sign.len()), None));
        }
        for sign in CURRENCY {
            assert_eq!((curly(sign), currency(sign)), (None, Some(sign.len())));
        }
    }

    #[test]
    fn comments_are_white_space_content_or_tail() {
        use TokenKind::*;
        let union = [Number, Word(super::Word::Union), Word(super::Word::Select), Number, Tail];
        for text in [
            "1 union select 2--",
            "1/**/union/*x*/select/**/2#",
            "1/*!50000union*//*!select*/2/*",
            "1 union--x\nselect#y\n2-- ",
            "1\x0bunion\x01select\u{a0}2-- x",
            "1union select 2-- ",
        ] {
            assert_eq!(kinds(text, Context::Plain), union, "{text}");
        }
    }

    #[test]
    fn quotes_close_the_context() {
        use TokenKind::*;
        let got = kinds("x' or ''='", Context::Quoted(b'\''));
        assert_eq!(got, [Word(super::Word::Logic), Text, Compare, Open]);
        assert!(kinds("no quote", Context::Quoted(b'\'')).is_empty());
        assert_eq!(kinds("\u{2018} or 1", Context::Quoted(b'\'')), [Word(super::Word::Logic), Number]);
    }

    #[test]
    fn literals_of_every_dialect_are_tokens() {
        use TokenKind::*;
        for text in ["N'a'", "x'61'", "_latin1'a'", "$$a'b$$", "$t$a$t$", "'it''s'", r"'a\'b'", "\"a\""] {
            assert_eq!(kinds(text, Context::Plain), [Text], "{text}");
        }
        for text in ["0x61", "1e5", "1.5E-3", ".5", "1."] {
            assert_eq!(kinds(text, Context::Plain), [Number], "{text}");
        }
        for text in ["[name]", "`name`", "2nd", "7u4o84z1"] {
            assert_eq!(kinds(text, Context::Plain), [Word(super::Word::Plain)], "{text}");
        }
        assert_eq!(kinds("1.e(", Context::Plain), [Number, Left]);
        assert_eq!(kinds("@@version", Context::Plain), [Variable]);
    }
}
