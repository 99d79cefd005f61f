//! Statements that injected code runs behind a `;`, beyond those that read or change rows: administration, files, programs.
//!
//! Their verbs are ordinary words, so each is recognised only in its whole form.

use super::grammar::{Code, OperandKind, Structure};
use super::lex::TokenKind;
use super::words::Word;
use crate::model::Lexicon;

/// Most tokens between the verb of a statement and the word that completes it.
const MAX_GAP: usize = 12;

/// A verb with which such a statement begins.
#[derive(Clone, Copy)]
enum Verb {
    Attach,
    Backup,
    Bulk,
    Call,
    Copy,
    Describe,
    Do,
    Execute,
    Handler,
    Kill,
    Load,
    Lock,
    Pragma,
    Prepare,
    Rename,
    Set,
    Show,
    Truncate,
    With,
}

/// The verbs.
static VERBS: Lexicon<Verb, 64> = Lexicon::new(&[
    (Verb::Attach, &["attach"]),
    (Verb::Backup, &["backup", "restore"]),
    (Verb::Bulk, &["bulk"]),
    (Verb::Call, &["call", "begin"]),
    (Verb::Copy, &["copy"]),
    (Verb::Describe, &["desc", "describe"]),
    (Verb::Do, &["do", "perform"]),
    (Verb::Execute, &["exec", "execute"]),
    (Verb::Handler, &["handler"]),
    (Verb::Kill, &["kill"]),
    (Verb::Load, &["load"]),
    (Verb::Lock, &["lock"]),
    (Verb::Pragma, &["pragma"]),
    (Verb::Prepare, &["prepare"]),
    (Verb::Rename, &["rename"]),
    (Verb::Set, &["set"]),
    (Verb::Show, &["show"]),
    (Verb::Truncate, &["truncate"]),
    (Verb::With, &["with"]),
]);

fn verb(word: &[u8]) -> Option<Verb> {
    VERBS.get(word)
}

/// Whether a statement may begin at the start of `text`, in which white space has been skipped.
pub fn may_begin(text: &[u8]) -> bool {
    let word = text.iter().take(12).position(|b| !b.is_ascii_alphabetic()).unwrap_or(text.len().min(12));
    // A comment may stand before the verb.
    let comment = matches!(
        text,
        [b'#' | 0xa0 | 0xc2 | 0xe1..=0xe3 | 0xef, ..] | [b'/', b'*', ..] | [b'*', b'/', ..] | [b'-', b'-', ..]
    );
    comment || verb(&text[..word]).is_some()
}

