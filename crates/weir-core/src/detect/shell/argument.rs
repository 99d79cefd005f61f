//! What follows the name of a command, by how far only a command line has it.

use super::super::any_of::AnyOf;
use super::super::work;
use super::MAX_LINE;
use super::commands::{fetches, may_be_prose};
use super::tag;
use super::wildcard::hides_secret;

/// What follows a command's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Argument {
    /// Something that may follow in prose.
    Text,
    /// Nothing: the line, the value or the command ends.
    None,
    /// An option, a number, a variable, a path, an address.
    Option,
    /// A file, program or address that attacks aim at.
    Target,
}

/// Words after a command among which a target is looked for.
const TARGET_WORDS: usize = 4;

/// Files and directories that attacks aim at, and this host.
static FILES: AnyOf = AnyOf::new(&[
    b"/etc/",
    b"/bin/",
    b"/tmp/",
    b"/dev/tcp",
    b"/proc/",
    b"c:\\",
    b"c:/",
    b"127.0.0.1",
    b"%comspec%",
    b"%windir%",
    b"%systemroot%",
]);
/// Addresses of other hosts.
static URLS: AnyOf = AnyOf::new(&[b"http://", b"https://", b"ftp://"]);

/// Classifies what follows the name of a command. `separated`: something other than a blank already separates it.
/// `inside`: the command is in a substitution, which a parenthesis or a backtick ends.
pub fn argument(name: &[u8], rest: &[u8], separated: bool, inside: bool) -> Argument {
    let skipped = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'+' | 0x0b | 0x0c)).count();
    let text = &rest[skipped..];
    let blanks = skipped + usize::from(separated);
    if tag::begins(text) {
        return Argument::Text;
    }
    if blanks > 0 {
        let head = words(text, TARGET_WORDS).to_ascii_lowercase();
        work::count(2 * head.len());
        let in_prose = may_be_prose(name);
        let mut targets = head.split(ends_target);
        if URLS.is_in(&head) && (!in_prose || fetches(name, &head))
            || targets.any(|word| is_file(word, in_prose) || hides_secret(word))
        {
            return Argument::Target;
        }
    }
    let Some(&first) = text.first() else { return Argument::None };
    match first {
        // Within a word, these begin no comment and end no group.
        b'#' if blanks == 0 && !matches!(text.get(1), None | Some(b' ' | b'\t' | b'\n' | b'\'' | b'"' | b'-')) => {
            Argument::Text
        }
        b')' | b'`' if inside => Argument::None,
        b'}' | b')' | b'`' if blanks == 0 && !closes(text) => Argument::Text,
        b';' | b'|' | b'&' | b')' | b'`' | b'}' | b'#' | b'\0' => Argument::None,
        // A quote that closes a text of the application; otherwise the word goes on in it.
        b'\'' | b'"' if blanks == 0 && closes(text) => Argument::None,
        b'\\' if matches!(text.get(1), Some(b'n' | b'r')) && text.len() <= 4 => Argument::None,
        b'/' if text.starts_with(b"//") => Argument::None,
        b'\\' if text.iter().all(|b| matches!(b, b'\\' | b' ')) => Argument::None,
        b'<' | b'>' if text.len() > 1 => {
            if redirects(text) {
                Argument::Option
            } else {
                Argument::Text
            }
        }
        _ if blanks == 0 => Argument::Text,
        b'-' => {
            let letters = text[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
            if (1..=24).contains(&letters) { Argument::Option } else { Argument::Text }
        }
        b'/' if text.get(1).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'?' | b'*' | b'[')) => {
            Argument::Option
        }
        // Alternatives of a sentence: "service / support".
        b'/' if may_be_prose(name) && matches!(text, [_, b' ', next, ..] if next.is_ascii_alphabetic()) => {
            Argument::Text
        }
        b'/' if matches!(text.get(1), None | Some(b' ' | b';' | b'|' | b'&' | b')')) => Argument::Option,
        b'$' | b'~' | b'*' | b'%' => Argument::Option,
        b'.' if matches!(text.get(1), None | Some(b'/' | b'.' | b' ' | b';')) => Argument::Option,
        b'\'' | b'"' if is_quoted_word(text) && may_be_prose(name) => Argument::Text,
        b'\'' | b'"' => Argument::Option,
        // The number of a standard stream: `2>&1`, `2>/dev/null`.
        _ if stream_redirects(text) => Argument::Option,
        _ if name.eq_ignore_ascii_case(b"echo") => echoed(text),
        b'0'..=b'9' => number(name, text),
        _ if takes(name, text) => Argument::Option,
        _ if name.eq_ignore_ascii_case(b"alias") && assigns(rest) => Argument::Option,
        _ => named_host(text),
    }
}

