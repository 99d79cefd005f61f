//! The weight of a comparison that `or`, `&&` or `where` joins to a statement.

use super::conditions::{compares_json, is_whole_condition};
use super::grammar::{Code, Compared, OperandKind, Position};
use super::lex::TokenKind;
use super::structure::{after_number, is_probe};
use super::words::Word;

/// Most that a comparison weighs that programs and sentences have, too.
const ORDINARY: u8 = 3;

/// The weight of the comparison that begins at token `i`.
pub fn weight(code: &Code<'_>, i: usize, place: Position, compared: &Compared) -> u8 {
    let &Compared { left, right, by_word, same, end } = compared;
    let completes = matches!(place, Position::Break | Position::Value);
    let (low, high) = (left.min(right), left.max(right));
    let weight = match high {
        OperandKind::Strong | OperandKind::Query => 9,
        OperandKind::Sleep | OperandKind::Global => 8,
        OperandKind::Soft if low == OperandKind::Literal => 7 + u8::from(is_probe(code, i, end)),
        OperandKind::Soft => 5,
        // Programs join conditions: `n%10>=2 && n%10<=4`. Behind a number or a quote they are injected.
        OperandKind::Literal if !completes && reckons_with_name(code, i, end) => ORDINARY,
        OperandKind::Literal if low == OperandKind::Literal => 8 - u8::from(by_word),
        // `or data @> '{"id":1}'`
        OperandKind::Literal if low == OperandKind::Name && completes && compares_json(code, i) => 8,
        // `1 or role='admin'`, `1 and f(1)=2-- `: nothing else is behind the number.
        OperandKind::Literal if after_number(code, place) && is_whole_condition(code, end) => 8,
        _ if same => 5 + 3 * u8::from(completes || place == Position::Start),
        // `id is not null`
        OperandKind::Literal if by_word && code.word(end - 1) == Some(Word::Constant) => 3 + 5 * u8::from(completes),
        _ if code.bytes(end - 1).starts_with(b"0x") => 6,
        _ => ORDINARY,
    };
    if is_sentence(code, end) { weight.min(ORDINARY) } else { weight }
}

/// Whether words that no statement has there follow a condition up to token `end`: `1=1 is a habit`, `2 = 3 people`.
fn is_sentence(code: &Code<'_>, end: usize) -> bool {
    // A dash that a word processor made of `--` is a word to the lexer.
    let letter = |at: usize| code.bytes(at).first().is_some_and(u8::is_ascii_alphabetic);
    let plain = |at: usize| code.word(at) == Some(Word::Plain) && letter(at);
    // A list or a query follows `in` in a statement, and no word.
    let first = end + usize::from(matches!(code.word(end), Some(Word::Is | Word::In)));
    let blank = |at: usize| {
        let start = code.tokens.get(at).map_or(0, |token| token.start as usize);
        start.checked_sub(1).is_some_and(|before| code.text[before] == b' ')
    };
    plain(first) && blank(first) && (first > end || plain(first + 1) || code.kind(first + 1).is_none())
}

/// Whether an operand of the condition in these tokens is made of a name by arithmetic: `n % 10`. A type is no name:
/// `'[1]'::json ->> 0`.
fn reckons_with_name(code: &Code<'_>, from: usize, to: usize) -> bool {
    let is_name = |at: usize| code.word(at) == Some(Word::Plain) && code.kind(at - 1) != Some(TokenKind::Cast);
    (from.max(1)..to).any(|at| is_name(at) && code.kind(at + 1) == Some(TokenKind::Operator))
}
