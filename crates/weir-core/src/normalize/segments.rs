//! How servers resolve the segments of a path. They differ in the steps that they take.

use std::borrow::Cow;

/// The steps that a server takes.
#[derive(Clone, Copy, Debug)]
pub struct PathSteps {
    /// Cuts each segment at its first `;`.
    pub remove_parameters: bool,
    /// Takes `\` for `/`.
    pub backslash_separates: bool,
    /// Removes empty segments.
    pub merge_slashes: bool,
    /// Resolves `.` and `..` (RFC 3986 §5.2.4). `..` never climbs past the root.
    pub resolve_dots: bool,
}

/// `path` after `steps`. The result begins with `/`, and ends with `/` if the last segment was empty or made of dots.
pub fn resolve(path: &[u8], steps: PathSteps) -> Vec<u8> {
    let text: Cow<'_, [u8]> = match steps.backslash_separates {
        true => path.iter().map(|&b| if b == b'\\' { b'/' } else { b }).collect(),
        false => Cow::Borrowed(path),
    };
    let inner = text.strip_prefix(b"/").unwrap_or(&text);
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_open = false;
    for segment in inner.split(|&b| b == b'/') {
        let end = memchr::memchr(b';', segment).filter(|_| steps.remove_parameters).unwrap_or(segment.len());
        let segment = &segment[..end];
        let is_dots = steps.resolve_dots && matches!(segment, b"." | b"..");
        ends_open = is_dots || segment.is_empty();
        if is_dots {
            if segment == b".." {
                kept.pop();
            }
        } else if !(segment.is_empty() && steps.merge_slashes) {
            kept.push(segment);
        }
    }
    // An empty last segment is the trailing slash itself, which is written below.
    if ends_open && kept.last().is_some_and(|segment| segment.is_empty()) {
        kept.pop();
    }
    let mut resolved = Vec::with_capacity(text.len() + 1);
    for segment in &kept {
        resolved.push(b'/');
        resolved.extend_from_slice(segment);
    }
    if ends_open || kept.is_empty() {
        resolved.push(b'/');
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_can_be_left_out() {
        let path = b"/a;x//b\\../c/";
        let none = PathSteps {
            remove_parameters: false,
            backslash_separates: false,
            merge_slashes: false,
            resolve_dots: false,
        };
        for (steps, resolved) in [
            (none, &b"/a;x//b\\../c/"[..]),
            (PathSteps { remove_parameters: true, ..none }, b"/a//b\\../c/"),
            (PathSteps { backslash_separates: true, ..none }, b"/a;x//b/../c/"),
            (PathSteps { merge_slashes: true, ..none }, b"/a;x/b\\../c/"),
            (PathSteps { backslash_separates: true, resolve_dots: true, ..none }, b"/a;x//c/"),
        ] {
            assert_eq!(resolve(path, steps), resolved, "{steps:?}");
        }
    }
}
