//! Whether a value may contain injected SQL: one pass over its words and symbols, before tokens are made.
//!
//! **Correctness.** [`may_contain_sql`] is false only for values in which the grammar finds no structure of any weight.
//! Every structure of [`super::structure`] needs a keyword, a symbol, or a symbol at a certain position. These are looked
//! for here without regard to quotes and comments, which can only remove words. One exception: a literal in typographic
//! quotes as the only operand of a condition (`or ’a`), because prose has these as apostrophes. The test
//! `texts_rejected_by_the_prescan_weigh_nothing` of [`super`] compares both. Most values that pass the prefilter
//! (sentences, addresses, URLs, user agents) are rejected here.

use super::lex::{WORD_BYTES, closing, is_glued_keyword};
use super::stacked;
use super::words::{Word, meaning};
use crate::model::ByteClasses;

/// Which kinds of words a value contains, as far as structures depend on it.
#[derive(Clone, Copy, Default)]
struct WordSet(u32);

impl WordSet {
    /// A word that is rare in ordinary text and part of some structure: sufficient to parse the value.
    const DISTINCTIVE: u32 = 1;
    /// `or`, `where`: a condition follows.
    const LOGIC: u32 = 1 << 1;
    /// `like`, `between`
    const COMPARE: u32 = 1 << 2;
    const IN: u32 = 1 << 3;
    const SORT: u32 = 1 << 4;
    const BY: u32 = 1 << 5;
    const IF: u32 = 1 << 6;
    /// A word that may be called as a function: `concat(`.
    const CALL: u32 = 1 << 7;
    /// `into`, `set`, `declare`: a variable may follow.
    const STORE: u32 = 1 << 8;
    const DEFINE: u32 = 1 << 9;
    const OBJECT: u32 = 1 << 10;
    const INSERT: u32 = 1 << 11;
    const INTO: u32 = 1 << 12;
    const UPDATE: u32 = 1 << 13;
    const SET: u32 = 1 << 14;
    const DELETE: u32 = 1 << 15;
    const FROM: u32 = 1 << 16;
    /// A quote that does not follow a word.
    const QUOTE: u32 = 1 << 17;
    const UNION: u32 = 1 << 18;
    const VALUES: u32 = 1 << 19;
    const AS: u32 = 1 << 20;

    fn of(word: Word) -> u32 {
        match word {
            Word::Plain => 0,
            Word::Logic | Word::Condition => Self::LOGIC,
            Word::Compare | Word::Between => Self::COMPARE,
            Word::In => Self::IN,
            Word::Sort => Self::SORT,
            Word::By => Self::BY,
            Word::If => Self::IF | Self::CALL,
            Word::SoftCall | Word::Sleep => Self::CALL,
            Word::Into => Self::INTO | Self::STORE,
            Word::Set => Self::SET | Self::STORE,
            Word::Declare => Self::STORE,
            Word::Define => Self::DEFINE,
            Word::Object => Self::OBJECT | Self::CALL,
            Word::Insert => Self::INSERT | Self::CALL,
            Word::Update => Self::UPDATE,
            Word::Delete => Self::DELETE,
            Word::From => Self::FROM,
            Word::Union => Self::UNION,
            Word::Values => Self::VALUES,
            Word::As => Self::AS,
            Word::Constant
            | Word::Select
            | Word::Case
            | Word::File
            | Word::Waitfor
            | Word::Procedure
            | Word::Catalogue
            | Word::StrongCall
            | Word::Shutdown
            | Word::Execute => Self::DISTINCTIVE,
            Word::Prefix | Word::Is | Word::Arithmetic | Word::Quantifier | Word::Limit | Word::Then | Word::Delay => 0,
        }
    }

    fn has(self, all: u32) -> bool {
        self.0 & all == all
    }
}

/// Whether the grammar may find a structure in `text`, whose byte classes are `classes`.
pub fn may_contain_sql(text: &[u8], classes: ByteClasses) -> bool {
    const PIPES: ByteClasses = ByteClasses::PIPE.with(ByteClasses::AMP);
    let words = words(text);
    words.has(WordSet::DISTINCTIVE)
        || combine(words)
        || (classes.intersects(PIPES) && text.windows(2).any(|w| w == b"||" || w == b"&&"))
        || (classes.intersects(ByteClasses::AT)
            && (words.has(WordSet::STORE) || text.windows(2).any(|w| w == b"@@" || w == b":=")))
        || (classes.intersects(ByteClasses::COLON) && memchr::memmem::find(text, b"::").is_some())
        || (classes.intersects(ByteClasses::SEMICOLON) && stacks(text))
        || condition(words, classes)
        || call(words, classes, text)
        || (classes.intersects(ByteClasses::LPAREN) && classes.intersects(COMPARE) && opens_literal(text))
        || (words.has(WordSet::FROM) && cuts_off(text))
        || breaks(text, classes)
}

