//! Commands that run the command behind them: `sudo id`, `xargs rm`.

use super::super::work;
use super::Boundary;
use super::argument::{Argument, argument};
use super::commands::{self, NameClass};
use super::line::{inside, is_program_path, program, split_path, word_end};

/// Most commands that may run each other on a line before the one that counts.
const MAX_WRAPPERS: usize = 4;

/// Whether the command behind a wrapper, its options and assignments is known.
pub fn runs_command(wrapper: &[u8], only_commands: bool, rest: &[u8], boundary: Boundary) -> bool {
    let (mut rest, mut only_commands, mut wrapper) = (rest, only_commands, wrapper);
    for _ in 0..MAX_WRAPPERS {
        let Some(next) = skip_options(rest) else { return false };
        let end = word_end(next, 0);
        work::count(rest.len() - next.len() + end);
        let (path, name) = split_path(&next[..end]);
        rest = &next[end..];
        if let Some(inner) = commands::wrapper(name)
            && matches!(rest.first(), Some(b' ' | b'\t' | b'+'))
        {
            (only_commands, wrapper) = (inner, name);
            continue;
        }
        let Some(kind) = commands::classify(program(name)) else { return false };
        if matches!(rest.first(), Some(b'=' | b'[' | b'(' | b'@' | 0x80..)) {
            return false;
        }
        let argument = argument(name, rest, false, inside(boundary));
        let root = [&b"sudo"[..], b"doas", b"nohup", b"xargs"].contains(&wrapper);
        // No word of a language: whatever follows the command, it runs.
        let runs =
            root || [&b"exec"[..], b"env", b"setsid", b"stdbuf", b"ionice", b"busybox", b"eval"].contains(&wrapper);
        let behind = boundary > Boundary::Line && (only_commands || kind >= NameClass::CommandName) || root;
        return argument >= Argument::Option && (kind > NameClass::OrdinaryWord || boundary > Boundary::Line)
            || argument == Argument::None
                && (kind == NameClass::Unmistakable || behind && kind >= NameClass::CommandName)
            || is_program_path(path) && argument != Argument::Text
            || runs && boundary > Boundary::Line && kind >= NameClass::CommandName
            || wrapper == b"trap" && boundary > Boundary::Line && kind >= NameClass::CommandName;
    }
    false
}

/// What follows the options, numbers and assignments behind a wrapper; `None` without a blank before it.
fn skip_options(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = rest;
    for turn in 0..8 {
        let blanks =
            rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'+' | b'\'' | b'"' | b'(' | b'{' | b'!')).count();
        if blanks == 0 && turn == 0 {
            return None;
        }
        rest = &rest[blanks..];
        let len = rest.iter().position(|b| matches!(b, b' ' | b'\t' | b'+' | b';' | b'|' | b'&')).unwrap_or(rest.len());
        let word = &rest[..len];
        let assigns =
            memchr::memchr(b'=', word).is_some_and(|at| at > 0 && word[..at].iter().all(u8::is_ascii_alphanumeric));
        let skipped = word.first().is_some_and(|b| *b == b'-' || b.is_ascii_digit()) || assigns;
        if !skipped {
            break;
        }
        rest = &rest[len..];
    }
    Some(rest)
}
