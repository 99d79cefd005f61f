//! One pass over a value that follows the common grammar of operands and operators, and refuses what is no program.

use super::super::work;
use super::chain::{Arguments, Chain, Root};
use super::lex::{Lexer, Token};
use super::meaning::{self, Strength};
use super::names::{self, Keyword};

/// Most brackets that are open at once.
const MAX_DEPTH: usize = 24;
/// Bytes that could be examined while a reader is set up, and while it takes a token.
const PROGRAM_BYTES: usize = 64;
const TOKEN_BYTES: usize = 12;
/// Most variables that are remembered to hold the name of a function.
const MAX_ASSIGNED: usize = 8;
/// Most bytes before the quote that an injection closes.
const MAX_LEAD: usize = 24;

/// A value that is a piece of a program and does what only code does.
pub(super) struct Program {
    /// It begins by closing a text or a bracket that the application opened.
    pub breaks_out: bool,
    /// It begins by importing a module or declaring a variable, as scripts do, which break out of nothing.
    pub is_script: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Call,
    Index,
    Group,
}

struct Frame<'t> {
    bracket: u8,
    form: Form,
    chain: Chain<'t>,
    arguments: Arguments<'t>,
}

/// The program that `text` is, if it does what only code does. `cut`: the value goes on behind the text.
pub(super) fn program(text: &[u8], cut: bool) -> Option<Program> {
    if let Some(program) = Reader::new(text, false).read(cut) {
        return Some(program);
    }
    Reader::new(&text[closed_text(text)?..], true).read(cut)
}

/// Where the rest begins behind a quote that closes a text which the application opened.
fn closed_text(text: &[u8]) -> Option<usize> {
    let head = &text[..text.len().min(MAX_LEAD)];
    let quote = head.iter().position(|b| matches!(b, b'\'' | b'"'))?;
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-' | b'.' | b'@' | b'/');
    let next = text[quote + 1..].iter().find(|b| !matches!(b, b' ' | b')' | b']' | b'}'))?;
    (head[..quote].iter().all(word) && b";,+.|&-*%?:=\n".contains(next)).then_some(quote + 1)
}

struct Reader<'t> {
    lexer: Lexer<'t>,
    frames: Vec<Frame<'t>>,
    /// What is at the top level is noted as the content of a bracket is.
    outside: Arguments<'t>,
    chain: Chain<'t>,
    /// An operand is expected.
    operand: bool,
    /// A new statement may begin although no operand is expected: behind a block, a condition or a line end.
    fresh: bool,
    /// A member is expected.
    member: bool,
    /// The last token needs something behind it.
    dangling: bool,
    /// The word before the operand that does something with it: `print`, `include`, `new`.
    prefix: &'t [u8],
    /// The variable that the next operand is assigned to.
    target: &'t [u8],
    assigned: [&'t [u8]; MAX_ASSIGNED],
    assignments: usize,
    /// Operands so far.
    operands: usize,
    breaks_out: bool,
    /// It has what programs have and formulas have not: a statement, a function, the tags of a page.
    marked: bool,
    is_script: bool,
    strong: bool,
    weak: bool,
}

impl<'t> Reader<'t> {
    fn new(text: &'t [u8], breaks_out: bool) -> Self {
        Self {
            lexer: Lexer { text, at: 0 },
            frames: Vec::new(),
            outside: Arguments::default(),
            chain: Chain::new(Root::Text, b""),
            operand: !breaks_out,
            fresh: false,
            member: false,
            dangling: false,
            prefix: b"",
            target: b"",
            assigned: [b""; MAX_ASSIGNED],
            assignments: 0,
            operands: 0,
            breaks_out,
            marked: breaks_out,
            is_script: false,
            strong: false,
            weak: false,
        }
    }

    fn read(mut self, cut: bool) -> Option<Program> {
        work::count(PROGRAM_BYTES);
        while let Some(token) = self.lexer.next(self.operand) {
            work::count(TOKEN_BYTES);
            self.step(token)?;
        }
        let complete = self.lexer.at >= self.lexer.text.len()
            && (self.breaks_out || self.frames.is_empty())
            && (self.breaks_out || !self.dangling);
        let attack = self.strong || self.weak && self.marked;
        (attack && (complete || cut && self.lexer.at + MAX_LEAD > self.lexer.text.len()))
            .then_some(Program { breaks_out: self.breaks_out, is_script: self.is_script })
    }

