//! Tokens of PHP, as far as the flow of data through assignments and calls needs them.

use memchr::memmem;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `$name`, without the dollar sign.
    Variable(&'a [u8]),
    /// A name: of a function, a keyword, a constant; without the namespace before it.
    Name(&'a [u8]),
    /// A string, escapes resolved. `true` if variables in it are replaced.
    Text(Vec<u8>, bool),
    /// A command in backticks.
    Command(&'a [u8]),
    /// An integer.
    Number(i64),
    /// A cast; `true` if the result is a number or a boolean.
    Cast(bool),
    /// An operator or a bracket.
    Mark(u8),
}

/// `.=`
pub(super) const APPEND: u8 = 1;
/// `->`, `?->`
pub(super) const ARROW: u8 = 2;
/// `::`
pub(super) const SCOPE: u8 = 3;
/// `=>`
pub(super) const ITEM: u8 = 4;
/// Comparisons and boolean operators: the result is no text.
pub(super) const COMPARE: u8 = 5;
/// `++`, `--`
pub(super) const STEP: u8 = 6;
/// `??`, `?:`
pub(super) const OTHERWISE: u8 = 7;
/// `+=` and other operators with `=`
pub(super) const CHANGE: u8 = 8;
/// `^=`
pub(super) const XOR_CHANGE: u8 = 9;

/// Tokens of a block of code that are read, whatever its length.
const MIN_TOKENS: usize = 8192;
/// One more is read for each of as many bytes. Programs that people write have fewer.
const BYTES_PER_TOKEN: usize = 4;
/// Bytes behind a short tag that must be text, so that a tag is none that occurs in binary content by chance.
const TEXT_BEHIND: usize = 8;
/// Longest marker of a heredoc.
const MAX_MARKER: usize = 64;

const OPERATORS: &[(&[u8], u8)] = &[
    (b"===", COMPARE),
    (b"!==", COMPARE),
    (b"<=>", COMPARE),
    (b"??=", b'='),
    (b"?->", ARROW),
    (b"...", b'@'),
    (b"**=", CHANGE),
    (b"==", COMPARE),
    (b"!=", COMPARE),
    (b"<>", COMPARE),
    (b"<=", COMPARE),
    (b">=", COMPARE),
    (b"&&", COMPARE),
    (b"||", COMPARE),
    (b"??", OTHERWISE),
    (b"?:", OTHERWISE),
    (b".=", APPEND),
    (b"->", ARROW),
    (b"::", SCOPE),
    (b"=>", ITEM),
    (b"++", STEP),
    (b"--", STEP),
    (b"^=", XOR_CHANGE),
    (b"|=", CHANGE),
    (b"&=", CHANGE),
    (b"+=", CHANGE),
    (b"-=", CHANGE),
    (b"*=", CHANGE),
    (b"/=", CHANGE),
    (b"%=", CHANGE),
];

/// Where the code behind the next opening tag begins.
pub(super) fn next_tag(content: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memmem::find(content.get(at..)?, b"<?")? + 2;
        let rest = &content[at..];
        let is = |tag: &[u8]| rest.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag));
        let text = rest.iter().take(TEXT_BEHIND).all(|b| (b' '..0x7f).contains(b) || b.is_ascii_whitespace());
        if is(b"php") && rest.get(3).is_none_or(u8::is_ascii_whitespace) {
            return Some(at + 3);
        }
        if is(b"=") && text {
            return Some(at + 1);
        }
        if text && rest.first().is_some_and(|b| b.is_ascii_whitespace() || b"@$/`".contains(b)) {
            return Some(at);
        }
    }
}

/// The tokens of a block of code.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    pub tokens: Vec<Token<'a>>,
    /// Where each begins.
    pub starts: Vec<usize>,
    /// Bytes that were read: up to the closing tag, or all.
    pub length: usize,
}

/// Tokens of `code`, which begins behind an opening tag.
pub(super) fn tokens(code: &[u8]) -> Tokens<'_> {
    let mut lexer = Lexer { code, at: 0, out: Vec::new(), starts: Vec::new() };
    lexer.run();
    Tokens { tokens: lexer.out, starts: lexer.starts, length: lexer.at }
}

