//! Whether a value may contain injected SQL: one pass over its words and symbols, before tokens are made.
//!
//! **Correctness.** [`may_contain_sql`] is false only for values in which the grammar finds no structure of any weight.
//! Every structure of [`super::structure`] needs a keyword, a symbol, or a symbol at a certain position. These are looked
//! for here without regard to quotes and comments, which can only remove words. One exception: a literal in typographic
//! quotes as the only operand of a condition (`or ’a`), because prose has these as apostrophes. The test
//! `texts_rejected_by_the_prescan_weigh_nothing` of [`super`] compares both. Most values that pass the prefilter
//! (sentences, addresses, URLs, user agents) are rejected here.

use super::lex::{WORD_BYTES, closing, is_glued_keyword};
use super::words::{Word, meaning};
use super::{query, stacked};
use crate::model::ByteClasses;

/// Which kinds of words a value contains, as far as structures depend on it.
#[derive(Clone, Copy, Default)]
struct WordSet(u32);

impl WordSet {
    /// A word that is rare in ordinary text and part of some structure: sufficient to parse the value.
    const DISTINCTIVE: u32 = 1;
    /// `or`, `where`: a condition may follow.
    const LOGIC: u32 = 1 << 1;
    /// `like`, `between`
    const COMPARE: u32 = 1 << 2;
    const IN: u32 = 1 << 3;
    const SORT: u32 = 1 << 4;
    const BY: u32 = 1 << 5;
    const IF: u32 = 1 << 6;
    /// A function that may be called: `concat(`.
    const CALL: u32 = 1 << 7;
    /// `into`, `set`, `declare`, where a variable may follow.
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
    const CONSTANT: u32 = 1 << 21;
    const CATALOGUE: u32 = 1 << 22;
    /// A number before a parenthesis: `1(`.
    const NUMBER_CALL: u32 = 1 << 23;

    /// The kinds of `word`, whatever is beside it.
    fn of(word: Word) -> u32 {
        match word {
            Word::Plain => 0,
            Word::Logic | Word::Condition => Self::LOGIC,
            Word::Compare => Self::COMPARE | Self::CALL,
            Word::Between => Self::COMPARE,
            Word::In => Self::IN,
            Word::Sort => Self::SORT,
            Word::By => Self::BY,
            Word::If => Self::IF | Self::CALL,
            Word::SoftCall | Word::Sleep | Word::Is | Word::Arithmetic => Self::CALL,
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
            Word::Constant => Self::CONSTANT,
            Word::Catalogue => Self::CATALOGUE,
            Word::Select | Word::Case | Word::File | Word::Waitfor | Word::StrongCall | Word::Shutdown => {
                Self::DISTINCTIVE
            }
            Word::Execute => Self::DISTINCTIVE | Self::CALL,
            // `analyse`, which alone makes a structure of `procedure`, is distinctive itself.
            Word::Procedure => 0,
            Word::Prefix | Word::Quantifier | Word::Limit | Word::Then | Word::Delay => 0,
        }
    }

    /// What the keyword `name`, of meaning `word`, is behind `before` and before `rest`.
    fn in_place(name: &[u8], word: Word, before: Before, rest: &[u8]) -> u32 {
        let followed = |wanted: fn(u8) -> bool| is_followed_by(rest, wanted);
        let starts = before == Before::Start;
        let stays = match word {
            Word::Logic | Word::Condition => !is_prose(rest),
            // `(select ...`, or behind an operator an operand that no sentence has there.
            Word::Select => match before {
                Before::Plain => false,
                Before::Start | Before::Keyword => true,
                Before::Symbol => followed(|b| b"(*@'\"`.$\\[".contains(&b) || b.is_ascii_digit()),
            },
            // `case when`, `case having`, `case on`
            Word::Case => before != Before::Plain && followed(|b| matches!(b | 0x20, b'w' | b'h' | b'o')),
            Word::Sort => followed(|b| b | 0x20 == b'b'),
            Word::If => followed(|b| b.is_ascii_digit() || matches!(b, b'(' | b'.' | b'\\')),
            Word::Shutdown | Word::Define | Word::Update | Word::Delete => starts,
            _ => true,
        };
        if !stays {
            return 0;
        }
        let mut kinds = Self::of(word);
        if !starts && matches!(word, Word::Insert | Word::Execute) {
            kinds &= Self::CALL;
        } else if word == Word::Define && matches!(name[0] | 0x20, b'g' | b'r') {
            // `grant`, `revoke`: what follows may be any name.
            kinds |= Self::DISTINCTIVE;
        }
        if kinds & Self::CALL != 0 && !followed(|b| b == b'(') {
            kinds &= !Self::CALL;
        }
        if kinds & Self::STORE != 0 && !followed(|b| b == b'@') {
            kinds &= !Self::STORE;
        }
        kinds
    }

