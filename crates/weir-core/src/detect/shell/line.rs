//! Evidence that a line is a command line, from the word in command position and what follows it.

use super::super::work;
use super::argument::{self, Argument, argument, has_operands, has_subcommand, has_target_or_pipe};
use super::commands::{self, NameClass};
use super::place::{follows_value, is_listed, is_title_case, skip_lead, tight};
use super::wildcard::leads_to_secret;
use super::wrapper::runs_command;
use super::{Boundary, MAX_LINE, MAX_NAME, grammar};
use crate::model::ByteClasses;

/// What shows that a line is a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The value is the name of a command and nothing else.
    Bare,
    /// The line begins with an unknown word, with an option or a target as commands have them.
    Unknown,
    /// The program is named by wildcards.
    Glob,
    /// The line has a command or a construct of the shell, in a way that prose and lists have not.
    Line,
    /// The line names a program by its path.
    Rooted,
}

/// A command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index past its last byte, or past enough of it to show what it is.
    pub end: usize,
    /// Index of the first byte of the command.
    pub start: usize,
    /// Index past the last byte of the line.
    pub line_end: usize,
    /// What shows it.
    pub evidence: Evidence,
}

/// Most bytes skipped before a command.
const MAX_LEAD: usize = 16;
/// Most bytes of a command line after the command that tell what its argument is.
const MAX_REST: usize = 256;
/// Most bytes of a value that a command line on the next line may break out of.
const MAX_VALUE: usize = 64;
/// Bytes that could be examined while a word is looked up.
const COMMAND_BYTES: usize = 16;

/// The command line at `at`, if there is enough evidence that it is one.
pub fn command(text: &[u8], classes: ByteClasses, at: usize, boundary: Boundary) -> Option<Found> {
    let start = skip_lead(text, at, MAX_LEAD);
    work::count(start + COMMAND_BYTES - at);
    // The name of a command never begins with a digit, but its path may.
    let first = *text.get(start)?;
    if first.is_ascii_digit() && !classes.intersects(ByteClasses::SLASH.with(ByteClasses::BACKSLASH)) {
        return None;
    }
    let end = word_end(text, start);
    work::count(end - start);
    // A line behind a value without blanks begins as one behind a separator does.
    let boundary = if boundary == Boundary::Line && at <= MAX_VALUE && follows_value(text, at) {
        Boundary::Strong
    } else {
        boundary
    };
    let line = &text[start..(start + MAX_LINE).min(text.len())];
    let found =
        |evidence, line_end: usize, end: usize| Found { end: line_end.min(end + 64), start, line_end, evidence };
    if boundary != Boundary::Tick
        && let Some(evidence) = grammar::construct(line, &text[..start])
        && (evidence != Evidence::Glob || boundary > Boundary::Start || is_glob_alone(line))
    {
        return Some(found(evidence, start + line.len(), start));
    }
    if boundary > Boundary::Line
        && first == b'>'
        && text[at..start].iter().all(|b| matches!(b, b' ' | b'\t'))
        && (boundary > Boundary::Weak || follows_value(text, at))
        && grammar::writes_file(line)
    {
        return Some(found(Evidence::Line, start + line.len(), start));
    }
    let (path, name) = split_path(&text[start..end]);
    let name = program(name);
    let kind = commands::classify(name).filter(|_| commands::is_spelled_to_run(name));
    let wraps = commands::wrapper(name);
    // A shell removes quotes around the name: `;'x' --version`.
    let quoted = start > at && text.get(end) == text.get(start - 1) && matches!(text[start - 1], b'\'' | b'"');
    let closed = end + usize::from(quoted);
    if kind.is_none() && wraps.is_none() && !may_be_unknown(text, closed, boundary, path) {
        return None;
    }
    if !ends_word(text, start, end) || text[start..end].iter().any(|b| matches!(b, b'?' | b'*')) {
        return None;
    }
    if boundary == Boundary::Substitution && is_variable_of_manifest(name, text.get(end)) {
        return None;
    }
    let line_end = start + memchr::memchr2(b'\n', b'\r', line).unwrap_or(line.len());
    work::count((line_end - start) / work::SEARCHED);
    // Brace expansion separates words by commas: `{cat,/etc/passwd}`.
    let braced = text.get(end) == Some(&b',');
    let end = if kind.is_none() { closed } else { end } + usize::from(braced);
    let rest = &text[end.min(line_end)..line_end.min(end + MAX_REST)];
    if let Some(only_commands) = wraps
        && runs_command(name, only_commands, rest, boundary)
    {
        return Some(found(Evidence::Line, line_end, end));
    }
    let line = Line { text, at, start, end, boundary, path, name, rest, braced };
    let evidence = match kind {
        Some(kind) => line.known(kind),
        None => line.unknown(),
    };
    evidence.map(|evidence| found(evidence, line_end, end))
}