/// Whether `text` begins with a word or a title that a sentence quotes and goes on behind: `"good" stuff`.
fn is_quoted_word(text: &[u8]) -> bool {
    const MAX_QUOTED: usize = 64;
    let inside = &text[1..text.len().min(1 + MAX_QUOTED)];
    let Some(end) = inside.iter().position(|b| *b == text[0]) else { return false };
    work::count(end);
    let plain =
        inside[..end].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'.' | b',') || *b >= 0x80);
    let behind = text.get(end + 2..end + 4);
    plain && end > 0 && behind.is_some_and(|next| next[0] == b' ' && next[1].is_ascii_alphabetic())
}

/// Whether a byte ends a word among which targets are looked for.
fn ends_target(b: &u8) -> bool {
    b.is_ascii_whitespace() || matches!(b, b'+' | b';' | b'|' | b'&' | b'\'' | b'"')
}

/// Whether a word names a file that attacks aim at. `in_prose`: behind a name that texts have too, the path of a URL is none.
fn is_file(word: &[u8], in_prose: bool) -> bool {
    FILES.is_in(word) && !(in_prose && URLS.is_in(word))
}

/// Whether `text` begins with quotes or brackets that end a word, and goes on with something else, if at all.
fn closes(text: &[u8]) -> bool {
    const MOST: usize = 4;
    let closing = text.iter().take(MOST).take_while(|b| matches!(b, b'\'' | b'"' | b')' | b'}' | b']' | b'`')).count();
    text.get(closing).is_none_or(|b| b.is_ascii_whitespace() || b";|&#,+-\0".contains(b))
}

/// Whether a redirection at the beginning of `text` is complete: a file, a descriptor or a substitution, and its end.
fn redirects(text: &[u8]) -> bool {
    const MAX_TARGET: usize = 64;
    let arrows = text.iter().take(3).take_while(|b| matches!(b, b'<' | b'>')).count();
    let target = &text[arrows..text.len().min(arrows + MAX_TARGET)];
    work::count(target.len());
    let skip = target.iter().take_while(|b| matches!(b, b' ' | b'+' | b'&' | b'(' | b'\'' | b'"')).count();
    let target = &target[skip..];
    let word = target.iter().take_while(|b| b.is_ascii_alphanumeric() || b"_./~$%\\:*?{}-".contains(b)).count();
    let ends = target.get(word).is_none_or(|b| b.is_ascii_whitespace() || b";|&)<>'\"`#".contains(b));
    let names = word > 1 || target.first().is_some_and(u8::is_ascii_digit);
    word > 0 && ends && (names || skip > 0)
}

/// Whether `text` begins with a complete redirection of a standard stream (POSIX, "IO_NUMBER").
fn stream_redirects(text: &[u8]) -> bool {
    matches!(text, [b'0'..=b'2', b'<' | b'>', ..]) && redirects(&text[1..])
}

/// The first `count` words of `text`, at most [`MAX_LINE`] bytes.
fn words(text: &[u8], count: usize) -> &[u8] {
    let text = &text[..text.len().min(MAX_LINE)];
    let end = memchr::memchr2_iter(b' ', b'+', text).nth(count - 1).unwrap_or(text.len());
    &text[..end]
}

/// Whether a command ends at `rest`, which follows an argument.
fn ends(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    stream_redirects(rest)
        || matches!(rest.first(), None | Some(b';' | b'|' | b'&' | b'`' | b')' | b'#' | b'\'' | b'"' | b'>' | b'\\'))
}

