//! Conditions that only injected code joins: a whole one behind a number, a search in a full text, a comparison with JSON.

use super::grammar::{Code, Position};
use super::lex::TokenKind;
use super::words::Word;

/// Whether the condition that ends at token `end` ends the value with a text or a number in hex, or a comment cuts off the rest.
pub fn is_whole_condition(code: &Code<'_>, end: usize) -> bool {
    let brackets = (end..).take_while(|&at| code.kind(at) == Some(TokenKind::Right)).count();
    let text = || {
        matches!(code.kind(end - 1), Some(TokenKind::Text | TokenKind::Open)) || code.bytes(end - 1).starts_with(b"0x")
    };
    match code.kind(end + brackets) {
        Some(TokenKind::Tail) => true,
        None => text(),
        _ => false,
    }
}

/// The end of the search in a full text at token `i`: `match(name) against ('x')`.
pub fn full_text_search(code: &Code<'_>, i: usize) -> Option<usize> {
    const MAX_COLUMNS: usize = 12;
    if !code.bytes(i).eq_ignore_ascii_case(b"match") {
        return None;
    }
    let against = (i + 2..i + MAX_COLUMNS).find(|&at| code.bytes(at).eq_ignore_ascii_case(b"against"))?;
    let text = matches!(code.kind(against + 2), Some(TokenKind::Text | TokenKind::Open));
    (text && code.kind(against + 1) == Some(TokenKind::Left)).then(|| code.past_close(against + 1))
}

/// Whether the name at token `i` is compared with a JSON document: `data @> '{}'`.
pub fn compares_json(code: &Code<'_>, i: usize) -> bool {
    let operator = (i + 1..i + 4).find(|&at| code.kind(at) == Some(TokenKind::Compare));
    operator.is_some_and(|at| {
        matches!(code.bytes(at), b"@>" | b"<@") && matches!(code.bytes(at + 1).get(1), Some(b'{' | b'['))
    })
}

/// Whether a call that ends at token `end`, behind a quote that the value closes, is sorted or limited: `' and f(1) order by 1-- `.
pub fn is_sorted(code: &Code<'_>, end: usize, place: Position) -> bool {
    place == Position::Break && matches!(code.word(end), Some(Word::Sort | Word::Limit))
}

/// Whether the brackets at token `open` hold no comma of their own. `12 |  if (x < 0) y();` is a source line in the message of a
/// compiler; as an operand, `if` has three arguments.
pub fn has_one_argument(code: &Code<'_>, open: usize) -> bool {
    const REACH: usize = 64;
    if code.kind(open) != Some(TokenKind::Left) {
        return false;
    }
    let mut at = open + 1;
    while at < open + REACH {
        match code.kind(at) {
            Some(TokenKind::Comma) => return false,
            Some(TokenKind::Left) => at = code.past_close(at),
            Some(TokenKind::Right) | None => return true,
            _ => at += 1,
        }
    }
    false
}
