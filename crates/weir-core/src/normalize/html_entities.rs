//! HTML character references (WHATWG HTML §13.2.5.72), including those without a semicolon.

use std::borrow::Cow;

/// Decodes each reference once; `Borrowed` if nothing changes.
pub fn decode(input: &[u8]) -> Cow<'_, [u8]> {
    let begins = |at: usize| input.get(at + 1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'#');
    if !memchr::memchr_iter(b'&', input).any(begins) {
        return Cow::Borrowed(input);
    }
    match htmlize::unescape_bytes_in(input, htmlize::Context::General) {
        Cow::Owned(out) if out != input => Cow::Owned(out),
        _ => Cow::Borrowed(input),
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn decodes_references_as_browsers_do() {
        for (text, want) in [
            ("&lt;script&gt;", "<script>"),
            ("&ltscript", "<script"),
            ("&#106avascript&colon;", "javascript:"),
            ("&#x3csvg", "<svg"),
            ("java&Tab;script", "java\tscript"),
            ("&#x000006a;", "j"),
            ("a=1&b=2&&", "a=1&b=2&&"),
        ] {
            assert_eq!(decode(text.as_bytes()), want.as_bytes(), "{text}");
        }
        assert!(matches!(decode(b"a=1&b=2"), std::borrow::Cow::Borrowed(_)));
    }
}