struct Lexer<'a> {
    code: &'a [u8],
    at: usize,
    out: Vec<Token<'a>>,
    starts: Vec<usize>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        while let Some(&byte) = self.code.get(self.at) {
            if self.out.len() > MIN_TOKENS + self.at / BYTES_PER_TOKEN {
                let rest = &self.code[self.at..];
                self.at += memmem::find(rest, b"?>").map_or(rest.len(), |end| end + 2);
                return;
            }
            // Of a token that this round makes, if it makes one.
            let start = self.at;
            let rest = &self.code[self.at..];
            match byte {
                b if b.is_ascii_whitespace() => self.at += 1,
                b'?' if rest.starts_with(b"?>") => {
                    self.out.push(Token::Mark(b';'));
                    self.starts.push(start);
                    self.at += 2;
                    return;
                }
                b'#' if rest.get(1) != Some(&b'[') => self.line_comment(),
                b'/' if rest.get(1) == Some(&b'/') => self.line_comment(),
                b'/' if rest.get(1) == Some(&b'*') => {
                    self.at += memmem::find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4);
                }
                b'$' if rest.get(1).is_some_and(|&b| is_name_start(b)) => {
                    let name = name_at(&rest[1..]);
                    self.at += 1 + name.len();
                    self.out.push(Token::Variable(name));
                }
                b'\'' | b'"' | b'`' => self.string(byte),
                b'<' if rest.starts_with(b"<<<") => self.heredoc(),
                b'0'..=b'9' => self.number(),
                b if is_name_start(b) || b == b'\\' => self.name(),
                b'(' => self.bracket(),
                _ => self.operator(rest),
            }
            self.starts.resize(self.out.len(), start);
        }
    }

    /// Skips a comment, which ends at the line or at the closing tag.
    fn line_comment(&mut self) {
        let rest = &self.code[self.at..];
        let line = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        self.at += memmem::find(&rest[..line], b"?>").unwrap_or(line);
    }

    fn string(&mut self, quote: u8) {
        let start = self.at + 1;
        let mut end = start;
        while let Some(found) = self.code.get(end..).and_then(|rest| memchr::memchr2(quote, b'\\', rest)) {
            end += found;
            if self.code[end] == quote {
                break;
            }
            end += 2;
        }
        if self.code.get(end) != Some(&quote) {
            end = self.code.len();
        }
        let inner = &self.code[start.min(end)..end];
        self.at = (end + 1).min(self.code.len());
        self.out.push(match quote {
            b'\'' => Token::Text(unquote(inner), false),
            b'"' => Token::Text(unescape(inner), has_variable(inner)),
            _ => Token::Command(inner),
        });
    }

    fn heredoc(&mut self) {
        let rest = &self.code[self.at + 3..];
        let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let marker = rest[..line].trim_ascii();
        let plain = marker.starts_with(b"'");
        let marker = marker.trim_ascii();
        let marker = marker.strip_prefix(b"'").or(marker.strip_prefix(b"\"")).unwrap_or(marker);
        let marker = marker.strip_suffix(b"'").or(marker.strip_suffix(b"\"")).unwrap_or(marker);
        if marker.is_empty()
            || marker.len() > MAX_MARKER
            || !marker.iter().all(|&b| is_name_start(b) || b.is_ascii_digit())
        {
            self.at += 3;
            return self.out.push(Token::Mark(b'<'));
        }
        let body = &rest[(line + 1).min(rest.len())..];
        let (end, after) = heredoc_end(body, marker);
        let text = &body[..end];
        self.at = self.code.len() - (body.len() - after);
        self.out.push(if plain {
            Token::Text(text.to_vec(), false)
        } else {
            Token::Text(unescape(text), has_variable(text))
        });
    }

    fn number(&mut self) {
        let rest = &self.code[self.at..];
        let digits = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
        let text: String =
            rest[..digits].iter().filter(|&&b| b != b'_').map(|&b| (b as char).to_ascii_lowercase()).collect();
        let parsed = match text.as_bytes() {
            [b'0', b'x', ..] => i64::from_str_radix(&text[2..], 16),
            [b'0', b'b', ..] => i64::from_str_radix(&text[2..], 2),
            [b'0', _, ..] if !text.contains('.') => i64::from_str_radix(text[1..].trim_start_matches('o'), 8),
            _ => text.split('.').next().unwrap_or_default().parse(),
        };
        // `1.$x` is a concatenation.
        let point = rest[..digits].iter().position(|&b| b == b'.').filter(|&at| at + 1 == digits);
        self.at += point.unwrap_or(digits).max(1);
        self.out.push(Token::Number(parsed.unwrap_or(-1)));
    }

    fn name(&mut self) {
        let rest = &self.code[self.at..];
        let length = rest.iter().take_while(|&&b| is_name(b) || b == b'\\').count();
        self.at += length;
        let name = rest[..length].rsplit(|&b| b == b'\\').next().unwrap_or_default();
        if name.is_empty() {
            return;
        }
        let boolean: [&[u8]; 4] = [b"and", b"or", b"xor", b"instanceof"];
        let is_boolean = boolean.iter().any(|word| name.eq_ignore_ascii_case(word));
        self.out.push(if is_boolean { Token::Mark(COMPARE) } else { Token::Name(name) });
    }

    /// An opening parenthesis, or a cast.
    fn bracket(&mut self) {
        const NUMBERS: &[&[u8]] = &[b"int", b"integer", b"float", b"double", b"bool", b"boolean"];
        const TEXTS: &[&[u8]] = &[b"string", b"array", b"object", b"binary", b"unset"];
        let rest = &self.code[self.at + 1..];
        let head = &rest[..rest.len().min(16)];
        let close = memchr::memchr(b')', head);
        let word = close.map(|close| head[..close].trim_ascii()).unwrap_or_default();
        let is = |list: &[&[u8]]| list.iter().any(|known| word.eq_ignore_ascii_case(known));
        // `f(string)` is a call with a constant, `(string)` elsewhere a cast.
        let called = matches!(self.out.last(), Some(Token::Name(_) | Token::Variable(_)));
        match close {
            Some(close) if !called && (is(NUMBERS) || is(TEXTS)) => {
                self.out.push(Token::Cast(is(NUMBERS)));
                self.at += close + 2;
            }
            _ => {
                self.out.push(Token::Mark(b'('));
                self.at += 1;
            }
        }
    }

    fn operator(&mut self, rest: &[u8]) {
        let (length, mark) = OPERATORS
            .iter()
            .find(|(text, _)| rest.starts_with(text))
            .map_or((1, rest[0]), |(text, mark)| (text.len(), *mark));
        self.at += length;
        self.out.push(Token::Mark(if matches!(mark, b'<' | b'>') { COMPARE } else { mark }));
    }
}