/// A line that begins with a word which may be a command.
struct Line<'t> {
    text: &'t [u8],
    at: usize,
    start: usize,
    end: usize,
    boundary: Boundary,
    path: &'t [u8],
    name: &'t [u8],
    rest: &'t [u8],
    braced: bool,
}

impl Line<'_> {
    /// Evidence of a line that begins with a known command.
    fn known(&self, kind: NameClass) -> Option<Evidence> {
        let (boundary, rest) = (self.boundary, self.rest);
        let argument = match argument(self.name, rest, self.braced, inside(boundary)) {
            Argument::Text
                if kind > NameClass::OrdinaryWord
                    && (has_subcommand(rest) || self.follows_literal() && has_operands(rest))
                    && follows_value(self.text, self.at) =>
            {
                Argument::Option
            }
            // By itself, it is a line of a manual.
            Argument::Text
                if boundary > Boundary::Line
                    && self.name.eq_ignore_ascii_case(b"export")
                    && argument::assigns(rest) =>
            {
                Argument::Option
            }
            Argument::None if kind > NameClass::OrdinaryWord && boundary > Boundary::Line && has_substitution(rest) => {
                Argument::Option
            }
            other => other,
        };
        let rooted = is_program_path(self.path);
        if !rooted && (self.is_word_of_prose(kind, argument) || self.exports_from_module()) {
            return None;
        }
        if !rooted && argument == Argument::None && self.is_listed(kind) {
            return None;
        }
        let accepted = match (boundary, kind) {
            _ if self.leads() && self.follows_nothing(kind, argument) => true,
            _ if argument == Argument::Text && self.leads_to_another(kind) => true,
            _ if rooted && boundary > Boundary::Start => argument != Argument::Text || kind > NameClass::OrdinaryWord,
            (Boundary::Substitution, NameClass::OrdinaryWord | NameClass::Abbreviation) => {
                argument != Argument::Text || is_whole_substitution(self.text, self.at)
            }
            (Boundary::Substitution, _) => argument != Argument::Text || kind == NameClass::Unmistakable,
            (Boundary::Tick, _) => ticked(self.text, self.at, kind, argument),
            (Boundary::Start | Boundary::Line, kind) => return self.standalone(kind, argument, rooted),
            (Boundary::Strong | Boundary::Weak, NameClass::Unmistakable) => {
                argument != Argument::Text || follows_value(self.text, self.at)
            }
            (Boundary::Strong | Boundary::Weak, NameClass::OrdinaryWord | NameClass::Abbreviation) => {
                argument >= Argument::Option
            }
            (Boundary::Strong, NameClass::CommandName) => argument != Argument::Text,
            (Boundary::Weak, NameClass::CommandName) => {
                argument != Argument::Text && (argument >= Argument::Option || tight(self.text, self.at, self.start))
            }
        };
        accepted.then_some(if rooted { Evidence::Rooted } else { Evidence::Line })
    }

    /// `export * from "./a.js"`, `export {a}`: a statement of JavaScript. What a shell exports has a name.
    fn exports_from_module(&self) -> bool {
        self.name == b"export" && matches!(self.rest.trim_ascii_start().first(), Some(b'*' | b'{'))
    }

    /// Whether the word is written as a name or the first word of a sentence, or continues as a sentence does.
    fn is_word_of_prose(&self, kind: NameClass, argument: Argument) -> bool {
        let drive = |w: &[u8]| !w[0].is_ascii_alphanumeric() && w[1].is_ascii_alphabetic() && w[2] == b':';
        let windows = || {
            work::count(2 * self.rest.len());
            self.rest.iter().any(|b| matches!(b, b'\\' | b'%'))
                || self.rest.windows(3).any(drive)
                || self.rest.trim_ascii_start().first().is_some_and(|b| matches!(b, b'/' | b'-' | b'$'))
        };
        if is_title_case(self.name) && kind < NameClass::Unmistakable && !windows() {
            return true;
        }
        let next = self.rest.trim_ascii_start();
        let letters = next.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        work::count(self.rest.len() - next.len() + letters);
        let sentence = letters > 1 && matches!(next.get(letters..letters + 2), Some([b' ' | b',', _] | [b'.', b' ']));
        self.boundary <= Boundary::Weak
            && kind == NameClass::OrdinaryWord
            && argument >= Argument::Option
            && sentence
            && !self.name.eq_ignore_ascii_case(b"echo")
    }

    /// Whether the value begins with a separator and, without a blank, the command: nothing is before it that a list or a
    /// sentence would go on.
    fn leads(&self) -> bool {
        begins_command(&self.text[..self.start])
    }

    /// Whether nothing but one word, or a quote that the value closes, is before the separator. The bracket of a sentence may be
    /// before what [`follows_value`] accepts.
    fn follows_literal(&self) -> bool {
        let before = &self.text[self.at.saturating_sub(MAX_LINE)..self.at];
        work::count(before.len() / work::SEARCHED + 8);
        let last = before.iter().rev().take(8).find(|b| !matches!(b, b'|' | b';' | b'&' | b' ' | b'\n' | b'\r'));
        self.boundary > Boundary::Line
            && (memchr::memchr(b' ', before.trim_ascii()).is_none() || matches!(last, Some(b'\'' | b'"' | b'\0')))
    }

    /// Whether the value is a separator and a command with a subcommand that is the name of another: `; docker ps`.
    fn leads_to_another(&self, kind: NameClass) -> bool {
        const MAX_WORDS: usize = 3;
        // A separator, and a few blanks.
        const MAX_BEFORE: usize = 8;
        let whole = self.start <= MAX_BEFORE
            && self.end + self.rest.len() >= self.text.len()
            && begins_command(self.text[..self.start].trim_ascii_end());
        if kind == NameClass::OrdinaryWord || !whole {
            return false;
        }
        work::count(3 * self.rest.len());
        let last = self.rest.iter().rposition(|b| *b == b' ').map_or(&[][..], |blank| &self.rest[blank + 1..]);
        (1..=MAX_WORDS).contains(&self.rest.iter().filter(|b| **b == b' ').count())
            && self.rest.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b' ' | b'-'))
            && commands::classify(last).is_some_and(|kind| kind >= NameClass::CommandName)
    }

    /// Whether the command is the whole value behind its separator, or has a few plain words for arguments.
    fn follows_nothing(&self, kind: NameClass, argument: Argument) -> bool {
        const MAX_WORDS: usize = 5;
        work::count(2 * self.rest.len());
        let separates = |b: &u8| matches!(b, b';' | b'|' | b'&' | b'\n');
        let rest = self.rest.trim_ascii_end();
        let rest = rest.strip_suffix(b";").or(rest.strip_suffix(b"#")).unwrap_or(rest);
        match argument {
            Argument::None => rest.trim_ascii().is_empty() && self.end + self.rest.len() >= self.text.len(),
            Argument::Text => {
                kind > NameClass::OrdinaryWord
                    && !rest.iter().any(separates)
                    && rest.split(|b| *b == b' ').count() <= MAX_WORDS + 1
            }
            _ => false,
        }
    }

    fn is_listed(&self, kind: NameClass) -> bool {
        matches!(self.boundary, Boundary::Line | Boundary::Weak | Boundary::Strong)
            && is_listed(self.text, self.at, self.start, self.end, self.name, kind == NameClass::Unmistakable)
    }

    /// Evidence of a line that begins with an unknown word: an option or a target behind it.
    fn unknown(&self) -> Option<Evidence> {
        if self.boundary > Boundary::Line && self.path.starts_with(b"/") && is_program_path(self.path) {
            return Some(Evidence::Rooted);
        }
        // A program in the current folder or the home of the user.
        if self.leads() && [&b"./"[..], b"../", b"~/"].iter().any(|path| self.path.starts_with(path)) {
            return Some(Evidence::Rooted);
        }
        let lower = self.name.first().is_some_and(u8::is_ascii_lowercase)
            && !self.name.iter().any(u8::is_ascii_uppercase)
            && self.name.len() > 1;
        let blank = self.rest.first().is_some_and(|b| matches!(b, b' ' | b'\t' | b'+'));
        if !lower || !blank || !follows_value(self.text, self.at) {
            return None;
        }
        let next = self.rest.trim_ascii_start();
        let next = &next[next.iter().take_while(|b| **b == b'+').count()..];
        let word = &next[..next.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'-')).unwrap_or(next.len())];
        let ends =
            matches!(next.get(word.len()), None | Some(b' ' | b'=' | b';' | b'|' | b'&' | b'\'' | b'"' | b')' | b'`'));
        let option = ends
            && (word.starts_with(b"--") && word.len() > 3
                || word.len() > 1
                    && word.len() <= 4
                    && word[0] == b'-'
                    && word[1..].iter().all(u8::is_ascii_alphabetic));
        (option || argument(self.name, self.rest, false, inside(self.boundary)) == Argument::Target)
            .then_some(Evidence::Unknown)
    }

    /// Evidence of a line before which there is no separator.
    fn standalone(&self, kind: NameClass, argument: Argument, rooted: bool) -> Option<Evidence> {
        let (name, rest) = (self.name, self.rest);
        work::count(rest.len());
        if rooted {
            // The path of a shell by itself is a setting: the login shell of an account, the entry point of a container.
            let shell = [&b"sh"[..], b"bash", b"zsh", b"dash", b"ksh", b"csh", b"tcsh"];
            let setting = argument == Argument::None && shell.iter().any(|s| name.eq_ignore_ascii_case(s));
            return (argument != Argument::Text && !setting).then_some(Evidence::Rooted);
        }
        if self.boundary == Boundary::Line && argument == Argument::None && kind >= NameClass::CommandName {
            return Some(Evidence::Line);
        }
        let options = rest.split(|b| *b == b' ').filter(|w| w.len() > 1 && w[0] == b'-').count();
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        let alone = rest.trim_ascii().is_empty() || matches!(rest, b";" | b"|" | b"#" | b"\\n");
        match argument {
            Argument::Target => Some(Evidence::Line),
            Argument::Option if rest.starts_with(b"<<<") => Some(Evidence::Line),
            Argument::Option if is(b"alias") && argument::assigns(rest) => Some(Evidence::Line),
            Argument::Option => {
                let drive = rest.get(2) == Some(&b':') && rest.get(3) == Some(&b'\\');
                (kind == NameClass::Unmistakable
                    || is(b"cmd")
                    || is(b"expr")
                    || options > 0 && has_target_or_pipe(rest)
                    || is(b"ls")
                    || is(b"ping") && options > 0
                    || (is(b"dir") || is(b"type")) && drive)
                    .then_some(Evidence::Line)
                    .or(Some(Evidence::Bare))
            }
            Argument::None if self.start < 4 && alone => Some(Evidence::Bare),
            Argument::None | Argument::Text => None,
        }
    }
}

