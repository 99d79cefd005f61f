//! Structures of injected code, and the weight of each by itself.
//!
//! All weights are on one scale, on which [`super::CERTAIN`] is an attack. The position of a structure (just after a quote
//! that the value closes, at the beginning, before a comment that hides the rest) adds weight; [`super`] adds it.

use super::calls::{call, global};
use super::compared;
use super::conditions::{full_text_search, has_one_argument, is_sorted};
use super::define;
use super::grammar::{Code, Compared, Condition, MAX_KEYS, OperandKind, Position, Structure};
use super::lex::TokenKind;
use super::query;
use super::stacked;
use super::union::union;
use super::values::{accumulation, cast, more_values, returning};
use super::words::Word;

/// Most tokens of a value that is recognised as arithmetic on literals (`'-0-'`).
const SHORT: usize = 8;

/// Words that compare texts in statements, and that are no words elsewhere.
const OPERATORS: [&[u8]; 3] = [b"ilike", b"rlike", b"regexp"];

/// The structure of greatest weight that begins at token `i`.
pub fn at(code: &Code<'_>, i: usize, place: Position) -> Option<Structure> {
    let found = match code.kind(i)? {
        TokenKind::Word(word) => by_word(code, i, word, place),
        TokenKind::Pipes => logic(code, i + 1, Connector::Pipes, place).or_else(|| joined(code, i, place)),
        TokenKind::Operator | TokenKind::Compare => joined(code, i, place),
        // `1*sleep(5)`, while `5*6` is a product.
        TokenKind::Star if code.operand(i + 1).is_some_and(|factor| factor.kind >= OperandKind::Sleep) => {
            joined(code, i, place).map(|(weight, end)| (weight + 1, end))
        }
        TokenKind::Semicolon => {
            let stacked = better(statement(code, i + 1, Position::Inside), stacked::statement(code, i + 1));
            // A number completes the statement of the application, so what follows is one of its own.
            let more = 1 + 2 * u8::from(place == Position::Value);
            stacked.map(|(weight, end)| (weight + more, end))
        }
        TokenKind::Left if i == 0 && place == Position::Start => better(parenthesis(code, i), query::whole(code, i)),
        TokenKind::Left => parenthesis(code, i),
        TokenKind::Variable => better(global(code, i), accumulation(code, i)),
        TokenKind::Comma => more_values(code, i, place),
        TokenKind::Cast => cast(code, i),
        _ => None,
    };
    let found = if i == 0 && place == Position::Start { better(found, query::columns(code)) } else { found };
    match place {
        Position::Break | Position::Start => better(found, statement(code, i, place)),
        _ => found,
    }
}

