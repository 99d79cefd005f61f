//! Where the reading of a text in one context goes on as that in an earlier one.
//!
//! Contexts make different tokens of a text, until a comment or a literal in other quotes holds an odd number of their
//! quotes. From the end of a token that both have they read the same, since nothing but the place decides what the lexer
//! reads next. Without this, a long text is read as often as there are kinds of quotes in it.

use super::lex::{Context, Lexer, Token, TokenKind};
use super::{OVERLAP, WINDOW};

/// Shorter texts are read to their end in each context.
const MIN_TEXT: usize = 2048;
/// Tokens at the end of a text that are read in another context too, if it ends in an open literal.
const TAIL: usize = 256;

/// Where the tokens end that were read in earlier contexts.
#[derive(Default)]
pub(super) struct EarlierReadings {
    /// A bit for each byte; none for a short text.
    ends: Vec<u64>,
    /// Where the last tokens of the first reading begin, if an open literal is the last one and nothing has read them in
    /// quotes.
    pub open_tail: Option<usize>,
}

impl EarlierReadings {
    /// None of `text` so far.
    pub(super) fn new(text: &[u8]) -> Self {
        let words = if text.len() < MIN_TEXT { 0 } else { text.len() / 64 + 1 };
        Self { ends: vec![0; words], open_tail: None }
    }

    /// Notes `tokens`.
    pub(super) fn note(&mut self, tokens: &[Token]) {
        if !self.ends.is_empty() {
            tokens.iter().for_each(|token| self.ends[token.end as usize / 64] |= 1 << (token.end % 64));
        }
    }

    /// Whether one that ends where `token` does was noted.
    #[inline]
    pub(super) fn have(&self, token: &Token) -> bool {
        self.ends.get(token.end as usize / 64).is_some_and(|word| word & 1 << (token.end % 64) != 0)
    }

    /// Notes that `tokens` are the last ones, and end with an open literal.
    pub(super) fn note_open(&mut self, tokens: &[Token]) {
        self.open_tail = tokens.get(tokens.len().saturating_sub(TAIL)).map(|token| token.start as usize);
    }
}

/// How far a window reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// The text goes on.
    Full,
    /// To the end of the text.
    End,
    /// To where an earlier context has read the same, and [`OVERLAP`] tokens further.
    Known,
}

/// Fills a window of `tokens`.
pub(super) fn fill(tokens: &mut Vec<Token>, lexer: &mut Lexer<'_>, earlier: &EarlierReadings) -> Reached {
    let (mut full, mut reached) = (WINDOW, Reached::Full);
    while tokens.len() < full {
        let Some(token) = lexer.next() else { return Reached::End };
        tokens.push(token);
        if reached == Reached::Full && earlier.have(&token) {
            (full, reached) = (tokens.len() + OVERLAP, Reached::Known);
        }
    }
    reached
}

/// Notes how a reading to the end of the text ended: an open literal weighs more in quotes.
pub(super) fn note_end(context: Context, tokens: &[Token], earlier: &mut EarlierReadings) {
    let open = tokens.last().is_some_and(|token| token.kind == TokenKind::Open);
    match context {
        Context::Plain if open => earlier.note_open(tokens),
        Context::Plain => {}
        Context::Quoted(_) if open => earlier.open_tail = None,
        Context::Quoted(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::EarlierReadings;

    const CONTEXTS: [Context; 3] = [Context::Plain, Context::Quoted(b'\''), Context::Quoted(b'"')];

    /// The weight of `text`, and how many bytes were examined for it, if contexts know of each other or each is read alone.
    fn weight(text: &[u8], alone: bool) -> (u8, u64) {
        let (mut best, mut buffers) = (BestMatch::default(), Buffers::default());
        let mut earlier = EarlierReadings::new(text);
        let examined = work::counted(|| {
            for context in CONTEXTS {
                if alone {
                    earlier = EarlierReadings::new(text);
                }
                read(text, ByteClasses::of(text), context, &|_| true, &mut buffers, &mut earlier, &mut best);
            }
        });
        // Beyond that, what is found first ends the search.
        (best.weight.min(CERTAIN), examined)
    }

    /// A text of these pieces in an order that does not repeat, with `attack` in the middle and `end` behind it.
    fn text(seed: u64, attack: &str, end: &str) -> String {
        let pieces =
            ["it's ", "say \"x\" ", "(a, b) ", "/* don't */ ", "x = 'y'; ", "-- \"\n", "1 + 2 ", "5\" ", "\\' "];
        let (mut state, mut parts) = (seed, vec![attack]);
        for number in 0..1200 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let piece = pieces[(state >> 33) as usize % pieces.len()];
            parts.insert(if number % 2 == 0 { 0 } else { parts.len() }, piece);
        }
        parts.push(end);
        parts.concat()
    }

    #[test]
    fn what_is_read_once_weighs_the_same() {
        let attacks = ["", "' or 1=1 -- \n", "\" or 1=1 -- \n", "1 union select a, b from c ", "'; drop table x; "];
        for seed in 0..24 {
            for attack in attacks {
                for end in ["", "' or 'a'='a", "\" or \"a\"=\"a", " or 'a"] {
                    let text = text(seed, attack, end);
                    let [(together, _), (alone, _)] = [false, true].map(|alone| weight(text.as_bytes(), alone));
                    assert_eq!(together, alone, "{seed}, {attack:?}, {end:?}");
                }
            }
        }
    }

    #[test]
    fn a_long_text_is_not_read_as_often_as_it_has_kinds_of_quotes() {
        let text = text(1, "", "").repeat(8);
        let [(_, together), (_, alone)] = [false, true].map(|alone| weight(text.as_bytes(), alone));
        assert!(2 * together < alone, "{together} of {alone} bytes");
    }
}
