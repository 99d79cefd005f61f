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
    // A file with statements is a script, however short, and so is a body of several lines.
    let is_script = || text_field::is_file(subject) || text_field::is_body(subject) && is_document(text);
    let file = || is_script().then_some(TextField::Code);
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

/// Most bytes of a statement that code quotes.
const MAX_QUOTED: usize = 4096;

/// The text with blanks in the place of statements that source code quotes: `run('SELECT a FROM t', x)`. `None` if it quotes
/// none. In such a place, a quote opens what the same line closes; what breaks out of a literal has the first quote behind
/// other text, and comments out what follows.
pub fn without_quoted_statements(text: &[u8]) -> Option<Vec<u8>> {
    let mut apart: Option<Vec<u8>> = None;
    let mut at = 0;
    work::count(text.len());
    while let Some(found) = text[at..].iter().position(|b| matches!(b, b'\'' | b'"')) {
        let open = at + found;
        at = match quoted_statement(text, open) {
            Some(end) => {
                apart.get_or_insert_with(|| text.to_vec())[open..end].fill(b' ');
                end
            }
            None => open + 1,
        };
    }
    apart
}

/// Where the statement ends that source code quotes from `open` on, with its quote.
fn quoted_statement(text: &[u8], open: usize) -> Option<usize> {
    const PREFIXES: &[u8] = b"fFrRbBuUnN";
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let quote = text[open];
    let head = &text[open.saturating_sub(MAX_INDENT)..open];
    let prefix = head.iter().rev().take(2).take_while(|b| PREFIXES.contains(b)).count();
    let before = head[..head.len() - prefix].iter().rev().find(|b| !blank(b))?;
    if !matches!(before, b'(' | b'=' | b',' | b'[' | b'+' | b':') {
        return None;
    }
    let inside = &text[open + 1..text.len().min(open + 1 + MAX_QUOTED)];
    let end = inside.iter().position(|b| *b == quote || *b == b'\n').filter(|&end| inside[end] == quote)?;
    work::count(end);
    let statement = &inside[..end];
    let after = text[open + 2 + end..].iter().take(MAX_INDENT).find(|b| !blank(b));
    let goes_on =
        after.is_none_or(|b| matches!(b, b')' | b',' | b';' | b'+' | b'%' | b'.' | b']' | b'}' | b'\r' | b'\n'));
    (goes_on && begins_statement(statement) && !holds_comment(statement)).then_some(open + 2 + end)
}

/// Blanks looked at before and behind a text that code quotes.
const MAX_INDENT: usize = 64;

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
    use super::{begins_statement, without_quoted_statements};

    #[test]
    fn statements_that_code_quotes_are_set_apart() {
        let apart = |text: &str| without_quoted_statements(text.as_bytes()).map(|all| String::from_utf8(all).unwrap());
        for (text, want) in [
            ("run('SELECT a FROM t', x)", "run(                 , x)"),
            ("sql = f\"DELETE FROM t\"\n", "sql = f               \n"),
            ("a(\"select b from c where d = '\" + e + \"'\")", "a(                              + e + \"'\")"),
        ] {
            assert_eq!(apart(text).as_deref(), Some(want), "{text}");
        }
        for text in [
            "x' SELECT a FROM t --'",
            "run('SELECT a FROM t -- ', x)",
            "run(' or 1=1', x)",
            "run('SELECT a FROM t\n', x)",
            "run('SELECT a FROM t' and x)",
            "run('selected', x)",
            "a SELECT b FROM c",
        ] {
            assert_eq!(apart(text), None, "{text}");
        }
    }

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
