//! Splits texts at the marked stretches, for highlighting.

use super::view::hit::Piece;
use super::view::text::Text;
use crate::policy::explain::{Explanation, Stretch};

/// Shortest value that is searched for in the request, in bytes; shorter ones occur by chance.
const MIN_VALUE: usize = 4;

/// `text` cut where the marked stretches begin and end.
pub fn pieces(text: &str, marks: &[Stretch]) -> Vec<Piece> {
    let mut marks: Vec<Stretch> = marks.to_vec();
    marks.sort_by_key(|mark| (mark.start, std::cmp::Reverse(mark.end)));
    let (mut out, mut at) = (Vec::new(), 0);
    for mark in marks {
        let (start, end) = (mark.start.max(at), mark.end.min(text.len()));
        // Skip marks outside the text, inside a character or inside an earlier mark.
        if start >= end || !text.is_char_boundary(start) || !text.is_char_boundary(end) {
            continue;
        }
        if start > at {
            out.push(Piece { text: Text::block(&text[at..start]), found: false });
        }
        out.push(Piece { text: Text::block(&text[start..end]), found: true });
        at = end;
    }
    if at < text.len() {
        out.push(Piece { text: Text::block(&text[at..]), found: false });
    }
    out
}

/// Marks the source of decisive findings whose match was decoded and so does not occur in the request literally: the value
/// of the last decoding step that does occur in it.
pub fn marks_of_steps(explanation: &Explanation) -> Vec<Stretch> {
    let mut out = Vec::new();
    let request = explanation.request.as_str();
    for one in explanation.findings.iter().filter(|one| one.finding.decisive) {
        let matched = one.finding.matched.trim_end_matches('\u{2026}');
        if !matched.is_empty() && request.contains(matched) {
            continue;
        }
        let values = one.steps.iter().rev().map(|step| step.value.trim_end_matches('\u{2026}'));
        let mut seen = values.filter(|value| value.len() >= MIN_VALUE && value.len() < request.len() / 2);
        if let Some((start, value)) = seen.find_map(|value| request.find(value).map(|start| (start, value))) {
            out.push(Stretch { start, end: start + value.len() });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, marks: &[(usize, usize)]) -> String {
        let marks: Vec<Stretch> = marks.iter().map(|&(start, end)| Stretch { start, end }).collect();
        let all = pieces(text, &marks);
        all.iter().map(|p| if p.found { format!("<{}>", p.text) } else { p.text.to_string() }).collect()
    }

    #[test]
    fn stretches_become_pieces() {
        assert_eq!(shown("abcdef", &[(1, 3)]), "a<bc>def");
        assert_eq!(shown("abcdef", &[(2, 9), (1, 3)]), "a<bc><def>");
        assert_eq!(shown("abcdef", &[(1, 5), (2, 3)]), "a<bcde>f");
        assert_eq!(shown("aéb", &[(2, 3)]), "aéb", "within a character");
        assert_eq!((shown("", &[(0, 1)]), shown("ab", &[])), (String::new(), "ab".into()));
    }
}
