//! Parameter names with brackets (`a[b][]`) as PHP, Rails and `qs` parse them: a base name and steps into its value.

use smallvec::SmallVec;

/// Most pairs of brackets of a name. A name with more is not split. The `qs` library follows five, Rack about a hundred.
const MAX_STEPS: usize = 8;
/// Most digits of an index. Longer numbers are names.
const MAX_DIGITS: usize = 9;

/// One pair of brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'n> {
    /// `[b]`
    Name(&'n [u8]),
    /// `[3]`
    Index(u32),
    /// `[]`: the next element.
    Next,
}

/// The steps of a name.
pub type Steps<'n> = SmallVec<[Step<'n>; 4]>;

/// The base name and the steps of `name`; `None` unless it is a base followed only by one to eight closed pairs of
/// brackets.
pub fn split(name: &[u8]) -> Option<(&[u8], Steps<'_>)> {
    if name.last() != Some(&b']') {
        return None;
    }
    let (base, mut rest) = name.split_at(memchr::memchr(b'[', name).filter(|at| *at > 0)?);
    let mut steps = Steps::new();
    while let Some(inner) = rest.strip_prefix(b"[") {
        let end = memchr::memchr(b']', inner)?;
        if steps.len() == MAX_STEPS {
            return None;
        }
        steps.push(step(&inner[..end]));
        rest = &inner[end + 1..];
    }
    rest.is_empty().then_some((base, steps))
}

/// The texts in brackets within `name` that no key of a program has, at most four: an application that takes such a key apart
/// reads it without what stands around it.
pub fn unusual_keys(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MOST: usize = 4;
    const SHORTEST: usize = 4;
    let syntax = |b: &u8| br#"'"(<;|&`{\"#.contains(b);
    let mut rest = name;
    let keys = std::iter::from_fn(move || {
        let inner = &rest[memchr::memchr(b'[', rest)? + 1..];
        let end = memchr::memchr(b']', inner).unwrap_or(inner.len());
        rest = &inner[end..];
        Some(&inner[..end])
    });
    keys.take(MOST).filter(move |key| key.len() >= SHORTEST && key.iter().any(syntax))
}

fn step(text: &[u8]) -> Step<'_> {
    let number = text.len() <= MAX_DIGITS && text.iter().all(u8::is_ascii_digit) && (text.len() < 2 || text[0] != b'0');
    match text {
        b"" => Step::Next,
        digits if number => Step::Index(digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))),
        name => Step::Name(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unusual_keys_are_those_with_syntax() {
        let keys = |name: &'static str| unusual_keys(name.as_bytes()).map(|key| str::from_utf8(key).unwrap()).collect();
        let cases: [(&str, Vec<&str>); 5] = [
            ("a[b][c-d][$contains][x, y]", vec![]),
            ("a[x') or sleep(1)][b]", vec!["x') or sleep(1)"]),
            ("a['.f('x').'", vec!["'.f('x').'"]),
            ("a[(1)", vec![]),
            ("[a(1)][b(2)][c(3)][d(4)][e(5)]", vec!["a(1)", "b(2)", "c(3)", "d(4)"]),
        ];
        for (name, expected) in cases {
            let found: Vec<&str> = keys(name);
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn names_are_split_into_steps() {
        for (name, base, steps) in [
            ("a[b]", "a", &[Step::Name(b"b")][..]),
            ("a[]", "a", &[Step::Next]),
            ("a[0][b c][12]", "a", &[Step::Index(0), Step::Name(b"b c"), Step::Index(12)]),
            ("a[01][9999999999]", "a", &[Step::Name(b"01"), Step::Name(b"9999999999")]),
            ("a[[b]", "a", &[Step::Name(b"[b")]),
        ] {
            let (got_base, got) = split(name.as_bytes()).unwrap();
            assert_eq!((got_base, &got[..]), (base.as_bytes(), steps), "{name}");
        }
    }

    #[test]
    fn other_names_are_not_split() {
        let deep = format!("a{}", "[b]".repeat(MAX_STEPS + 1));
        for name in ["", "a", "[a]", "a[b", "a]b[", "a[b]c", "a[b]c[d]", "a[b]]", &deep] {
            assert_eq!(split(name.as_bytes()), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn steps_contain_the_whole_name(name in "[ab\\[\\]0]{0,12}") {
            if let Some((base, steps)) = split(name.as_bytes()) {
                let steps = steps.iter().map(|step| match step {
                    Step::Name(text) => format!("[{}]", String::from_utf8_lossy(text)),
                    Step::Index(index) => format!("[{index}]"),
                    Step::Next => "[]".to_owned(),
                });
                prop_assert_eq!(String::from_utf8_lossy(base).into_owned() + &steps.collect::<String>(), name.clone());
            }
        }
    }
}
