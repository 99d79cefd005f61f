//! Lists of words, any of which is looked for in one pass over a text.

use aho_corasick::AhoCorasick;
use std::sync::OnceLock;

/// Words in lower case that are looked for together, so that the cost does not grow with their number. The automaton is
/// built at the first use.
#[derive(Debug)]
pub(super) struct AnyOf {
    words: &'static [&'static [u8]],
    automaton: OnceLock<Option<AhoCorasick>>,
}

impl AnyOf {
    /// Looks for `words`.
    pub(super) const fn new(words: &'static [&'static [u8]]) -> Self {
        Self { words, automaton: OnceLock::new() }
    }

    /// Whether `text` has one of the words.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        match self.automaton.get_or_init(|| AhoCorasick::new(self.words).ok()) {
            Some(automaton) => automaton.is_match(text),
            // Too many words for an automaton, which no list here has.
            None => self.words.iter().any(|word| memchr::memmem::find(text, word).is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_word_is_found_anywhere() {
        static WORDS: AnyOf = AnyOf::new(&[b"ab", b"bcd", b"x\0"]);
        for (text, is_in) in
            [(&b"zzab"[..], true), (b"abcd", true), (b"a x\0", true), (b"a b c d x", false), (b"", false)]
        {
            assert_eq!(WORDS.is_in(text), is_in, "{text:?}");
        }
    }
}
