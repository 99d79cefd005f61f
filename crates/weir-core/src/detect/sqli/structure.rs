//! Injected structures: what stands at a token, and how telling it is on its own.
//!
//! Weights are on one scale: [`super::CERTAIN`] is an attack. A structure below that becomes certain by where it stands
//! (just after a quote that the value closes, at its beginning, before a comment that cuts the rest off), which
//! [`super`] adds.

use super::grammar::{Code, Condition, List, Sort};
use super::lex::Kind;
use super::words::Word;

/// Where a structure begins in the code of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Just after the quote that the value closes, closing parentheses aside.
    Break,
    /// At the beginning of a value that lands outside of any literal.
    Start,
    /// After one number or literal, which completes the application's own code.
    Value,
    /// After one word.
    Word,
    /// Deeper.
    Inside,
}

/// A recognised structure: weight, and the token past its end.
pub type Structure = (u8, usize);

/// Keys of an `order by` that are looked at.
const MAX_KEYS: usize = 64;
/// Tokens up to which a value is taken whole as arithmetic on literals (`'-0-'`).
const SHORT: usize = 8;

/// The most telling structure that begins at token `i`.
pub fn at(code: &Code<'_>, i: usize, place: Place) -> Option<Structure> {
    let found = match code.kind(i)? {
        Kind::Word(word) => by_word(code, i, word, place),
        Kind::Pipes => logic(code, i + 1, Joint::Pipes).or_else(|| joined(code, i, place)),
        Kind::Operator | Kind::Compare => joined(code, i, place),
        Kind::Semicolon => statement(code, i + 1).map(|(weight, end)| (weight + 1, end)),
        Kind::Left => parenthesis(code, i),
        Kind::Variable => global(code, i),
        Kind::Comma if place == Place::Break => more_values(code, i),
        _ => None,
    };
    match place {
        Place::Break | Place::Start => better(found, statement(code, i)),
        _ => found,
    }
}

fn better(a: Option<Structure>, b: Option<Structure>) -> Option<Structure> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 > a.0 { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn by_word(code: &Code<'_>, i: usize, word: Word, place: Place) -> Option<Structure> {
    match word {
        Word::Logic => logic(code, i + 1, Joint::Word),
        Word::Condition => logic(code, i + 1, Joint::Condition),
        Word::Compare if matches!(place, Place::Break | Place::Value) => joined(code, i, place),
        Word::Union => union(code, i),
        Word::Sort => sort(code, i, place),
        Word::Limit if place == Place::Break && code.kind(i + 1) == Some(Kind::Number) => Some((5, i + 2)),
        Word::Into if code.word(i + 1) == Some(Word::File) => {
            matches!(code.kind(i + 2), Some(Kind::Text | Kind::Open | Kind::Number)).then_some((8, i + 3))
        }
        Word::Into if code.kind(i + 1) == Some(Kind::Variable) => Some((4, i + 2)),
        Word::Waitfor if code.word(i + 1) == Some(Word::Delay) => {
            matches!(code.kind(i + 2), Some(Kind::Text | Kind::Open | Kind::Variable)).then_some((9, i + 3))
        }
        Word::Procedure if code.bytes(i + 1).eq_ignore_ascii_case(b"analyse") => Some((8, i + 2)),
        Word::In if place == Place::Break && code.bytes(i + 1).eq_ignore_ascii_case(b"boolean") => Some((6, i + 2)),
        Word::Declare if code.kind(i + 1) == Some(Kind::Variable) => Some((8, i + 2)),
        Word::If => conditional(code, i),
        Word::From if code.word(i + 1) == Some(Word::Catalogue) && !code.bytes(i + 1).eq_ignore_ascii_case(b"dual") => {
            Some((8, i + 2))
        }
        Word::StrongCall | Word::SoftCall | Word::Sleep => call(code, i),
        Word::Execute if code.word(i + 1) == Some(Word::StrongCall) => Some((8, i + 2)),
        _ => None,
    }
}

/// What a condition is joined by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// `or`
    Word,
    /// `||`
    Pipes,
    /// `where`
    Condition,
}

