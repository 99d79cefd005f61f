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