    fn has(self, all: u32) -> bool {
        self.0 & all == all
    }
}

/// Whether the grammar may find a structure in `text`, whose byte classes are `classes`.
pub fn may_contain_sql(text: &[u8], classes: ByteClasses) -> bool {
    const PIPES: ByteClasses = ByteClasses::PIPE.with(ByteClasses::AMP);
    let words = words(text, classes);
    words.has(WordSet::DISTINCTIVE)
        || combine(words)
        || (words.has(WordSet::CONSTANT) && begins_with_operand(text))
        || (classes.intersects(PIPES) && text.windows(2).any(|w| w == b"||" || w == b"&&"))
        || (classes.intersects(ByteClasses::AT)
            && (words.has(WordSet::STORE) || text.windows(2).any(|w| w == b"@@" || w == b":=")))
        || (classes.intersects(ByteClasses::COLON) && memchr::memmem::find(text, b"::").is_some())
        || (classes.intersects(ByteClasses::SEMICOLON) && stacks(text))
        || condition(words, classes)
        || call(words, classes, text)
        || (classes.intersects(ByteClasses::LPAREN) && classes.intersects(COMPARE) && compares_literals(text))
        || (words.has(WordSet::FROM) && cuts_off(text))
        || breaks(text, classes)
}

/// Whether a comment without text at the end may hide the rest of the statement.
fn cuts_off(text: &[u8]) -> bool {
    let end = text.last_chunk::<{ query::BARE_COMMENT }>().map_or(text, |end| &end[..]);
    end.contains(&b'#') || end.windows(2).any(|pair| matches!(pair, b"--" | b"/*"))
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
        || words.has(WordSet::FROM | WordSet::CATALOGUE)
}

/// Whether there may be a condition: a comparison, or a literal by itself.
fn condition(words: WordSet, classes: ByteClasses) -> bool {
    let compared = classes.intersects(COMPARE) || words.has(WordSet::COMPARE);
    if words.has(WordSet::LOGIC) {
        let list = words.has(WordSet::IN) && classes.intersects(ByteClasses::LPAREN);
        return compared
            || list
            || words.has(WordSet::CONSTANT)
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
        || (called || words.has(WordSet::NUMBER_CALL)) && begins_with_value(text)
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

/// Whether the text may begin with a literal, or with an operator before it: `1-false`.
fn begins_with_operand(text: &[u8]) -> bool {
    let text = skip_blanks(text);
    let word = text.iter().position(|b| !is_inner(*b)).unwrap_or(text.len());
    match text {
        [b'0'..=b'9' | b'.' | b'\'' | b'"' | b'$' | b'\\' | b'_', ..] => true,
        [b'+' | b'-' | b'/' | b'%' | b'^' | b'|' | b'&' | b'~' | b'!' | b')', ..] => true,
        // `n'a'`, and constants.
        _ => text.get(word) == Some(&b'\'') || meaning(&text[..word]) == Word::Constant || begins_comment(text),
    }
}

/// Whether a comparison of two literals may follow some `(`.
fn compares_literals(text: &[u8]) -> bool {
    memchr::memchr_iter(b'(', text).any(|at| {
        let rest = skip_blanks(&text[at + 1..]);
        match rest {
            [b'0'..=b'9' | b'.', ..] => is_compared(&rest[number(rest, 0).max(1)..]),
            [quote @ (b'\'' | b'"'), inner @ ..] => memchr::memchr2(*quote, b'\\', inner)
                .is_none_or(|end| inner[end] == b'\\' || is_compared(&inner[end + 1..])),
            [b'n' | b'N' | b'x' | b'X' | b'b' | b'B' | b'e' | b'E', b'\'', ..] | [b'_' | b'$' | b'\\', ..] => true,
            _ => begins_comment(rest),
        }
    })
}

/// Whether a comparison may follow a literal, which ends before `rest`: behind its closing parentheses is an operator, and
/// not the end of a sentence or a tag.
fn is_compared(rest: &[u8]) -> bool {
    let rest = &rest[rest.iter().take_while(|b| **b <= b' ' || matches!(b, b')' | 0x7f)).count()..];
    match rest {
        [b'<', b'/', name, ..] | [b'<', name, ..] if name.is_ascii_alphabetic() => {
            let name = &rest[rest.iter().take_while(|b| !b.is_ascii_alphabetic()).count()..];
            let end = name.iter().position(|b| !is_inner(*b)).unwrap_or(name.len());
            name.get(end) == Some(&b'\'') || meaning(&name[..end]) != Word::Plain
        }
        // Words of comparison and arithmetic, too.
        [b, ..] => !matches!(b, b',' | b';' | b'{' | b'}' | b'[' | b']' | b'"' | b'`' | b'(') || begins_comment(rest),
        [] => false,
    }
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
                || rest[..word].eq_ignore_ascii_case(b"returning")
        }
        // Bytes from 0x80 on begin letters, except these, which begin no-break spaces and typographic quotes.
        Some(b) => *b < 0x80 || matches!(b, 0xa0 | 0xc2 | 0xca | 0xe2 | 0xef),
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|b| **b <= b' ' || **b == 0x7f).count()..]
}

