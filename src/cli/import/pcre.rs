//! Regular expressions of PCRE and RE2 in the syntax of our rules.

/// An expression in our syntax.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// The expression.
    pub pattern: String,
    /// Whether it ignores case as a whole.
    pub ignores_case: bool,
    /// How it differs.
    pub notes: Vec<String>,
}

/// Translates `source`; the error is why it cannot be expressed. `.` matches line ends, as in ModSecurity and Coraza.
pub(super) fn translate(source: &str) -> Result<Translated, String> {
    let (flags, rest) = leading_flags(source);
    let mut translator = Translator { text: rest.chars().collect(), at: 0, out: String::new(), notes: Vec::new() };
    translator.run()?;
    let Translator { out, notes, .. } = translator;
    let multi_line = if flags.contains('m') { "m" } else { "" };
    let extended = if flags.contains('x') { "x" } else { "" };
    let pattern = format!("(?s{multi_line}{extended}){out}");
    Ok(Translated { pattern, ignores_case: flags.contains('i'), notes })
}

/// Flags at the beginning, such as those of `(?i)`.
fn leading_flags(source: &str) -> (String, &str) {
    let mut flags = String::new();
    let mut rest = source;
    while let Some((inside, after)) = rest.strip_prefix("(?").and_then(|text| text.split_once(')')) {
        if inside.is_empty() || !inside.chars().all(|c| "imsx".contains(c)) {
            break;
        }
        flags.push_str(inside);
        rest = after;
    }
    (flags, rest)
}

struct Translator {
    text: Vec<char>,
    at: usize,
    out: String,
    notes: Vec<String>,
}