fn better(a: Option<Structure>, b: Option<Structure>) -> Option<Structure> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 > a.0 { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn by_word(code: &Code<'_>, i: usize, word: Word, place: Position) -> Option<Structure> {
    match word {
        Word::Logic => logic(code, i + 1, Connector::Word, place),
        Word::Condition => logic(code, i + 1, Connector::Condition, place),
        Word::Compare if matches!(place, Position::Break | Position::Value) => joined(code, i, place),
        Word::Union => union(code, i, place),
        Word::Sort => sort(code, i, place),
        Word::Limit if place == Position::Break && code.kind(i + 1) == Some(TokenKind::Number) => Some((5, i + 2)),
        Word::Into if code.word(i + 1) == Some(Word::File) => {
            let left = code.kind(i + 2) == Some(TokenKind::Left);
            let name = i + 2 + usize::from(left);
            matches!(code.kind(name), Some(TokenKind::Text | TokenKind::Open | TokenKind::Number))
                .then_some((8 + 2 * u8::from(matches!(place, Position::Break | Position::Value)), name + 1))
        }
        Word::Into if code.kind(i + 1) == Some(TokenKind::Variable) => {
            // `1 into @a,@b`
            let more = code.kind(i + 2) == Some(TokenKind::Comma) && code.kind(i + 3) == Some(TokenKind::Variable);
            Some((4 + 4 * u8::from(more), i + 2))
        }
        Word::Waitfor if code.word(i + 1) == Some(Word::Delay) => {
            matches!(code.kind(i + 2), Some(TokenKind::Text | TokenKind::Open | TokenKind::Variable))
                .then_some((9, i + 3))
        }
        Word::Procedure if code.bytes(i + 1).eq_ignore_ascii_case(b"analyse") => {
            Some((8 + 2 * u8::from(code.kind(i + 2) == Some(TokenKind::Left)), i + 2))
        }
        Word::In if place == Position::Break && code.bytes(i + 1).eq_ignore_ascii_case(b"boolean") => Some((6, i + 2)),
        Word::Declare if declares(code, i) => Some((8, i + 2)),
        Word::If => conditional(code, i),
        Word::From if code.word(i + 1) == Some(Word::Catalogue) && !code.bytes(i + 1).eq_ignore_ascii_case(b"dual") => {
            Some((8, i + 2))
        }
        Word::StrongCall | Word::SoftCall | Word::Sleep => call(code, i),
        Word::Plain if place == Position::Break => returning(code, i),
        Word::Execute if code.word(i + 1) == Some(Word::StrongCall) => Some((8, i + 2)),
        _ => None,
    }
}

/// `declare @x int`, `set @x=1`, `print @@version`. Versions of packages look similar: `set@1`, `print@next`.
fn declares(code: &Code<'_>, i: usize) -> bool {
    if code.kind(i + 1) != Some(TokenKind::Variable) {
        return false;
    }
    let global = code.bytes(i + 1).starts_with(b"@@");
    let declare = code.bytes(i).eq_ignore_ascii_case(b"declare");
    match code.kind(i + 2) {
        Some(TokenKind::Compare) => true,
        // The `+` of a query string may stand for a blank here.
        Some(TokenKind::Word(_) | TokenKind::Operator) => declare,
        _ => global,
    }
}

/// `count(*)`, `sum(price)` at token `i`: a call that summarises a column.
fn aggregates(code: &Code<'_>, i: usize) -> bool {
    const NAMES: [&[u8]; 5] = [b"count", b"sum", b"min", b"max", b"avg"];
    NAMES.iter().any(|name| code.bytes(i).eq_ignore_ascii_case(name))
        && code.kind(i + 1) == Some(TokenKind::Left)
        && matches!(code.kind(i + 2), Some(TokenKind::Star | TokenKind::Word(Word::Plain)))
        && code.kind(i + 3) == Some(TokenKind::Right)
}

/// What joins a condition to the code before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connector {
    /// `or`
    Word,
    /// `||`
    Pipes,
    /// `where`
    Condition,
}

