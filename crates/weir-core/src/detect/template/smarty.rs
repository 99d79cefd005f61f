//! Tags of Smarty in single braces, which ordinary text has too: only tags that compute with literals, run functions of PHP
//! or include a template from a text are attacks.

use super::{is_arithmetic, multiplies};

/// Tags and literals with which an attack in single braces begins, lower case.
const BEGINNINGS: [&[u8]; 10] =
    [b"math ", b"if ", b"foreach ", b"include ", b"assign ", b"eval ", b"fetch ", b"'", b"\"", b"("];
/// Objects of `$smarty` that hold what a template is to show, not what the server is.
pub const PLACEHOLDERS: [&[u8]; 7] =
    [b"config.", b"foreach.", b"section.", b"capture.", b"now", b"block.", b"const.lang"];
/// Functions of PHP that run or read what they are given.
const FUNCTIONS: [&[u8]; 7] =
    [b"system", b"passthru", b"exec", b"shell_exec", b"file_get_contents", b"readfile", b"popen"];

/// Whether a tag that may be an attack begins at the start of `inside`.
pub fn may_begin(inside: &[u8]) -> bool {
    let head = inside[..inside.len().min(8)].to_ascii_lowercase();
    head.first().is_some_and(u8::is_ascii_digit) || BEGINNINGS.iter().any(|word| head.starts_with(word))
}

/// Whether the text between braces is an attack; `expression` is the same in lower case and without white space.
pub fn is_attack(inside: &[u8], expression: &[u8]) -> bool {
    let begins = |word: &[u8]| expression.starts_with(word);
    let has = |word: &[u8]| memchr::memmem::find(expression, word).is_some();
    let calls = || FUNCTIONS.iter().any(|name| has(&[name, &b"("[..]].concat()));
    match inside.first().map(u8::to_ascii_lowercase) {
        Some(b'0'..=b'9' | b'(') => multiplies(expression) && is_arithmetic(expression, false),
        Some(b'\'' | b'"') => FUNCTIONS.iter().any(|name| expression.ends_with(&[&b"|"[..], name].concat())),
        _ if begins(b"math") => has(b"equation="),
        _ if begins(b"include") => {
            [&b"string:"[..], b"eval:", b"php:", b"file:"].iter().any(|scheme| has(&[&b"file='"[..], scheme].concat()))
                || [&b"string:"[..], b"eval:", b"php:"].iter().any(|scheme| has(&[&b"file=\""[..], scheme].concat()))
        }
        _ if begins(b"assign") => has(b"value=") && calls(),
        _ if begins(b"eval") => has(b"var=") && calls(),
        _ if begins(b"fetch") => has(b"file="),
        _ => calls() || multiplies(expression),
    }
}
