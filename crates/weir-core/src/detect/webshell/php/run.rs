//! Follows values through assignments and calls of a PHP program, without running it.
//!
//! Each token is read once in each of two passes: the first learns which functions of the program pass their arguments
//! to what executes, the second reports. Nesting is bounded.

use super::lex::{
    APPEND, ARROW, CHANGE, COMPARE, ITEM, OTHERWISE, SCOPE, STEP, Token, Tokens, XOR_CHANGE, name_at, tokens,
};
use super::next_tag;
use super::value::Value;
use std::collections::HashMap;
use std::rc::Rc;

/// Deepest nesting of expressions that is followed.
const MAX_DEPTH: u32 = 48;
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
    properties: HashMap<Vec<u8>, Value>,
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

/// Where code begins in a file: there itself, or within a string that stands there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offset {
    Code(usize),
    String(usize),
}

/// A pass over some tokens.
pub(super) struct Pass<'t, 'a, 's> {
    tokens: &'t [Token<'a>],
    starts: &'t [usize],
    offset: Offset,
    pub at: usize,
    depth: u32,
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
fn is_sent_by_client(key: &[u8]) -> bool {
    let known: [&[u8]; 6] =
        [b"QUERY_STRING", b"REQUEST_URI", b"PATH_INFO", b"PHP_AUTH_USER", b"PHP_AUTH_PW", b"ORIG_PATH_INFO"];
    key.starts_with(b"HTTP_") && key != b"HTTP_HOST" || known.contains(&key)
}

impl<'a> Pass<'_, 'a, '_> {
    /// Where the token that was read last stands in the file.
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

