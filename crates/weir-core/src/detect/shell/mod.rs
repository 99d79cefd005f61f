//! Shell command injection: a separator or substitution, then a command with an argument that only commands take.
//!
//! Prose has semicolons, ampersands and words such as `cat` too. It does not have a command after a separator that is
//! followed by an option, a path, an address or the end of the line. Texts of several lines may be documents that show
//! commands; in these, only a command with the path of a program counts.

mod commands;

use super::{Detector, Match, Samples, Subject, is_document, work};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Zone};
use crate::normalize::shell as noise;
use commands::NameClass;
use std::borrow::Cow;

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "rce.shell",
    attack: AttackType::Rce,
    about: "A shell command behind a separator or inside a substitution, or a command line as the whole value",
    zones: Zone::PARAMETERS,
    filter: FILTER,
    run,
    samples: Samples {
        positive: &[
            ";id",
            "| cat /etc/passwd",
            "$(whoami)",
            "`id`",
            "&& ping -c 3 127.0.0.1",
            "x\nid\n",
            "a);ls -la",
            "|| sleep 10",
            "1;c'a't /etc/passwd",
            "127.0.0.1|whoami",
            "& dir c:\\",
            ";cat${IFS}/etc/passwd",
            "cmd.exe /c dir",
            "ls -l /tmp",
            "'|/usr/bin/id|'",
            "$(touch /tmp/x)",
            "& powershell -enc AAAA",
            "nc -lvvp 4444 -e /bin/sh",
            ";w\\hoami",
            "```id```",
            ";{cat,/etc/passwd}",
            "/usr/bin/id",
            "x\n\n\n\n;id",
        ],
        negative: &[
            "cats & dogs; id please",
            "Tom & Jerry; find love",
            "AT&T",
            "a=1;b=2",
            "sort by date | time",
            "rock & roll; who cares",
            "text/html;q=0.8",
            "R&D; test results",
            "price < $10 (each)",
            "use `id` or `cat`; head over there",
            "cat; dog",
            "ping pong",
            "python 3 tutorial",
            "find -the- way",
            "Smith; Date 2001",
            "sleep 8 hours",
            "who is who",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==",
            "a;id=5;env=prod",
            "```bash\nsudo apt-get update && sudo apt-get install -y nginx\n```",
            "```python\nimport os\n```",
            "| Command | Use |\n|---|---|\n| `ls` | lists |",
            "/bin/bash",
        ],
    },
};

/// Most bytes skipped before a command.
const MAX_LEAD: usize = 16;
/// Most bytes of the name and path of a command.
const MAX_NAME: usize = 128;
/// Most bytes inspected of a command line, and of the text before it.
const MAX_LINE: usize = 384;
/// Words after a command among which a sensitive target is looked for.
const TARGET_WORDS: usize = 4;

const FILTER: ByteClassFilter = ByteClassFilter::any(ByteClasses::ALPHA).and(
    ByteClasses::SEMICOLON
        .with(ByteClasses::PIPE)
        .with(ByteClasses::AMP)
        .with(ByteClasses::BACKTICK)
        .with(ByteClasses::DOLLAR)
        .with(ByteClasses::NEWLINE)
        .with(ByteClasses::SLASH)
        .with(ByteClasses::DASH)
        .with(ByteClasses::LPAREN)
        .with(ByteClasses::LT),
);

fn run(subject: &Subject<'_>) -> Option<Match> {
    let document = is_document(subject.bytes);
    let plain = find(subject.bytes, subject.classes, document);
    if plain.is_some() || !subject.classes.intersects(NOISE) || is_plain_behind_noise(subject.bytes, subject.classes) {
        return plain;
    }
    match noise::run(subject.bytes) {
        // Positions in the cleaned text do not apply to the value: report the whole value.
        Cow::Owned(clean) => {
            find(&clean, ByteClasses::of(&clean), document).map(|m| Match { start: 0, end: subject.bytes.len(), ..m })
        }
        Cow::Borrowed(_) => None,
    }
}

const NOISE: ByteClasses = ByteClasses::QUOTE
    .with(ByteClasses::DQUOTE)
    .with(ByteClasses::BACKSLASH)
    .with(ByteClasses::CARET)
    .with(ByteClasses::DOLLAR)
    .with(ByteClasses::BACKTICK);

