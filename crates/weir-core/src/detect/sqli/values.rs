//! Structures that continue a list, an assignment or an expression: more values and rows, variables, casts.

use super::grammar::{Code, MAX_KEYS, OperandKind, Position, Structure};
use super::lex::TokenKind;
use super::query;
use super::words::Word;

/// `,null,null)--`, `),('a','b`, `, role='admin' where x='y`, `,(select ...)`: more values, rows, assignments or sort keys
/// than the application meant to have.
pub fn more_values(code: &Code<'_>, i: usize, place: Position) -> Option<Structure> {
    let breaks = place == Position::Break;
    if !breaks && !matches!(place, Position::Value | Position::Word) {
        return None;
    }
    // `1),(version(),1`: a row of its own, whose bracket the application closes.
    let row_follows = code.kind(i + 1) == Some(TokenKind::Left) && i > 0 && code.kind(i - 1) == Some(TokenKind::Right);
    if row_follows && place != Position::Word && shows(code, i + 2) {
        return Some((8, i + 3));
    }
    let mut at = i;
    let mut best: u8 = 0;
    let (mut plain, mut row) = (breaks, false);
    for _ in 0..MAX_KEYS {
        if code.kind(at) != Some(TokenKind::Comma) {
            break;
        }
        if breaks && assigns(code, at + 1) {
            return Some((6, at + 4));
        }
        let value = code.operand(at + 1)?;
        best = best.max(match value.kind {
            OperandKind::Strong | OperandKind::Sleep => 8,
            _ if query::nested(code, at + 1, value.end) => 9,
            OperandKind::Query => subquery(code, at + 1).map_or(0, |weight| weight + 4).min(9),
            _ => 0,
        });
        // Behind a word, too: an article that its noun follows, `perche', all'estero`.
        let text = matches!(code.kind(value.end - 1), Some(TokenKind::Text | TokenKind::Open));
        plain &= value.kind >= OperandKind::Literal && !text;
        at = value.end;
        row |= breaks
            && code.kind(at - 1) == Some(TokenKind::Right)
            && code.kind(at) == Some(TokenKind::Comma)
            && code.kind(at + 1) == Some(TokenKind::Left);
    }
    if row || breaks && closes_row(code, at) {
        best = best.max(6);
    } else if plain && code.ends(at) {
        best = best.max(3);
    }
    (best > 0).then_some((best, at))
}

/// Whether the operand at token `i` shows something of the server: a call that only databases have, a variable or a query.
fn shows(code: &Code<'_>, i: usize) -> bool {
    code.operand(i).is_some_and(|value| {
        matches!(value.kind, OperandKind::Soft | OperandKind::Strong | OperandKind::Query | OperandKind::Global)
    })
}

/// Whether `)` ends a row before token `at`, and what follows leaves nothing of the statement: `','x')--`, `','x') returning ...`
fn closes_row(code: &Code<'_>, at: usize) -> bool {
    let is = |at: usize, name: &[u8]| code.bytes(at).eq_ignore_ascii_case(name);
    let rest = match code.kind(at) {
        Some(TokenKind::Tail) => true,
        Some(TokenKind::Semicolon) => matches!(code.kind(at + 1), Some(TokenKind::Tail | TokenKind::Word(_))),
        _ => is(at, b"returning") || is(at, b"on") && (is(at + 1, b"conflict") || is(at + 1, b"duplicate")),
    };
    rest && at > 0 && code.kind(at - 1) == Some(TokenKind::Right)
}

/// Weight of the subquery that begins at or just after token `at`.
fn subquery(code: &Code<'_>, at: usize) -> Option<u8> {
    let select = (at..at + 3).find(|&at| code.word(at) == Some(Word::Select))?;
    Some(code.list(select + 1).weight())
}

/// Whether `name = value` at token `at` is one more assignment of an `update`, and what follows completes the statement.
fn assigns(code: &Code<'_>, mut at: usize) -> bool {
    for pairs in 1..MAX_KEYS {
        if !matches!(code.kind(at), Some(TokenKind::Word(_))) || code.bytes(at + 1) != b"=" {
            return false;
        }
        let Some(value) = code.operand(at + 2) else { return false };
        let open = code.kind(value.end - 1) == Some(TokenKind::Open);
        return match code.kind(value.end) {
            Some(TokenKind::Comma) => {
                at = value.end + 1;
                continue;
            }
            Some(TokenKind::Word(Word::Condition)) => code.bytes(value.end).eq_ignore_ascii_case(b"where"),
            Some(TokenKind::Semicolon) => code.kind(value.end + 1) == Some(TokenKind::Tail),
            Some(TokenKind::Tail) => true,
            // The quote of the application closes the last text.
            None => open && pairs > 1,
            _ => false,
        };
    }
    false
}

/// `' returning password--`: columns that a statement which changes rows gives back. A comment cuts off the rest.
pub fn returning(code: &Code<'_>, i: usize) -> Option<Structure> {
    if !code.bytes(i).eq_ignore_ascii_case(b"returning") {
        return None;
    }
    let end = match code.kind(i + 1)? {
        TokenKind::Star => i + 2,
        _ => code.operand(i + 1)?.end,
    };
    let end = end + usize::from(code.kind(end) == Some(TokenKind::Semicolon));
    (code.kind(end) == Some(TokenKind::Tail)).then_some((6, end))
}

/// `@x:=concat(@x, ...)`: a variable of MySQL that collects rows.
pub fn accumulation(code: &Code<'_>, i: usize) -> Option<Structure> {
    if code.bytes(i + 1) != b":=" {
        return None;
    }
    let value = code.operand(i + 2)?;
    Some((if value.kind >= OperandKind::Soft { 10 } else { 5 }, value.end))
}

/// Types to which a text is cast so that the error message shows it.
const ERROR_TYPES: &[&[u8]] = &[
    b"int",
    b"int2",
    b"int4",
    b"int8",
    b"integer",
    b"smallint",
    b"bigint",
    b"numeric",
    b"decimal",
    b"real",
    b"float4",
    b"float8",
    b"money",
    b"bool",
    b"oid",
    b"regclass",
    b"regtype",
    b"regproc",
    b"inet",
    b"cidr",
    b"macaddr",
    b"uuid",
    b"json",
    b"jsonb",
    b"xml",
    b"bytea",
];

/// `password::int`: a cast of PostgreSQL that takes up the rest of the value.
pub fn cast(code: &Code<'_>, i: usize) -> Option<Structure> {
    if !ERROR_TYPES.iter().any(|name| code.bytes(i + 1).eq_ignore_ascii_case(name)) {
        return None;
    }
    let whole = code.operand(0).is_some_and(|operand| operand.end >= i + 2) && code.ends(i + 2);
    let number = code.kind(0) == Some(TokenKind::Number);
    // `Fn::Cidr`, `Shape::Json`: a name in a namespace.
    let namespace = code.bytes(i + 1).first().is_some_and(u8::is_ascii_uppercase)
        && code.bytes(i + 1).last().is_some_and(u8::is_ascii_lowercase)
        && code.bytes(0).first().is_some_and(u8::is_ascii_uppercase);
    Some((if whole && !number && !namespace { 10 } else { 3 }, i + 2))
}
