//! Calls: which of them execute what the client sent, or what was hidden.

use super::functions::{self, Kind};
use super::lex::SCOPE;
use super::run::{Function, Pass};
use super::value::Value;

/// Most arguments of a callback that are looked at.
const MAX_ARGUMENTS: usize = 16;
/// Words after which an expression stands that is not called.
const BEFORE: &[&[u8]] =
    &[b"echo", b"print", b"exit", b"die", b"throw", b"yield", b"clone", b"return", b"as", b"in", b"use", b"from"];

impl Pass<'_, '_, '_> {
    /// An operand that begins with `name`, which was read and is in lower case.
    pub(super) fn named(&mut self, name: &[u8]) -> Value {
        match name {
            b"new" => return self.construct(),
            b"include" | b"include_once" | b"require" | b"require_once" => return self.include(),
            b"function" | b"fn" => {
                self.at -= 1;
                self.function();
                return Value::default();
            }
            b"isset" | b"empty" | b"count" | b"sizeof" | b"strlen" | b"is_array" | b"in_array" | b"unset" => {
                if self.eat(b'(') {
                    self.list(b')');
                }
                return Value::default();
            }
            b"list" if self.mark() == b'(' => {
                self.at += 1;
                let start = self.at;
                self.list(b')');
                return if self.mark() == b'=' { self.destructure(start) } else { Value::default() };
            }
            _ if BEFORE.contains(&name) => return self.expression(),
            _ => {}
        }
        match self.mark() {
            b'(' => {
                self.at += 1;
                let args = self.entries(b')');
                let value = if name == b"array" {
                    Value::keyed(args)
                } else {
                    let args: Vec<Value> = args.into_iter().map(|(_, arg)| arg).collect();
                    self.call(name, &args)
                };
                self.postfix(value)
            }
            SCOPE => self.postfix(Value::default()),
            // A constant that is not defined is its own name.
            _ if matches!(name, b"true" | b"false" | b"null") || name.starts_with(b"__") => Value::default(),
            _ => self.state.constants.get(name).cloned().unwrap_or_else(|| Value::text(name)),
        }
    }

    /// `new Name(...)`
    fn construct(&mut self) -> Value {
        let class = match self.peek() {
            Some(super::lex::Token::Name(name)) => {
                let name = name.to_ascii_lowercase();
                self.at += 1;
                Value::text(&name)
            }
            Some(super::lex::Token::Variable(name)) => {
                let name = *name;
                self.at += 1;
                let class = self.lookup(name);
                if self.eat(b'[') {
                    self.list(b']');
                    class.flags()
                } else {
                    // A variable that names a class is usual.
                    Value { tainted: false, ..class }
                }
            }
            _ => return Value::default(),
        };
        let args = if self.eat(b'(') { self.list(b')') } else { Vec::new() };
        let all = Value::of(&args);
        match class.name().as_deref() {
            Some(b"com") => return Value::text(b"com"),
            Some(name @ b"reflectionfunction") => {
                self.call(name, &args);
                let dangerous = args.first().is_some_and(is_dangerous_name);
                return Value { hidden: all.hidden || dangerous, ..all.flags() };
            }
            Some(b"arrayiterator" | b"arrayobject" | b"splfixedarray") => return all.flags(),
            Some(name @ (b"callbackfilteriterator" | b"recursivecallbackfilteriterator")) => {
                return self.call(name, &args);
            }
            _ => {}
        }
        self.report(class.tainted && all.tainted);
        self.constructs(&args);
        Value::default()
    }

    /// An object of a class of the program is made with `args`.
    pub(super) fn constructs(&mut self, args: &[Value]) {
        if let Some(known) = self.state.functions.get(&b"__construct"[..]).cloned() {
            self.own(&known, args);
        }
    }

    /// `include` and its like: what the client names as a whole, or what the request holds.
    fn include(&mut self) -> Value {
        let file = self.expression();
        let wrapper = file.bytes().is_some_and(|file| {
            let begins = |scheme: &[u8]| file.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
            begins(b"php://input") || begins(b"data:") || begins(b"expect:")
        });
        if wrapper || file.tainted && file.whole {
            self.report(true);
        }
        if file.whole {
            self.note(file.params);
        }
        self.state.includes = true;
        Value::default()
    }

    /// A call of the function that a value names.
    pub(super) fn dynamic(&mut self, callee: &Value, args: &[Value]) -> Value {
        let all = Value::of(args);
        if let Some(name) = callee.name() {
            // A name that is hidden, for what the client sent.
            self.report((callee.hidden || callee.picked) && all.tainted);
            // Ordinary programs do not write the name of what executes in pieces.
            self.report(callee.computed && is_dangerous(&name));
            let result = self.call(&name, args);
            return if callee.picked || callee.hidden { result.hide() } else { result };
        }
        // Whoever decides what is called, and with what, executes it.
        let assembled = (callee.assembled || callee.picked) && (all.tainted || all.hidden);
        self.report(callee.hidden || assembled || callee.tainted && !args.is_empty());
        self.note_callee(callee, &all);
        Value { whole: all.whole, ..all.flags() }
    }

    /// A call of `name`, in lower case.
    pub(super) fn call(&mut self, name: &[u8], args: &[Value]) -> Value {
        if let Some(known) = self.state.functions.get(name).cloned() {
            return self.own(&known, args);
        }
        match functions::kind(name) {
            Kind::Command => {
                if let Some(command) = args.first() {
                    self.reaches(command);
                }
                Value::default()
            }
            Kind::Code(at) => {
                if let Some(code) = args.get(at) {
                    self.executes(code);
                }
                Value::default()
            }
            Kind::Calls(at) => self.callback(at, args),
            Kind::Replace => self.replace(args),
            Kind::Variables => {
                self.state.open |= args.first().is_some_and(|arg| arg.tainted);
                Value::default()
            }
            Kind::Sent => Value::sent(),
            Kind::Reads => read(args),
            Kind::Connects => {
                self.state.connects = true;
                self.report(self.state.shell);
                Value::default().hide()
            }
            Kind::Moves => {
                let names = matches!(args, [from, to, ..] if from.tainted && to.tainted && to.whole);
                self.report(names);
                Value::default()
            }
            Kind::Writes => self.write(args),
            Kind::Decodes => functions::result(name, args).hide(),
            Kind::Filter => {
                let options = args.get(2).map(|options| options.at(&Value::text(b"options"))).unwrap_or_default();
                self.callback(0, &[options, args.first().cloned().unwrap_or_default()])
            }
            Kind::Defines => {
                if let [name, value, ..] = args
                    && let Some(name) = name.name()
                {
                    self.state.constants.insert(name, value.clone());
                }
                Value::default()
            }
            Kind::Keeps => functions::result(name, args),
            Kind::Other => Value::default(),
        }
    }

    /// A call of a function of the program.
    pub(super) fn own(&mut self, function: &Function, args: &[Value]) -> Value {
        for (at, arg) in args.iter().enumerate().take(32) {
            if function.sinks & 1 << at != 0 {
                self.reaches(arg);
            }
            if function.callees & 1 << at != 0 {
                self.report(arg.tainted || arg.hidden || is_dangerous_name(arg));
                self.note_callee(arg, &Value::sent());
            }
        }
        let returns = function.returns.flags();
        let mut passed = args.iter().enumerate().filter(|(at, _)| returns.params & 1 << (*at).min(31) != 0);
        if returns.whole && returns.params.count_ones() == 1 {
            // What comes in goes out.
            return passed.next().map_or_else(Value::default, |(_, arg)| arg.clone());
        }
        let mut all = Value { params: 0, ..returns.clone() };
        passed.for_each(|(_, arg)| all.join(arg));
        all
    }

    /// What is executed depends on `value`.
    pub(super) fn reaches(&mut self, value: &Value) {
        self.report(value.tainted || value.hidden);
        if value.made != 0 {
            self.state.functions.entry(b"__construct".to_vec()).or_default().sinks |= value.made;
        }
        // Old servers made variables of what clients sent.
        self.report(value.unset && value.whole && !self.state.includes && self.state.second_pass);
        if value.bytes().is_some_and(is_shell) {
            self.state.shell = true;
            self.report(self.state.connects);
        }
        self.note(value.params);
    }

    /// A parameter of the current function names what is called with `args`.
    fn note_callee(&mut self, callee: &Value, args: &Value) {
        if !args.tainted && !args.hidden && args.params == 0 || callee.params == 0 {
            return;
        }
        if let Some(frame) = self.frames.last() {
            self.state.functions.entry(frame.name.clone()).or_default().callees |= callee.params;
        }
    }

    /// Parameters of the current function reach what executes.
    fn note(&mut self, params: u32) {
        if params != 0
            && let Some(frame) = self.frames.last()
        {
            self.state.functions.entry(frame.name.clone()).or_default().sinks |= params;
        }
    }

    /// `value` is executed as code.
    fn executes(&mut self, value: &Value) {
        match value.bytes().map(<[u8]>::to_vec) {
            Some(code) if !value.tainted => {
                let hidden = value.hidden && code.len() >= 4 && memchr::memchr(b'(', &code).is_some();
                self.report(hidden);
                self.nested_code(&code);
            }
            _ => {
                self.report(value.picked);
                self.reaches(value);
            }
        }
    }

    fn callback(&mut self, at: i8, args: &[Value]) -> Value {
        let at = if at < 0 { args.len().checked_sub(1) } else { usize::try_from(at).ok() };
        let Some(at) = at.filter(|&at| at < args.len()) else { return Value::default() };
        let callee = &args[at];
        // The callee may be another of these functions, whose arguments are the rest.
        let others = args.iter().enumerate().filter(|(other, _)| *other != at).take(MAX_ARGUMENTS);
        let rest: Vec<Value> = others.map(|(_, arg)| arg.clone()).collect();
        let all = Value::of(&rest);
        let callee = match &callee.items {
            // A class or an object, and a method of it.
            Some(items) if items.len() == 2 => &items[1].1,
            Some(items) => items.first().map_or(callee, |(_, first)| first),
            None => callee,
        };
        match callee.name() {
            Some(name) if is_dangerous(&name) => self.reaches(&all),
            Some(name) => return self.call(&name, &rest),
            None => {
                let chosen = callee.tainted && (callee.whole || all.tainted);
                self.report(callee.hidden || chosen || callee.assembled && all.tainted);
                self.note_callee(callee, &all);
            }
        }
        all.flags()
    }

    fn replace(&mut self, args: &[Value]) -> Value {
        let Some(pattern) = args.first() else { return Value::default() };
        let all = Value::of(args);
        let modifier = |value: &Value| {
            let text = value.short().unwrap_or_default().trim_ascii();
            let last = text.iter().rposition(|b| !b.is_ascii_alphabetic());
            last.is_some_and(|at| at > 0 && text[at + 1..].contains(&b'e'))
        };
        let options = args.get(3).and_then(Value::short).is_some_and(|options| options.contains(&b'e'));
        let runs = modifier(pattern)
            || pattern.elements().any(modifier)
            || options
            || pattern.tainted && all.tainted && pattern.whole;
        if runs {
            if let Some(code) = args.get(1) {
                self.executes(code);
            }
            self.reaches(&all);
        }
        Value { whole: false, ..args.get(2).map(Value::flags).unwrap_or_default() }
    }

    /// Writes what the client sent to where the client says.
    fn write(&mut self, args: &[Value]) -> Value {
        if let [file, content, ..] = args
            && file.tainted
            && content.tainted
            && (file.whole || content.whole)
        {
            self.report(true);
        }
        Value::default()
    }
}

/// What a function that reads a file returns: the request, or what is not in the program.
fn read(args: &[Value]) -> Value {
    let all = Value::of(args).flags();
    let Some(name) = args.first().and_then(Value::short) else {
        return Value { whole: false, ..all };
    };
    let begins = |scheme: &[u8]| name.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
    if begins(b"php://input") || begins(b"HTTP_") {
        return Value::sent();
    }
    Value { hidden: begins(b"http:") || begins(b"https:") || begins(b"ftp:") || begins(b"data:"), ..all }
}

/// Whether a command starts a shell that reads commands.
fn is_shell(command: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(command, text).is_some();
    let shells: [&[u8]; 6] = [b"sh", b"bash", b"/bin/sh", b"/bin/bash", b"cmd", b"cmd.exe"];
    has(b"sh -i") || has(b"/dev/tcp/") || shells.contains(&command.trim_ascii())
}

/// Whether the function executes its arguments.
fn is_dangerous(name: &[u8]) -> bool {
    matches!(functions::kind(name), Kind::Command | Kind::Code(_))
}

fn is_dangerous_name(value: &Value) -> bool {
    value.name().is_some_and(|name| is_dangerous(&name))
}