/// Whether `before` is a separator at the beginning of a value, with or without a quote that the value closes.
fn begins_command(before: &[u8]) -> bool {
    matches!(before, b";" | b"|" | b"||" | b"&&" | b";;" | b"';" | b"\";" | b"'|" | b"\"|")
}

/// Whether the first argument is a substitution in backticks of a command that is rarely a word: `` dig `whoami`.x ``.
fn has_substitution(rest: &[u8]) -> bool {
    let text = rest.trim_ascii_start();
    let Some(inside) = text.strip_prefix(b"`").filter(|_| text.len() < rest.len()) else { return false };
    let word = inside.iter().take(MAX_NAME).take_while(|b| is_word(**b)).count();
    work::count(word + 1);
    let kind = commands::classify(program(split_path(&inside[..word]).1));
    kind.is_some_and(|kind| kind >= NameClass::CommandName) && memchr::memchr(b'`', &inside[word..]).is_some()
}

/// Whether a command behind `boundary` is in a substitution.
pub fn inside(boundary: Boundary) -> bool {
    matches!(boundary, Boundary::Tick | Boundary::Substitution)
}

/// Whether `$(` before `at` opens a substitution that holds a short command line of plain words and nothing else. Functions
/// of makefiles look similar.
fn is_whole_substitution(text: &[u8], at: usize) -> bool {
    const MAX_WORDS: usize = 4;
    const FUNCTIONS: [&[u8]; 6] = [b"sort", b"join", b"call", b"eval", b"file", b"shell"];
    let window = &text[at..(at + 64).min(text.len())];
    let Some(close) = memchr::memchr(b')', window) else { return false };
    work::count(close);
    let mut words = window[..close].split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b' ' | b'\t');
    at >= 2
        && text[at - 2] == b'$'
        && window[..close].iter().all(plain)
        && (2..=MAX_WORDS).contains(&words.clone().count())
        && words.next().is_some_and(|name| !FUNCTIONS.contains(&name))
        // Words behind it are a sentence that quotes it.
        && !matches!(text.get(at + close + 1..), Some([b' ', next, ..]) if next.is_ascii_alphabetic())
}

