//! Command lines without the syntax that a shell removes: quotes inside words, escapes, carets, `${IFS}`, empty variables.

use std::borrow::Cow;

/// Expressions that a shell expands to white space, longest first.
const BLANKS: &[&[u8]] = &[b"${IFS}", b"$IFS$9", b"$IFS", b"%ProgramFiles:~10,1%"];

/// The command line after the shell has removed quotes and expanded variables.
pub fn run(input: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(input.len());
    let mut at = 0;
    while at < input.len() {
        at += step(input, at, &mut out);
    }
    if out == input { Cow::Borrowed(input) } else { Cow::Owned(out) }
}

/// Appends the result of the syntax at `at`, and returns its length in the input.
fn step(input: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let rest = &input[at..];
    let word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'.'));
    match *rest {
        [b'$', ..] => {
            if let Some(blank) = BLANKS.iter().find(|blank| rest.starts_with(blank)) {
                out.push(b' ');
                return blank.len();
            }
            match rest.get(1) {
                Some(b'@' | b'*' | b'0'..=b'9' | b'!') if word(out.last()) || word(rest.get(2)) => 2,
                Some(b'\'' | b'"') if word(rest.get(2)) => 1,
                _ => {
                    out.push(b'$');
                    1
                }
            }
        }
        [b'\\', next, ..] if next.is_ascii_alphanumeric() || next == b'\n' || next == b'-' => {
            usize::from(next == b'\n') + 1
        }
        [b'^', next, ..] if word(Some(&next)) => 1,
        [a @ (b'\'' | b'"' | b'`'), b, ..] if a == b => 2,
        [b'\'' | b'"', next, ..] if word(out.last()) && word(Some(&next)) => 1,
        [b, ..] => {
            out.push(b);
            1
        }
        [] => 1,
    }
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
