//! Accounts, and parts of paths, in one spelling.

use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization as _;

/// An account, or a part of a path, in one spelling: most upstreams compare accounts without regard to case, width and space
/// around them, databases often without regard to accents and what has no weight in their collation, and some servers paths
/// without regard to case.
pub(super) fn folded(value: &[u8]) -> Cow<'_, [u8]> {
    if value.is_ascii() && !value.iter().any(u8::is_ascii_control) {
        let value = value.trim_ascii();
        let is_lower = !value.iter().any(u8::is_ascii_uppercase);
        return if is_lower { Cow::Borrowed(value) } else { Cow::Owned(value.to_ascii_lowercase()) };
    }
    let text = String::from_utf8_lossy(value);
    let seen = text.nfkd().filter(|c| !is_unseen(*c)).flat_map(char::to_lowercase);
    let lower: String = seen.fold(String::new(), |mut lower, c| {
        match plain(c) {
            Some(letters) => lower.push_str(letters),
            None => lower.push(c),
        }
        lower
    });
    Cow::Owned(lower.trim().as_bytes().to_vec())
}

/// Accents and invisible characters. Upstreams often remove them, and collations such as `utf8mb4_unicode_ci` of MySQL give
/// them no weight, control characters included: `al\u{1}` is `al` there. White space among these has a weight.
fn is_unseen(c: char) -> bool {
    let is_space = matches!(c, '\t'..='\r');
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' // control characters
        | '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' // soft hyphen, joiners, directions
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}' // variations, tags
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' // fillers
        | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}' // accents
    ) && !is_space
}

/// What collations without accents take for a letter that Unicode does not decompose.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{df}' => "ss",
        '\u{e6}' => "ae",
        '\u{f0}' | '\u{111}' => "d",
        '\u{f8}' => "o",
        '\u{127}' => "h",
        '\u{131}' => "i",
        '\u{142}' => "l",
        '\u{153}' => "oe",
        '\u{167}' => "t",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_one_spelling() {
        let spellings = [
            "jose",
            " JOSE ",
            "Jos\u{e9}",
            "jose\u{301}",
            "\u{ff2a}\u{ff4f}se",
            "jo\u{200b}se\u{a0}",
            "\u{feff}jo\u{17f}e",
            "jo\0se",
            "jose\u{1}",
            "jo\u{fe0f}se\u{e0041}",
            "j\u{f8}se",
            "\tjose\r\n",
        ];
        for text in spellings {
            assert_eq!(String::from_utf8_lossy(&folded(text.as_bytes())), "jose", "{text:?}");
        }
        assert_eq!(*folded("\u{130}D".as_bytes()), *b"id", "a dotted capital I");
        assert_eq!(*folded("STRA\u{1e9e}E \u{c6}".as_bytes()), *b"strasse ae");
        for (one, other) in [("\u{65e5}\u{672c}", "\u{65e5}\u{6728}"), ("a b", "ab"), ("a\tb", "ab")] {
            assert_ne!(folded(one.as_bytes()), folded(other.as_bytes()));
        }
        assert_ne!(folded(b"\xff\x80x"), folded(b"y"));
    }
}
