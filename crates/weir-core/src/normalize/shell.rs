//! Command lines without the syntax that a shell removes: quotes inside words, escapes, carets, `${IFS}`, empty variables.

use std::borrow::Cow;

/// Expressions that a shell expands to white space, longest first.
const BLANKS: &[&[u8]] = &[b"${IFS}", b"$IFS$9", b"$IFS", b"%ProgramFiles:~10,1%"];

/// Bytes at which [`step`] may change something.
static MARKS: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"$\\^['\"`";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

/// The first byte of `text` at which [`run`] may change something.
pub fn first_mark(text: &[u8]) -> Option<usize> {
    text.iter().position(|b| MARKS[usize::from(*b)])
}

/// The command line after the shell has removed quotes and expanded variables.
pub fn run(input: &[u8]) -> Cow<'_, [u8]> {
    // Empty as long as nothing was changed; a change always shortens the text.
    let mut out: Vec<u8> = Vec::new();
    let (mut at, mut changed) = (0, false);
    loop {
        let rest = &input[at..];
        let plain = first_mark(rest).unwrap_or(rest.len());
        if changed {
            out.extend_from_slice(&rest[..plain]);
        }
        at += plain;
        let Some(mark) = input.get(at) else { break };
        let last = if changed { out.last() } else { at.checked_sub(1).map(|before| &input[before]) };
        let (put, length) = step(input, at, last);
        if !changed && (length, put) != (1, Some(*mark)) {
            changed = true;
            out.reserve(input.len());
            out.extend_from_slice(&input[..at]);
        }
        if changed {
            out.extend(put);
        }
        at += length;
    }
    if changed { Cow::Owned(out) } else { Cow::Borrowed(input) }
}

/// What a shell makes of the syntax at `at`, and its length in the input. `last` is what it has written last.
fn step(input: &[u8], at: usize, last: Option<&u8>) -> (Option<u8>, usize) {
    let rest = &input[at..];
    let word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'.'));
    match *rest {
        [b'$', ..] => {
            if let Some(blank) = BLANKS.iter().find(|blank| rest.starts_with(blank)) {
                return (Some(b' '), blank.len());
            }
            if let Some(expanded) = expansion(rest, word(last)) {
                return expanded;
            }
            match rest.get(1) {
                Some(b'@' | b'*' | b'$' | b'0'..=b'9' | b'!') if word(last) || word(rest.get(2)) => (None, 2),
                Some(b'\'' | b'"') if word(rest.get(2)) => (None, 1),
                _ => (Some(b'$'), 1),
            }
        }
        [b'\\', next, ..] if next.is_ascii_alphanumeric() || next == b'\n' || next == b'-' => {
            (None, usize::from(next == b'\n') + 1)
        }
        [b'^', next, ..] if word(Some(&next)) => (None, 1),
        // A set of one letter within a word, which a shell expands to the file that has it there.
        [b'[', letter, b']', ..] if letter.is_ascii_alphanumeric() && (word(last) || word(rest.get(3))) => {
            (Some(letter), 3)
        }
        [a @ (b'\'' | b'"' | b'`'), b, ..] if a == b => (None, 2),
        [b'\'' | b'"', next, ..] if word(last) && word(Some(&next)) => (None, 1),
        _ => (rest.first().copied(), 1),
    }
}

/// What a shell puts in place of an expansion at the beginning of `rest`, and the length of the expansion: nothing for an
/// empty substitution, or for a variable that stands within a word and so is there to split it; a slash for `${PATH:0:1}`.
fn expansion(rest: &[u8], in_word: bool) -> Option<(Option<u8>, usize)> {
    const MAX_NAME: usize = 24;
    let follows =
        |len: usize| rest.get(len).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'{' | b'-'));
    if rest.starts_with(b"$()") && (in_word || follows(3)) {
        return Some((None, 3));
    }
    let braced = rest.get(1) == Some(&b'{');
    let name = &rest[1 + usize::from(braced)..];
    let len = name.iter().take(MAX_NAME).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    if len == 0 || name[0].is_ascii_digit() {
        return None;
    }
    if !braced {
        // `cat$u /etc$u/passwd`: the name ends where no letter can follow.
        let end = 1 + len;
        let splits = in_word && len <= 3 && matches!(rest.get(end), Some(b'/' | b' ' | b'+' | b'\\' | b'\'' | b'"'));
        return splits.then_some((None, end));
    }
    let tail = &name[len..];
    let end = 2 + len;
    let path = [&b"PATH"[..], b"HOME", b"PWD", b"SHELL", b"OLDPWD"].contains(&&name[..len]);
    if path && (tail.starts_with(b":0:1}") || tail.starts_with(b"::1}")) {
        let length = end + tail.iter().position(|b| *b == b'}')? + 1;
        return Some((Some(b'/'), length));
    }
    (tail.first() == Some(&b'}') && in_word && follows(end + 1)).then_some((None, end + 1))
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn removes_quotes_and_expansions() {
        for (from, to) in [
            ("c'a't /etc/pas\"s\"wd", "cat /etc/passwd"),
            ("w\\ho\\ami", "whoami"),
            ("cat${IFS}/etc/passwd", "cat /etc/passwd"),
            ("who$@ami", "whoami"),
            ("p^ing -n 3", "ping -n 3"),
            ("wh''oami", "whoami"),
            ("cat$IFS$9x", "cat x"),
            ("c${x}at /etc/pa$()sswd", "cat /etc/passwd"),
            ("cat$u /etc$u/passwd", "cat /etc/passwd"),
            ("${PATH:0:1}bin${PATH:0:1}id", "/bin/id"),
            ("c[a]t /et[c]/x", "cat /etc/x"),
            ("una$$me", "uname"),
            ("total $x", "total $x"),
            ("${name}", "${name}"),
            ("a[0]", "a0"),
        ] {
            assert_eq!(String::from_utf8_lossy(&run(from.as_bytes())), to, "{from}");
        }
        assert!(matches!(run(b"plain text"), std::borrow::Cow::Borrowed(_)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_never_grows(input: Vec<u8>) {
            proptest::prop_assert!(run(&input).len() <= input.len());
        }
    }
}