/// Bytes of separators.
const SEPARATORS: ByteClasses = ByteClasses::SEMICOLON
    .with(ByteClasses::PIPE)
    .with(ByteClasses::AMP)
    .with(ByteClasses::BACKTICK)
    .with(ByteClasses::NEWLINE);

/// Whether a text of these byte classes may contain a separator.
fn may_separate(classes: ByteClasses) -> bool {
    const BEFORE_PARENTHESIS: ByteClasses = ByteClasses::DOLLAR.with(ByteClasses::LT).with(ByteClasses::GT);
    classes.intersects(SEPARATORS) || classes.intersects(ByteClasses::LPAREN) && classes.intersects(BEFORE_PARENTHESIS)
}

/// Whether a text without separators, once its noise is removed, does not begin with a command.
///
/// **Correctness.** Cleaning only removes bytes or replaces them by blanks, so it creates no separator. Then only a command
/// at the beginning can be found, and its name is within the first bytes. `shortcuts_change_no_result` tests this.
fn is_plain_behind_noise(text: &[u8], classes: ByteClasses) -> bool {
    const HEAD: usize = 256;
    // Cleaning looks ahead at most this many bytes, so before them the end of `head` has no influence.
    const CUT: usize = 32;
    if may_separate(classes) {
        return false;
    }
    let head = &text[..text.len().min(HEAD)];
    let clean = noise::run(head);
    let start = clean.iter().take(MAX_LEAD).take_while(|b| is_lead(**b)).count();
    let word = &clean[start..];
    let len = word.iter().take(MAX_NAME).take_while(|b| is_word(**b)).count();
    let whole = head.len() == text.len() || len + CUT < word.len();
    whole && commands::classify(program(split_path(&word[..len]).1)).is_none()
}

/// What precedes a command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Boundary {
    /// Nothing: the value begins with the command.
    Start,
    /// A line end.
    Line,
    /// `;` or a single `&`, which prose has too.
    Weak,
    /// `|`, `||`, `&&`.
    Strong,
    /// `` ` ``, which Markdown has too.
    Tick,
    /// `$(`, `<(`, `>(`.
    Substitution,
}

/// The first command in `text` with enough evidence. A `document` needs more.
fn find(text: &[u8], classes: ByteClasses, document: bool) -> Option<Match> {
    let mut at = 0;
    let mut before = Boundary::Start;
    loop {
        if let Some(end) = command(text, classes, at, before, document) {
            return Some(Match { confidence: Confidence::High, start: at, end });
        }
        if !may_separate(classes) {
            return None;
        }
        let (next, what) = separator(text, at)?;
        (at, before) = (next, what);
    }
}

/// Whether each byte may begin a separator.
static STARTS_SEPARATOR: [bool; 256] = {
    let mut table = [false; 256];
    let (bytes, mut at) = (b";|&`\n\r$<>", 0);
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
};

/// The next separator from `at` on: where the command after it may begin, and the kind of separator.
fn separator(text: &[u8], at: usize) -> Option<(usize, Boundary)> {
    let mut from = at;
    loop {
        let i = from + text[from..].iter().inspect(|_| work::count(1)).position(|b| STARTS_SEPARATOR[*b as usize])?;
        let next = text.get(i + 1);
        let doubled = next == Some(&text[i]);
        from = i + 1;
        return Some(match text[i] {
            b'|' | b'&' if doubled => (i + 2, Boundary::Strong),
            b'|' => (i + 1, Boundary::Strong),
            b';' | b'&' => (i + 1, Boundary::Weak),
            b'`' => (i + 1, Boundary::Tick),
            b'\n' | b'\r' => (i + 1, Boundary::Line),
            _ if next == Some(&b'(') => (i + 2, Boundary::Substitution),
            _ => continue,
        });
    }
}