/// The statement at token `i`.
pub fn statement(code: &Code<'_>, i: usize) -> Option<Structure> {
    let TokenKind::Word(_) = code.kind(i)? else { return None };
    let is = |at: usize, name: &[u8]| code.bytes(at).eq_ignore_ascii_case(name);
    let word = |at: usize| matches!(code.kind(at), Some(TokenKind::Word(_)));
    let text = |at: usize| matches!(code.kind(at), Some(TokenKind::Text | TokenKind::Open | TokenKind::Variable));
    let found = |yes: bool, weight: u8, end: usize| yes.then_some((weight, end));
    match verb(code.bytes(i))? {
        Verb::Attach => {
            let name = i + 1 + usize::from(is(i + 1, b"database"));
            found(text(name) && (is(name + 1, b"as") || code.ends(name + 1)), 8, name + 1)
        }
        Verb::Backup => {
            let to = until(code, i, b"to").or(until(code, i, b"from"))?;
            found((is(i + 1, b"database") || is(i + 1, b"log")) && word(to + 1), 8, to + 2)
        }
        Verb::Bulk => found(is(i + 1, b"insert") && word(i + 2), 8, i + 3),
        Verb::Call => call(code, i),
        Verb::Copy => {
            let query = code.kind(i + 1) == Some(TokenKind::Left);
            let at = if query {
                code.close.get(i + 1).map(|&close| close as usize + 1).filter(|&at| is(at, b"to"))?
            } else {
                until(code, i, b"from").or(until(code, i, b"to"))?
            };
            let source = at + 1 + usize::from(is(at + 1, b"program"));
            found((word(i + 1) || query) && text(source), 8, source + 1)
        }
        Verb::Describe => found(word(i + 1) && code.kind(i + 2) == Some(TokenKind::Semicolon), 5, i + 2),
        Verb::Do => {
            let operand = code.operand(i + 1)?;
            let runs = matches!(operand.kind, OperandKind::Sleep | OperandKind::Strong);
            found(runs || code.bytes(i + 1).starts_with(b"$"), 8, operand.end)
        }
        Verb::Execute if is(i + 1, b"immediate") => found(text(i + 2) || word(i + 2), 8, i + 3),
        Verb::Execute => None,
        Verb::Handler => found(word(i + 1) && (is(i + 2, b"open") || is(i + 2, b"read")), 7, i + 3),
        Verb::Kill => found(code.kind(i + 1) == Some(TokenKind::Number) && code.ends(i + 2), 3, i + 2),
        Verb::Load => {
            let file = until(code, i, b"infile").or(until(code, i, b"load_file"))?;
            found(is(i + 1, b"data") && text(file + 1), 8, file + 2)
        }
        Verb::Lock => found(is(i + 1, b"tables") && word(i + 2) && word(i + 3), 6, i + 4),
        Verb::Pragma => found(
            word(i + 1) && (code.ends(i + 2) || code.bytes(i + 2) == b"=" || code.kind(i + 2) == Some(TokenKind::Left)),
            5,
            i + 3,
        ),
        Verb::Prepare if is(i + 2, b"as") => {
            const STATEMENTS: [Word; 4] = [Word::Select, Word::Insert, Word::Update, Word::Delete];
            found(word(i + 1) && code.word(i + 3).is_some_and(|word| STATEMENTS.contains(&word)), 8, i + 4)
        }
        Verb::Prepare => found(word(i + 1) && is(i + 2, b"from") && text(i + 3), 8, i + 4),
        // `truncate text` may be a sentence, unless what follows is cut off.
        Verb::Truncate => {
            let end = code.past_name(i + 1)?;
            found(matches!(code.kind(end), Some(TokenKind::Tail | TokenKind::Semicolon)), 6, end)
        }
        Verb::With => {
            let query = code.kind(i + 3) == Some(TokenKind::Left) && code.word(i + 4) == Some(Word::Select);
            found(word(i + 1) && is(i + 2, b"as") && query, 8, i + 5)
        }
        Verb::Rename => found(is(i + 1, b"table") && word(i + 2) && is(i + 3, b"to"), 8, i + 4),
        Verb::Set => {
            let scope = [&b"global"[..], b"session", b"local", b"persist"].iter().any(|name| is(i + 1, name));
            found(scope && word(i + 2) && code.bytes(i + 3).ends_with(b"="), 8, i + 4)
        }
        Verb::Show => show(code, i),
    }
}

/// `call f(1)`, `begin dbms_x.y(1); end;`
fn call(code: &Code<'_>, i: usize) -> Option<Structure> {
    let operand = code.operand(i + 1)?;
    match operand.kind {
        OperandKind::Strong | OperandKind::Sleep => Some((8, operand.end)),
        OperandKind::Call | OperandKind::Soft if code.ends(operand.end) => Some((5, operand.end)),
        _ => None,
    }
}

fn show(code: &Code<'_>, i: usize) -> Option<Structure> {
    const OBJECTS: &[&[u8]] =
        &[b"tables", b"databases", b"schemas", b"columns", b"grants", b"variables", b"processlist", b"status"];
    let listed = OBJECTS.iter().any(|name| code.bytes(i + 1).eq_ignore_ascii_case(name));
    let more = matches!(code.word(i + 2), Some(Word::From | Word::In | Word::Compare | Word::Condition));
    (listed && (code.ends(i + 2) || more)).then_some((6, i + 2))
}

/// `grant all on *.* to x`, `grant dba to x`, `revoke x on y from z`.
pub fn grants(code: &Code<'_>, i: usize) -> Option<Structure> {
    let grant = code.bytes(i).eq_ignore_ascii_case(b"grant");
    if !grant && !code.bytes(i).eq_ignore_ascii_case(b"revoke") {
        return None;
    }
    let to = until(code, i, if grant { b"to" } else { b"from" })?;
    let grantee = matches!(code.kind(to + 1), Some(TokenKind::Word(_) | TokenKind::Text | TokenKind::Open));
    let on = until(code, i, b"on").is_some_and(|on| on < to);
    let short = to == i + 2 && code.ends(to + 2);
    (grantee && (on || short)).then_some((if on { 6 } else { 4 }, to + 2))
}

/// The first token that is `name` within reach of token `i`, in the same statement.
fn until(code: &Code<'_>, i: usize, name: &[u8]) -> Option<usize> {
    let reach = (i + 1..i + MAX_GAP).take_while(|&at| code.kind(at).is_some_and(|kind| kind != TokenKind::Semicolon));
    reach.into_iter().find(|&at| code.bytes(at).eq_ignore_ascii_case(name))
}
