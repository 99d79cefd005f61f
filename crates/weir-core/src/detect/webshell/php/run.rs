//! Follows values through assignments and calls of a PHP program, without running it.
//!
//! Each token is read once in each of two passes: the first learns which functions of the program pass their arguments
//! to what executes, the second reports. Nesting is bounded.

use super::lex::{Token, Tokens, next_tag, tokens};
use super::value::Value;
use std::collections::HashMap;

/// Deepest nesting of expressions that is followed.
pub(super) const MAX_DEPTH: u32 = 48;
/// Deepest nesting of code in strings.
const MAX_NESTED: u32 = 3;
/// Bits of [`Function::sinks`] and [`Value::params`].
const MAX_PARAMS: usize = 32;

/// What is known about a function of the program.
#[derive(Clone, Debug, Default)]
pub(super) struct Function {
    /// Parameters that reach what executes.
    pub sinks: u32,
    /// Parameters that name a function which is called with what the client sent.
    pub callees: u32,
    /// What it returns.
    pub returns: Value,
}

/// What is known across the parts of a program.
#[derive(Debug, Default)]
pub(super) struct State {
    globals: HashMap<Vec<u8>, Value>,
    pub functions: HashMap<Vec<u8>, Function>,
    pub properties: HashMap<Vec<u8>, Value>,
    pub constants: HashMap<Vec<u8>, Value>,
    /// Code of other files runs in the same scope.
    pub includes: bool,
    /// A connection is opened.
    pub connects: bool,
    /// A shell is started.
    pub shell: bool,
    /// Variables that are never assigned are what the client sent.
    pub open: bool,
    /// Where what executes was reached by what the client sent, or by what was hidden.
    pub found: Option<usize>,
    /// Bytes of code in strings that may still be read.
    nested_left: usize,
    /// All of the program was read once.
    pub second_pass: bool,
}

impl State {
    /// Nothing is known yet of a program of `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        Self { nested_left: bytes, ..Self::default() }
    }
}

/// The function whose body is read.
pub(super) struct Frame {
    pub name: Vec<u8>,
    variables: HashMap<Vec<u8>, Value>,
    /// Braces open when its body began.
    braces: u32,
}

/// Where code begins in a file: there itself, or within a string at that place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offset {
    Code(usize),
    String(usize),
}

/// A pass over some tokens.
pub(super) struct Pass<'t, 'a, 's> {
    pub tokens: &'t [Token<'a>],
    starts: &'t [usize],
    offset: Offset,
    pub at: usize,
    pub depth: u32,
    nested: u32,
    braces: u32,
    pub frames: Vec<Frame>,
    /// A function whose header was read and whose body comes next.
    pending: Option<Frame>,
    pub state: &'s mut State,
}

/// Reads tokens and notes in `state` what they do. `offset` is where the code begins.
pub(super) fn run(code: &Tokens<'_>, offset: Offset, nested: u32, state: &mut State) {
    let tokens = &code.tokens;
    let mut pass = Pass {
        tokens,
        starts: &code.starts,
        offset,
        at: 0,
        depth: 0,
        nested,
        braces: 0,
        frames: Vec::new(),
        pending: None,
        state,
    };
    while pass.at < tokens.len() && pass.state.found.is_none() {
        let before = pass.at;
        pass.statement();
        if pass.at == before {
            pass.at += 1;
        }
    }
}

/// What the client sends, by the name of the variable.
fn is_request(name: &[u8]) -> bool {
    matches!(
        name,
        b"_GET"
            | b"_POST"
            | b"_REQUEST"
            | b"_COOKIE"
            | b"_FILES"
            | b"HTTP_GET_VARS"
            | b"HTTP_POST_VARS"
            | b"HTTP_COOKIE_VARS"
            | b"HTTP_RAW_POST_DATA"
            | b"HTTP_POST_FILES"
    )
}

/// Entries of `$_SERVER` that the client decides.
pub(super) fn is_sent_by_client(key: &[u8]) -> bool {
    let known: [&[u8]; 6] =
        [b"QUERY_STRING", b"REQUEST_URI", b"PATH_INFO", b"PHP_AUTH_USER", b"PHP_AUTH_PW", b"ORIG_PATH_INFO"];
    key.starts_with(b"HTTP_") && key != b"HTTP_HOST" || known.contains(&key)
}

impl<'a> Pass<'_, 'a, '_> {
    /// Where the token that was read last is in the file.
    fn place(&self) -> usize {
        match self.offset {
            Offset::Code(offset) => offset + self.starts.get(self.at.saturating_sub(1)).copied().unwrap_or(0),
            Offset::String(place) => place,
        }
    }

    /// Notes that the program executes what it must not, if `found`.
    pub(super) fn report(&mut self, found: bool) {
        if found && self.state.found.is_none() {
            self.state.found = Some(self.place());
        }
    }