/// Whether a substitution holds nothing but a name in capitals, as manifests of containers name a variable: `$(HOST)`. Systems
/// that have these commands look them up in lower case.
fn is_variable_of_manifest(name: &[u8], next: Option<&u8>) -> bool {
    next == Some(&b')') && name.len() > 1 && !name.iter().any(u8::is_ascii_lowercase)
}

/// Whether an unknown word at the end of `end` may be a command: behind a separator, before a blank or with a path.
fn may_be_unknown(text: &[u8], end: usize, boundary: Boundary, path: &[u8]) -> bool {
    matches!(boundary, Boundary::Weak | Boundary::Strong | Boundary::Substitution)
        && (matches!(path.first(), Some(b'/' | b'.' | b'~'))
            || path.is_empty() && matches!(text.get(end), Some(b' ' | b'\t' | b'+')) && {
                let next = text[end..].iter().take(4).find(|b| !matches!(b, b' ' | b'\t' | b'+'));
                matches!(next, Some(b'-' | b'/'))
            })
}

/// Whether a value that begins with wildcards has enough of them to be no path of a document.
fn is_glob_alone(line: &[u8]) -> bool {
    let word = line.split(|b| *b == b' ').next().unwrap_or_default();
    leads_to_secret(line)
        || word.iter().filter(|b| matches!(b, b'?' | b'[')).count() > 1
        || word.starts_with(b"/bin/")
        || word.starts_with(b"/usr/bin/")
}

