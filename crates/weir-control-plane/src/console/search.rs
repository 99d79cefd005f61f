//! Searches as text: taken apart into terms for chips, put together for links.

use super::view::attacks::Chip;
use super::view::text::Text;
use super::view::ui::href;

/// Most terms that are shown.
const MAX_TERMS: usize = 60;

/// Terms as written, quotes kept.
pub fn terms(text: &str) -> Vec<String> {
    let (mut out, mut term, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(mark), c) if c == mark => quote = None,
            _ => {}
        }
        if quote.is_none() && c.is_whitespace() {
            if !term.is_empty() {
                out.push(std::mem::take(&mut term));
            }
        } else {
            term.push(c);
        }
    }
    if !term.is_empty() {
        out.push(term);
    }
    out.truncate(MAX_TERMS);
    out
}

/// `attribute:value`, quoted where the value needs it.
pub fn term(attribute: &str, value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || "\"',".contains(c));
    if plain { format!("{attribute}:{value}") } else { format!("{attribute}:\"{}\"", value.replace('"', "?")) }
}

/// The address of `path` with this search and stretch of time.
pub fn link(path: &str, terms: &[String], range: &str) -> String {
    href(path, &[("q", &terms.join(" ")), ("range", range)])
}

/// The terms, each with the search that lacks it.
pub fn chips(text: &str, range: &str) -> Vec<Chip> {
    let all = terms(text);
    let without = |at: usize| -> Vec<String> {
        all.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, term)| term.clone()).collect()
    };
    let chip =
        |(at, term): (usize, &String)| Chip { term: Text::new(term), without: link("/attacks", &without(at), range) };
    all.iter().enumerate().map(chip).collect()
}

/// The terms but for those of `attribute`.
pub fn without(text: &str, attribute: &str) -> Vec<String> {
    let prefix = format!("{attribute}:");
    terms(text).into_iter().filter(|term| !term.trim_start_matches(['!', '-']).starts_with(&prefix)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_taken_apart_and_put_together() {
        let text = "sqli  d:\"a b\" !ip:10.0.0.0/8 status:blocked";
        assert_eq!(terms(text), ["sqli", "d:\"a b\"", "!ip:10.0.0.0/8", "status:blocked"]);
        assert_eq!(without(text, "status").len(), 3);
        assert_eq!(without(text, "ip").len(), 3);
        assert_eq!(
            chips(text, "7d")[0].without,
            "/attacks?q=d%3A%22a%20b%22%20%21ip%3A10.0.0.0%2F8%20status%3Ablocked&range=7d"
        );
        assert_eq!((term("d", "x.y"), term("u", "/a b\"c")), ("d:x.y".into(), "u:\"/a b?c\"".into()));
        assert_eq!(terms(&"a ".repeat(500)).len(), MAX_TERMS);
    }
}