/// Whether the first byte of `rest` behind blanks is `wanted`, or may be behind a comment too.
fn is_followed_by(rest: &[u8], wanted: fn(u8) -> bool) -> bool {
    let rest = skip_blanks(rest);
    rest.first().is_some_and(|b| wanted(*b)) || begins_comment(rest)
}

/// Whether `rest` may begin with a comment, or with white space beyond ASCII.
fn begins_comment(rest: &[u8]) -> bool {
    matches!(rest, [b'#' | b'+' | 0x80.., ..] | [b'/', b'*', ..] | [b'*', b'/', ..] | [b'-', b'-', ..])
}

/// Longest word of ordinary text that is looked at.
const MAX_WORD: usize = 24;

/// Whether no condition follows `or` and the like: no operand begins in `rest`, or the operand is a name with neither an
/// operator, a parenthesis nor a comment behind it.
fn is_prose(mut rest: &[u8]) -> bool {
    /// Most words of an operand: `any of`, `example. It`.
    const MAX_WORDS: usize = 6;
    let glued = rest;
    for _ in 0..MAX_WORDS {
        let word = rest.trim_ascii_start();
        let Some((meaning, after)) = first_word(word) else {
            return rest.len() == glued.len() && begins_no_operand(word);
        };
        // Not `or1`, and not `or n'1'`.
        if word.len() == glued.len() || after.first() == Some(&b'\'') && word.len() - after.len() == 1 {
            return false;
        }
        rest = after;
        match meaning {
            Word::Prefix | Word::Quantifier => continue,
            Word::Plain | Word::Object | Word::SoftCall | Word::Catalogue | Word::Sleep | Word::Delay => {}
            Word::Constant | Word::Select | Word::Case | Word::StrongCall | Word::Values | Word::Logic => return false,
            Word::If | Word::Insert | Word::Execute | Word::Is | Word::Arithmetic | Word::Compare => {
                return !is_followed_by(rest, |b| b == b'(');
            }
            _ => return !begins_comment(rest.trim_ascii_start()),
        }
        // The name goes on behind a dot.
        match rest.trim_ascii_start().strip_prefix(b".") {
            Some(more) if first_word(more.trim_ascii_start()).is_some() => rest = more,
            Some(more) => return !begins_comment(more.trim_ascii_start()) && !more.starts_with(b"_"),
            None => return is_name_alone(rest.trim_ascii_start()),
        }
    }
    false
}

/// The meaning of the word at the start of `text`, and what follows it; `None` if it is not plainly a word of ASCII letters.
fn first_word(text: &[u8]) -> Option<(Word, &[u8])> {
    let end = text.iter().take(MAX_WORD).take_while(|b| b.is_ascii_alphabetic()).count();
    let complete = text.get(end).is_none_or(|next| *next < 0x80 && !is_inner(*next));
    (end > 0 && complete).then(|| (meaning(&text[..end]), &text[end..]))
}

/// Whether no operand begins with the symbol at the start of `text`.
fn begins_no_operand(text: &[u8]) -> bool {
    matches!(text, [b'<' | b'>' | b'=' | b',' | b';' | b':' | b')' | b']' | b'}', ..])
        || text.first() == Some(&b'*') && !begins_comment(text)
}