    pub(super) fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at)
    }

    pub(super) fn mark(&self) -> u8 {
        self.mark_at(0)
    }

    fn mark_at(&self, ahead: usize) -> u8 {
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
        // A type of the result stands before the body.
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

    fn assign(&mut self, name: &[u8], value: Value) {
        let variables = match self.frames.last_mut() {
            Some(frame) => &mut frame.variables,
            None => &mut self.state.globals,
        };
        variables.insert(name.to_vec(), value);
    }

    /// An expression, up to what ends it.
    pub(super) fn expression(&mut self) -> Value {
        if self.depth >= MAX_DEPTH {
            self.at += 1;
            return Value::default();
        }
        self.depth += 1;
        let mut value = self.operand();
        loop {
            match self.mark() {
                b'.' => {
                    self.at += 1;
                    let other = self.operand();
                    value = value.concat(&other);
                }
                b'^' => {
                    self.at += 1;
                    let other = self.operand();
                    value = value.xor(&other);
                }
                COMPARE => {
                    self.at += 1;
                    self.operand();
                    value = Value::default();
                }
                OTHERWISE => {
                    self.at += 1;
                    let other = self.operand();
                    value = either(value, other);
                }
                b'?' => {
                    self.at += 1;
                    let first = self.expression();
                    let second = if self.eat(b':') { self.expression() } else { Value::default() };
                    value = either(first, second);
                }
                operator @ (b'+' | b'-' | b'*' | b'/' | b'%' | b'|' | b'&') => {
                    self.at += 1;
                    let other = self.operand();
                    value = arithmetic(operator, &value, &other);
                }
                _ => break,
            }
        }
        self.depth -= 1;
        value
    }

    fn operand(&mut self) -> Value {
        let Some(token) = self.peek() else { return Value::default() };
        match token {
            Token::Text(text, variables) => {
                let (text, variables) = (text.clone(), *variables);
                self.at += 1;
                let value = if variables { self.interpolate(&text) } else { Value::text(&text) };
                if let Some(tag) = memchr::memmem::find(&text, b"<?") {
                    // A program that writes a program.
                    self.nested_program(&text[tag..]);
                }
                self.postfix(value)
            }
            Token::Command(command) => {
                let command = command.to_vec();
                self.at += 1;
                let value = self.interpolate(&command);
                self.reaches(&value);
                Value::default()
            }
            Token::Number(number) => {
                let value = Value::text(number.to_string().as_bytes());
                self.at += 1;
                self.postfix(value)
            }
            Token::Cast(number) => {
                let number = *number;
                self.at += 1;
                let value = self.deeper(Self::operand);
                if number { Value::default() } else { value }
            }
            Token::Variable(name) => {
                let name = *name;
                self.at += 1;
                self.variable(name)
            }
            Token::Name(name) => {
                let name = name.to_ascii_lowercase();
                self.at += 1;
                self.named(&name)
            }
            Token::Mark(mark) => {
                let mark = *mark;
                self.marked(mark)
            }
        }
    }

    /// Runs `read` one level deeper; gives up beyond the bound.
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.depth >= MAX_DEPTH {
            self.at += 1;
            return Value::default();
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// An operand that begins with an operator or a bracket.
    fn marked(&mut self, mark: u8) -> Value {
        match mark {
            b'@' | b'&' | b'+' | b'-' | STEP => {
                self.at += 1;
                self.deeper(Self::operand)
            }
            b'!' => {
                self.at += 1;
                self.deeper(Self::operand);
                Value::default()
            }
            b'~' => {
                self.at += 1;
                let value = self.deeper(Self::operand);
                let text = value.short().map(|text| text.iter().map(|byte| !byte).collect());
                value.with_text(text).hide()
            }
            b'(' => {
                self.at += 1;
                let value = self.expression();
                self.eat(b')');
                self.postfix(value)
            }
            b'[' => {
                self.at += 1;
                let start = self.at;
                let items = self.entries(b']');
                if self.mark() == b'=' {
                    return self.destructure(start);
                }
                self.postfix(Value::keyed(items))
            }
            b'$' => {
                self.at += 1;
                let name = if self.eat(b'{') {
                    let name = self.expression();
                    self.eat(b'}');
                    name
                } else {
                    self.deeper(Self::dollar_name)
                };
                self.by_name(&name)
            }
            _ => Value::default(),
        }
    }

    /// The name after a dollar sign: that which a variable holds.
    fn dollar_name(&mut self) -> Value {
        match self.peek() {
            Some(Token::Variable(name)) => {
                let name = *name;
                self.at += 1;
                self.lookup(name)
            }
            _ => self.operand(),
        }
    }

    /// The variable whose name is a value.
    fn by_name(&mut self, name: &Value) -> Value {
        if let Some(text) = name.short().map(<[u8]>::to_vec) {
            let value = self.variable(&text);
            return if name.hidden && value.is_unknown() { Value::sent() } else { value };
        }
        if self.eat(b'=') {
            let value = self.expression();
            // Any variable may be meant.
            self.state.open |= value.tainted;
            return value;
        }
        // A name that is hidden hides what the client sent; nothing else is worth it.
        let value = if name.hidden { Value::sent() } else { Value { whole: false, ..name.flags() } };
        self.postfix(value)
    }

    /// Values up to a closing bracket.
    pub(super) fn list(&mut self, close: u8) -> Vec<Value> {
        self.entries(close).into_iter().map(|(_, value)| value).collect()
    }

    /// Values with their keys, up to a closing bracket.
    pub(super) fn entries(&mut self, close: u8) -> Vec<(Option<Rc<[u8]>>, Value)> {
        let mut items = Vec::new();
        while self.at < self.tokens.len() && self.state.found.is_none() {
            match self.mark() {
                mark if mark == close => break,
                b';' | b'{' | b'}' => return items,
                b',' => self.at += 1,
                _ => {
                    let before = self.at;
                    let mut value = self.expression();
                    let mut key = None;
                    if self.eat(ITEM) {
                        key = value.text.take();
                        value = self.expression();
                    }
                    items.push((key, value));
                    if self.at == before {
                        self.at += 1;
                    }
                }
            }
        }
        self.eat(close);
        items
    }

    /// `[$a, $b] = value`, whose names begin at token `start`.
    pub(super) fn destructure(&mut self, start: usize) -> Value {
        let end = self.at;
        self.at += 1;
        let value = self.expression();
        let tokens = self.tokens;
        let names = tokens[start..end].iter().filter_map(|token| match token {
            Token::Variable(name) => Some(*name),
            _ => None,
        });
        for (number, name) in names.enumerate() {
            let item = value.elements().nth(number).cloned();
            self.assign(name, item.unwrap_or_else(|| value.flags()));
        }
        value
    }

    /// A variable, or an assignment to it.
    fn variable(&mut self, name: &[u8]) -> Value {
        match self.mark() {
            b'=' => {
                self.at += 1;
                let value = self.expression();
                self.assign(name, value.clone());
                value
            }
            APPEND => {
                self.at += 1;
                let value = self.expression();
                let all = self.lookup(name).concat(&value);
                self.assign(name, all.clone());
                all
            }
            mark @ (CHANGE | XOR_CHANGE) => {
                self.at += 1;
                let value = self.expression();
                let mut all = self.lookup(name).flags();
                if mark == XOR_CHANGE {
                    all = all.xor(&value);
                } else {
                    all.join(&value);
                }
                self.assign(name, all.clone());
                all
            }
            STEP => {
                self.at += 1;
                let value = self.lookup(name);
                // Stepping through the alphabet.
                if value.hidden
                    || value.picked
                    || value.short().is_some_and(|text| text.first().is_some_and(|b| !b.is_ascii_digit()))
                {
                    self.assign(name, step(&value));
                }
                value
            }
            b'[' if name == b"_SERVER" || name == b"GLOBALS" => self.entry(name),
            b'[' => self.element(name),
            _ => {
                let value = self.lookup(name);
                self.postfix(value)
            }
        }
    }

    /// An element of a variable, or an assignment to it.
    fn element(&mut self, name: &[u8]) -> Value {
        self.at += 1;
        let key = if self.mark() == b']' { Value::default() } else { self.expression() };
        self.eat(b']');
        let value = self.lookup(name).at(&key);
        let value = self.postfix(value);
        if !matches!(self.mark(), b'=' | APPEND) {
            return value;
        }
        self.at += 1;
        let element = self.expression();
        let mut all = Value { unset: false, ..self.lookup(name) };
        all.join(&element);
        let before = all.items.take().map_or_else(Vec::new, |items| items.to_vec());
        let items = before.into_iter().chain([(key.text, element.clone())]).collect();
        let whole = element.whole || all.whole && all.tainted;
        self.assign(name, Value { items: Value::keyed(items).items, text: None, whole, ..all });
        element
    }

    /// An entry of `$_SERVER` or `$GLOBALS`.
    fn entry(&mut self, name: &[u8]) -> Value {
        self.at += 1;
        let key = self.expression();
        self.eat(b']');
        let Some(key) = key.short().map(<[u8]>::to_vec) else {
            let value = if key.hidden { Value::sent() } else { Value::default() };
            return self.postfix(value);
        };
        if name == b"GLOBALS" {
            return self.variable(&key);
        }
        let value = if is_sent_by_client(&key) { Value::sent() } else { Value::default() };
        self.postfix(value)
    }

    /// A string whose variables are replaced.
    fn interpolate(&mut self, text: &[u8]) -> Value {
        let mut out = Value::text(b"");
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'$', rest) {
            let escaped = rest[..at].ends_with(b"\\");
            out = out.concat(&Value::text(&rest[..at]));
            let after = &rest[at + 1..];
            let name = name_at(after.strip_prefix(b"{").unwrap_or(after));
            if !escaped && !name.is_empty() && !name[0].is_ascii_digit() {
                let mut value = self.lookup(name);
                if value.items.is_some() {
                    value.text = Some((*b"Array").into());
                }
                out = out.concat(&value);
                out.whole = value.whole && text.len() <= name.len() + 32;
            } else if after.starts_with(b"{") && !escaped {
                // An expression in the string.
                let end = memchr::memchr(b'}', after).map_or(after.len(), |end| end + 1);
                self.nested_code(&after[1..end.max(1)]);
            }
            rest = &after[name.len()..];
        }
        let tail = Value::text(rest);
        let whole = out.whole;
        out = if out.tainted || out.params != 0 { out } else { out.concat(&tail) };
        out.whole = whole;
        out
    }

    /// What follows a value: indexes, members, a call of the function that it names.
    pub(super) fn postfix(&mut self, mut value: Value) -> Value {
        while self.state.found.is_none() {
            match self.mark() {
                b'[' => {
                    self.at += 1;
                    if self.eat(b']') {
                        continue;
                    }
                    let index = self.expression();
                    self.eat(b']');
                    value = value.at(&index);
                }
                b'{' if matches!(
                    self.tokens.get(self.at + 1),
                    Some(Token::Number(_) | Token::Text(..) | Token::Variable(_))
                ) && self.mark_at(2) == b'}' =>
                {
                    self.at += 1;
                    let index = self.operand();
                    self.eat(b'}');
                    value = value.at(&index);
                }
                b'(' => {
                    self.at += 1;
                    let args = self.list(b')');
                    value = self.dynamic(&value, &args);
                }
                ARROW | SCOPE => {
                    self.at += 1;
                    value = self.member(&value);
                }
                STEP => {
                    self.at += 1;
                }
                _ => break,
            }
        }
        value
    }

    /// A property or a method of a value.
    fn member(&mut self, of: &Value) -> Value {
        let name = match self.peek() {
            Some(Token::Name(name) | Token::Variable(name)) => name.to_ascii_lowercase(),
            _ => return Value::default(),
        };
        let is_dynamic = matches!(self.peek(), Some(Token::Variable(_)));
        self.at += 1;
        match self.mark() {
            b'(' => {
                self.at += 1;
                let args = self.list(b')');
                if is_dynamic { Value::default() } else { self.method(&name, of, &args) }
            }
            b'=' | APPEND => {
                self.at += 1;
                let mut value = self.expression();
                if let Some(before) = self.state.properties.get(&name) {
                    value.join(before);
                }
                // Parameters are those of the current function only.
                self.state.properties.insert(name, Value { params: 0, ..value.clone() });
                value
            }
            _ => self.state.properties.get(&name).cloned().unwrap_or_default(),
        }
    }

    fn method(&mut self, name: &[u8], of: &Value, args: &[Value]) -> Value {
        match name {
            // A reflected function is called, or a shell of Windows.
            b"invoke" | b"invokeargs" if of.hidden || of.tainted => self.reaches(&Value::of(args)),
            b"exec" | b"run" | b"shellexecute" | b"create" if of.text.as_deref() == Some(b"com") => {
                self.reaches(&Value::of(args));
            }
            b"newinstance" | b"newinstanceargs" => self.constructs(args),
            _ => {}
        }
        let known = self.state.functions.get(name).cloned();
        known.map_or_else(Value::default, |known| self.own(&known, args))
    }

    /// A program in a string. Escaped dollar signs are those of its variables.
    fn nested_program(&mut self, text: &[u8]) {
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

fn either(first: Value, second: Value) -> Value {
    let mut all = first.flags();
    all.join(&second);
    all.whole = first.whole || second.whole;
    // A fallback says what is usual.
    let text = if first.text.is_some() { first.text } else { second.text };
    Value { text: if all.tainted { None } else { text }, ..all }
}

fn arithmetic(operator: u8, first: &Value, second: &Value) -> Value {
    let (Some(a), Some(b)) = (first.number(), second.number()) else {
        return Value {
            hidden: (first.hidden || second.hidden) && matches!(operator, b'|' | b'&'),
            ..Value::default()
        };
    };
    let result = match operator {
        b'+' => a.checked_add(b),
        b'-' => a.checked_sub(b),
        b'*' => a.checked_mul(b),
        b'/' => a.checked_div(b),
        b'%' => a.checked_rem(b),
        b'|' => Some(a | b),
        _ => Some(a & b),
    };
    result.map_or_else(Value::default, |number| Value::text(number.to_string().as_bytes()))
}

/// The next letter, hidden.
fn step(value: &Value) -> Value {
    let text = value.short().map(|text| {
        let mut text = text.to_vec();
        if let Some(last) = text.last_mut() {
            *last = last.wrapping_add(1);
        }
        text
    });
    value.with_text(text).hide()
}
