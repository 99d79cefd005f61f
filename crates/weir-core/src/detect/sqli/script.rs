//! Texts that are SQL as a whole: statements that break out of nothing, in fields that are made for them.

use super::super::text_field::{self, TextField};
use super::super::{Subject, is_document, work};

/// How much of a value is explained by being SQL as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explained {
    /// Nothing.
    Nothing,
    /// What is read outside of quotes.
    Statements,
    /// Everything.
    All,
}

/// Most bytes of comments before the first statement.
const MAX_COMMENTS: usize = 4096;

/// Words with which a statement of a script begins.
const VERBS: &[&[u8]] = &[
    b"alter",
    b"analyze",
    b"begin",
    b"call",
    b"comment",
    b"commit",
    b"create",
    b"declare",
    b"delete",
    b"do",
    b"drop",
    b"explain",
    b"grant",
    b"insert",
    b"lock",
    b"merge",
    b"pragma",
    b"replace",
    b"revoke",
    b"select",
    b"set",
    b"show",
    b"start",
    b"truncate",
    b"update",
    b"use",
    b"vacuum",
    b"with",
];

/// What of `subject` needs no injection to explain it.
pub fn explains(subject: &Subject<'_>) -> Explained {
    let text = subject.bytes;
    // A file with statements is a script, however short.
    let file = || text_field::is_file(subject).then_some(TextField::Code);
    let Some(field) = text_field::of(subject).or_else(file) else { return Explained::Nothing };
    if !begins_statement(text) {
        // Statements that a text of several lines shows between its words. Whatever stores such a text has it in quotes, so
        // only what closes one counts.
        let shows = matches!(field, TextField::Prose | TextField::Code) && is_document(text);
        return if shows { Explained::Statements } else { Explained::Nothing };
    }
    let lines = memchr::memchr(b'\n', text).is_some();
    work::count(text.len());
    let even = || memchr::memchr_iter(b'\'', text).count().is_multiple_of(2);
    match field {
        TextField::Sql | TextField::Code | TextField::Script | TextField::CodeLine if lines && closes_quotes(text) => {
            Explained::All
        }
        TextField::Sql | TextField::Code | TextField::Script | TextField::CodeLine if even() && !computes(text) => {
            Explained::All
        }
        TextField::Prose if is_document(text) && closes_quotes(text) => Explained::All,
        _ if lines => Explained::Statements,
        _ => Explained::Nothing,
    }
}

/// Whether a script ends outside of the texts that it quotes. One that does not was closed by a quote of its own, as an
/// injection does; so was one whose last text holds a comment.
fn closes_quotes(text: &[u8]) -> bool {
    let (mut at, mut last): (usize, &[u8]) = (0, b"");
    work::count(text.len());
    while let Some(found) = text[at..].iter().position(|b| matches!(b, b'\'' | b'-' | b'/')) {
        let from = at + found;
        let (end, skip) = match &text[from..] {
            [b'\'', ..] => (memchr::memchr(b'\'', &text[from + 1..]), 1),
            [b'-', b'-', ..] => (memchr::memchr(b'\n', &text[from..]).or(Some(text.len() - from - 1)), 0),
            [b'/', b'*', ..] => (memchr::memmem::find(&text[from..], b"*/"), 0),
            _ => (Some(0), 0),
        };
        let Some(end) = end else { return false };
        if text[from] == b'\'' {
            last = &text[from..from + 1 + end];
        }
        at = from + end + skip + 1;
    }
    !holds_comment(last)
}

/// Whether a quoted text holds what comments out the rest of a statement.
fn holds_comment(quoted: &[u8]) -> bool {
    [&b"--"[..], b"/*", b"#"].iter().any(|mark| memchr::memmem::find(quoted, mark).is_some())
}

/// Whether a query reads no table: it computes something, which shows that it ran.
fn computes(text: &[u8]) -> bool {
    let text = text[..text.len().min(MAX_COMMENTS)].trim_ascii_start().to_ascii_lowercase();
    work::count(text.len());
    text.starts_with(b"select") && !text.windows(6).any(|w| w == b" from ")
}

/// Whether `text`, behind comments and white space, begins with a statement.
fn begins_statement(text: &[u8]) -> bool {
    let mut rest = &text[..text.len().min(MAX_COMMENTS)];
    loop {
        rest = rest.trim_ascii_start();
        let comment = if rest.starts_with(b"--") || rest.starts_with(b"\\") {
            memchr::memchr(b'\n', rest)
        } else if rest.starts_with(b"/*") {
            memchr::memmem::find(rest, b"*/").map(|end| end + 1)
        } else {
            break;
        };
        let Some(end) = comment else { return false };
        rest = &rest[end + 1..];
    }
    work::count(text.len().min(MAX_COMMENTS));
    let word = rest.iter().take(12).take_while(|b| b.is_ascii_alphabetic()).count();
    let next = rest[word..].trim_ascii_start().first();
    let follows =
        next.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'"' | b'`' | b'*' | b'_' | b'@' | b'$'));
    let separated = rest.get(word).is_some_and(u8::is_ascii_whitespace);
    separated && follows && VERBS.iter().any(|verb| rest[..word].eq_ignore_ascii_case(verb))
}

#[cfg(test)]
mod tests {
    use super::begins_statement;

    #[test]
    fn a_script_begins_with_a_statement() {
        for text in ["create table t (a int);", "-- why\n/* how */\n\\echo x\nDROP VIEW v;", "SELECT a\nFROM t"] {
            assert!(begins_statement(text.as_bytes()), "{text:?}");
        }
        for text in
            ["select' or 1=1 --", "1; drop table t", "-- x", "/* x", "select ' or 1=1 --'", "(select 1)", "do", ""]
        {
            assert!(!begins_statement(text.as_bytes()), "{text:?}");
        }
    }
}