/// The end of the command line at `at`, if there is enough evidence that it is one.
fn command(text: &[u8], classes: ByteClasses, at: usize, boundary: Boundary, document: bool) -> Option<usize> {
    let start = at + text[at..].iter().take(MAX_LEAD).take_while(|b| is_lead(**b)).count();
    // The name of a command never begins with a digit, but its path may.
    let digit = text.get(start).is_some_and(u8::is_ascii_digit);
    if digit && !classes.intersects(ByteClasses::SLASH.with(ByteClasses::BACKSLASH)) {
        return None;
    }
    let end = start + text[start..].iter().take(MAX_NAME).take_while(|b| is_word(**b)).count();
    work::count(end + 1 - at);
    let (path, name) = split_path(&text[start..end]);
    let name = program(name);
    let kind = commands::classify(name)?;
    if !ends_word(text, start, end) {
        return None;
    }
    let line = &text[start..(start + MAX_LINE).min(text.len())];
    let line_end = start + memchr::memchr2(b'\n', b'\r', line).unwrap_or(line.len());
    work::count(line_end - start);
    // Brace expansion separates words by commas: `{cat,/etc/passwd}`.
    let braced = text.get(end) == Some(&b',');
    let end = end + usize::from(braced);
    let rest = &text[end.min(line_end)..line_end.min(end + 256)];
    let argument = argument(name, rest, braced);
    let rooted = is_program_path(path);
    let globbed = text[start..end].contains(&b'?');
    let accepted = match (boundary, kind) {
        _ if document => rooted && boundary >= Boundary::Strong,
        _ if rooted && boundary > Boundary::Start => argument != Argument::Text || kind > NameClass::OrdinaryWord,
        (Boundary::Substitution, NameClass::OrdinaryWord) => argument != Argument::Text,
        (Boundary::Substitution, _) => argument != Argument::Text || kind == NameClass::Unmistakable,
        (Boundary::Tick, _) => ticked(text, at, kind, argument),
        (Boundary::Start | Boundary::Line, kind) => standalone(boundary, kind, argument, rooted, name, rest),
        (Boundary::Strong | Boundary::Weak, NameClass::Unmistakable) => true,
        (Boundary::Strong | Boundary::Weak, NameClass::OrdinaryWord) => argument >= Argument::Option,
        (Boundary::Strong, NameClass::CommandName) => argument != Argument::Text,
        (Boundary::Weak, NameClass::CommandName) => {
            argument != Argument::Text && (argument >= Argument::Option || tight(text, at, start))
        }
    };
    (accepted && !globbed).then_some(line_end.min(end + 64))
}

/// Whether a shell skips this byte before a command, or an application may put it there.
fn is_lead(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'+' | b'"' | b'\'' | b'(' | b'{' | b'@' | b'!' | 0x0b | 0x0c)
}

/// Whether this byte may be part of the name and path of a command.
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'/' | b'\\' | b'.' | b'_' | b'-' | b':' | b'~' | b'?' | b'*')
}

/// Whether a shell ends the word `start..end` there. `base64,` of a data URL, `id=5` and `exec(x)` are not commands, but
/// `{cat,/etc/passwd}` is one.
fn ends_word(text: &[u8], start: usize, end: usize) -> bool {
    match text.get(end) {
        Some(b',') => start > 0 && text[start - 1] == b'{',
        Some(b'=' | b'[' | b'(' | b'@' | 0x80..) => false,
        _ => true,
    }
}

/// Whether a single command after a weak separator is unlikely to end a sentence: there is nothing before it, or no blank
/// between.
fn tight(text: &[u8], at: usize, start: usize) -> bool {
    let before = text[at.saturating_sub(MAX_LINE)..at.saturating_sub(1)].trim_ascii();
    let words = before.iter().filter(|b| **b == b' ').count();
    work::count(before.len());
    before.is_empty()
        || before.last().is_some_and(|b| !b.is_ascii_alphabetic())
        || words == 0 && (start == at || before.len() < 24)
}

/// Whether a command in backticks is a substitution rather than Markdown, in which blanks surround the backticks.
fn ticked(text: &[u8], at: usize, kind: NameClass, argument: Argument) -> bool {
    let Some(close) = memchr::memchr(b'`', &text[at..(at + MAX_LINE).min(text.len())]) else { return false };
    let blank_before = at >= 2 && text[at - 2] == b' ' && at > 3;
    let after = &text[at + close + 1..];
    let prose_after = after.len() > 1 && after[0] == b' ' && (after[1].is_ascii_alphabetic() || after[1] == b'|');
    let prose = blank_before && text[at - 3].is_ascii_alphanumeric() || prose_after || after.first() == Some(&b'`');
    !prose && (kind >= NameClass::CommandName || argument >= Argument::Option) && argument != Argument::Text
}