impl Translator {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.peek(0) {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                '*' | '+' | '?' | '}' => {
                    self.out.push(c);
                    self.at += 1;
                    if self.peek(0) == Some('+') && c != '}' || self.peek(0) == Some('+') && self.closes_repetition() {
                        self.note("a possessive repetition became an ordinary one");
                        self.at += 1;
                    }
                }
                '{' if !self.opens_repetition() => {
                    self.out.push_str("\\{");
                    self.at += 1;
                }
                _ => {
                    self.literal(c);
                    self.at += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether the brace just written ends `{n,m}`; a brace in a literal is written with a backslash.
    fn closes_repetition(&self) -> bool {
        self.out.rfind('{').is_some_and(|open| {
            let inside = &self.out[open + 1..self.out.len() - 1];
            !inside.is_empty() && inside.chars().all(|c| c.is_ascii_digit() || c == ',')
        })
    }

    /// Whether the brace here begins `{n}`, `{n,}` or `{n,m}`; else PCRE takes it literally.
    fn opens_repetition(&self) -> bool {
        let rest = &self.text[self.at + 1..];
        let Some(end) = rest.iter().position(|c| *c == '}') else { return false };
        let inside = &rest[..end];
        inside.first().is_some_and(char::is_ascii_digit) && inside.iter().all(|c| c.is_ascii_digit() || *c == ',')
    }

    /// A literal; what is not ASCII as its bytes, since our expressions are of bytes.
    fn literal(&mut self, c: char) {
        if c == '}' {
            self.out.push_str("\\}");
        } else {
            self.out.push(c);
        }
    }

    fn group(&mut self) -> Result<(), String> {
        let next: String = self.text[self.at..].iter().take(4).collect();
        for (mark, what) in
            [("(?=", "look-ahead"), ("(?!", "look-ahead"), ("(?<=", "look-behind"), ("(?<!", "look-behind")]
        {
            if next.starts_with(mark) {
                return Err(format!("the expression has a {what}, which matching in linear time does not allow"));
            }
        }
        for (mark, what) in
            [("(?R", "recursion"), ("(?(", "condition"), ("(?&", "recursion"), ("(?#", "comment"), ("(*", "verb")]
        {
            if next.starts_with(mark) {
                return Err(format!("the expression has a {what}"));
            }
        }
        if next.starts_with("(?>") || next.starts_with("(?|") {
            self.note("an atomic group became an ordinary one");
            self.out.push_str("(?:");
            self.at += 3;
            return Ok(());
        }
        self.out.push('(');
        self.at += 1;
        // `?:`, `?i:`, `?P<name>` are the same with us.
        if self.peek(0) == Some('?') {
            self.out.push('?');
            self.at += 1;
        }
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(c) = self.peek(1) else { return Err("the expression ends in a backslash".into()) };
        self.at += 2;
        match c {
            '1'..='9' if !in_class => return Err("the expression refers back to a group".into()),
            'g' | 'k' if !in_class && matches!(self.peek(0), Some('{' | '<' | '\'' | '1'..='9')) => {
                return Err("the expression refers back to a group".into());
            }
            'K' | 'G' | 'C' | 'X' | 'R' => return Err(format!("the expression has \\{c}")),
            'Z' => {
                self.note("\\Z became the end of the value");
                self.out.push_str("\\z");
            }
            'h' if in_class => self.out.push_str(" \\t"),
            'h' => self.out.push_str("[ \\t]"),
            'e' => self.out.push_str("\\x1b"),
            'Q' => self.quoted(),
            'v' if in_class => self.out.push_str("\\n\\x0b\\x0c\\r"),
            'v' => self.out.push_str("[\\n\\x0b\\x0c\\r]"),
            '0' => self.octal(),
            '0'..='9' => return Err("the expression has an octal escape".into()),
            'b' if in_class => self.out.push_str("\\x08"),
            'b' | 'B' | 'A' | 'z' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'n' | 'r' | 't' | 'f' | 'a' | 'p' | 'P' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'x' => self.hexadecimal()?,
            'u' | 'U' | 'L' | 'l' | 'N' => return Err(format!("the expression has \\{c}")),
            _ if c.is_ascii_alphanumeric() => self.out.push(c),
            // A word boundary with us.
            '<' | '>' => self.out.push(c),
            _ if c.is_ascii_punctuation() => {
                self.out.push('\\');
                self.out.push(c);
            }
            _ => self.literal(c),
        }
        Ok(())
    }

    /// `\Q...\E`: everything is literal.
    fn quoted(&mut self) {
        while let Some(c) = self.peek(0) {
            if c == '\\' && self.peek(1) == Some('E') {
                self.at += 2;
                return;
            }
            self.out.push_str(&escape_text(&c.to_string()));
            self.at += 1;
        }
    }

    fn octal(&mut self) {
        let mut value = 0_u32;
        for _ in 0..2 {
            let Some(digit) = self.peek(0).and_then(|c| c.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.at += 1;
        }
        self.out.push_str(&format!("\\x{value:02x}"));
    }

    fn hexadecimal(&mut self) -> Result<(), String> {
        let digits: String = if self.peek(0) == Some('{') {
            let inside = self.text[self.at + 1..].iter().take_while(|c| **c != '}').collect::<String>();
            self.at += inside.chars().count() + 2;
            inside
        } else {
            let inside = self.text[self.at..].iter().take(2).take_while(|c| c.is_ascii_hexdigit()).collect::<String>();
            self.at += inside.len();
            inside
        };
        match u32::from_str_radix(if digits.is_empty() { "0" } else { &digits }, 16) {
            Ok(value) if value < 256 => self.out.push_str(&format!("\\x{value:02x}")),
            _ => return Err("the expression has a character beyond one byte".into()),
        }
        Ok(())
    }

    /// A class of characters. With us a bracket in it opens another one, and `&&`, `--` and `~~` are operators.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        self.at += 1;
        if self.peek(0) == Some('^') {
            self.out.push('^');
            self.at += 1;
        }
        if self.peek(0) == Some(']') {
            self.out.push_str("\\]");
            self.at += 1;
        }
        loop {
            let Some(c) = self.peek(0) else { return Err("a class of the expression has no end".into()) };
            match c {
                ']' => {
                    self.out.push(']');
                    self.at += 1;
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if self.peek(1) == Some(':') => {
                    let end = self.text[self.at..].windows(2).position(|two| two == [':', ']']);
                    let Some(end) = end else { return Err("a class of the expression has no end".into()) };
                    self.out.extend(&self.text[self.at..self.at + end + 2]);
                    self.at += end + 2;
                }
                '[' | '&' | '~' => {
                    self.out.push('\\');
                    self.out.push(c);
                    self.at += 1;
                }
                '-' if self.peek(1) == Some('-') || self.out.ends_with("\\-") => {
                    self.out.push_str("\\-");
                    self.at += 1;
                }
                _ if !c.is_ascii() => return Err("a class of the expression has a character beyond one byte".into()),
                _ => {
                    self.out.push(c);
                    self.at += 1;
                }
            }
        }
    }
}

/// `text` as an expression that matches it.
pub(super) fn escape_text(text: &str) -> String {
    regex::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(source: &str) -> String {
        translate(source).unwrap().pattern
    }

    #[test]
    fn what_differs_is_respelled() {
        assert_eq!(pattern(r"a\/b\<c"), r"(?s)a\/b<c");
        assert_eq!(pattern(r"[^[&&]x{,3}"), r"(?s)[^\[\&\&]x\{,3}");
        assert_eq!(pattern(r"\h+[\h]"), r"(?s)[ \t]+[ \t]");
        assert_eq!(pattern(r"\x00\x{7f}\0"), r"(?s)\x00\x7f\x00");
        assert_eq!(pattern(r"\Qa.b\E."), r"(?s)a\.b.");
        assert!(translate("(?i)(?:a|b)").unwrap().ignores_case);
        assert_eq!(translate("a++(?>b)").unwrap().notes.len(), 2);
    }

    #[test]
    fn what_takes_more_than_linear_time_is_refused() {
        for (source, reason) in
            [("a(?=b)", "look-ahead"), ("(?<!a)b", "look-behind"), (r"(a)\1", "refers back"), ("(?R)", "recursion")]
        {
            assert!(translate(source).unwrap_err().contains(reason), "{source}");
        }
        assert!(translate("[a").is_err() && translate("a\\").is_err());
    }
}