/// Whether what follows the name that is an operand makes no condition of it.
fn is_name_alone(rest: &[u8]) -> bool {
    match rest {
        [] | [b',' | b';' | b'{' | b'}' | b']' | b'"' | b'`' | b'\'', ..] | [b'<', b'/', ..] => return true,
        [b':', next, ..] if !matches!(next, b':' | b'=') => return true,
        _ => {}
    }
    let Some((word, after)) = first_word(rest) else { return false };
    match word {
        Word::Prefix | Word::Compare | Word::Between | Word::Arithmetic => false,
        Word::In => !is_followed_by(after, |b| b == b'('),
        // `x is null`
        Word::Is => {
            let meaning = first_word(after.trim_ascii_start()).map(|found| found.0);
            !matches!(meaning, None | Some(Word::Prefix | Word::Constant))
        }
        // `or a or '`
        Word::Logic => !is_followed_by(after, |b| matches!(b, b'\'' | b'"')),
        _ => true,
    }
}

/// Whether an ASCII byte may continue a word. Others may too, but they only turn keywords into plain words.
fn is_inner(b: u8) -> bool {
    WORD_BYTES[usize::from(b)]
}

/// What a byte may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenStart {
    Blank,
    Line,
    Word,
    Number,
    Quote,
    /// A symbol behind which a statement may begin.
    Break,
    Symbol,
}

/// What each byte may begin.
static TOKEN_STARTS: [TokenStart; 256] = {
    let mut table = [TokenStart::Symbol; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = match b as u8 {
            // A `+` beside a keyword is a blank that was not decoded.
            b' ' | b'\t' | b'+' => TokenStart::Blank,
            b'\n' | b'\r' => TokenStart::Line,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => TokenStart::Word,
            b'0'..=b'9' => TokenStart::Number,
            b'\'' | b'"' => TokenStart::Quote,
            b';' | b'(' | b')' | b'/' | b'!' | b'`' | 0..b' ' | 0x7f.. => TokenStart::Break,
            _ => TokenStart::Symbol,
        };
        b += 1;
    }
    table
};

/// What is before a word, with only blanks between.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing, or what a statement may begin behind: a quote, `;`, `)`, a comment, a character beyond ASCII.
    Start,
    /// A word that is no keyword.
    Plain,
    /// A keyword.
    Keyword,
    /// Another symbol, or a number.
    Symbol,
}

/// The kinds of all words of `text`, which is made of `classes`. Stops at a distinctive one.
fn words(text: &[u8], classes: ByteClasses) -> WordSet {
    let calls = classes.intersects(ByteClasses::LPAREN);
    let mut all = WordSet::default();
    let mut at = 0;
    let mut before = Before::Start;
    // Whether the line may have a comment, behind which the next line continues the line before.
    let mut commented = false;
    // End of the last word, if a quote right after it can only be an apostrophe or the end of a literal.
    let mut plain_end = usize::MAX;
    while let Some(&b) = text.get(at) {
        match TOKEN_STARTS[b as usize] {
            TokenStart::Blank => at += 1,
            TokenStart::Line => {
                before = if std::mem::take(&mut commented) { Before::Start } else { before };
                at += 1;
            }
            TokenStart::Symbol => {
                commented |= matches!(b, b'#' | b'-');
                before = Before::Symbol;
                at += 1;
            }
            TokenStart::Break => {
                before = Before::Start;
                at += 1;
            }
            TokenStart::Word => {
                let start = at;
                at += text[at..].iter().position(|b| !is_inner(*b)).unwrap_or(text.len() - at);
                let word = meaning(&text[start..at]);
                if word == Word::Plain {
                    plain_end = if at - start > 1 && b != b'_' { at } else { usize::MAX };
                    before = Before::Plain;
                    continue;
                }
                all.0 |= WordSet::in_place(&text[start..at], word, before, &text[at..]);
                before = Before::Keyword;
                if all.has(WordSet::DISTINCTIVE) {
                    break;
                }
            }
            TokenStart::Number => {
                at = number(text, at);
                before = Before::Symbol;
                if calls && is_followed_by(&text[at..], |b| b == b'(') {
                    all.0 |= WordSet::NUMBER_CALL;
                }
            }
            TokenStart::Quote => {
                if at != plain_end {
                    all.0 |= WordSet::QUOTE;
                }
                before = Before::Start;
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