/// Whether a line is a command line although no separator precedes it.
fn standalone(boundary: Boundary, kind: NameClass, argument: Argument, rooted: bool, name: &[u8], rest: &[u8]) -> bool {
    if rooted {
        // The path of a shell by itself is a setting: the login shell of an account, the entry point of a container.
        let shell = [&b"sh"[..], b"bash", b"zsh", b"dash", b"ksh", b"csh", b"tcsh"];
        let setting = argument == Argument::None && shell.iter().any(|s| name.eq_ignore_ascii_case(s));
        return argument != Argument::Text && !setting;
    }
    if boundary == Boundary::Line && argument == Argument::None && kind >= NameClass::CommandName {
        return true;
    }
    let options = rest.split(|b| *b == b' ').filter(|w| w.len() > 1 && w[0] == b'-').count();
    match argument {
        Argument::Target => true,
        Argument::Option => {
            kind == NameClass::Unmistakable
                || name.eq_ignore_ascii_case(b"cmd")
                || options > 0 && has_target_or_pipe(rest)
                || name.eq_ignore_ascii_case(b"ls")
                || name.eq_ignore_ascii_case(b"ping") && options > 0
        }
        Argument::None | Argument::Text => false,
    }
}

/// Whether a command line continues with an address, a path, a quoted program, a pipe or a redirection.
fn has_target_or_pipe(rest: &[u8]) -> bool {
    rest.split(|b| *b == b' ').skip(2).any(|w| {
        matches!(w.first(), Some(b'/' | b'\'' | b'"' | b'~'))
            || w.iter().filter(|b| **b == b'.').count() == 3
            || w.contains(&b'\\')
    }) || rest.iter().any(|b| matches!(b, b'|' | b'>'))
}

/// What follows a command's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Argument {
    /// Something that may follow in prose.
    Text,
    /// Nothing: the line, the value or the command ends.
    None,
    /// An option, a number, a variable, a path, an address.
    Option,
    /// A file, program or address that attacks aim at.
    Target,
}

/// Classifies what follows the name of a command. `separated`: something other than a blank already separates it.
fn argument(name: &[u8], rest: &[u8], separated: bool) -> Argument {
    let skipped = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'+')).count();
    let text = &rest[skipped..];
    let blanks = skipped + usize::from(separated);
    let target = [
        &b"/etc/"[..],
        b"/bin/",
        b"/tmp/",
        b"/dev/tcp",
        b"/proc/",
        b"c:\\",
        b"c:/",
        b"http://",
        b"https://",
        b"ftp://",
        b"127.0.0.1",
    ];
    let head = words(text, TARGET_WORDS).to_ascii_lowercase();
    work::count(head.len());
    if blanks > 0 && target.iter().any(|t| memchr::memmem::find(&head, t).is_some()) {
        return Argument::Target;
    }
    let Some(&first) = text.first() else { return Argument::None };
    match first {
        b';' | b'|' | b'&' | b')' | b'`' | b'}' | b'#' | b'\0' => Argument::None,
        b'\'' | b'"' if blanks == 0 => Argument::None,
        b'<' | b'>' if text.len() > 1 => Argument::Option,
        _ if blanks == 0 => Argument::Text,
        b'-' => {
            let letters = text[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
            if (1..=12).contains(&letters) { Argument::Option } else { Argument::Text }
        }
        b'/' if text.get(1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'?') => Argument::Option,
        b'/' if text.len() == 1 => Argument::Option,
        b'$' | b'~' | b'*' | b'%' => Argument::Option,
        b'.' if matches!(text.get(1), Some(b'/' | b'.')) => Argument::Option,
        b'\'' | b'"' => Argument::Option,
        b'0'..=b'9' => number(name, text),
        _ => named_host(text),
    }
}

/// The first `count` words of `text`, at most [`MAX_LINE`] bytes.
fn words(text: &[u8], count: usize) -> &[u8] {
    let mut blanks = text.iter().enumerate().filter(|(_, b)| matches!(b, b' ' | b'+')).map(|(at, _)| at);
    let end = blanks.nth(count - 1).unwrap_or(text.len());
    &text[..end.min(MAX_LINE)]
}

