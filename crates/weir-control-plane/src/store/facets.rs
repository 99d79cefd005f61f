//! Which signatures and applications the hits of an attack have: kept with the attack, so that a filter by these looks
//! into the hits of few attacks instead of all.

use super::incoming::Incoming;
use std::collections::BTreeSet;

/// Most words kept: an attack is of one type at one point, which few signatures look for.
const MAX_WORDS: usize = 24;
/// Longest word kept, in bytes.
const MAX_WORD: usize = 80;
/// Stands for any word.
pub(super) const ANY: &str = "*";

/// The words; none where they are too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facets(Option<BTreeSet<String>>);

impl Facets {
    /// Those of one hit.
    pub fn of(hit: &Incoming) -> Self {
        let rules = hit.rules().map(|rule| word("r", &rule));
        Self::limited(rules.chain([word("a", &hit.hit.application.to_string())]).collect())
    }

    /// Those of a stored attack.
    pub fn from_text(text: &str) -> Self {
        let words: BTreeSet<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.contains(ANY) { Self(None) } else { Self(Some(words)) }
    }

    /// As it is stored.
    pub fn to_text(&self) -> String {
        match &self.0 {
            None => format!(" {ANY} "),
            Some(words) => words.iter().fold(" ".to_owned(), |text, word| text + word + " "),
        }
    }

    /// Takes in those of another run.
    pub fn merge(&mut self, other: Facets) {
        let both = self.0.take().zip(other.0).map(|(ours, theirs)| ours.into_iter().chain(theirs).collect());
        *self = both.map_or(Self(None), Self::limited);
    }

    fn limited(words: BTreeSet<String>) -> Self {
        let fit = words.len() <= MAX_WORDS && words.iter().all(|word| word.len() <= MAX_WORD);
        // A word of several would be taken for these.
        let plain = words.iter().all(|word| !word.contains(char::is_whitespace) && word != ANY);
        Self((fit && plain).then_some(words))
    }
}

fn word(kind: &str, value: &str) -> String {
    format!("{kind}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Facets {
        Facets::from_text(text)
    }

    #[test]
    fn words_come_together_until_they_are_too_many() {
        let mut all = words(" a=1 r=x ");
        all.merge(words(" a=2 r=x "));
        assert_eq!(all.to_text(), " a=1 a=2 r=x ");
        for n in 0..MAX_WORDS {
            all.merge(words(&format!(" r={n} ")));
        }
        assert_eq!(all.to_text(), " * ");
        all.merge(words(" a=1 "));
        assert_eq!(all.to_text(), " * ", "what was lost does not come back");
        let mut one = words(" a=1 ");
        one.merge(words(" * "));
        assert_eq!(one, words(" * "));
    }

    #[test]
    fn odd_words_stand_for_any() {
        for odd in ["two words", &"x".repeat(MAX_WORD)] {
            assert_eq!(Facets::limited([word("r", odd)].into()).to_text(), " * ", "{odd}");
        }
    }
}