/// Whether a comment may hide the rest of the statement.
fn cuts_off(text: &[u8]) -> bool {
    text.contains(&b'#') || text.windows(2).any(|pair| matches!(pair, b"--" | b"/*"))
}

/// Whether a statement may follow some `;`.
fn stacks(text: &[u8]) -> bool {
    memchr::memchr_iter(b';', text).any(|at| stacked::may_begin(skip_blanks(&text[at + 1..])))
}

/// Symbols of comparisons.
const COMPARE: ByteClasses = ByteClasses::EQUALS.with(ByteClasses::LT).with(ByteClasses::GT);

/// Whether two words occur that only together form a structure.
fn combine(words: WordSet) -> bool {
    words.has(WordSet::SORT | WordSet::BY)
        || words.has(WordSet::DEFINE | WordSet::OBJECT)
        || words.has(WordSet::INSERT | WordSet::INTO)
        || words.has(WordSet::UPDATE | WordSet::SET)
        || words.has(WordSet::DELETE | WordSet::FROM)
        || words.has(WordSet::UNION | WordSet::VALUES)
        || words.has(WordSet::UNION | WordSet::OBJECT)
}

/// Whether there may be a condition: a comparison, or a literal by itself.
fn condition(words: WordSet, classes: ByteClasses) -> bool {
    let compared = classes.intersects(COMPARE) || words.has(WordSet::COMPARE);
    if words.has(WordSet::LOGIC) {
        let list = words.has(WordSet::IN) && classes.intersects(ByteClasses::LPAREN);
        return compared
            || list
            || classes.intersects(ByteClasses::DIGIT.with(ByteClasses::DOLLAR))
            || words.has(WordSet::QUOTE);
    }
    words.has(WordSet::IF)
        && classes.intersects(ByteClasses::LPAREN.with(ByteClasses::DIGIT))
        && (compared || words.has(WordSet::IN) || classes.intersects(ByteClasses::DOLLAR))
}

/// Whether there may be a call as an operand: in a condition, after a value or operator at the beginning, or with a number
/// in it.
fn call(words: WordSet, classes: ByteClasses, text: &[u8]) -> bool {
    if !classes.intersects(ByteClasses::LPAREN) {
        return false;
    }
    let called = words.has(WordSet::CALL);
    called && (words.has(WordSet::LOGIC) || words.has(WordSet::AS) || classes.intersects(ByteClasses::DIGIT))
        || (called || classes.intersects(ByteClasses::DIGIT)) && begins_with_value(text)
}

/// Whether the text may begin with an operator or a complete value that code follows.
fn begins_with_value(text: &[u8]) -> bool {
    let text = skip_blanks(text);
    if !text.first().is_some_and(u8::is_ascii_alphabetic) {
        return true;
    }
    let word = text.iter().position(|b| !is_inner(*b)).unwrap_or(text.len());
    let rest = &text[word..];
    if matches!(rest.first(), Some(b'\'' | b'"' | 0x80..)) {
        return true;
    }
    let rest = skip_blanks(rest);
    matches!(rest, [b')' | b'#' | b',' | 0x80.., ..] | [b'/', b'*', ..] | [b'*', b'/', ..] | [b'-', b'-', ..])
}

/// Whether a number or text may follow some `(`.
fn opens_literal(text: &[u8]) -> bool {
    memchr::memchr_iter(b'(', text).any(|at| match skip_blanks(&text[at + 1..]) {
        [] | [b')', ..] => false,
        [b'n' | b'N' | b'x' | b'X' | b'b' | b'B' | b'e' | b'E', b'\'', ..] | [b'_', ..] => true,
        [first, ..] => !first.is_ascii_alphabetic(),
    })
}

/// Whether code that continues the statement may follow the quote that closes the literal around the value.
fn breaks(text: &[u8], classes: ByteClasses) -> bool {
    let after = |quote: u8| closing(text, quote).is_some_and(|at| continues_statement(&text[at..]));
    (classes.intersects(ByteClasses::QUOTE.with(ByteClasses::HIGH)) && after(b'\''))
        || (classes.intersects(ByteClasses::DQUOTE) && after(b'"'))
        || (classes.intersects(ByteClasses::BACKTICK) && after(b'`'))
}

