//! Calls of functions, and variables of the server, by how much they suggest an attack.

use super::grammar::{Code, OperandKind, Structure};
use super::lex::TokenKind;
use super::query;
use super::words::Word;
use std::ops::Range;

/// The call at token `i`: of a function that only attacks call, of one that a query is nested in, or a cast.
pub fn call(code: &Code<'_>, i: usize) -> Option<Structure> {
    let operand = code.operand(i)?;
    let method = i > 0 && matches!(code.kind(i - 1), Some(TokenKind::Dot));
    let argument = (i + 1..i + 4).find(|&at| code.kind(at) == Some(TokenKind::Left)).map(|at| at + 1)?;
    if i == 0 && code.ends(operand.end) && casts(code, i, operand.end) {
        return Some((8, operand.end));
    }
    let hex = code.kind(argument) == Some(TokenKind::Number) && code.bytes(argument).starts_with(b"0x");
    let weight = match operand.kind {
        OperandKind::Strong if is_noun(code, i, operand.end) || names_function(code, i, operand.end) => return None,
        OperandKind::Strong if is_filter(code, i) => return None,
        // `gtid_subset(concat(0x3a,(select version())),1)`
        OperandKind::Strong if i == 0 && code.ends(operand.end) && asks(code, i, operand.end) => 9,
        OperandKind::Strong if !method => 7,
        // "sleep(5) pauses the script", "sleep (10) tablets"
        OperandKind::Sleep
            if i == 0
                && code.word(operand.end) == Some(Word::Plain)
                && matches!(code.kind(operand.end + 1), None | Some(TokenKind::Word(Word::Plain))) =>
        {
            return None;
        }
        OperandKind::Sleep if !method && code.kind(argument) == Some(TokenKind::Number) => 4,
        OperandKind::Query if i == 0 && code.ends(operand.end) && queries(code, i, operand.end) => 8,
        OperandKind::Query => 6,
        OperandKind::Soft if i == 0 && code.ends(operand.end) && queries(code, i, operand.end) => 8,
        OperandKind::Soft if hex && !method => 6,
        OperandKind::Soft if !method && is_chain(code, i) => 7,
        _ => return None,
    };
    Some((weight, operand.end))
}

/// Whether a query in parentheses is among the arguments of the call at token `i`.
fn asks(code: &Code<'_>, i: usize, end: usize) -> bool {
    const REACH: usize = 17;
    queries_in(code, i + 3..(end + 1).min(i + REACH)).any(|at| {
        matches!(
            code.kind(at + 1),
            Some(TokenKind::Word(_) | TokenKind::Left | TokenKind::Variable | TokenKind::Number)
        )
    })
}

/// Each `select` among these tokens that begins a query in parentheses.
fn queries_in(code: &Code<'_>, tokens: Range<usize>) -> impl Iterator<Item = usize> {
    tokens.filter(|&at| code.word(at) == Some(Word::Select) && code.kind(at - 1) == Some(TokenKind::Left))
}

/// Whether what looks like the call at token `i` is a noun and its plural, `benchmark(s)`, or a remark in a sentence: its only
/// argument is a word or a number, beside a word.
fn is_noun(code: &Code<'_>, i: usize, end: usize) -> bool {
    let single = end == i + 4 && matches!(code.kind(i + 2), Some(TokenKind::Word(Word::Plain) | TokenKind::Number));
    let plural = code.bytes(i + 2).eq_ignore_ascii_case(b"s");
    let beside = |at: usize| code.word(at) == Some(Word::Plain);
    single && (plural || beside(end) || i > 0 && beside(i - 1))
}

/// Whether the function at token `i` is a filter of a template, which queries a document: `result.items | json_query('[].name')`.
/// Behind the bitwise operator of SQL, such a function only reads a text, too.
fn is_filter(code: &Code<'_>, i: usize) -> bool {
    const READS: &[u8] = b"json_";
    let named = code.bytes(i).get(..READS.len()).is_some_and(|head| head.eq_ignore_ascii_case(READS));
    named && i > 1 && code.bytes(i - 1) == b"|" && code.word(i - 2) == Some(Word::Plain)
}

/// Whether a sentence names the function at token `i`, which takes arguments, with empty brackets: "Fix uncompress() to return".
fn names_function(code: &Code<'_>, i: usize, end: usize) -> bool {
    const NEED_ARGUMENTS: &[&[u8]] = &[
        b"uncompress",
        b"group_concat",
        b"string_agg",
        b"writefile",
        b"load_file",
        b"extractvalue",
        b"updatexml",
        b"benchmark",
        b"pg_sleep",
        b"make_set",
        b"elt",
        b"json_extract",
        b"json_value",
        b"json_query",
        b"json_contains",
        b"json_search",
        b"json_length",
        b"json_type",
        b"json_valid",
        b"json_keys",
        b"row_to_json",
        b"to_jsonb",
        b"xmlagg",
        b"xmlelement",
        b"xmlserialize",
        b"generate_series",
        b"zeroblob",
        b"randomblob",
        b"find_in_set",
        b"substring_index",
        b"bit_count",
        b"object_id",
        b"object_name",
        b"dblink",
        b"dblink_connect",
        b"lo_get",
        b"openjson",
        b"isjson",
    ];
    end == i + 3
        && code.kind(i + 2) == Some(TokenKind::Right)
        && NEED_ARGUMENTS.iter().any(|name| code.bytes(i).eq_ignore_ascii_case(name))
}

/// Whether a query is nested in the call at token `i`: `length((select ...))`.
fn queries(code: &Code<'_>, i: usize, end: usize) -> bool {
    const REACH: usize = 12;
    query::nested(code, i, end) || queries_in(code, i + 2..end.min(i + REACH)).any(|at| code.list(at + 1).strong)
}

/// Whether the call at token `i` is `cast(name as int)`.
fn casts(code: &Code<'_>, i: usize, end: usize) -> bool {
    const REACH: usize = 16;
    let name = code.bytes(i);
    let cast = name.eq_ignore_ascii_case(b"cast") || name.eq_ignore_ascii_case(b"try_cast");
    let typed = |at: usize| code.word(at) == Some(Word::As) && matches!(code.kind(at + 1), Some(TokenKind::Word(_)));
    cast && matches!(code.kind(i + 2), Some(TokenKind::Word(_))) && (i + 3..end.min(i + REACH)).any(typed)
}

/// `char(65)||char(66)`: text built byte by byte.
fn is_chain(code: &Code<'_>, i: usize) -> bool {
    let one = |at: usize| {
        let name = code.bytes(at);
        (name.eq_ignore_ascii_case(b"char") || name.eq_ignore_ascii_case(b"chr") || name.eq_ignore_ascii_case(b"nchar"))
            && code.kind(at + 2) == Some(TokenKind::Number)
    };
    one(i) && matches!(code.kind(i + 4), Some(TokenKind::Pipes | TokenKind::Operator | TokenKind::Comma)) && one(i + 5)
}

/// A variable of the server at token `i` that shows its version or folders: `@@version`.
pub fn global(code: &Code<'_>, i: usize) -> Option<Structure> {
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

/// Whether the value is `sleep(3)` and nothing else, which is a call of most languages.
pub fn is_pause(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let name = text.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"sleep"));
    let argument = text.get(5..).and_then(|rest| rest.strip_prefix(b"(")?.strip_suffix(b")"));
    name && argument.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}