/// Where the text of a heredoc ends, and where the code after it begins.
fn heredoc_end(body: &[u8], marker: &[u8]) -> (usize, usize) {
    for at in memmem::find_iter(body, marker) {
        let from = at.saturating_sub(MAX_MARKER);
        let line = match memchr::memrchr(b'\n', &body[from..at]) {
            Some(end) => from + end + 1,
            None if from == 0 => 0,
            None => continue,
        };
        let ends = body.get(at + marker.len()).is_none_or(|&b| !is_name(b));
        if ends && body[line..at].iter().all(|b| matches!(b, b' ' | b'\t')) {
            return (line.saturating_sub(1), at + marker.len());
        }
    }
    (body.len(), body.len())
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_name(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit()
}

/// The name at the start of `text`.
pub(super) fn name_at(text: &[u8]) -> &[u8] {
    &text[..text.iter().take_while(|&&b| is_name(b)).count()]
}

/// Whether a variable may be replaced in a string.
fn has_variable(text: &[u8]) -> bool {
    memchr::memchr(b'$', text).is_some_and(|at| {
        text[at..].windows(2).any(|pair| pair[0] == b'$' && (is_name_start(pair[1]) || pair[1] == b'{'))
    })
}

/// The text of a string in single quotes.
fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let next = rest.get(at + 1);
        if !matches!(next, Some(b'\\' | b'\'')) {
            out.push(b'\\');
        }
        out.extend(next);
        rest = &rest[(at + 2).min(rest.len())..];
    }
    out.extend_from_slice(rest);
    out
}

/// The text of a string in double quotes. Escaped dollar signs stay escaped.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let code = &rest[at + 1..];
        let (byte, length) = escape(code);
        match byte {
            Some(byte) => out.push(byte),
            None => out.push(b'\\'),
        }
        rest = &code[length.min(code.len())..];
    }
    out.extend_from_slice(rest);
    out
}

/// The byte that an escape without its backslash stands for, and its length.
fn escape(code: &[u8]) -> (Option<u8>, usize) {
    let digits = |from: usize, most: usize, radix: u32| {
        let digits = code.get(from..).unwrap_or_default().iter().take(most);
        let digits: Vec<u32> = digits.map_while(|&b| (b as char).to_digit(radix)).collect();
        let value = digits.iter().fold(0u32, |value, digit| value.wrapping_mul(radix).wrapping_add(*digit));
        (value, digits.len())
    };
    match code.first() {
        Some(b'n') => (Some(b'\n'), 1),
        Some(b't') => (Some(b'\t'), 1),
        Some(b'r') => (Some(b'\r'), 1),
        Some(b'e') => (Some(0x1b), 1),
        Some(b'v') => (Some(0x0b), 1),
        Some(b'f') => (Some(0x0c), 1),
        Some(&quote @ (b'"' | b'\\' | b'`')) => (Some(quote), 1),
        Some(b'x') => match digits(1, 2, 16) {
            (_, 0) => (None, 0),
            (value, length) => (Some(value as u8), 1 + length),
        },
        Some(b'u') if code.get(1) == Some(&b'{') => match digits(2, 6, 16) {
            (value, length) if length > 0 && value < 0x80 => (Some(value as u8), 3 + length),
            _ => (None, 0),
        },
        Some(b'0'..=b'7') => {
            let (value, length) = digits(0, 3, 8);
            (Some(value as u8), length)
        }
        _ => (None, 0),
    }
}