    fn step(&mut self, token: Token<'t>) -> Option<()> {
        let member = std::mem::take(&mut self.member);
        let dangling = std::mem::take(&mut self.dangling);
        if member && !matches!(token, Token::Name(_) | Token::Variable(_) | Token::Open(_) | Token::Line) {
            return None;
        }
        match token {
            Token::Name(name) if member => self.member_named(name),
            Token::Variable(name) if member => {
                self.chain.push(name);
                self.operand = false;
            }
            Token::Name(name) => self.name(name)?,
            Token::Variable(name) => {
                self.begin(Chain::new(Root::Variable, name))?;
                self.arguments().variables += 1;
                self.arguments().superglobal |= names::is_superglobal(name);
                self.chain.holds_text = self.assigned[..self.assignments].contains(&name);
                self.assign(names::is_superglobal(name), name);
            }
            Token::Plain => {
                self.begin(Chain::new(Root::Other, b""))?;
                self.arguments().numbers += 1;
                self.assign(false, b"");
            }
            Token::Text(text, closed) => self.text(text, closed)?,
            Token::Command(text, named) => self.command(text, named)?,
            Token::Open(bracket) => self.open(bracket, member)?,
            Token::Close(bracket) => self.close(bracket, dangling)?,
            Token::Member => {
                (self.member, self.operand, self.dangling) = (true, true, true);
            }
            Token::Assign => {
                let variable = self.chain.root == Root::Variable && self.chain.count == 1 && !self.operand;
                self.target = if variable { self.chain.last() } else { b"" };
                self.operator();
            }
            Token::Operator => self.operator(),
            Token::Comma | Token::End => {
                if dangling && !self.breaks_out {
                    return None;
                }
                self.marked |= token == Token::End && self.operands > 0 || self.lexer.text.starts_with(b"<");
                (self.operand, self.fresh, self.prefix, self.target) = (true, false, b"", b"");
            }
            Token::Line => {
                (self.member, self.dangling) = (member, dangling);
                self.fresh |= !self.operand;
            }
        }
        Some(())
    }

    fn operator(&mut self) {
        self.marked |= self.lexer.text[..self.lexer.at].ends_with(b"=>");
        self.arguments().operators = true;
        (self.operand, self.fresh, self.dangling) = (true, false, true);
    }