fn logic(code: &Code<'_>, mut i: usize, connector: Connector, place: Position) -> Option<Structure> {
    let completes = matches!(place, Position::Break | Position::Value);
    let or = i > 0 && !code.bytes(i - 1).eq_ignore_ascii_case(b"and");
    if connector != Connector::Condition && is_logical(code, i) {
        i = code.past_run(i);
    }
    if let Some(end) = full_text_search(code, i).filter(|_| completes) {
        return Some((8, end));
    }
    let (weight, end) = match code.condition(i)? {
        Condition::Compared(compared) => (compared::weight(code, i, place, &compared), compared.end),
        Condition::Bare(operand) => {
            let weight = match operand.kind {
                OperandKind::Strong => 9,
                // `1 and geometrycollection((select 1))` is more than `1 and (select 1)`.
                OperandKind::Query if code.word(i) == Some(Word::Plain) => 8,
                OperandKind::Query | OperandKind::Sleep | OperandKind::Global => 7,
                OperandKind::Soft => 4 + 4 * u8::from(completes && or && code.ends(operand.end)),
                OperandKind::Call if is_sorted(code, operand.end, place) => 5,
                OperandKind::Name | OperandKind::Call
                    if or && (place == Position::Break || after_number(code, place)) =>
                {
                    bare_name(code, operand.end)? + 2 * u8::from(place == Position::Value)
                }
                // `1 or not 0`
                OperandKind::Literal
                    if after_number(code, place)
                        && or
                        && code.word(i) == Some(Word::Prefix)
                        && code.ends(operand.end) =>
                {
                    8
                }
                // `1 or true`, `1 or 1::bool`
                OperandKind::Literal
                    if after_number(code, place)
                        && code.ends(operand.end)
                        && (code.word(i) == Some(Word::Constant) || code.kind(i + 1) == Some(TokenKind::Cast)) =>
                {
                    8
                }
                // "She said 'like it or not' and left."
                OperandKind::Literal if place == Position::Inside && goes_on(code, operand.end - 1) => return None,
                // `for "&&".` quotes an operator; what the sentence ends with is no true text.
                OperandKind::Literal
                    if is_text(code, i, operand.end) && ends_sentence(code, i) && quotes_in_sentence(code, i - 1) =>
                {
                    return None;
                }
                // `' or '` is never true: the text between the last two quotes is empty.
                OperandKind::Literal
                    if is_text(code, i, operand.end) && (!is_closing(code, i) || code.bytes(i).len() == 1) =>
                {
                    return None;
                }
                OperandKind::Literal if code.ends(operand.end) || is_connector(code, operand.end) => 3,
                _ => return None,
            };
            (weight, operand.end)
        }
    };
    let weight = match connector {
        Connector::Pipes if weight < 8 => weight.saturating_sub(2),
        Connector::Condition if weight < 8 => weight / 3,
        _ => weight,
    };
    Some((weight, end))
}

/// Whether a sentence goes on behind a quotation: the last quote opens a text that begins with a blank and a word.
fn goes_on(code: &Code<'_>, i: usize) -> bool {
    let text = code.bytes(i);
    code.kind(i) == Some(TokenKind::Open) && matches!(text, [_, b' ', first, ..] if first.is_ascii_alphabetic())
}

/// Whether the value begins with a number that completes the code of the application, and what is weighed follows it.
pub fn after_number(code: &Code<'_>, place: Position) -> bool {
    place == Position::Value && code.kind(0) == Some(TokenKind::Number)
}

/// `' or email--`, `' or (a)#`, `' or a or '`: a column by itself is true in many rows. Weighed only if it is followed by a
/// bare comment or an open quote, without which the statement of the application would not be complete.
fn bare_name(code: &Code<'_>, end: usize) -> Option<u8> {
    /// Longest comment that has no text: `-- -`.
    const BARE_COMMENT: usize = 6;
    let open =
        |at: usize| code.kind(at) == Some(TokenKind::Open) && code.kind(at + 1).is_none() && is_closing(code, at);
    match code.kind(end) {
        Some(TokenKind::Tail) if code.bytes(end).len() <= BARE_COMMENT => Some(4),
        _ if is_logical(code, end) && open(end + 1) => Some(4),
        _ => None,
    }
}

fn is_text(code: &Code<'_>, i: usize, end: usize) -> bool {
    end == i + 1 && matches!(code.kind(i), Some(TokenKind::Text | TokenKind::Open))
}

/// Whether the text at token `i` only serves to pair the closing quote of the application (`' or '1`). Quoted words do not.
fn is_closing(code: &Code<'_>, i: usize) -> bool {
    let text = code.bytes(i);
    // `' or '1=1` is true in MySQL, which reads the number at the start of the text.
    let number = code.kind(i) == Some(TokenKind::Open)
        && matches!(text.get(1), Some(b'1'..=b'9'))
        && text[1..].iter().all(|b| b.is_ascii_digit() || matches!(b, b'=' | b'<' | b'>'));
    if number {
        return true;
    }
    // `(mode = 'or')`: a quoted word in brackets. A bracket alone is no true text.
    let bracket = matches!(text.get(1), Some(b')' | b']' | b'}')) && text.len() == 2;
    text.len() <= 3 && !bracket
}

