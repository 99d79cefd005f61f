//! Lines of a multipart body: some servers take a bare CR as the end of one.

use memchr::{memchr, memchr2};

/// Where a delimiter may begin, and what ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiters {
    /// At the beginning of a line; lines end in LF.
    OnLines,
    /// Within a line too: some servers search for the delimiter alone, or take a bare CR as the end of a line.
    Anywhere,
}

/// A header line with its folds.
pub(super) struct FoldedLine<'a> {
    pub text: &'a [u8],
    /// Bytes up to the next line.
    pub length: usize,
    /// Whether it ends in a bare LF or has folds, which servers read differently.
    pub ambiguous: bool,
    pub folded: bool,
}

/// Bytes of the first line of `text` without the byte that ends it; before LF with a CR.
pub(super) fn line_length(text: &[u8], delimiters: Delimiters) -> usize {
    let end = match delimiters {
        Delimiters::OnLines => memchr(b'\n', text),
        Delimiters::Anywhere => memchr2(b'\r', b'\n', text),
    };
    end.unwrap_or(text.len())
}

/// Where the line after one of `length` bytes begins.
pub(super) fn next(text: &[u8], length: usize) -> usize {
    let end = if text[length..].starts_with(b"\r\n") { 2 } else { 1 };
    (length + end).min(text.len())
}

/// Whether a CR is followed by something else than the end of the line.
pub(super) fn has_bare_cr(line: &[u8]) -> bool {
    memchr(b'\r', line).is_some_and(|at| line.get(at + 1).is_some_and(|&b| b != b'\n'))
}

/// The first line of `input`; `None` if it has no end.
pub(super) fn folded_line(input: &[u8], delimiters: Delimiters) -> Option<FoldedLine<'_>> {
    let mut ambiguous = false;
    let mut folded = false;
    let mut from = 0;
    loop {
        let end = from + line_length(&input[from..], delimiters);
        if end == input.len() {
            return None;
        }
        let length = next(input, end);
        let line = &input[..end];
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        ambiguous |= !input[..length].ends_with(b"\r\n");
        let folds = !text.is_empty() && matches!(input.get(length), Some(b' ' | b'\t'));
        if !folds {
            return Some(FoldedLine { text, length, ambiguous, folded });
        }
        (ambiguous, folded) = (true, true);
        from = length;
    }
}
