//! Queries that a value appends by `union`.

use super::grammar::{Code, List, OperandKind, Position, Structure};
use super::lex::TokenKind;
use super::words::Word;

/// `union select` with a select list. Without the list it is a fragment that no database executes.
pub fn union(code: &Code<'_>, i: usize, place: Position) -> Option<Structure> {
    let mut at = i + 1;
    // Of `/*!99999 x*/` MySQL reads the content only if its version is at least that.
    let skipped =
        |at: usize| matches!(code.kind(at), Some(TokenKind::Word(Word::Plain))) && code.tokens[at].after_comment;
    while matches!(code.kind(at), Some(TokenKind::Left | TokenKind::Word(Word::Quantifier))) || skipped(at) {
        at += 1;
    }
    if let Some(found) = union_rows(code, at, place) {
        return Some(found);
    }
    if code.word(at) != Some(Word::Select) {
        return None;
    }
    let list = code.list(at + 1);
    let completes = matches!(place, Position::Break | Position::Value);
    Some((
        match list {
            List { strong: false, several: false, .. } if completes && lists_call(code, at + 1) => 8,
            List { any: false, .. } => return None,
            List { catalogue: true, .. } => 12,
            List { strong: true, .. } => 10,
            List { several: true, from: true, .. } => 8,
            List { several: true, .. } => 7,
            List { from: true, ended: true, .. } => 8,
            List { ended: true, .. } => 4,
            _ => 3,
        },
        list.end,
    ))
}

/// Whether a call is behind a comma soon: `union select !<@,version()`. What is before the comma may be any odd expression.
fn lists_call(code: &Code<'_>, from: usize) -> bool {
    const REACH: usize = 8;
    let comma = (from..from + REACH).find(|&at| code.kind(at) == Some(TokenKind::Comma));
    let call = |at: usize| code.operand(at + 1).is_some_and(|operand| operand.kind >= OperandKind::Soft);
    comma.is_some_and(call)
}

/// `union values (1,2)`, `union values row(1,2)`, `union table users`: rows without `select`.
fn union_rows(code: &Code<'_>, at: usize, place: Position) -> Option<Structure> {
    if code.word(at) == Some(Word::Values) {
        let row = at + 1 + usize::from(code.bytes(at + 1).eq_ignore_ascii_case(b"row"));
        return (code.kind(row) == Some(TokenKind::Left) && code.operand(row + 1).is_some()).then_some((10, row + 2));
    }
    if !code.bytes(at).eq_ignore_ascii_case(b"table") || !matches!(code.kind(at + 1), Some(TokenKind::Word(_))) {
        return None;
    }
    let completes = matches!(place, Position::Break | Position::Value);
    let end = at + if code.kind(at + 2) == Some(TokenKind::Dot) { 4 } else { 2 };
    code.ends(end).then_some((if completes { 8 } else { 2 }, end))
}
