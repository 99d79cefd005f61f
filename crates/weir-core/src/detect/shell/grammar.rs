//! Constructs of the shell in command position that need no name of a command: loops, conditions, expansions, globs,
//! redirections, and computations of constants by which scanners tell that a command ran.

use super::super::work;
use super::MAX_LINE;
use super::commands;
use super::line::{Evidence, program};
use super::wildcard::{hides_secret, is_wild, matches};

/// Evidence in the construct at the beginning of `line`; `before` is the text before it, of which a variable may come.
pub fn construct(line: &[u8], before: &[u8]) -> Option<Evidence> {
    let word = &line[..line.iter().take(16).take_while(|b| b.is_ascii_alphabetic()).count()];
    work::count(word.len() + 1);
    match line.first()? {
        b'$' => variable(line, before),
        b'/' | b'~' => glob(line),
        b'>' => redirection(line),
        b'[' => condition(line),
        b'%' => windows_variable(line),
        _ if word.is_empty() => None,
        _ => keyword(word, line).or_else(|| function(word, line)).or_else(|| carets(word, line)),
    }
}

/// A loop or condition: a keyword, and behind a separator the word that belongs to it.
fn keyword(word: &[u8], line: &[u8]) -> Option<Evidence> {
    let wanted: &[&[u8]] = match word {
        b"while" | b"until" | b"for" | b"select" => &[b"do"],
        b"if" => &[b"then"],
        b"case" => &[b"in"],
        _ => return None,
    };
    if !matches!(line.get(word.len()), Some(b' ' | b'\t' | b'(' | b'+' | b'[' | b'!' | b'$')) {
        return None;
    }
    let line = &line[..line.len().min(MAX_LINE)];
    work::count(line.len());
    if word == b"case" {
        let closed = memchr::memchr(b')', line).is_some() && memchr::memmem::find(line, b";;").is_some();
        return (closed || memchr::memmem::find(line, b"esac").is_some()).then_some(Evidence::Line);
    }
    // A shell runs nothing of a loop or condition without its end.
    let end: &[u8] = if word == b"if" { b"fi" } else { b"done" };
    memchr::memmem::find(line, end)?;
    let mut parts = line.split(|b| matches!(b, b';' | b'\n' | b'&' | b'|')).skip(1);
    let follows = |part: &[u8]| {
        let part = part.trim_ascii_start();
        let part = part.strip_prefix(b"+").unwrap_or(part);
        wanted
            .iter()
            .any(|w| part.strip_prefix(*w).is_some_and(|rest| rest.first().is_none_or(|b| !b.is_ascii_alphanumeric())))
    };
    parts.any(follows).then_some(Evidence::Line)
}

/// The definition of a function that is called or that runs at once: `f(){ id;};f`.
fn function(word: &[u8], line: &[u8]) -> Option<Evidence> {
    let rest = line[word.len()..].trim_ascii_start().strip_prefix(b"()")?.trim_ascii_start().strip_prefix(b"{")?;
    let rest = &rest[..rest.len().min(MAX_LINE)];
    work::count(rest.len());
    let end = memchr::memchr(b'}', rest)?;
    let calls = rest[end + 1..].trim_ascii_start().strip_prefix(b";")?.trim_ascii_start();
    (rest[..end].trim_ascii_end().ends_with(b";") && calls.starts_with(word)).then_some(Evidence::Line)
}

/// A variable that is run: the shell itself, a parameter with arguments, or one that was assigned before.
fn variable(line: &[u8], before: &[u8]) -> Option<Evidence> {
    let braced = line.get(1) == Some(&b'{');
    let name = &line[1 + usize::from(braced)..];
    let len = name.iter().take(32).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    let (name, rest) = name.split_at(len);
    let rest = if braced { past_expansion(rest)? } else { rest };
    let argument = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'+')).count();
    let follows = rest.get(argument);
    let runs = argument > 0 && follows.is_some_and(|b| matches!(b, b'-' | b'/' | b'<' | b'$' | b'\'' | b'"'));
    let shell = matches!(name, b"0" | b"SHELL" | b"BASH" | b"COMSPEC");
    if shell && (runs || rest.starts_with(b"<")) {
        return Some(Evidence::Line);
    }
    let first = *name.first()?;
    // An empty variable before the command is nothing to a shell: `$u cat /etc/hosts`.
    if argument > 0 && !first.is_ascii_digit() && runs_behind(&rest[argument..]) {
        return Some(Evidence::Line);
    }
    if first.is_ascii_digit() || matches!(rest.first(), Some(b'=' | b'.' | b'(' | b'[' | b':')) {
        return None;
    }
    if rest.first().is_some_and(|b| !(b.is_ascii_whitespace() || b"$;&|)'\"/-+`{#<>\\".contains(b))) {
        return None;
    }
    let before = &before[before.len().saturating_sub(MAX_LINE)..];
    work::count(before.len());
    // An assignment is a command of its own. Only the ends of names are looked at: a name of two letters may be anywhere.
    let starts = |at: usize| at == 0 || b" ;&|\n\r\t({`'\"+".contains(&before[at - 1]);
    let is_named = |end: usize| before[..end].ends_with(name) && starts(end - len);
    let assigned = memchr::memchr_iter(b'=', before).any(is_named);
    let is_read = || {
        let words = memchr::memmem::find(before, b"read ").map_or(before.len(), |at| at + b"read ".len());
        memchr::memchr3_iter(b'<', b';', b' ', &before[words..]).any(|at| is_named(words + at))
    };
    (assigned || is_read()).then_some(Evidence::Line)
}

