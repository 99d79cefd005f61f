//! Words that a value splits by something an application removes before it uses them: invisible characters, control bytes,
//! tags, comments (`un<b>ion`, `sel/**/ect`, `o<b>nload=alert<b>(1)`).

use super::work;

/// Longest tag or comment that is removed.
const MAX_REMOVED: usize = 48;
/// Letters of a joined word looked at on each side of the place where it was split.
const MAX_SIDE: usize = 24;
/// Places in a joined word closer than this are looked at together.
const APART: usize = 8;

/// `text` without what splits words; `None` if nothing does.
pub fn run(text: &[u8]) -> Option<Vec<u8>> {
    run_if(text, |_| true)
}

/// `text` without what splits words, if one of these, lower case, is `wanted`. Of a long word, parts around places where it
/// was split are looked at.
pub fn run_if(text: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    work::count(text.len());
    let mut out: Vec<u8> = Vec::new();
    let mut joins: Vec<usize> = Vec::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(offset) = text[at..].iter().position(|b| begins(*b)) {
        at += offset;
        match removed(text, at) {
            Some(len) => {
                out.extend_from_slice(&text[done..at]);
                at += len;
                done = at;
                if joins.last().is_none_or(|last| out.len() >= last + APART) {
                    joins.push(out.len());
                }
            }
            None => at += 1,
        }
    }
    if done == 0 {
        return None;
    }
    out.extend_from_slice(&text[done..]);
    joins.into_iter().any(|at| wanted(&word_at(&out, at))).then_some(out)
}

/// The word around `at`, lower case.
fn word_at(text: &[u8], at: usize) -> Vec<u8> {
    let is_letter = |b: &&u8| b.is_ascii_alphabetic();
    let before = text[..at].iter().rev().take(MAX_SIDE).take_while(is_letter).count();
    let after = text[at..].iter().take(MAX_SIDE).take_while(is_letter).count();
    work::count(before + after);
    text[at - before..at + after].to_ascii_lowercase()
}

#[inline]
fn begins(b: u8) -> bool {
    BEGINS[usize::from(b)]
}

static BEGINS: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = matches!(b as u8, 0..=8 | 0x0e..=0x1f | b'<' | b'/' | b'%' | 0xc2 | 0xe2 | 0xef);
        b += 1;
    }
    table
};

/// Length of what splits a word at `at`.
fn removed(text: &[u8], at: usize) -> Option<usize> {
    let letter = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphabetic);
    let before = at.checked_sub(1).and_then(|i| text.get(i));
    if !letter(before) {
        return None;
    }
    let rest = &text[at..];
    let len = match *rest {
        [0..=8 | 0x0e..=0x1f, ..] => 1,
        [0xc2, 0xad, ..] => 2,
        [0xe2, 0x80, 0x8b..=0x8f, ..] | [0xe2, 0x81, 0xa0..=0xa4, ..] | [0xef, 0xbb, 0xbf, ..] => 3,
        [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'/' | b'!' | b'>', ..] => {
            let end = rest.iter().take(MAX_REMOVED).position(|b| *b == b'>');
            work::count(end.unwrap_or(MAX_REMOVED));
            end? + 1
        }
        // ASP drops a `%` that no hexadecimal digits follow.
        [b'%', a, b, ..] if !(a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) => 1,
        [b'%', _] => 1,
        [b'/', b'*', ..] => {
            work::count(MAX_REMOVED);
            memchr::memmem::find(&rest[2..rest.len().min(MAX_REMOVED)], b"*/")? + 4
        }
        _ => return None,
    };
    // What follows may split the word once more, or be the arguments of a call.
    let next = rest.get(len);
    let call = *rest.first()? == b'<' && matches!(next, Some(b'(' | b'`'));
    (letter(next) || call || next.is_some_and(|b| begins(*b))).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn split_words_are_joined() {
        for (from, to) in [
            ("un<b>ion sel<i x=1>ect 1", "union select 1"),
            ("un<>ion sel<>ect 1", "union select 1"),
            ("uni/**/on sel/*a*/ect", "union select"),
            ("se\u{200b}lect", "select"),
            ("sel\0ect", "select"),
            ("o<x>nfocus=alert<x>(1)", "onfocus=alert(1)"),
            ("%u%n%i%o%n %s%e%l%e%c%t", "%union %select"),
        ] {
            assert_eq!(run(from.as_bytes()).as_deref(), Some(to.as_bytes()), "{from}");
        }
        for text in ["<b>union</b>", "a <> b", "a < b and c > d", "union /**/ select", "plain", "", "a/b"] {
            assert_eq!(run(text.as_bytes()), None, "{text}");
        }
    }
}
