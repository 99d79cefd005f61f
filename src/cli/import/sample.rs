//! Makes a text that an expression matches, and one that it does not.

use regex_syntax::hir::{Class, Hir, HirKind};
use weir_core::ruleset::Pattern;

/// Longest text, in bytes.
const MAX_LEN: usize = 1024;
/// How many choices among alternatives are tried.
const TRIES: usize = 24;
/// Bytes that stand for a class, the first that is in it.
const LIKELY: &[u8] = b"a1x /=.-_'\"(),:;<>&|";
/// What is put around a text where an assertion asks for it.
const AROUND: [(&str, &str); 5] = [("", ""), (" ", " "), ("/", ""), ("", "="), ("a", "a")];

/// A text of ASCII that `pattern` matches; `hir` is the expression.
pub(super) fn positive(hir: &Hir, pattern: &Pattern) -> Option<String> {
    for choice in 0..TRIES {
        let mut bytes = Vec::new();
        if !build(hir, choice, &mut bytes) {
            continue;
        }
        let Ok(text) = String::from_utf8(bytes) else { continue };
        for (before, after) in AROUND {
            let text = format!("{before}{text}{after}");
            if !text.trim().is_empty() && text.is_ascii() && pattern.is_match(text.as_bytes()) {
                return Some(text);
            }
        }
    }
    None
}

/// A text that `pattern` does not match.
pub(super) fn negative(pattern: &Pattern) -> Option<String> {
    let texts = ["ordinary text", "hello", "1", "x", "/", "-", ""];
    texts.into_iter().find(|text| !pattern.is_match(text.as_bytes())).map(str::to_owned)
}

/// Adds a text for `hir`; false if no text of a fitting length matches.
fn build(hir: &Hir, choice: usize, out: &mut Vec<u8>) -> bool {
    if out.len() > MAX_LEN {
        return false;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            out.extend_from_slice(&literal.0);
            true
        }
        HirKind::Class(class) => member(class, choice).is_some_and(|byte| {
            out.push(byte);
            true
        }),
        HirKind::Capture(capture) => build(&capture.sub, choice, out),
        HirKind::Repetition(repetition) => (0..repetition.min).all(|_| build(&repetition.sub, choice, out)),
        HirKind::Concat(parts) => parts.iter().all(|part| build(part, choice, out)),
        HirKind::Alternation(parts) => build(&parts[choice % parts.len()], choice / parts.len().min(3), out),
    }
}

fn member(class: &Class, choice: usize) -> Option<u8> {
    let holds = |byte: u8| match class {
        Class::Bytes(bytes) => bytes.iter().any(|range| (range.start()..=range.end()).contains(&byte)),
        Class::Unicode(chars) => chars.iter().any(|range| (range.start()..=range.end()).contains(&char::from(byte))),
    };
    let likely = LIKELY.iter().cycle().skip(choice % 3).take(LIKELY.len()).copied();
    likely.chain(b' '..=b'~').chain(0..=127).find(|byte| holds(*byte))
}