    /// What is noted about the innermost bracket.
    fn arguments(&mut self) -> &mut Arguments<'t> {
        self.frames.last_mut().map_or(&mut self.outside, |frame| &mut frame.arguments)
    }

    /// Begins an operand, where one may be.
    fn begin(&mut self, chain: Chain<'t>) -> Option<()> {
        if !self.operand && !self.fresh {
            return None;
        }
        let constructs = self.prefix == b"new";
        self.chain = chain;
        self.chain.constructs = constructs;
        (self.operand, self.fresh) = (false, false);
        self.operands += 1;
        Some(())
    }

    /// Notes what the pending assignment gives its variable: `text` if that may name a function.
    fn assign(&mut self, text: bool, value: &[u8]) {
        let target = std::mem::take(&mut self.target);
        if !target.is_empty() && text && target != value && self.assignments < MAX_ASSIGNED {
            self.assigned[self.assignments] = target;
            self.assignments += 1;
        }
    }

    fn found(&mut self, strength: Option<Strength>) {
        match strength {
            Some(Strength::Strong) => self.strong = true,
            Some(Strength::Weak) => {
                self.weak = true;
                self.arguments().weak = true;
            }
            None => {}
        }
    }

    fn member_named(&mut self, name: &'t [u8]) {
        self.chain.push(name);
        (self.operand, self.fresh) = (false, false);
        let strength = meaning::member(&self.chain);
        self.found(strength);
        if self.begins_argument(name) {
            (self.operand, self.prefix) = (true, name);
        }
    }

    fn name(&mut self, name: &'t [u8]) -> Option<()> {
        match names::keyword(name) {
            Some(Keyword::Infix | Keyword::Both) if !self.operand && !self.fresh => {
                (self.operand, self.fresh) = (true, false);
                return Some(());
            }
            Some(Keyword::Statement | Keyword::Both)
                if (self.operand || self.fresh) && self.lexer.peek_past_blanks() != b'(' =>
            {
                self.is_script |= self.operands == 0 && names::begins_script(name);
                self.marked |= names::is_function(name);
                (self.operand, self.fresh) = (true, false);
                return Some(());
            }
            _ => {}
        }
        if (self.operand || self.fresh) && self.begins_argument(name) {
            (self.operand, self.fresh, self.prefix) = (true, false, name);
            return Some(());
        }
        if names::is_constant(name) {
            self.begin(Chain::new(Root::Other, b""))?;
            self.arguments().numbers += 1;
            return Some(());
        }
        let decodes = names::decodes(name);
        self.begin(Chain::new(Root::Name, name))?;
        self.arguments().names += 1;
        self.arguments().name = name;
        self.assign(decodes, name);
        Some(())
    }

    /// Whether a word takes the operand that follows as its argument, without brackets.
    fn begins_argument(&self, name: &[u8]) -> bool {
        let next = self.lexer.peek_past_blanks();
        let blank = self.lexer.peek(0) != next;
        let begins = matches!(next, b'"' | b'\'' | b'`' | b'$' | b'@' | b'%')
            || blank && (next.is_ascii_alphanumeric() || matches!(next, b':' | b'_' | b'<'));
        begins && names::takes_argument(name)
    }

    fn text(&mut self, text: &'t [u8], closed: bool) -> Option<()> {
        if !closed && !self.breaks_out {
            return None;
        }
        self.begin(Chain::new(Root::Text, b""))?;
        let arguments = self.arguments();
        arguments.texts += 1;
        arguments.text = arguments.text.or(Some(text));
        arguments.callback |= names::is_callback(text);
        arguments.path |= meaning::is_system_path(text);
        self.assign(true, text);
        let strength = meaning::argument_text(std::mem::take(&mut self.prefix), text);
        self.found(strength);
        Some(())
    }

    fn command(&mut self, text: &'t [u8], named: bool) -> Option<()> {
        if !self.operand && !self.fresh {
            let before = self.lexer.at.checked_sub(text.len() + 3).map(|at| self.lexer.text[at]);
            if before.is_some_and(|b| b.is_ascii_whitespace()) {
                return None;
            }
            // A tagged template of JavaScript: a call with the text.
            let arguments = Arguments { text: Some(text), texts: 1, ..Arguments::default() };
            let strength = meaning::call(&self.chain, &arguments);
            self.found(strength);
            (self.chain.called, self.chain.is_result) = (true, true);
            return Some(());
        }
        self.begin(Chain::new(Root::Other, b""))?;
        self.assign(true, text);
        let printed =
            named || names::shows(self.prefix) || self.frames.last().is_some_and(|f| names::shows(f.chain.last()));
        // What a shell does with backticks alone is for the detector of commands.
        let word = text.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'/');
        self.found((word && printed).then_some(Strength::Strong));
        Some(())
    }

    fn open(&mut self, bracket: u8, member: bool) -> Option<()> {
        if self.frames.len() >= MAX_DEPTH {
            return None;
        }
        let form = match bracket {
            _ if self.fresh || self.operand && !member => Form::Group,
            b'(' => Form::Call,
            b'[' => Form::Index,
            _ => Form::Group,
        };
        if form == Form::Group {
            self.arguments().groups = true;
            self.assign(false, b"");
        }
        self.marked |=
            self.lexer.at >= 2 && matches!(self.lexer.text[self.lexer.at - 2], b'$' | b'#' | b'%' | b'*' | b'@');
        let chain = std::mem::take(&mut self.chain);
        self.frames.push(Frame { bracket, form, chain, arguments: Arguments::default() });
        (self.operand, self.fresh, self.prefix) = (true, false, if form == Form::Group { self.prefix } else { b"" });
        Some(())
    }

    fn close(&mut self, bracket: u8, dangling: bool) -> Option<()> {
        if dangling && !self.breaks_out {
            return None;
        }
        let Some(Frame { bracket: open, form, chain, arguments }) = self.frames.pop() else {
            // It closes a bracket of the application, first of all.
            if !self.breaks_out && self.operands > 1 || self.strong || self.weak {
                return self.breaks_out.then_some(());
            }
            (self.breaks_out, self.marked, self.operand) = (true, true, false);
            return Some(());
        };
        if !matches!((open, bracket), (b'(', b')') | (b'[', b']') | (b'{', b'}')) {
            return None;
        }
        (self.operand, self.fresh, self.prefix) = (false, false, b"");
        self.arguments().calls |= arguments.calls;
        match form {
            Form::Call => self.called(chain, &arguments),
            Form::Index => {
                self.chain = chain;
                self.chain
                    .push(arguments.text.filter(|_| arguments.texts == 1 && !arguments.operators).unwrap_or(b"*"));
                let strength = meaning::member(&self.chain).or(meaning::index(&self.chain, &arguments));
                self.found(strength);
            }
            Form::Group => {
                let only_texts = arguments.texts > 0 && arguments.names + arguments.numbers + arguments.variables == 0;
                let joined = arguments.operators || arguments.callback;
                let joined = joined || open == b'[';
                let root = if only_texts && joined && !arguments.calls { Root::Texts } else { Root::Other };
                self.chain = Chain::new(root, b"");
                // A block, or a type in brackets before the operand that it converts.
                self.fresh = open == b'{' || open == b'(' && names::is_type(arguments.name) && arguments.names == 1;
                self.arguments().weak |= arguments.weak;
                self.arguments().superglobal |= arguments.superglobal;
            }
        }
        Some(())
    }

    /// Judges a call whose bracket is closed.
    fn called(&mut self, chain: Chain<'t>, arguments: &Arguments<'t>) {
        if chain.root == Root::Name && chain.count == 1 && names::is_control(chain.last()) {
            self.chain = Chain::new(Root::Other, b"");
            self.fresh = true;
            return;
        }
        let strength = meaning::call(&chain, arguments);
        self.found(strength);
        self.arguments().calls = true;
        self.chain = chain;
        if names::loads_module(chain.last()) && chain.is_free() {
            self.chain.module = arguments.text.unwrap_or_default();
        }
        (self.chain.called, self.chain.is_result) = (true, true);
    }
}