/// Whether the text at token `i` is a quote that is not closed and the mark that ends a sentence or a part of it.
fn ends_sentence(code: &Code<'_>, i: usize) -> bool {
    code.kind(i) == Some(TokenKind::Open) && matches!(code.bytes(i), [_, b'.' | b',' | b';' | b':' | b'!' | b'?'])
}

/// Whether token `i` is a number, or a text that only pairs the closing quote of the application.
fn is_atom(code: &Code<'_>, i: usize) -> bool {
    code.kind(i) == Some(TokenKind::Number)
        || (matches!(code.kind(i), Some(TokenKind::Text | TokenKind::Open)) && code.bytes(i).len() <= 3)
}

/// Whether SQL functions or a query are nested in the condition: `ascii(substring(...))`.
pub fn is_probe(code: &Code<'_>, from: usize, to: usize) -> bool {
    const LOOK: usize = 16;
    let range = from..to.min(from + LOOK).min(code.tokens.len());
    let words = range.clone().filter_map(|at| code.word(at));
    words.filter(|word| matches!(word, Word::SoftCall | Word::StrongCall | Word::Select)).nth(1).is_some()
        || range.clone().any(|at| code.kind(at) == Some(TokenKind::Variable) && code.bytes(at).starts_with(b"@@"))
}

fn is_logical(code: &Code<'_>, i: usize) -> bool {
    matches!(code.kind(i), Some(TokenKind::Pipes | TokenKind::Word(Word::Logic)))
}

fn is_connector(code: &Code<'_>, i: usize) -> bool {
    matches!(code.kind(i), Some(TokenKind::Pipes | TokenKind::Word(Word::Logic | Word::Union)))
}

/// `'+(select ...)`, `1-sleep(5)`, `'=sleep(5)='`, `' rlike (select ...)`: an operator that continues the literal.
fn joined(code: &Code<'_>, i: usize, place: Position) -> Option<Structure> {
    if !matches!(place, Position::Break | Position::Value | Position::Start) {
        return None;
    }
    let operand = code.operand(i + 1)?;
    let weight = match operand.kind {
        OperandKind::Strong | OperandKind::Query => 8,
        OperandKind::Sleep | OperandKind::Global => 7,
        OperandKind::Soft if code.word(i + 1) == Some(Word::If) && has_one_argument(code, i + 2) => return None,
        OperandKind::Soft => 4 + 2 * u8::from(is_probe(code, i, operand.end)),
        OperandKind::Literal
            if place == Position::Break
                && code.tokens.len() <= SHORT
                && is_atom(code, i + 1)
                && !code.bytes(i).starts_with(b"?")
                && !quotes_in_sentence(code, i) =>
        {
            // `' ilike '%`: no language but SQL has these words.
            2 + u8::from(OPERATORS.iter().any(|name| code.bytes(i).eq_ignore_ascii_case(name)))
        }
        OperandKind::Literal if subtracts_constant(code, i, place) => 8,
        _ => return None,
    };
    Some((weight, operand.end))
}

/// Whether the quote before token `i` follows a blank or an equals sign, as in `a folder named "/"` and `path="/"}`.
fn quotes_in_sentence(code: &Code<'_>, i: usize) -> bool {
    let before = code.tokens.get(i).map_or(&[][..], |token| &code.text[..token.start as usize]).trim_ascii_end();
    matches!(before, [.., b' ', b'"' | b'\''] | [.., b'=', b'"'])
}

