//! Expressions: operands, operators, assignments, and what follows a value.

use super::lex::{APPEND, ARROW, CHANGE, COMPARE, ITEM, OTHERWISE, SCOPE, STEP, Token, XOR_CHANGE, name_at};
use super::run::{MAX_DEPTH, Pass, is_sent_by_client};
use super::value::{Value, arithmetic, either, step};
use std::rc::Rc;

/// Longest expression in a string.
const MAX_EMBEDDED: usize = 512;
/// Most elements of an array to which others are appended.
const MAX_APPENDED: usize = 32;

impl<'a> Pass<'_, 'a, '_> {
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
        let before =
            all.items.take().filter(|items| items.len() < MAX_APPENDED).map_or_else(Vec::new, |items| items.to_vec());
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
            let before = rest[..at].strip_suffix(b"\\");
            let escaped = before.is_some();
            out = out.concat(&Value::text(before.unwrap_or(&rest[..at])));
            if escaped {
                out = out.concat(&Value::text(b"$"));
            }
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
                let head = &after[..after.len().min(MAX_EMBEDDED)];
                let end = memchr::memchr(b'}', head).map_or(head.len(), |end| end + 1);
                self.nested_code(&head[1..end.max(1)]);
            }
            rest = if escaped { after } else { &after[name.len()..] };
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
                let made = if self.constructs_now() { value.params } else { value.made };
                self.state.properties.insert(name, Value { params: 0, made, ..value.clone() });
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
}