/// Where the word at `start` ends: before a comment `//` and before backslashes at its end.
pub fn word_end(text: &[u8], start: usize) -> usize {
    let (mut len, mut slashes) = (0, 0);
    for b in text[start..].iter().take(MAX_NAME).take_while(|b| is_word(**b)) {
        len += 1;
        slashes += usize::from(*b == b'/');
    }
    let word = &text[start..start + len];
    let doubled = (slashes > 1).then(|| word.windows(2).position(|two| two == b"//")).flatten();
    let word = match doubled {
        Some(at) if at > 0 && word[at - 1] != b':' => &word[..at],
        _ => word,
    };
    start + word.iter().rposition(|b| *b != b'\\').map_or(0, |last| last + 1)
}

/// Whether this byte may be part of the name and path of a command.
fn is_word(b: u8) -> bool {
    WORD[usize::from(b)]
}

static WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = (b as u8).is_ascii_alphanumeric()
            || matches!(b as u8, b'/' | b'\\' | b'.' | b'_' | b'-' | b':' | b'~' | b'?' | b'*');
        b += 1;
    }
    table
};

/// Whether a shell ends the word `start..end` there. `base64,` of a data URL, `id=5` and `exec(x)` are not commands, but
/// `{cat,/etc/passwd}` is one.
fn ends_word(text: &[u8], start: usize, end: usize) -> bool {
    match text.get(end) {
        Some(b',') => start > 0 && text[start - 1] == b'{',
        Some(b'=' | b'[' | b'(' | b'@' | 0x80..) => false,
        _ => true,
    }
}