fn logic(code: &Code<'_>, mut i: usize, joint: Joint) -> Option<Structure> {
    while matches!(code.kind(i), Some(Kind::Pipes | Kind::Word(Word::Logic))) && joint != Joint::Condition {
        i += 1;
        if i > 4096 {
            break;
        }
    }
    let (weight, end) = match code.condition(i)? {
        Condition::Compared { left, right, by_word, same, end } => {
            let (low, high) = (left.min(right), left.max(right));
            let weight = match high {
                Sort::Strong | Sort::Query => 9,
                Sort::Sleep | Sort::Global => 8,
                Sort::Soft if low == Sort::Literal => 7 + u8::from(is_probe(code, i, end)),
                Sort::Soft => 5,
                Sort::Literal if low == Sort::Literal => 8 - u8::from(by_word),
                _ if same => 5,
                _ if code.bytes(end - 1).starts_with(b"0x") => 6,
                _ => 3,
            };
            (weight, end)
        }
        Condition::Bare(operand) => {
            let weight = match operand.sort {
                Sort::Strong => 9,
                Sort::Query | Sort::Sleep | Sort::Global => 7,
                Sort::Soft => 4,
                Sort::Literal if is_text(code, i, operand.end) && !is_closing(code, i) => return None,
                Sort::Literal if code.ends(operand.end) || is_joint(code, operand.end) => 3,
                _ => return None,
            };
            (weight, operand.end)
        }
    };
    let weight = match joint {
        Joint::Word => weight,
        Joint::Pipes if weight < 8 => weight.saturating_sub(2),
        Joint::Pipes => weight,
        Joint::Condition if weight >= 8 => weight,
        Joint::Condition => weight / 3,
    };
    Some((weight, end))
}

fn is_text(code: &Code<'_>, i: usize, end: usize) -> bool {
    end == i + 1 && matches!(code.kind(i), Some(Kind::Text | Kind::Open))
}

/// Whether the text at token `i` only serves to take up the application's own quote (`' or '1`); quoted words do not.
fn is_closing(code: &Code<'_>, i: usize) -> bool {
    let text = code.bytes(i);
    let empty_and = text.len() == 1 && i > 0 && code.bytes(i - 1).eq_ignore_ascii_case(b"and");
    text.len() <= 3 && !empty_and
}

/// Whether token `i` is a number, or a text that only takes up the application's own quote.
fn is_atom(code: &Code<'_>, i: usize) -> bool {
    code.kind(i) == Some(Kind::Number)
        || (matches!(code.kind(i), Some(Kind::Text | Kind::Open)) && code.bytes(i).len() <= 3)
}

/// Whether SQL functions or a query are nested in the condition: `ascii(substring(...))`.
fn is_probe(code: &Code<'_>, from: usize, to: usize) -> bool {
    const LOOK: usize = 16;
    let range = from..to.min(from + LOOK).min(code.tokens.len());
    let words = range.clone().filter_map(|at| code.word(at));
    words.filter(|word| matches!(word, Word::SoftCall | Word::StrongCall | Word::Select)).nth(1).is_some()
        || range.clone().any(|at| code.kind(at) == Some(Kind::Variable) && code.bytes(at).starts_with(b"@@"))
}

fn is_joint(code: &Code<'_>, i: usize) -> bool {
    matches!(code.kind(i), Some(Kind::Pipes | Kind::Word(Word::Logic | Word::Union)))
}

/// `'+(select ...)`, `1-sleep(5)`, `'=sleep(5)='`, `' rlike (select ...)`: an operator that continues the literal.
fn joined(code: &Code<'_>, i: usize, place: Place) -> Option<Structure> {
    if !matches!(place, Place::Break | Place::Value | Place::Start) {
        return None;
    }
    let operand = code.operand(i + 1)?;
    let weight = match operand.sort {
        Sort::Strong | Sort::Query => 8,
        Sort::Sleep | Sort::Global => 7,
        Sort::Soft => 4 + 2 * u8::from(is_probe(code, i, operand.end)),
        Sort::Literal if place == Place::Break && code.tokens.len() <= SHORT && is_atom(code, i + 1) => 2,
        Sort::Literal if code.word(i + 1) == Some(Word::Constant) && code.kind(i) == Some(Kind::Operator) => 8,
        _ => return None,
    };
    Some((weight, operand.end))
}

