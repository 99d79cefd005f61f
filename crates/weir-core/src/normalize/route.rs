//! The path by which a server finds the handler of a request: one separator, no empty or dot segments, no path parameters.

use super::segments::{PathSteps, resolve};
use std::borrow::Cow;

/// Replaces `\` by `/`, removes the parameters of segments (`;name=value`), and resolves empty segments, `.` and `..`; a
/// `..` never climbs past the root. Texts that do not begin with a separator are no paths and stay as they are.
pub fn run(input: &[u8]) -> Cow<'_, [u8]> {
    if !matches!(input, [b'/' | b'\\', ..]) || is_clean(input) {
        return Cow::Borrowed(input);
    }
    let steps =
        PathSteps { remove_parameters: true, backslash_separates: true, merge_slashes: true, resolve_dots: true };
    Cow::Owned(resolve(input, steps))
}

/// The texts between separators; the one before the first separator is left out.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| matches!(b, b'/' | b'\\')).skip(1)
}

/// Whether [`run`] would change nothing.
fn is_clean(path: &[u8]) -> bool {
    if memchr::memchr2(b';', b'\\', path).is_some() {
        return false;
    }
    let mut segments = segments(path).peekable();
    while let Some(name) = segments.next() {
        let is_last = segments.peek().is_none();
        if name == b".." || name == b"." || name.is_empty() && !is_last {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_resolved_as_servers_do() {
        for (path, route) in [
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/", "/"),
            ("//a///b", "/a/b"),
            ("/a;x=1/b;y", "/a/b"),
            ("/a/..;/b", "/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../../c", "/c"),
            ("\\a\\..\\b", "/b"),
            ("/a/..", "/"),
            ("/;x", "/"),
            ("a//b;c", "a//b;c"),
        ] {
            assert_eq!(String::from_utf8_lossy(&run(path.as_bytes())), route, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_unchanged_is_borrowed_and_once_is_enough(path in "[/\\\\.;a]{0,24}") {
            let once = run(path.as_bytes());
            prop_assert_eq!(matches!(once, Cow::Owned(_)), *once != *path.as_bytes());
            prop_assert!(matches!(run(&once), Cow::Borrowed(_)), "{:?}", once);
        }
    }
}
