//! PHP in files: programs that execute what the client sends, or that hide what they execute.

mod calls;
mod functions;
mod lex;
mod run;
mod value;

use memchr::memmem;
use run::{Offset, State};

/// Bytes behind a short tag that must be text, so that a tag is none that occurs in binary content by chance.
const TEXT_BEHIND: usize = 8;

/// Where PHP code in `content` executes what a client sends, or what was hidden.
pub(super) fn find(content: &[u8]) -> Option<usize> {
    let mut blocks = Vec::new();
    let mut from = 0;
    while let Some(start) = next_tag(content, from) {
        let tokens = lex::tokens(&content[start..]);
        from = start + tokens.length;
        blocks.push((start, tokens));
    }
    let mut state = State::new(content.len());
    for second_pass in [false, true] {
        state.second_pass = second_pass;
        for (start, tokens) in &blocks {
            run::run(tokens, Offset::Code(*start), 0, &mut state);
            if state.found.is_some() {
                return state.found;
            }
        }
    }
    None
}

/// Where the code behind the next opening tag begins.
fn next_tag(content: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memmem::find(content.get(at..)?, b"<?")? + 2;
        let rest = &content[at..];
        let is = |tag: &[u8]| rest.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag));
        let text = rest.iter().take(TEXT_BEHIND).all(|b| (b' '..0x7f).contains(b) || b.is_ascii_whitespace());
        if is(b"php") && rest.get(3).is_none_or(u8::is_ascii_whitespace) {
            return Some(at + 3);
        }
        if is(b"=") && text {
            return Some(at + 1);
        }
        if text && rest.first().is_some_and(|b| b.is_ascii_whitespace() || b"@$/`".contains(b)) {
            return Some(at);
        }
    }
}