/// Whether `text` begins with a known command that is no word of a language, and a path or an option.
fn runs_behind(text: &[u8]) -> bool {
    let len = text.iter().take(16).take_while(|b| b.is_ascii_alphanumeric()).count();
    work::count(len + 1);
    let target = text[len..].trim_ascii_start().first();
    let blank = matches!(text.get(len), Some(b' ' | b'\t' | b'+'));
    blank
        && matches!(target, Some(b'/' | b'-' | b'~'))
        && commands::classify(&text[..len])
            .is_some_and(|kind| kind >= commands::NameClass::Abbreviation && commands::is_spelled_to_run(&text[..len]))
}

/// What follows the `}` of an expansion such as `${x}`, `${x#a}`, `${x,,}`, `${x[@]}`; `rest` follows its name.
fn past_expansion(rest: &[u8]) -> Option<&[u8]> {
    const MAX_OPERATION: usize = 32;
    let close = memchr::memchr(b'}', &rest[..rest.len().min(MAX_OPERATION)])?;
    let operates = close == 0 || matches!(rest[0], b'#' | b'%' | b':' | b',' | b'^' | b'/' | b'[' | b'@');
    operates.then(|| &rest[close + 1..])
}

/// Whether a redirection to a named file is all of the command: `>x.php;`.
pub fn writes_file(line: &[u8]) -> bool {
    let Some(target) = line.strip_prefix(b">>").or(line.strip_prefix(b">")) else { return false };
    let len = target
        .iter()
        .take(64)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-'))
        .count();
    work::count(len + 1);
    let rest = target[len..].trim_ascii_start();
    // In random text, `>` and a few letters are behind many separators. A file to write has an ending or is in a folder
    // of the system.
    let ending =
        target[..len].iter().rev().take(6).take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).count();
    let dotted = ending > 0 && len > ending + 1 && target[len - ending - 1] == b'.' && target[len - ending - 2] != b'.';
    let named = dotted || len > 3 && (target.starts_with(b"/") || target.starts_with(b"./"));
    named
        && target[..len].iter().any(u8::is_ascii_alphabetic)
        && matches!(rest.first(), None | Some(b';' | b'#' | b'&' | b'|' | b')' | b'\'' | b'"'))
}

/// Whether a short script sleeps if the length of what a command printed is as expected, by which scanners measure whether
/// it ran.
pub fn is_time_probe(text: &[u8]) -> bool {
    const MAX_PROBE: usize = 384;
    if text.len() > MAX_PROBE {
        return false;
    }
    work::count(text.len());
    let has = |word: &[u8]| memchr::memmem::find(text, word).is_some();
    has(b"sleep ")
        && (has(b"=$(") || has(b"=`"))
        && (has(b"${#") || has(b"expr length"))
        && (has(b"-eq") || has(b"-ne") || has(b"case "))
}

