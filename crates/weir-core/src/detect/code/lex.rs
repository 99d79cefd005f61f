//! Tokens that PHP, JavaScript, Python, Ruby, Java, Groovy, Perl and Lua have in common.
//!
//! What a mark means depends on whether an operand or an operator is expected, which the reader knows and passes on.

use super::super::work;

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A name, without the mark of a variable of OGNL or Ruby before it.
    Name(&'t [u8]),
    /// `$name`, with the dollar sign.
    Variable(&'t [u8]),
    /// A number, a regular expression or a file handle: an operand without a meaning here.
    Plain,
    /// A text or a symbol, without quotes; `false` if the end of the value cuts it.
    Text(&'t [u8], bool),
    /// A command in backticks; `true`: in `%x{}` or `qx{}`, which are nothing else.
    Command(&'t [u8], bool),
    /// An opening bracket.
    Open(u8),
    /// A closing bracket.
    Close(u8),
    /// What leads to a member: `.`, `->`, `::`, `?.`, and `:` of Lua.
    Member,
    /// `=`
    Assign,
    /// Any other operator.
    Operator,
    /// `,`
    Comma,
    /// The end of a statement: `;`, or the end of a block of code in a page.
    End,
    /// A line end.
    Line,
}

/// Most bytes of a name.
const MAX_NAME: usize = 64;
/// Most bytes of a regular expression.
const MAX_REGEX: usize = 96;

/// Reads tokens from the start of a text.
pub(super) struct Lexer<'t> {
    pub text: &'t [u8],
    pub at: usize,
}

impl<'t> Lexer<'t> {
    /// The next token; `None` at the end, and at a byte that no token begins with: then `at` is before the end.
    pub(super) fn next(&mut self, operand: bool) -> Option<Token<'t>> {
        let from = self.at;
        self.skip_blanks(operand);
        let token = self.token(operand);
        work::count(self.at - from + 1);
        token
    }

    /// The byte at `ahead` bytes behind the current one, 0 behind the end.
    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next byte that is no blank.
    pub(super) fn peek_past_blanks(&self) -> u8 {
        let rest = &self.text[self.at.min(self.text.len())..];
        rest.iter().copied().take(8).find(|b| !matches!(b, b' ' | b'\t')).unwrap_or(0)
    }

    fn skip_blanks(&mut self, operand: bool) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (b' ' | b'\t' | b'\r' | 0x0b | 0x0c, _) => self.at += 1,
                (b'/', b'*') => {
                    let end = memchr::memmem::find(&self.text[self.at..], b"*/");
                    self.at = end.map_or(self.text.len(), |end| self.at + end + 2);
                }
                (b'/', b'/') => self.skip_line(),
                (b'#', b) if !(operand && (b.is_ascii_alphabetic() || matches!(b, b'{' | b'_'))) => self.skip_line(),
                (b'-', b'-') if !operand && matches!(self.peek(2), 0 | b' ' | b'\n' | b'+') => self.skip_line(),
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        let end = memchr::memchr(b'\n', &self.text[self.at..]);
        self.at = end.map_or(self.text.len(), |end| self.at + end);
    }

    fn token(&mut self, operand: bool) -> Option<Token<'t>> {
        let first = *self.text.get(self.at)?;
        let next = self.peek(1);
        match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Some(self.name_or_text()),
            b'0'..=b'9' => Some(self.number()),
            b'"' | b'\'' => Some(self.quoted(first)),
            b'`' => match self.quoted(first) {
                Token::Text(text, true) => Some(Token::Command(text, false)),
                _ => None,
            },
            b'\n' => self.mark(1, Token::Line),
            b';' => self.mark(1, Token::End),
            b',' => self.mark(1, Token::Comma),
            b'(' | b'[' | b'{' => self.mark(1, Token::Open(first)),
            b')' | b']' | b'}' => self.mark(1, Token::Close(first)),
            _ if operand => self.before_operand(first, next),
            _ => self.behind_operand(first, next),
        }
    }

    fn mark(&mut self, len: usize, token: Token<'t>) -> Option<Token<'t>> {
        self.at += len;
        Some(token)
    }

    /// A mark where an operand is expected.
    fn before_operand(&mut self, first: u8, next: u8) -> Option<Token<'t>> {
        let named = next.is_ascii_alphabetic() || next == b'_';
        match first {
            b'$' if matches!(next, b'{') => self.mark(2, Token::Open(b'{')),
            b'$' => Some(self.variable()),
            b'@' | b'#' | b'\\' if named => {
                self.at += 1;
                Some(self.name_or_text())
            }
            b':' if named => {
                self.at += 1;
                let Token::Name(name) = self.name() else { return None };
                Some(Token::Text(name, true))
            }
            b'%' if next == b'x' && matches!(self.peek(2), b'{' | b'(' | b'[' | b'!') => {
                let close = [b'}', b')', b']', b'!'][b"{([!".iter().position(|b| *b == self.peek(2))?];
                let inside = &self.text[self.at + 3..];
                let end = memchr::memchr(close, inside)?;
                self.mark(end + 4, Token::Command(&inside[..end], true))
            }
            b'%' if named => Some(self.variable()),
            b'@' | b'#' | b'%' | b'*' if matches!(next, b'{' | b'[') => self.mark(2, Token::Open(next)),
            b'<' => self.before_page_or_handle(),
            b'/' => self.regex(),
            b'.' if next == b'.' => {
                self.at += self.text[self.at..].iter().take_while(|b| **b == b'.').count();
                Some(Token::Operator)
            }
            b'!' | b'~' | b'-' | b'+' | b'@' | b'&' | b'*' | b'=' => self.mark(1, Token::Operator),
            _ => None,
        }
    }

    /// `<?php`, `<?=`, `<%=` or a handle of Perl such as `<F>`.
    fn before_page_or_handle(&mut self) -> Option<Token<'t>> {
        let rest = &self.text[self.at..];
        let opens = [&b"<?php"[..], b"<?=", b"<?", b"<%=", b"<%"].into_iter().find(|open| rest.starts_with(open));
        if let Some(open) = opens {
            return self.mark(open.len(), Token::End);
        }
        let name = rest[1..].iter().take(16).take_while(|b| b.is_ascii_alphanumeric() || **b == b'$').count();
        (rest.get(name + 1) == Some(&b'>')).then_some(())?;
        self.mark(name + 2, Token::Plain)
    }

    fn regex(&mut self) -> Option<Token<'t>> {
        let inside = &self.text[self.at + 1..(self.at + MAX_REGEX).min(self.text.len())];
        let end = memchr::memchr(b'/', inside)?;
        work::count(end);
        if end == 0 || inside[..end].contains(&b'\n') {
            return None;
        }
        let flags = inside[end + 1..].iter().take_while(|b| b.is_ascii_lowercase()).count();
        self.mark(end + 2 + flags, Token::Plain)
    }

    /// A mark where an operator is expected.
    fn behind_operand(&mut self, first: u8, next: u8) -> Option<Token<'t>> {
        let named = next.is_ascii_alphabetic() || next == b'_';
        match (first, next) {
            (b'?', b'>') | (b'%', b'>') => self.mark(2, Token::End),
            (b'-', b'>') | (b':', b':') => self.mark(2, Token::Member),
            (b'?', b'.') => self.mark(2, Token::Member),
            (b'.', b'.') => {
                self.at += self.text[self.at..].iter().take(3).take_while(|b| **b == b'.').count();
                Some(Token::Operator)
            }
            (b'.', _) => {
                self.at += 1;
                let names = |b: u8| b.is_ascii_alphabetic() || b == b'_';
                Some(if names(self.peek_past_blanks()) { Token::Member } else { Token::Operator })
            }
            (b'@' | b'\\', _) if named => self.mark(1, Token::Member),
            (b':', _) if named && self.calls_ahead() => self.mark(1, Token::Member),
            (b'=', b'=' | b'>' | b'~') => self.operator(),
            (b'=', _) => self.mark(1, Token::Assign),
            (b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'!' | b'&' | b'|' | b'^' | b'?' | b':', _) => {
                self.operator()
            }
            _ => None,
        }
    }

    fn operator(&mut self) -> Option<Token<'t>> {
        let marks = self.text[self.at..].iter().take(3).take_while(|b| b"+*/<>!&|^?:=%".contains(b)).count();
        self.mark(marks.max(1), Token::Operator)
    }

    /// Whether a name behind the current byte is called.
    fn calls_ahead(&self) -> bool {
        let rest = &self.text[self.at + 1..];
        let name = rest.iter().take(MAX_NAME).take_while(|b| is_part(**b)).count();
        rest.get(name) == Some(&b'(')
    }

    fn name(&mut self) -> Token<'t> {
        let rest = &self.text[self.at..];
        let len = rest.iter().take(MAX_NAME).take_while(|b| is_part(**b)).count();
        self.at += len;
        Token::Name(&rest[..len])
    }

    /// A name, or a text behind a letter that says how to read it: `b'id'`.
    fn name_or_text(&mut self) -> Token<'t> {
        let token = self.name();
        match token {
            Token::Name([b'b' | b'r' | b'f' | b'u' | b'B' | b'R' | b'F' | b'U'])
                if matches!(self.peek(0), b'\'' | b'"') =>
            {
                self.quoted(self.peek(0))
            }
            Token::Name(b"qx" | b"q" | b"qq") if matches!(self.peek(0), b'{') => {
                let inside = &self.text[self.at + 1..];
                let Some(end) = memchr::memchr(b'}', inside) else { return token };
                self.at += end + 2;
                Token::Command(&inside[..end], true)
            }
            _ => token,
        }
    }

    fn variable(&mut self) -> Token<'t> {
        let rest = &self.text[self.at..];
        let len = 1 + rest[1..].iter().take(MAX_NAME).take_while(|b| is_part(**b) || **b == b'$').count();
        self.at += len;
        Token::Variable(&rest[..len])
    }

    fn number(&mut self) -> Token<'t> {
        let rest = &self.text[self.at..];
        let len = rest.iter().take_while(|b| b.is_ascii_digit() || matches!(b, b'_' | b'x' | b'e')).count();
        let fraction =
            rest[len..].strip_prefix(b".").map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count());
        self.at += len + if fraction > 0 { fraction + 1 } else { 0 };
        Token::Plain
    }

    /// A text in quotes, or its rest if the end of the value cuts it.
    fn quoted(&mut self, quote: u8) -> Token<'t> {
        let from = self.at + 1;
        let mut at = from;
        while let Some(found) = memchr::memchr2(quote, b'\\', &self.text[at.min(self.text.len())..]) {
            at += found;
            if self.text[at] == quote {
                self.at = at + 1;
                return Token::Text(&self.text[from..at], true);
            }
            at += 2;
        }
        self.at = self.text.len();
        Token::Text(&self.text[from.min(self.at)..], false)
    }
}