/// `1-false`, `'-true-'`: arithmetic on a constant, up to the end. Names such as `/null-loader` have neither a literal before
/// the operator nor an end behind the constant. `true|false` and `1&null` are choices of an interface.
fn subtracts_constant(code: &Code<'_>, i: usize, place: Position) -> bool {
    let constant = code.word(i + 1) == Some(Word::Constant) && code.kind(i) == Some(TokenKind::Operator);
    let continued = matches!(code.kind(i + 2), Some(TokenKind::Operator | TokenKind::Open));
    match place {
        Position::Break => constant && (code.ends(i + 2) || continued),
        Position::Value => constant && code.ends(i + 2) && !matches!(code.bytes(i), b"|" | b"&"),
        _ => false,
    }
}

fn parenthesis(code: &Code<'_>, i: usize) -> Option<Structure> {
    if code.word(i + 1) == Some(Word::Select) {
        let list = code.list(i + 2);
        let weight = list.weight();
        return (weight > 0).then_some((weight.saturating_sub(1), list.end));
    }
    if !matches!(code.kind(i + 1), Some(TokenKind::Number | TokenKind::Text)) {
        return None;
    }
    match code.condition(i + 1)? {
        Condition::Compared(Compared {
            left: OperandKind::Literal,
            right: OperandKind::Literal,
            by_word: false,
            end,
            ..
        }) => Some((5, end)),
        _ => None,
    }
}

/// A whole statement at token `i`.
fn statement(code: &Code<'_>, i: usize, place: Position) -> Option<Structure> {
    let next = code.word(i + 1);
    match code.word(i)? {
        Word::Select => {
            let list = code.list(i + 1);
            // A whole statement of its own, as in a trace or a question, continues nothing.
            let named =
                matches!(code.kind(1), Some(TokenKind::Star | TokenKind::Word(Word::Plain))) || aggregates(code, 1);
            let plain = i == 0 && place == Position::Start && named && list.from && !list.catalogue;
            let weight = if plain { 0 } else { list.weight() };
            (weight > 0).then_some((weight, list.end))
        }
        Word::Define => define::statement(code, i, place),
        Word::Insert if next == Some(Word::Into) => {
            let name = code.past_name(i + 2)?;
            let at = (name..name + 3).find(|&at| {
                matches!(code.kind(at), Some(TokenKind::Left | TokenKind::Word(Word::Values | Word::Select)))
            })?;
            let copies = code.word(at) == Some(Word::Select) && code.list(at + 1).any;
            Some((if copies { 7 } else { 6 }, at))
        }
        Word::Update => {
            let set = code.past_name(i + 1).filter(|&at| code.word(at) == Some(Word::Set))?;
            (code.kind(set + 2) == Some(TokenKind::Compare)).then_some((6, set + 3))
        }
        Word::Delete if let Some(from) = deleted_from(code, i) => {
            let end = code.past_name(from + 1)?;
            let cut = matches!(code.kind(end), Some(TokenKind::Tail | TokenKind::Semicolon));
            (code.ends(end) || code.word(end) == Some(Word::Condition)).then_some((5 + u8::from(cut), end))
        }
        Word::Execute => execute(code, i),
        Word::Declare | Word::Set if declares(code, i) => Some((8, i + 2)),
        Word::Shutdown if code.ends(i + 1) => Some((4, i + 1)),
        Word::Shutdown if code.bytes(i + 2).eq_ignore_ascii_case(b"nowait") => Some((9, i + 3)),
        Word::Waitfor | Word::If => by_word(code, i, code.word(i)?, Position::Inside),
        Word::Sleep | Word::StrongCall => call(code, i),
        Word::Procedure | Word::Values => None,
        _ => None,
    }
}

/// The `from` of `delete from`, `delete ignore from`, `delete low_priority quick from` at token `i`.
fn deleted_from(code: &Code<'_>, i: usize) -> Option<usize> {
    const OPTIONS: &[&[u8]] = &[b"ignore", b"quick", b"low_priority"];
    let option = |at: &usize| OPTIONS.iter().any(|word| code.bytes(*at).eq_ignore_ascii_case(word));
    let from = i + 1 + (i + 1..=i + OPTIONS.len()).take_while(option).count();
    (code.word(from) == Some(Word::From)).then_some(from)
}