fn continues_statement(rest: &[u8]) -> bool {
    let skipped = rest.iter().take_while(|b| **b <= b' ' || matches!(b, b')' | 0x7f)).count();
    let rest = &rest[skipped..];
    match rest.first() {
        None | Some(b'0'..=b'9' | b'.' | b'?' | b'_') => false,
        Some(b) if b.is_ascii_alphabetic() => {
            let word = rest.iter().position(|b| !is_inner(*b)).unwrap_or(rest.len());
            matches!(meaning(&rest[..word]), Word::In | Word::Limit | Word::Compare | Word::Logic)
        }
        // Bytes from 0x80 on begin letters, except these, which begin no-break spaces and typographic quotes.
        Some(b) => *b < 0x80 || matches!(b, 0xa0 | 0xc2 | 0xca | 0xe2 | 0xef),
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| **b <= b' ' || **b == 0x7f).count()..]
}

/// Whether an ASCII byte may continue a word. Others may too, but they only turn keywords into plain words.
fn is_inner(b: u8) -> bool {
    WORD_BYTES[usize::from(b)]
}

/// What a byte may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenStart {
    Nothing,
    Word,
    Number,
    Quote,
}

/// What each byte may begin.
static TOKEN_STARTS: [TokenStart; 256] = {
    let mut table = [TokenStart::Nothing; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match b as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => TokenStart::Word,
            b'0'..=b'9' => TokenStart::Number,
            b'\'' | b'"' => TokenStart::Quote,
            _ => TokenStart::Nothing,
        };
        b += 1;
    }
    table
};

/// The kinds of all words of `text`. Stops at a distinctive one.
fn words(text: &[u8]) -> WordSet {
    let mut all = WordSet::default();
    let mut at = 0;
    // End of the last word, if a quote right after it can only be an apostrophe or the end of a literal.
    let mut plain_end = usize::MAX;
    while let Some(&b) = text.get(at) {
        match TOKEN_STARTS[b as usize] {
            TokenStart::Nothing => at += 1,
            TokenStart::Word => {
                let start = at;
                at += text[at..].iter().position(|b| !is_inner(*b)).unwrap_or(text.len() - at);
                let word = meaning(&text[start..at]);
                if word == Word::Plain {
                    plain_end = if at - start > 1 && b != b'_' { at } else { usize::MAX };
                    continue;
                }
                all.0 |= WordSet::of(word);
                if all.has(WordSet::DISTINCTIVE) {
                    break;
                }
            }
            TokenStart::Number => at = number(text, at),
            TokenStart::Quote => {
                if at != plain_end {
                    all.0 |= WordSet::QUOTE;
                }
                at += 1;
            }
        }
    }
    all
}

/// The end of the number at `at`, including letters that follow directly without being a keyword, as in the lexer.
fn number(text: &[u8], mut at: usize) -> usize {
    let peek = |at: usize| text.get(at).copied().unwrap_or(0);
    let run = |at: usize, what: fn(u8) -> bool| at + text[at..].iter().take_while(|b| what(**b)).count();
    if peek(at) == b'0' && peek(at + 1) | 0x20 == b'x' && peek(at + 2).is_ascii_hexdigit() {
        return run(at + 2, |b| b.is_ascii_hexdigit());
    }
    at = run(at, |b| b.is_ascii_digit() || b == b'.');
    if peek(at) | 0x20 == b'e' {
        let sign = usize::from(matches!(peek(at + 1), b'+' | b'-'));
        if peek(at + 1 + sign).is_ascii_digit() {
            at = run(at + 1 + sign, |b| b.is_ascii_digit());
        } else if matches!(peek(at + 1), b'(' | b' ' | b'.') && text[at - 1] == b'.' {
            at += 1;
        }
    }
    let letters = run(at, |b| b.is_ascii_alphabetic());
    let keyword = is_glued_keyword(&text[at..letters]);
    if !keyword && matches!(peek(at) | 0x20, b'd' | b'f') && is_glued_keyword(&text[at + 1..letters]) {
        return at + 1;
    }
    if keyword || !(peek(at).is_ascii_alphabetic() || peek(at) == b'_') { at } else { run(at, is_inner) }
}

#[cfg(test)]
mod tests {
    use super::may_contain_sql;
    use crate::model::ByteClasses;

    #[test]
    fn ordinary_text_is_rejected() {
        for text in [
            "payment order region, and it's winter.",
            "someone@example.com",
            "https://example.com/a?b=c&d=e#f",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
            "Tom & Jerry (the movie): a review",
            "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
            "Don't wait for the children's party",
            "2nd of May, 10am",
        ] {
            assert!(!may_contain_sql(text.as_bytes(), ByteClasses::of(text.as_bytes())), "{text}");
        }
    }
}