fn is_part(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::{Lexer, Token};

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer { text: text.as_bytes(), at: 0 };
        let mut operand = true;
        std::iter::from_fn(|| {
            let token = lexer.next(operand)?;
            operand = !matches!(
                token,
                Token::Name(_)
                    | Token::Variable(_)
                    | Token::Plain
                    | Token::Text(..)
                    | Token::Command(..)
                    | Token::Close(_)
            );
            Some(token)
        })
        .collect()
    }

    #[test]
    fn marks_are_read_by_what_is_expected() {
        use Token::{Close, Command, End, Member, Name, Open, Operator, Plain, Text, Variable};
        assert_eq!(tokens("a.b('x')"), [Name(b"a"), Member, Name(b"b"), Open(b'('), Text(b"x", true), Close(b')')]);
        assert_eq!(tokens("'a'.'b'"), [Text(b"a", true), Operator, Text(b"b", true)]);
        assert_eq!(tokens("1/2; # x"), [Plain, Operator, Plain, End]);
        assert_eq!(tokens("#a.b // c"), [Name(b"a"), Member, Name(b"b")]);
        assert_eq!(
            tokens("$x->y(:z)"),
            [Variable(b"$x"), Member, Name(b"y"), Open(b'('), Text(b"z", true), Close(b')')]
        );
        assert_eq!(tokens("%x{id}"), [Command(b"id", true)]);
        assert_eq!(tokens("f:read('*a"), [Name(b"f"), Member, Name(b"read"), Open(b'('), Text(b"*a", false)]);
        assert_eq!(tokens("`id` + <F>"), [Command(b"id", false), Operator, Plain]);
    }
}