/// Classifies an argument that begins with a digit: an address, or the number that a command such as `sleep` takes, counts
/// at the end of the command.
fn number(name: &[u8], text: &[u8]) -> Argument {
    let digits = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let address = text[..digits].iter().filter(|b| **b == b'.').count() == 3;
    let counted = [&b"sleep"[..], b"timeout", b"kill", b"expr", b"ping"].iter().any(|c| name.eq_ignore_ascii_case(c));
    match text.get(digits..).and_then(|t| t.trim_ascii_start().first()) {
        None | Some(b';' | b'|' | b'&' | b'`' | b')' | b'#' | b'\'' | b'"') if address || counted => Argument::Option,
        _ => Argument::Text,
    }
}

/// Classifies an argument that begins with a letter: a path with a drive, or a dotted file or host name, counts.
fn named_host(text: &[u8]) -> Argument {
    let word = text.split(|b| matches!(b, b' ' | b';' | b'|' | b'&' | b'`' | b')')).next().unwrap_or_default();
    let drive = word.len() >= 2 && word[1] == b':';
    let dotted = word.len() > 3
        && word[1..word.len() - 1].contains(&b'.')
        && word.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'));
    let closed = text.len() == word.len() || matches!(text[word.len()], b';' | b'|' | b'&' | b'`' | b')');
    if drive || dotted && closed { Argument::Option } else { Argument::Text }
}

/// Splits a word into directory and file name.
fn split_path(word: &[u8]) -> (&[u8], &[u8]) {
    match word.iter().rposition(|b| matches!(b, b'/' | b'\\')) {
        Some(at) => (&word[..=at], &word[at + 1..]),
        None => (b"", word),
    }
}

/// Whether `path` is a directory of programs.
fn is_program_path(path: &[u8]) -> bool {
    let path = path.to_ascii_lowercase();
    [&b"/bin/"[..], b"/sbin/", b"\\system32\\", b"/system32/", b"\\windows\\"].iter().any(|dir| path.ends_with(dir))
}

/// The name of a command without `.exe` or `.com`.
fn program(name: &[u8]) -> &[u8] {
    match name.split_last_chunk::<4>() {
        Some((stem, ending)) if ending.eq_ignore_ascii_case(b".exe") || ending.eq_ignore_ascii_case(b".com") => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_may_show_commands() {
        let text = "Install\n\n```\ncd foo && npm install\nls -la | grep x\ncurl -O example.com\n```\n\nThen run `ls` and enjoy.\n".repeat(5);
        let bytes = text.as_bytes();
        assert_eq!(find(bytes, ByteClasses::of(bytes), is_document(bytes)), None);
    }

    #[test]
    fn work_on_hostile_text_is_linear() {
        for unit in [
            ";",
            "; id x",
            "`ls b ",
            "$(",
            "|cat b ",
            "\n",
            ";ls a b",
            "& id x ",
            "`a",
            "<",
            "    ",
            ";/a/a",
            "$(time b ",
        ] {
            work::assert_linear(unit, 1 << 14, 100, |text| {
                assert_eq!(find(text, ByteClasses::of(text), false), None, "{unit}")
            });
        }
    }

    proptest::proptest! {
        #[test]
        fn shortcuts_change_no_result(text in r#"([ +"'({@!]{0,9}(id|ls|l''s|cat|c\\at|who\$@ami|cmd\.exe|sl"e"ep|it's|x)?([ "'\\^$@(0-9a-z/.-]|\$IFS|é){0,20}|[;|&`\n<]){0,2}( [a-z']{100,300})?"#) {
            let (bytes, classes) = (text.as_bytes(), ByteClasses::of(text.as_bytes()));
            if is_plain_behind_noise(bytes, classes) {
                proptest::prop_assert_eq!(find(&noise::run(bytes), ByteClasses::of(&noise::run(bytes)), false), None);
            }
            let always = SEPARATORS;
            proptest::prop_assert_eq!(find(bytes, classes, false), find(bytes, classes.with(always), false));
        }

        #[test]
        fn never_panics(text in r#"[;|&`$(){}\n idlscat/etc\\.'"^0-9-]{0,120}"#) {
            if let Some(m) = find(text.as_bytes(), ByteClasses::of(text.as_bytes()), false) {
                proptest::prop_assert!(m.start <= m.end && m.end <= text.len());
            }
        }
    }
}
