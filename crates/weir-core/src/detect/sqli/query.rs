//! Queries nested in an expression, and what a value becomes where the application puts a column, a sort key or a limit.

use super::grammar::{Code, Condition, OperandKind, Structure};
use super::lex::TokenKind;
use super::words::Word;

/// Most tokens of an expression among which a nested query is looked for.
const REACH: usize = 24;
/// Longest comment without text: `-- -`.
pub const BARE_COMMENT: usize = 6;

/// Whether a query that reads a table, and that is more than a sentence, is nested in the tokens from `from` to `to`.
pub fn nested(code: &Code<'_>, from: usize, to: usize) -> bool {
    (from..to.min(from + REACH)).any(|at| {
        code.kind(at) == Some(TokenKind::Left) && code.word(at + 1) == Some(Word::Select) && reads_table(code, from, at)
    })
}

/// Whether the query in the parenthesis at token `left`, within an expression that begins at `from`, is complete: a condition,
/// an order or a limit follows its table, or the query is an operand of a call or of an operator.
fn reads_table(code: &Code<'_>, from: usize, left: usize) -> bool {
    let list = code.list(left + 2);
    if !list.from || !list.ended {
        return false;
    }
    match code.word(list.end) {
        Some(Word::Condition) => matches!(code.condition(list.end + 1), Some(Condition::Compared(_))),
        Some(Word::Limit) => code.kind(list.end + 1) == Some(TokenKind::Number),
        Some(Word::Sort) => code.word(list.end + 1) == Some(Word::By),
        _ => {
            let argument = left > from && code.kind(left - 1) == Some(TokenKind::Left);
            let close = code.close.get(left).map_or(0, |&close| close as usize);
            argument || matches!(code.kind(close + 1), Some(TokenKind::Pipes | TokenKind::Compare))
        }
    }
}

/// `(select a from b where c=1)` as a whole value, `(select case when ...)`.
pub fn whole(code: &Code<'_>, i: usize) -> Option<Structure> {
    let close = code.close.get(i).map_or(0, |&close| close as usize).min(code.tokens.len());
    let decides = code.word(i + 1) == Some(Word::Select) && code.word(i + 2) == Some(Word::Case);
    let probes = decides && code.operand(i + 2).is_some_and(|case| case.kind >= OperandKind::Query);
    (probes || nested(code, i, close)).then_some((9, close))
}

/// `secret,1 from users--`: a list of columns that replaces the rest of the query of the application.
pub fn columns(code: &Code<'_>) -> Option<Structure> {
    let list = code.list(0);
    if !list.from || !list.ended {
        return None;
    }
    let tail = list.end + usize::from(code.kind(list.end) == Some(TokenKind::Semicolon));
    let comment = code.bytes(tail);
    let bare = code.kind(tail) == Some(TokenKind::Tail)
        && comment.len() <= BARE_COMMENT
        && !comment.iter().any(u8::is_ascii_alphanumeric);
    // A signature at the end of a letter has a blank before its dashes: "Greetings from Paris --".
    let start = code.tokens.get(tail)?.start as usize;
    let close = start.checked_sub(1).is_some_and(|at| !code.text[at].is_ascii_whitespace());
    // "Remove white space from debian/*." names the files of a folder.
    if close && comment.starts_with(b"/*") && !list.several && code.word(1) != Some(Word::From) {
        return None;
    }
    let commented = code.tokens[..tail].iter().any(|token| token.after_comment);
    (bare && (list.several || list.strong || close || commented)).then_some((6, tail))
}