/// Classifies an argument that begins with a digit: an address, or the number that a command such as `sleep` takes, counts
/// at the end of the command, and so does an operation for `expr`.
fn number(name: &[u8], text: &[u8]) -> Argument {
    let digits = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let address = text[..digits].iter().filter(|b| **b == b'.').count() == 3;
    let counted =
        [&b"sleep"[..], b"timeout", b"kill", b"ping", b"usleep", b"echo"].iter().any(|c| name.eq_ignore_ascii_case(c));
    let rest = &text[digits..];
    let operated = name.eq_ignore_ascii_case(b"expr")
        && matches!(rest.trim_ascii_start(), [b'+' | b'-' | b'*' | b'/' | b'%' | b'\\', ..]);
    // A port or a file follows the address.
    let connects = address
        && rest.first() == Some(&b' ')
        && [&b"nc"[..], b"ncat", b"netcat", b"telnet", b"tftp", b"ftp"].iter().any(|c| name.eq_ignore_ascii_case(c));
    if operated || connects || (address || counted) && ends(rest) { Argument::Option } else { Argument::Text }
}

/// Words without a dash that a command takes and a sentence would not have behind its name, lower case.
const OPERANDS: &[(&[u8], &[&[u8]])] = &[
    (b"ip", &[b"a", b"addr", b"r", b"neigh"]),
    (b"sc", &[b"query", b"queryex", b"qc", b"enumdepend"]),
    (b"route", &[b"print"]),
    (b"net", &[b"user", b"users", b"localgroup", b"view", b"share", b"accounts", b"session"]),
    (b"reg", &[b"query"]),
    (b"docker", &[b"ps"]),
];

/// Whether a command continues with a word that it takes, up to its end: `ps aux`, `ip addr`.
fn takes(name: &[u8], text: &[u8]) -> bool {
    const MAX_WORD: usize = 12;
    let word = text.iter().take(MAX_WORD + 1).take_while(|b| b.is_ascii_alphabetic()).count();
    let (word, rest) = text.split_at(word);
    let operand = if name.eq_ignore_ascii_case(b"ps") {
        // Options in the style of BSD: all of these letters, among them those that choose processes.
        let options = |b: &u8| b"aefjluwx".contains(b);
        (2..=6).contains(&word.len()) && word.iter().all(options) && word.contains(&b'x') && word.contains(&b'a')
    } else {
        let listed = OPERANDS.iter().find(|(command, _)| name.eq_ignore_ascii_case(command));
        listed.is_some_and(|(_, words)| words.contains(&word))
    };
    operand && ends(rest)
}

/// Classifies what `echo` prints: one word, at the end of the command, or with an expansion inside.
fn echoed(text: &[u8]) -> Argument {
    let word =
        text.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'=' | b'/')).count();
    let expands = text[word..].starts_with(b"$(") || text[word..].starts_with(b"`");
    if word > 0 && (expands || ends(&text[word..])) { Argument::Option } else { Argument::Text }
}

/// Classifies an argument that begins with a letter: a path with a drive, or a dotted file or host name, counts.
fn named_host(text: &[u8]) -> Argument {
    let word = text
        .split(|b| matches!(b, b' ' | b';' | b'|' | b'&' | b'`' | b')' | b'\'' | b'"' | b'#' | b'\\' | b'>'))
        .next()
        .unwrap_or_default();
    let drive = word.len() >= 2 && word[0].is_ascii_alphabetic() && word[1] == b':';
    let dotted = word.len() > 3
        && word[1..word.len() - 1].contains(&b'.')
        && word.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'))
        && !word.ends_with(b".");
    let closed = ends(&text[word.len()..]);
    if drive || dotted && closed { Argument::Option } else { Argument::Text }
}

/// Whether the last of the words after a command gives a name a value, as those of `alias` do.
pub fn assigns(rest: &[u8]) -> bool {
    const MAX_LOOK: usize = 96;
    let rest = &rest[..rest.len().min(MAX_LOOK)];
    work::count(rest.len());
    let mut words = rest.split(|b| matches!(b, b' ' | b'\t' | b'+')).filter(|word| !word.is_empty());
    let word = words.find(|word| word[0] != b'-' && word.len() > 1).unwrap_or_default();
    let Some(at) = memchr::memchr(b'=', word) else { return false };
    let name = word[..at].strip_prefix(b"'").or(word[..at].strip_prefix(b"\"")).unwrap_or(&word[..at]);
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'\'' | b'"');
    !name.is_empty() && name.iter().all(is_name) && at + 1 < word.len()
}

