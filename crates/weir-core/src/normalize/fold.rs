//! Full-width forms (U+FF01 to U+FF5E) folded to ASCII, as best-fit conversions of some platforms do.

use std::borrow::Cow;

/// Folds full-width ASCII. Typographic quotes are kept, because prose uses them.
pub fn run(input: &[u8]) -> Cow<'_, [u8]> {
    let wide = |at: &usize| input.get(*at..at + 3).is_some_and(|w| ascii(w).is_some());
    let Some(first) = memchr::memchr_iter(0xef, input).find(wide) else { return Cow::Borrowed(input) };
    let mut out = input[..first].to_vec();
    let mut at = first;
    while at < input.len() {
        match input.get(at..at + 3).and_then(ascii) {
            Some(b) => {
                out.push(b);
                at += 3;
            }
            None => {
                out.push(input[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

fn ascii(w: &[u8]) -> Option<u8> {
    match *w {
        [0xef, 0xbc, b @ 0x81..=0xbf] => Some(b - 0x60),
        [0xef, 0xbd, b @ 0x80..=0x9e] => Some(b - 0x20),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn folds_full_width() {
        assert_eq!(&*run("＜script＞".as_bytes()), b"<script>");
        assert_eq!(&*run("ＡＬＥＲＴ（１）".as_bytes()), b"ALERT(1)");
        assert!(matches!(run("naïve 日本".as_bytes()), std::borrow::Cow::Borrowed(_)));
    }
}
