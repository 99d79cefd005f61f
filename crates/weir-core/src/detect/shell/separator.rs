//! What separates commands: operators of the shell, substitutions, and line ends, real or spelled.

use super::super::work;

/// What precedes a command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Boundary {
    /// Nothing: the value begins with the command.
    Start,
    /// A line end, real or spelled `\n`.
    Line,
    /// `;` or a single `&`, which prose has too.
    Weak,
    /// `|`, `||`, `&&`.
    Strong,
    /// `` ` ``, which Markdown has too.
    Tick,
    /// `$(`, `<(`, `>(`.
    Substitution,
}

/// Whether each byte may begin a separator.
static STARTS_SEPARATOR: [bool; 256] = {
    let mut table = [false; 256];
    let (bytes, mut at) = (b";|&`\n\r$<>\\", 0);
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
};

/// The next separator from `at` on: where the command after it may begin, and the kind of separator.
pub fn separator(text: &[u8], at: usize) -> Option<(usize, Boundary)> {
    let mut from = at;
    loop {
        let found = text[from..].iter().position(|b| STARTS_SEPARATOR[*b as usize]);
        work::count(found.unwrap_or(text.len() - from) + 1);
        let i = from + found?;
        let next = text.get(i + 1);
        let doubled = next == Some(&text[i]);
        from = i + 1;
        return Some(match text[i] {
            b'|' | b'&' if doubled => (i + 2, Boundary::Strong),
            b'|' => (i + 1, Boundary::Strong),
            b';' | b'&' => (i + 1, Boundary::Weak),
            b'`' => (i + 1, Boundary::Tick),
            b'\n' | b'\r' => (i + 1, Boundary::Line),
            // A line end that something on the way decodes. Behind a letter or colon it is part of a path.
            b'\\' if matches!(next, Some(b'n' | b'r')) && !in_path(text, i) => (i + 2, Boundary::Line),
            b'\\' => continue,
            _ if next == Some(&b'(') => (i + 2, Boundary::Substitution),
            _ => continue,
        });
    }
}

/// Whether the backslash at `at` is part of a path of Windows: a drive or another backslash is before it.
fn in_path(text: &[u8], at: usize) -> bool {
    const MAX_FOLDER: usize = 32;
    let before = &text[at.saturating_sub(MAX_FOLDER)..at];
    work::count(before.len());
    before.last().is_some_and(|b| matches!(b, b':' | b'.' | b'-' | b'_' | b'%'))
        || before.last().is_some_and(u8::is_ascii_alphabetic) && before.iter().any(|b| matches!(b, b'\\' | b':'))
}