/// Whether a command line continues with a subcommand and an option: `docker run -v`.
pub fn has_subcommand(rest: &[u8]) -> bool {
    let text = rest.trim_ascii_start();
    let word = text.iter().take(24).take_while(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-')).count();
    let next = text[word..].trim_ascii_start();
    let option = next.first() == Some(&b'-') && next.get(1).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'-');
    text.len() < rest.len() && word > 1 && next.len() < text.len() - word && option
}

/// Whether a command line consists of a few words, one of which is the name of a file, an account of a host or an assignment:
/// `755 /srv`, `a.php b.php`, `x root@host:`, `if=a of=b`.
pub fn has_operands(rest: &[u8]) -> bool {
    const MAX_BYTES: usize = 128;
    const MAX_WORDS: usize = 6;
    if rest.len() > MAX_BYTES {
        return false;
    }
    let end = rest.iter().position(|b| matches!(b, b';' | b'|' | b'&' | b'#' | b'\n' | b'\r'));
    let line = &rest[..end.unwrap_or(rest.len())];
    work::count(3 * line.len());
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" ._/@=:~*$%+-".contains(b);
    let mut words = line.split(|b| *b == b' ').filter(|word| !word.is_empty());
    line.iter().all(plain) && words.clone().count() <= MAX_WORDS && words.any(is_operand)
}

/// Whether a word has the form of a path, of a file with an ending, of an account on a host, or of an assignment.
fn is_operand(word: &[u8]) -> bool {
    let letter = |at: usize| word.get(at).is_some_and(u8::is_ascii_alphabetic);
    let inside = |mark: u8| memchr::memchr(mark, word).filter(|&at| at > 0 && letter(at - 1) && letter(at + 1));
    let path = match word {
        [b'/', first, ..] => first.is_ascii_alphabetic() && word.len() > 3,
        _ => inside(b'/').is_some() && word.len() > 4,
    };
    let file = word.iter().rposition(|b| *b == b'.').is_some_and(|dot| {
        let ending = &word[dot + 1..];
        dot > 0 && (1..=5).contains(&ending.len()) && ending.iter().all(u8::is_ascii_lowercase)
    });
    path || file
        || inside(b'@').is_some()
        || memchr::memchr(b'=', word).is_some_and(|at| letter(0) && at + 1 < word.len())
}

/// Whether a command line continues with an address, a path, a quoted program, a pipe or a redirection.
pub fn has_target_or_pipe(rest: &[u8]) -> bool {
    rest.split(|b| *b == b' ').skip(2).any(|w| {
        matches!(w.first(), Some(b'/' | b'\'' | b'"' | b'~'))
            || w.iter().filter(|b| **b == b'.').count() == 3
            || w.contains(&b'\\')
    }) || rest.iter().any(|b| matches!(b, b'|' | b'>'))
}

/// Files and actions by which a command line harms even where scripts are expected, lower case.
static SENSITIVE: AnyOf = AnyOf::new(&[
    b"/etc/passwd",
    b"/etc/shadow",
    b"/etc/sudoers",
    b"/dev/tcp/",
    b"/dev/udp/",
    b"/proc/self/environ",
    b"/.ssh/id_",
    b"/root/.ssh",
    b"/.aws/credentials",
    b"169.254.169.254",
    b"bash -i >",
    b"sh -i >",
    b"sh -i <",
    b"-e /bin/",
    b"-c /bin/sh",
    b"|bash -i",
    b"rm -rf /*",
    b"rm -rf / ",
    b"--no-preserve-root",
    b"config\\sam",
    b"win.ini",
]);
/// Commands that send what they are given to another host, and substitutions whose result an attacker wants.
static SENDERS: AnyOf = AnyOf::new(&[b"curl", b"wget", b"nc ", b"nslookup", b"dig ", b"ping", b"ncat", b"host "]);
static SECRETS: AnyOf = AnyOf::new(&[
    b"$(whoami",
    b"$(id)",
    b"$(id|",
    b"$(hostname",
    b"$(cat",
    b"$(env",
    b"$(uname",
    b"`whoami",
    b"`id`",
    b"`hostname",
    b"`cat ",
    b"`env",
    b"`uname",
]);

/// Whether a script reads what only attacks read, connects a shell to a host, or sends the result of a command to one.
pub fn is_sensitive(script: &[u8]) -> bool {
    let script = script.to_ascii_lowercase();
    work::count(script.len());
    SENSITIVE.is_in(&script) || SECRETS.is_in(&script) && SENDERS.is_in(&script)
}
