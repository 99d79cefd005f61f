//! Statements that create, change or remove objects of a database, and sentences that only look like them.

use super::grammar::{Code, Position, Structure};
use super::lex::TokenKind;
use super::stacked;
use super::words::Word;

/// The statement that the verb at token `i` begins: `create table`, `drop user`, `grant ... to`.
pub fn statement(code: &Code<'_>, i: usize, place: Position) -> Option<Structure> {
    if let Some(granted) = stacked::grants(code, i) {
        return Some(granted);
    }
    let object = (i + 1..i + 4).find(|&at| code.word(at) == Some(Word::Object))?;
    if !(i + 1..object).all(|at| modifies(code, at)) {
        return None;
    }
    // A whole statement of its own, as in a question, continues nothing.
    let creates = code.bytes(i).eq_ignore_ascii_case(b"create") && code.bytes(object).eq_ignore_ascii_case(b"table");
    if i == 0 && place == Position::Start && creates && code.kind(object + 2) == Some(TokenKind::Left) {
        return None;
    }
    let weight = if code.kind(object + 2) == Some(TokenKind::Left) { 8 } else { 6 };
    let mentioned = removes_in_a_sentence(code, i, object) || is_quoted_in_a_sentence(code, i, object);
    (matches!(code.kind(object + 1), Some(TokenKind::Word(_))) && !mentioned).then_some((weight, object + 2))
}

/// Whether token `i` may stand between the verb that defines an object and the word for its kind: `create or replace table`.
/// "Create JSON schema validators" has another word there.
fn modifies(code: &Code<'_>, i: usize) -> bool {
    const MODIFIERS: &[&[u8]] = &[
        b"or",
        b"replace",
        b"alter",
        b"temp",
        b"temporary",
        b"unique",
        b"global",
        b"local",
        b"private",
        b"public",
        b"shared",
        b"external",
        b"foreign",
        b"unlogged",
        b"materialized",
        b"recursive",
        b"fulltext",
        b"spatial",
        b"clustered",
        b"nonclustered",
        b"bitmap",
        b"virtual",
        b"aggregate",
        b"trusted",
        b"procedural",
        b"event",
        b"force",
        b"login",
        b"server",
        b"if",
        b"not",
        b"exists",
        b"only",
        b"system",
        b"pluggable",
        b"shadow",
        b"ignore",
        b"constraint",
        b"editionable",
        b"noneditionable",
        b"bigfile",
        b"smallfile",
    ];
    !matches!(code.kind(i), Some(TokenKind::Word(_))) || MODIFIERS.iter().any(|m| code.bytes(i).eq_ignore_ascii_case(m))
}

/// `"drop table users migration"`: behind the name of what such a statement removes there is neither another word nor a
/// text. `object` is the word for its kind.
fn removes_in_a_sentence(code: &Code<'_>, i: usize, object: usize) -> bool {
    const OPTIONS: &[&[u8]] = &[b"cascade", b"restrict", b"purge", b"force", b"reuse", b"with"];
    let removes = [&b"drop"[..], b"truncate"].iter().any(|verb| code.bytes(i).eq_ignore_ascii_case(verb));
    let Some(end) = code.past_name(object + 1).filter(|_| removes) else { return false };
    match code.kind(end) {
        Some(TokenKind::Word(Word::Plain)) => !OPTIONS.iter().any(|word| code.bytes(end).eq_ignore_ascii_case(word)),
        Some(TokenKind::Text | TokenKind::Open) => true,
        _ => false,
    }
}

/// `Use "create extension postgis" to load it`: a sentence quotes the statement, and goes on behind the quote with a blank
/// and a word. `object` is the word for what is created; a statement about accounts or programs may go on with a literal.
fn is_quoted_in_a_sentence(code: &Code<'_>, i: usize, object: usize) -> bool {
    const OBJECTS: &[&[u8]] = &[b"extension", b"table", b"index", b"column", b"schema"];
    const MAX_WORDS: usize = 6;
    let Some(begin) = code.tokens.get(i).map(|token| token.start as usize) else { return false };
    let [.., before, quote @ (b'"' | b'\'')] = &code.text[..begin] else { return false };
    if !matches!(before, b' ' | b'\n' | b'(') || !OBJECTS.iter().any(|o| code.bytes(object).eq_ignore_ascii_case(o)) {
        return false;
    }
    let plain = |at: &usize| matches!(code.word(*at), Some(Word::Plain | Word::Object));
    let end = object + 1 + (object + 1..object + 1 + MAX_WORDS).take_while(plain).count();
    let behind = code.tokens.get(end).filter(|token| matches!(token.kind, TokenKind::Text | TokenKind::Open));
    let Some(behind) = behind.map(|token| &code.text[token.start as usize..]) else { return false };
    matches!(behind, [close, b' ', word, ..] if close == quote && word.is_ascii_alphabetic())
}