/// Whether a sentence begins with the word at token `i` and the name of a host: "Call a.example, ask for #2". A procedure has
/// brackets behind its name, or its statement ends there.
fn calls_host(code: &Code<'_>, i: usize) -> bool {
    let Some(end) = code.past_name(i + 1).filter(|_| code.bytes(i).eq_ignore_ascii_case(b"call")) else { return false };
    let cut = code.kind(end) == Some(TokenKind::Tail) && !code.bytes(end).starts_with(b"#");
    !cut && !matches!(code.kind(end), Some(TokenKind::Left | TokenKind::Semicolon))
}

fn execute(code: &Code<'_>, i: usize) -> Option<Structure> {
    if let Some(at) = (i + 1..i + 5).find(|&at| code.word(at) == Some(Word::StrongCall)) {
        return Some((9, at + 1));
    }
    match code.kind(i + 1)? {
        TokenKind::Variable => Some((7, i + 2)),
        TokenKind::Left if matches!(code.kind(i + 2), Some(TokenKind::Text | TokenKind::Variable)) => Some((6, i + 3)),
        // `exec dbo.f`, while `Call soon. We` are sentences.
        TokenKind::Word(_) if code.kind(i + 2) == Some(TokenKind::Dot) && !calls_host(code, i) => {
            let follows = code.tokens.get(i + 3).is_none_or(|next| next.start == code.tokens[i + 2].end);
            follows.then_some((6, i + 3))
        }
        TokenKind::Word(_) if code.kind(i + 2) == Some(TokenKind::Text) => Some((6, i + 3)),
        _ => None,
    }
}

fn sort(code: &Code<'_>, i: usize, place: Position) -> Option<Structure> {
    if code.word(i + 1) != Some(Word::By) {
        return None;
    }
    let mut at = i + 2;
    let mut best = None;
    for _ in 0..MAX_KEYS {
        let Some(key) = code.operand(at) else { break };
        let weight = match key.kind {
            OperandKind::Strong | OperandKind::Query | OperandKind::Sleep => 9,
            OperandKind::Soft => 4,
            // Only a probe consists of nothing else.
            OperandKind::Literal if place == Position::Start && code.kind(key.end).is_none() => 8,
            OperandKind::Literal if code.ends(key.end) || code.kind(key.end) == Some(TokenKind::Comma) => 5,
            OperandKind::Name if code.kind(key.end) == Some(TokenKind::Tail) => 2,
            OperandKind::Name if code.word(key.end) == Some(Word::Condition) => 4,
            _ => 0,
        };
        if weight > 0 {
            best = better(best, Some((weight, key.end)));
        }
        if code.kind(key.end) != Some(TokenKind::Comma) {
            break;
        }
        at = key.end + 1;
    }
    best
}

/// `if(1=1, ...)`, `iif(...)`, `if (...) waitfor`.
fn conditional(code: &Code<'_>, i: usize) -> Option<Structure> {
    if code.kind(i + 1) != Some(TokenKind::Left) && code.kind(i + 1) != Some(TokenKind::Number) {
        return None;
    }
    match code.condition(i + 1)? {
        Condition::Compared(Compared { left, right, end, .. }) => match left.max(right) {
            OperandKind::Literal if left.min(right) == OperandKind::Literal => Some((7, end)),
            OperandKind::Strong | OperandKind::Query | OperandKind::Global => Some((8, end)),
            OperandKind::Soft if left.min(right) == OperandKind::Literal => Some((5, end)),
            _ => None,
        },
        Condition::Bare(operand) if operand.kind >= OperandKind::Strong => Some((8, operand.end)),
        Condition::Bare(_) => None,
    }
}
