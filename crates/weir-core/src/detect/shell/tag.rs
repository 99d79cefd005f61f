//! Tags of HTML beside words of prose.

/// Elements that texts have in and around sentences.
#[rustfmt::skip]
const ELEMENTS: &[&[u8]] = &[
    b"a", b"abbr", b"article", b"aside", b"b", b"blockquote", b"body", b"br", b"button", b"caption", b"center",
    b"cite", b"code", b"dd", b"div", b"dl", b"dt", b"em", b"figcaption", b"figure", b"font", b"footer", b"form",
    b"h1", b"h2", b"h3", b"h4", b"h5", b"h6", b"header", b"hr", b"html", b"i", b"iframe", b"img", b"label", b"legend",
    b"li", b"main", b"mark", b"nav", b"ol", b"option", b"p", b"pre", b"q", b"s", b"section", b"small", b"span",
    b"strong", b"sub", b"summary", b"sup", b"table", b"tbody", b"td", b"tfoot", b"th", b"thead", b"title", b"tr",
    b"tt", b"u", b"ul",
];
/// Longest name of these.
const MAX_NAME: usize = 10;

/// Whether `text` begins with a tag of such an element: `</p>`, `<a href=...`, `<br/>`. A shell would read a file of that
/// name at the root or in the folder at hand, which no server has.
pub fn begins(text: &[u8]) -> bool {
    let Some(tag) = text.strip_prefix(b"<") else { return false };
    let name = tag.strip_prefix(b"/").unwrap_or(tag);
    let length = name.iter().take(MAX_NAME + 1).take_while(|b| b.is_ascii_alphanumeric()).count();
    let ends = match name[length..] {
        [b'>', ..] | [b'/', b'>', ..] => true,
        [b' ', next, ..] => name.len() == tag.len() && (next.is_ascii_alphabetic() || next == b'/'),
        _ => false,
    };
    ends && ELEMENTS.iter().any(|element| name[..length].eq_ignore_ascii_case(element))
}

#[cfg(test)]
mod tests {
    use super::begins;

    #[test]
    fn tags_of_texts_are_no_redirections() {
        for text in ["</p>", "<a href=x>", "<BR/>", "<br />", "<h2>", "</strong><p>"] {
            assert!(begins(text.as_bytes()), "{text}");
        }
        for text in ["</etc/passwd>", "</tmp>x", "<x>", "<a", "<flag.txt", "< p>", "<>", "</a href=x", "p"] {
            assert!(!begins(text.as_bytes()), "{text}");
        }
    }
}