/// `union select` with a select list. Without one it is a fragment that no database runs, and no attack.
fn union(code: &Code<'_>, i: usize) -> Option<Structure> {
    let mut at = i + 1;
    while matches!(code.kind(at), Some(Kind::Left | Kind::Word(Word::Quantifier))) {
        at += 1;
    }
    if code.word(at) != Some(Word::Select) {
        return None;
    }
    let list = code.list(at + 1);
    Some((
        match list {
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

fn query(list: &List) -> u8 {
    match list {
        List { catalogue: true, .. } | List { telling: true, .. } => 9,
        List { strong: true, from: true, .. } => 8,
        List { several: true, from: true, ended: true, .. } => 6,
        List { strong: true, .. } => 5,
        List { from: true, ended: true, .. } => 1,
        _ => 0,
    }
}

fn parenthesis(code: &Code<'_>, i: usize) -> Option<Structure> {
    if code.word(i + 1) == Some(Word::Select) {
        let list = code.list(i + 2);
        let weight = query(&list);
        return (weight > 0).then_some((weight.saturating_sub(1), list.end));
    }
    if !matches!(code.kind(i + 1), Some(Kind::Number | Kind::Text)) {
        return None;
    }
    match code.condition(i + 1)? {
        Condition::Compared { left: Sort::Literal, right: Sort::Literal, by_word: false, end, .. } => Some((5, end)),
        _ => None,
    }
}

/// A whole statement at token `i`.
fn statement(code: &Code<'_>, i: usize) -> Option<Structure> {
    let next = code.word(i + 1);
    let named = |at: usize| matches!(code.kind(at), Some(Kind::Word(_)));
    match code.word(i)? {
        Word::Select => {
            let list = code.list(i + 1);
            let weight = query(&list);
            (weight > 0).then_some((weight, list.end))
        }
        Word::Define => {
            let object = (i + 1..i + 4).find(|&at| code.word(at) == Some(Word::Object))?;
            let weight = if code.kind(object + 2) == Some(Kind::Left) { 8 } else { 6 };
            named(object + 1).then_some((weight, object + 2))
        }
        Word::Insert if next == Some(Word::Into) && named(i + 2) => {
            let at = (i + 3..i + 6).find(|&at| matches!(code.kind(at), Some(Kind::Left | Kind::Word(Word::Values))))?;
            Some((6, at))
        }
        Word::Update if code.word(i + 2) == Some(Word::Set) => {
            (code.kind(i + 4) == Some(Kind::Compare)).then_some((6, i + 5))
        }
        Word::Delete if next == Some(Word::From) && named(i + 2) => {
            (code.ends(i + 3) || code.word(i + 3) == Some(Word::Condition)).then_some((5, i + 3))
        }
        Word::Execute => execute(code, i),
        Word::Declare | Word::Set if code.kind(i + 1) == Some(Kind::Variable) => Some((8, i + 2)),
        Word::Shutdown if code.ends(i + 1) => Some((4, i + 1)),
        Word::Waitfor | Word::If => by_word(code, i, code.word(i)?, Place::Inside),
        Word::Sleep | Word::StrongCall => call(code, i),
        Word::Procedure | Word::Values => None,
        _ => None,
    }
}

fn execute(code: &Code<'_>, i: usize) -> Option<Structure> {
    match code.kind(i + 1)? {
        Kind::Word(Word::StrongCall) => Some((9, i + 2)),
        Kind::Variable => Some((7, i + 2)),
        Kind::Left if matches!(code.kind(i + 2), Some(Kind::Text | Kind::Variable)) => Some((6, i + 3)),
        Kind::Word(_) if code.kind(i + 2) == Some(Kind::Dot) => Some((6, i + 3)),
        Kind::Word(_) if code.kind(i + 2) == Some(Kind::Text) => Some((6, i + 3)),
        _ => None,
    }
}

fn sort(code: &Code<'_>, i: usize, place: Place) -> Option<Structure> {
    if code.word(i + 1) != Some(Word::By) {
        return None;
    }
    let mut at = i + 2;
    let mut best = None;
    for _ in 0..MAX_KEYS {
        let Some(key) = code.operand(at) else { break };
        let weight = match key.sort {
            Sort::Strong | Sort::Query | Sort::Sleep => 9,
            Sort::Soft => 4,
            // Nobody but a probe says this and nothing else.
            Sort::Literal if place == Place::Start && code.kind(key.end).is_none() => 8,
            Sort::Literal if code.ends(key.end) || code.kind(key.end) == Some(Kind::Comma) => 5,
            Sort::Name if code.kind(key.end) == Some(Kind::Tail) => 2,
            Sort::Name if code.word(key.end) == Some(Word::Condition) => 4,
            _ => 0,
        };
        if weight > 0 {
            best = better(best, Some((weight, key.end)));
        }
        if code.kind(key.end) != Some(Kind::Comma) {
            break;
        }
        at = key.end + 1;
    }
    best
}

/// `if(1=1, ...)`, `iif(...)`, `if (...) waitfor`.
fn conditional(code: &Code<'_>, i: usize) -> Option<Structure> {
    if code.kind(i + 1) != Some(Kind::Left) && code.kind(i + 1) != Some(Kind::Number) {
        return None;
    }
    match code.condition(i + 1)? {
        Condition::Compared { left, right, end, .. } => match left.max(right) {
            Sort::Literal if left.min(right) == Sort::Literal => Some((7, end)),
            Sort::Strong | Sort::Query | Sort::Global => Some((8, end)),
            Sort::Soft if left.min(right) == Sort::Literal => Some((5, end)),
            _ => None,
        },
        Condition::Bare(operand) if operand.sort >= Sort::Strong => Some((8, operand.end)),
        Condition::Bare(_) => None,
    }
}

fn call(code: &Code<'_>, i: usize) -> Option<Structure> {
    let operand = code.operand(i)?;
    let method = i > 0 && matches!(code.kind(i - 1), Some(Kind::Dot));
    let argument = (i + 1..i + 4).find(|&at| code.kind(at) == Some(Kind::Left)).map(|at| at + 1)?;
    let hex = code.kind(argument) == Some(Kind::Number) && code.bytes(argument).starts_with(b"0x");
    let weight = match operand.sort {
        Sort::Strong if !method => 7,
        Sort::Sleep if !method && code.kind(argument) == Some(Kind::Number) => 4,
        Sort::Query => 6,
        Sort::Soft if hex && !method => 6,
        Sort::Soft if !method && is_chain(code, i) => 7,
        _ => return None,
    };
    Some((weight, operand.end))
}

/// `char(65)||char(66)`: text built byte by byte.
fn is_chain(code: &Code<'_>, i: usize) -> bool {
    let one = |at: usize| {
        let name = code.bytes(at);
        (name.eq_ignore_ascii_case(b"char") || name.eq_ignore_ascii_case(b"chr") || name.eq_ignore_ascii_case(b"nchar"))
            && code.kind(at + 2) == Some(Kind::Number)
    };
    one(i) && matches!(code.kind(i + 4), Some(Kind::Pipes | Kind::Operator | Kind::Comma)) && one(i + 5)
}

fn global(code: &Code<'_>, i: usize) -> Option<Structure> {
    const GLOBALS: &[&[u8]] = &[
        b"@@version",
        b"@@servername",
        b"@@hostname",
        b"@@datadir",
        b"@@basedir",
        b"@@user",
        b"@@language",
        b"@@global",
    ];
    GLOBALS.iter().any(|name| code.bytes(i).eq_ignore_ascii_case(name)).then_some((6, i + 1))
}

/// `',null,null)--`: more values than the application meant to insert.
fn more_values(code: &Code<'_>, i: usize) -> Option<Structure> {
    let mut at = i;
    while code.kind(at) == Some(Kind::Comma) {
        let value = code.operand(at + 1)?;
        if value.sort < Sort::Literal || matches!(code.kind(at + 1), Some(Kind::Text | Kind::Open)) {
            return None;
        }
        at = value.end;
    }
    code.ends(at).then_some((3, at))
}