    /// Whether the body of a constructor is read.
    pub(super) fn constructs_now(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.name == b"__construct")
    }

    pub(super) fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at)
    }

    pub(super) fn mark(&self) -> u8 {
        self.mark_at(0)
    }

    pub(super) fn mark_at(&self, ahead: usize) -> u8 {
        match self.tokens.get(self.at + ahead) {
            Some(Token::Mark(mark)) => *mark,
            _ => 0,
        }
    }

    /// Consumes `mark` if it is next.
    pub(super) fn eat(&mut self, mark: u8) -> bool {
        let next = self.mark() == mark;
        self.at += usize::from(next);
        next
    }

    fn statement(&mut self) {
        match self.peek() {
            Some(Token::Mark(b'{')) => {
                self.at += 1;
                if let Some(frame) = self.pending.take() {
                    self.frames.push(Frame { braces: self.braces, ..frame });
                }
                self.braces += 1;
            }
            Some(Token::Mark(b'}')) => {
                self.at += 1;
                self.braces = self.braces.saturating_sub(1);
                if self.frames.last().is_some_and(|frame| frame.braces == self.braces) {
                    self.frames.pop();
                }
            }
            Some(Token::Mark(b';')) => {
                self.pending = None;
                self.at += 1;
            }
            Some(Token::Name(name)) => {
                let name = name.to_ascii_lowercase();
                self.keyword(&name);
            }
            _ => drop(self.expression()),
        }
    }

    /// A statement that begins with a name.
    fn keyword(&mut self, name: &[u8]) {
        match name {
            b"function" => self.function(),
            b"return" => {
                self.at += 1;
                let value = self.expression();
                if let Some(frame) = self.frames.last() {
                    let function = self.state.functions.entry(frame.name.clone()).or_default();
                    function.returns.join(&value);
                    function.returns.whole |= value.whole;
                }
            }
            b"foreach" if self.mark_at(1) == b'(' => self.foreach(),
            b"global" | b"static" | b"public" | b"private" | b"protected" | b"var" | b"else" | b"do" | b"try"
            | b"abstract" | b"final" | b"readonly" | b"case" => self.at += 1,
            _ => drop(self.expression()),
        }
    }

    /// `function name($a, &$b = 1)`, up to its body.
    pub(super) fn function(&mut self) {
        self.at += 1;
        self.eat(b'&');
        let name = match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.to_ascii_lowercase();
                self.at += 1;
                name
            }
            _ => Vec::new(),
        };
        let mut variables = HashMap::new();
        if self.eat(b'(') {
            let mut open = 1;
            while let Some(token) = self.peek() {
                match token {
                    Token::Mark(b'(') => open += 1,
                    Token::Mark(b')') => open -= 1,
                    Token::Variable(parameter) if variables.len() < MAX_PARAMS => {
                        let value = if name.is_empty() { Value::default() } else { Value::param(variables.len()) };
                        variables.insert(parameter.to_vec(), value);
                    }
                    _ => {}
                }
                self.at += 1;
                if open == 0 {
                    break;
                }
            }
        }
        if name.is_empty() {
            // The variables of a closure are those around it.
            return;
        }
        // A type of the result comes before the body.
        while matches!(self.peek(), Some(Token::Name(_) | Token::Mark(b':' | b'?' | b'|'))) {
            self.at += 1;
        }
        self.pending = Some(Frame { name, variables, braces: 0 });
    }

    fn foreach(&mut self) {
        self.at += 2;
        let value = self.expression();
        if !matches!(self.peek(), Some(Token::Name(name)) if name.eq_ignore_ascii_case(b"as")) {
            return;
        }
        self.at += 1;
        let each = value.elements().next().cloned().unwrap_or_else(|| value.flags());
        while !matches!(self.mark(), b')' | b';' | b'{') && self.at < self.tokens.len() {
            if let Some(Token::Variable(name)) = self.peek() {
                let name = name.to_vec();
                self.assign(&name, each.clone());
            }
            self.at += 1;
        }
        self.eat(b')');
    }

    pub(super) fn lookup(&self, name: &[u8]) -> Value {
        if is_request(name) {
            return Value::sent();
        }
        let local = match self.frames.last() {
            Some(frame) => frame.variables.get(name).or_else(|| self.state.globals.get(name)),
            None => self.state.globals.get(name),
        };
        match local {
            Some(value) => value.clone(),
            None if name == b"this" => Value::text(b"__invoke"),
            None if self.state.open => Value::sent(),
            None => Value { unset: self.frames.is_empty(), whole: true, ..Value::default() },
        }
    }

    pub(super) fn assign(&mut self, name: &[u8], value: Value) {
        let variables = match self.frames.last_mut() {
            Some(frame) => &mut frame.variables,
            None => &mut self.state.globals,
        };
        variables.insert(name.to_vec(), value);
    }

    /// A program in a string. Escaped dollar signs are those of its variables.
    pub(super) fn nested_program(&mut self, text: &[u8]) {
        if text.len() > self.state.nested_left {
            return;
        }
        self.state.nested_left -= text.len();
        let mut plain = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = memchr::memmem::find(rest, b"\\$") {
            plain.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
        }
        plain.extend_from_slice(rest);
        if let Some(start) = next_tag(&plain, 0) {
            self.nested_code(&plain[start..]);
        }
    }

    /// Code in a string.
    pub(super) fn nested_code(&mut self, code: &[u8]) {
        if self.nested >= MAX_NESTED || code.len() > self.state.nested_left {
            return;
        }
        self.state.nested_left -= code.len();
        let code = code.strip_prefix(b"?>").unwrap_or(code);
        let code = code.strip_prefix(b"<?php").unwrap_or(code);
        let place = Offset::String(self.place());
        run(&tokens(code), place, self.nested + 1, self.state);
    }
}