/// A program named by wildcards: `/???/c?t`, `/bin/c[a]t`.
fn glob(line: &[u8]) -> Option<Evidence> {
    let len = line
        .iter()
        .take(64)
        .take_while(|b| !matches!(b, b' ' | b'\t' | b';' | b'|' | b'&' | b'\n' | b'`' | b')'))
        .count();
    let word = &line[..len];
    work::count(len);
    let fits =
        |part: &[u8]| part.len() <= 24 && part.iter().all(|b| b.is_ascii_alphanumeric() || b"?*[]-._^!".contains(b));
    let mut parts = word[1..].split(|b| *b == b'/');
    let count = parts.clone().count();
    let first = parts.next()?;
    let root = matches!(first, b"bin" | b"usr" | b"sbin" | b"opt" | b"etc")
        || is_wild(first) && first.len() <= 12 && ROOTS.iter().any(|root| matches(first, root));
    let questions = word.iter().filter(|b| matches!(b, b'?' | b'[')).count();
    let is_program = (2..=5).contains(&count) && root && questions > 0 && word[1..].split(|b| *b == b'/').all(fits);
    (is_program || hides_secret(word)).then_some(Evidence::Glob)
}

/// Directories at the root that hold programs, or files that attacks read.
const ROOTS: &[&[u8]] = &[
    b"bin", b"usr", b"sbin", b"opt", b"etc", b"dev", b"tmp", b"var", b"proc", b"home", b"root", b"srv", b"lib",
    b"lib64",
];

/// The command interpreter or a program by a variable of Windows: `%COMSPEC% /c`, `%windir%\x`.
fn windows_variable(line: &[u8]) -> Option<Evidence> {
    let (name, rest) = line[1..line.len().min(32)].split_at(memchr::memchr(b'%', &line[1..line.len().min(32)])?);
    let name = name.to_ascii_lowercase();
    (matches!(&name[..], b"comspec" | b"systemroot" | b"windir" | b"programfiles") && rest.len() > 1)
        .then_some(Evidence::Line)
}

/// A word with carets between its letters, which the command interpreter of Windows removes: `c^al^c`.
fn carets(word: &[u8], line: &[u8]) -> Option<Evidence> {
    if line.get(word.len()) != Some(&b'^') {
        return None;
    }
    let len = line.iter().take(48).take_while(|b| b.is_ascii_alphabetic() || matches!(b, b'^' | b'.')).count();
    let parts = line[..len].split(|b| *b == b'^');
    work::count(len);
    let name: Vec<u8> = line[..len].iter().copied().filter(|b| *b != b'^').collect();
    let known = commands::classify(program(&name)).is_some() && commands::is_spelled_to_run(program(&name));
    (parts.clone().count() > 2 && parts.clone().all(|part| !part.is_empty()) && known).then_some(Evidence::Glob)
}

/// A redirection without a command, which makes or empties a file.
fn redirection(line: &[u8]) -> Option<Evidence> {
    let target = line.strip_prefix(b">>").or(line.strip_prefix(b">"))?.trim_ascii_start();
    [&b"/tmp/"[..], b"/var/", b"/etc/", b"/dev/", b"/home/", b"/root/", b"/opt/", b"/usr/", b"/srv/", b"/www/"]
        .iter()
        .any(|dir| target.starts_with(dir))
        .then_some(Evidence::Line)
}

/// A condition in brackets: `[ 5 -ne ${#x} ]`, `[[ -f /x ]]`.
fn condition(line: &[u8]) -> Option<Evidence> {
    let inside = line.strip_prefix(b"[[").or(line.strip_prefix(b"["))?;
    let inside = &inside[..inside.len().min(128)];
    work::count(inside.len());
    let end = memchr::memchr(b']', inside)?;
    let inside = inside[..end].strip_prefix(b" ").or(inside[..end].strip_prefix(b"+"))?;
    let compares = |op: &&[u8]| memchr::memmem::find(inside, op).is_some();
    let unary =
        inside.len() > 3 && inside[0] == b'-' && inside[1].is_ascii_lowercase() && matches!(inside[2], b' ' | b'+');
    (unary
        || [&b" -ne "[..], b" -eq ", b" -gt ", b" -lt ", b" -ge ", b" -le ", b"+-ne+", b"+-eq+"].iter().any(compares))
    .then_some(Evidence::Line)
}

/// Whether an expansion computes with constants: `$((12+30))`, which a script would not.
pub fn is_constant_arithmetic(text: &[u8]) -> bool {
    let Some(inside) = text.strip_prefix(b"$((") else { return false };
    let inside = &inside[..inside.len().min(64)];
    let Some(end) = memchr::memmem::find(inside, b"))") else { return false };
    work::count(end);
    let inside = inside[..end].trim_ascii();
    let operators = inside.iter().filter(|b| matches!(b, b'+' | b'-' | b'*' | b'/' | b'%')).count();
    operators > 0
        && inside[0].is_ascii_digit()
        && inside.iter().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'*' | b'/' | b'%' | b' '))
}