/// Whether a command in backticks is a substitution rather than Markdown, in which blanks surround the backticks.
fn ticked(text: &[u8], at: usize, kind: NameClass, argument: Argument) -> bool {
    let close = memchr::memchr(b'`', &text[at..(at + MAX_LINE).min(text.len())]);
    work::count(close.unwrap_or(MAX_LINE) / work::SEARCHED);
    let Some(close) = close else { return false };
    let blank_before = at >= 2 && text[at - 2] == b' ' && at > 3;
    let after = &text[at + close + 1..];
    let prose_after = after.len() > 1 && after[0] == b' ' && (after[1].is_ascii_alphabetic() || after[1] == b'|');
    let mentioned =
        blank_before && (text[at - 3].is_ascii_alphanumeric() || matches!(text[at - 3], b':' | b',' | b'.' | b'('));
    // The text of a link in Markdown: ``see [`gzip`][] and [`zip`](https://...)``.
    let linked = at >= 3
        && text[at - 2] == b'['
        && matches!(text[at - 3], b' ' | b'\n' | b'(')
        && (after.starts_with(b"][") || after.starts_with(b"](http") || after.starts_with(b"]:"));
    let prose = mentioned || prose_after || linked || after.first() == Some(&b'`');
    !prose && (kind >= NameClass::CommandName || argument >= Argument::Option) && argument != Argument::Text
}

/// Splits a word into directory and file name.
pub fn split_path(word: &[u8]) -> (&[u8], &[u8]) {
    match word.iter().rposition(|b| matches!(b, b'/' | b'\\')) {
        Some(at) => (&word[..=at], &word[at + 1..]),
        None => (b"", word),
    }
}

/// Whether `path` is a directory of programs.
pub fn is_program_path(path: &[u8]) -> bool {
    let path = path.to_ascii_lowercase();
    [&b"/bin/"[..], b"/sbin/", b"\\system32\\", b"/system32/", b"\\windows\\"].iter().any(|dir| path.ends_with(dir))
}

/// The name of a command without `.exe` or `.com`.
pub fn program(name: &[u8]) -> &[u8] {
    match name.split_last_chunk::<4>() {
        Some((stem, ending)) if ending.eq_ignore_ascii_case(b".exe") || ending.eq_ignore_ascii_case(b".com") => stem,
        _ => name,
    }
}

/// Whether `text` has a first word that ends in it.
pub fn has_first_word(text: &[u8]) -> bool {
    let word = &text[skip_lead(text, 0, MAX_LEAD)..];
    word.iter().take(MAX_NAME).position(|b| !is_word(*b)).is_some_and(|end| end > 0)
}

/// Whether a text without separators cannot begin with a command: neither its first word nor a construct of the grammar.
pub fn cannot_begin(head: &[u8], whole: bool, cut: usize) -> bool {
    let start = skip_lead(head, 0, MAX_LEAD);
    let word = &head[start..];
    let len = word.iter().take(MAX_NAME).take_while(|b| is_word(**b)).count();
    let name = program(split_path(&word[..word_end(word, 0)]).1);
    (whole || len + cut < word.len())
        && !matches!(word.first(), Some(b'$' | b'/' | b'~' | b'>' | b'[' | b'%'))
        && commands::classify(name).is_none()
        && commands::wrapper(name).is_none()
        && !matches!(name, b"for" | b"case" | b"select")
        && (memchr::memchr(b'(', word).is_none() || memchr::memmem::find(word, b"()").is_none())
}

/// Whether a text of letters, digits, `.`, `-` and `_` is the name of a command, or of one that runs another. No other text
/// of these bytes is a command line: options, paths and separators have other bytes.
pub fn is_command_name(text: &[u8]) -> bool {
    let name = program(&text[..text.len().min(MAX_NAME)]);
    commands::classify(name).is_some() || commands::wrapper(name).is_some()
}
