//! Where a command line is: behind something that it breaks out of, in a list of words, in prose, or in a script.

use super::super::work;
use super::commands;
use super::line::{Found, split_path};
use super::{MAX_LINE, is_lead};

/// The kind of place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A parameter of a query, a form or a path, a cookie or a header: short data, for which a command is unusual.
    Parameter,
    /// A member of a document such as JSON or XML: text that may be a script or mention commands.
    Document,
}

/// Pairs of words from which on a text is prose.
const PROSE_PAIRS: usize = 4;
/// Most bytes of a text that decide whether it is prose.
const PROSE_BYTES: usize = 1024;

/// Whether a text is prose: several words of letters that follow each other, separated by one blank.
pub fn is_prose(text: &[u8]) -> bool {
    let text = &text[..text.len().min(PROSE_BYTES)];
    work::count(text.len());
    let (mut pairs, mut before) = (0, false);
    for word in text.split(|b| *b == b' ') {
        let word = word.strip_suffix(b",").or(word.strip_suffix(b".")).unwrap_or(word);
        let plain = word.len() > 1 && word.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80 || *b == b'\'');
        pairs += usize::from(plain && before);
        before = plain;
    }
    pairs >= PROSE_PAIRS
}

/// Whether a text begins as a script does: with a command, an assignment, a comment or a construct of the shell.
pub fn starts_as_script(text: &[u8]) -> bool {
    let text = &text[..text.len().min(MAX_LINE)];
    let start = text.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'(' | b'{' | b'!')).count();
    let text = &text[start..];
    let end = text.iter().position(|b| !(b.is_ascii_alphanumeric() || b"/._-:~[$".contains(b))).unwrap_or(text.len());
    work::count(end + start);
    let (path, name) = split_path(&text[..end]);
    let next = text.get(end);
    let value = text.get(end + 1).is_some_and(|b| !matches!(b, b';' | b'|' | b'&'));
    let assigns =
        next == Some(&b'=') && value && end > 0 && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let ends = matches!(next, None | Some(b' ' | b'\t' | b'\n' | b'\r' | b';' | b'|' | b'&' | b'<' | b'>'));
    let known = commands::classify(name).is_some() || commands::wrapper(name).is_some() || is_keyword(name);
    let rooted = (path.starts_with(b"/") || path.starts_with(b"./") || path.starts_with(b"~/"))
        && matches!(next, None | Some(b' ' | b'\t' | b'\n'));
    // A word that runs with options is a command, known or not.
    let options = text[end..].starts_with(b" -") && name.first().is_some_and(u8::is_ascii_lowercase);
    // A command reads a file: `envsubst < /a > /b`. A container is built: `FROM alpine`, and on a line of its own `RUN`.
    let reads = name.first().is_some_and(u8::is_ascii_lowercase) && text[end..].starts_with(b" < /");
    let builds = name == b"FROM" && memchr::memmem::find(text, b"\nRUN ").is_some();
    reads
        || builds
        || matches!(text.first(), Some(b'#' | b':' | b'['))
        || text.starts_with(b"$ ")
        || assigns
        || text.starts_with(b"$") && end > 1 && ends
        || ends && (known || rooted || options)
}

/// Whether `name` begins a construct of a shell, or is a command of a shell itself.
fn is_keyword(name: &[u8]) -> bool {
    [
        &b"case"[..],
        b"select",
        b"function",
        b"for",
        b"local",
        b"readonly",
        b"return",
        b"exit",
        b"shift",
        b"shopt",
        b"cd",
        b"pushd",
    ]
    .contains(&name)
}

/// Whether the command at `start..end` is an element of a list of words that `|`, `;`, `&` or line ends separate.
pub fn is_listed(text: &[u8], at: usize, start: usize, end: usize, name: &[u8], unmistakable: bool) -> bool {
    const HALTS: &[&[u8]] = &[b"halt", b"poweroff", b"reboot", b"shutdown"];
    if !unmistakable && !HALTS.contains(&name) && is_quoted_alternative(text, at, start, end) {
        return true;
    }
    let head = &text[at.saturating_sub(MAX_LINE)..at];
    let separator = |b: &u8| matches!(b, b'|' | b';' | b'&' | b'\n' | b'\r');
    let head = &head[..head.iter().rposition(|b| !separator(b)).map_or(0, |last| last + 1)];
    let from = head.iter().rposition(separator).map_or(0, |last| last + 1);
    // A list may be the value of a parameter in an address.
    let from = head[from..].iter().rposition(|b| matches!(b, b'=' | b'?')).map_or(from, |last| from + last + 1);
    let before = head[from..].trim_ascii();
    // In an address, `+` is a blank.
    let before = before.strip_suffix(b"+").unwrap_or(before);
    let tail = &text[end.min(text.len())..(end + MAX_LINE).min(text.len())];
    work::count(head.len().min(MAX_LINE) + end - start);
    let tail = &tail[tail.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()..];
    let skip = tail.iter().take_while(|b| separator(b)).count();
    let after = tail[skip..].split(separator).next().unwrap_or_default().trim_ascii();
    let after = if skip > 0 { after } else { b"" };
    work::count(after.len());
    let is_command = |word: &[u8]| commands::classify(word).is_some();
    let words_follow = is_word_of_list(after) && !is_command(after);
    // Lists end with a word, and have one separator between words.
    let several = head.len() + 1 < at.min(MAX_LINE) && start == at;
    if skip > 0 && after.is_empty() || several && after.is_empty() {
        return false;
    }
    let single = |word: &[u8]| !word.contains(&b' ');
    // Lists of fields or options do not name commands that tell about the system, and lists of commands name others too.
    if commands::enumerates(name) && !before.is_empty() && single(before) && single(after) && !is_command(before) {
        return words_follow && is_command(after);
    }
    if is_word_of_list(before) {
        return if unmistakable {
            words_follow || is_command(before) || commands::is_ambiguous(name)
        } else {
            commands::is_ambiguous(name) || words_follow
        };
    }
    // A row of a table, or a list whose first element is empty.
    before.is_empty() && words_follow && (is_word_of_list(after) && tail.first() == Some(&b'|'))
}

/// Whether an element of a list of words may be so: letters first, then letters, digits and a few others.
fn is_word_of_list(word: &[u8]) -> bool {
    let host = word.iter().rposition(|b| *b == b'.').is_some_and(|dot| word[dot + 1..].len() > 1);
    (1..=48).contains(&word.len())
        && word[0].is_ascii_alphabetic()
        && !host
        // An address of IPv6 that is cut.
        && !word.ends_with(b"::")
        && word.iter().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ' | b',' | b'#' | b':') || *b >= 0x80
        })
        && !word.contains(&b'/')
}

/// Whether a single command after a weak separator is unlikely to end a sentence: there is nothing before it, or no blank
/// between.
pub fn tight(text: &[u8], at: usize, start: usize) -> bool {
    let before = text[at.saturating_sub(MAX_LINE)..at.saturating_sub(1)].trim_ascii();
    let words = before.iter().filter(|b| **b == b' ').count();
    work::count(before.len());
    before.is_empty()
        || before.last().is_some_and(|b| !b.is_ascii_alphabetic())
        || words == 0 && (start == at || before.len() < 24)
}

/// Whether the text before a word consists of several words or numbers, as the comment of a client's name does.
pub fn has_words_before(text: &[u8], at: usize) -> bool {
    let before = &text[at.saturating_sub(MAX_LINE)..at];
    work::count(before.len());
    let words = before.split(|b| !b.is_ascii_alphanumeric());
    words.filter(|word| word.iter().any(u8::is_ascii_alphabetic)).count() > 2
}

/// Whether nothing but an address or the name of the machine itself is before a separator: `127.0.0.1|id`. Lists of words
/// have no such element.
pub fn follows_address(text: &[u8], at: usize) -> bool {
    const MAX_ADDRESS: usize = 64;
    if at > MAX_ADDRESS {
        return false;
    }
    work::count(at);
    let separator = |b: &u8| matches!(b, b'|' | b';' | b'&' | b' ' | b'\n' | b'\r');
    let end = text[..at].iter().rposition(|b| !separator(b)).map_or(0, |last| last + 1);
    let address = text[..end].trim_ascii();
    let numbers = address.split(|b| *b == b'.').filter(|part| (1..=3).contains(&part.len()));
    address == b"localhost"
        || numbers.count() == 4 && address.iter().all(|b| b.is_ascii_digit() || *b == b'.') && end < at
}

/// Whether nothing but one word, or a closing quote or bracket, is before a separator.
pub fn follows_value(text: &[u8], at: usize) -> bool {
    let before = text[at.saturating_sub(MAX_LINE)..at].trim_ascii();
    let before = before.trim_ascii_end();
    work::count(before.len());
    let end = before.iter().rposition(|b| !matches!(b, b'|' | b';' | b'&' | b' ' | b'\n' | b'\r')).map_or(0, |l| l + 1);
    let before = &before[..end];
    at < MAX_LINE && !before.contains(&b' ')
        || before.last().is_some_and(|b| matches!(b, b'\'' | b'"' | b')' | b'}' | b'\0'))
}

/// Whether a command at the beginning of a text of several lines breaks out of a value: that ends with a digit, a quote or
/// a bracket, or is empty.
pub fn breaks_out(text: &[u8], start: usize) -> bool {
    const MAX_VALUE: usize = 64;
    let before = &text[..start];
    if start > MAX_VALUE || start == 0 {
        return false;
    }
    work::count(start);
    let end = before.iter().rposition(|b| !b" ;|&\n\r".contains(b)).map_or(0, |last| last + 1);
    match before[..end].last() {
        Some(b'\'' | b'"' | b')' | b'0'..=b'9') => {
            !before[..end].iter().any(|b| matches!(b, b' ' | b'=' | b'#' | b'\n'))
        }
        None => matches!(before[0], b';' | b'&') || before.starts_with(b"||"),
        Some(_) => false,
    }
}

/// Whether a command is within backticks that a sentence opens behind a blank and closes, as Markdown shows code.
pub fn is_in_code_span(text: &[u8], start: usize) -> bool {
    const LEAST_WORDS: usize = 2;
    let from = start.saturating_sub(MAX_LINE);
    let before = &text[from..start];
    let line = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let before = &before[line..];
    let behind = &text[start..(start + MAX_LINE).min(text.len())];
    let behind = behind.split(|b| *b == b'\n').next().unwrap_or_default();
    work::count(before.len() + behind.len());
    let Some(tick) = memchr::memchr(b'`', before) else { return false };
    let lead = &before[..tick];
    let opened = memchr::memchr_iter(b'`', before).count() % 2 == 1;
    let words = lead.split(|b| *b == b' ').filter(|word| word.iter().any(u8::is_ascii_alphabetic)).count();
    let ends = lead.trim_ascii_end().last().is_some_and(|b| matches!(b, b';' | b'|' | b'&' | b'=' | b'('));
    opened && words >= LEAST_WORDS && lead.last() == Some(&b' ') && !ends && behind.contains(&b'`')
}

/// Whether a command is within `<code>` of formatted text, as posts show it.
pub fn is_in_code_element(text: &[u8], start: usize) -> bool {
    let before = &text[start.saturating_sub(MAX_LINE)..start];
    let behind = &text[start..(start + MAX_LINE).min(text.len())];
    work::count(before.len() + behind.len());
    let Some(open) = memchr::memmem::rfind(before, b"<code>") else { return false };
    let head = &text[..text.len().min(MAX_LINE)];
    head.trim_ascii_start().starts_with(b"<")
        && !before[open + 6..].contains(&b'<')
        && memchr::memmem::find(behind, b"</code>").is_some()
}

/// Whether a command behind `|` is a stage of a query language that has the same words: `error | sort -count | head 10`.
/// There, only options, names and numbers follow, and no file.
pub fn is_query_stage(text: &[u8], found: &Found) -> bool {
    const STAGES: [&[u8]; 5] = [b"sort", b"head", b"tail", b"top", b"uniq"];
    const LEAST_WORDS: usize = 3;
    let line = &text[found.start..found.line_end];
    let stage = line.split(|b| *b == b'|').next().unwrap_or_default();
    let before = &text[found.start.saturating_sub(MAX_LINE)..found.start];
    work::count(stage.len() + before.len());
    let mut words = stage.split(|b| *b == b' ').filter(|word| !word.is_empty());
    let known = words.next().is_some_and(|name| STAGES.contains(&name));
    let argument = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'_' | b',');
    // A query selects before it sorts.
    let selects = before.split(|b| *b == b' ').filter(|word| word.len() > 1).count() >= LEAST_WORDS;
    known && selects && words.all(|word| word.iter().all(argument))
}

/// Whether a parameter of this name holds what an application runs: one of its words says so, as in `cmd`, `exec_command`,
/// `shellCmd` and `ping-host`. Other words contain such a word: `ecosystem`, `grouping`, `executor`.
pub fn is_run(name: &[u8]) -> bool {
    const MAX_NAME: usize = 32;
    const WORDS: &[&[u8]] =
        &[b"command", b"commandline", b"cmd", b"cmdline", b"runcmd", b"exec", b"execute", b"shell", b"ping"];
    // A word of its own in other names: `operating_system`.
    const WHOLE: &[&[u8]] = &[b"system"];
    if name.len() > MAX_NAME {
        return false;
    }
    let is = |word: &[u8], list: &[&[u8]]| list.iter().any(|run| word.eq_ignore_ascii_case(run));
    // A capital letter behind a small one begins a word, and no other word begins or ends with `cmd`.
    let begins = |before: u8, b: u8| before.is_ascii_lowercase() && b.is_ascii_uppercase();
    let shortened = |word: &[u8]| {
        let at = |part: Option<&[u8]>| part.is_some_and(|part| part.eq_ignore_ascii_case(b"cmd"));
        at(word.get(..3)) || at(word.len().checked_sub(3).map(|from| &word[from..]))
    };
    is(name, WHOLE)
        || name
            .split(|b| !b.is_ascii_alphabetic())
            .flat_map(|part| part.chunk_by(|a, b| !begins(*a, *b)))
            .any(|word| is(word, WORDS) || shortened(word))
}

/// Whether the word at `start..end` is one of several alternatives in quotes, as types and messages name them:
/// `'asc' | 'desc' | 'top'`. `at` is where the text behind the separator begins.
fn is_quoted_alternative(text: &[u8], at: usize, start: usize, end: usize) -> bool {
    let (Some(quote @ (b'\'' | b'"')), true) = (start.checked_sub(1).map(|i| text[i]), start > at) else {
        return false;
    };
    let closed = text[start..(end + 2).min(text.len())].iter().position(|b| *b == quote);
    let before = &text[at.saturating_sub(MAX_LINE)..at];
    work::count(before.len() / work::SEARCHED + end - start);
    let Some(before) = before.strip_suffix(b"|").map(<[u8]>::trim_ascii_end) else { return false };
    let Some(before) = before.strip_suffix(&[quote]) else { return false };
    let word = before.iter().rev().take_while(|b| is_of_name(**b)).count();
    closed.is_some() && word > 0 && before[..before.len() - word].last() == Some(&quote)
}

/// Whether names in source code consist of such bytes.
fn is_of_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ')
}

/// Whether a name is written as the first word of a sentence or as a proper name is.
pub fn is_title_case(word: &[u8]) -> bool {
    word.len() > 1 && word[0].is_ascii_uppercase() && word[1..].iter().all(u8::is_ascii_lowercase)
}

/// Where the command begins behind quotes and brackets that an application or a shell skips.
pub fn skip_lead(text: &[u8], at: usize, most: usize) -> usize {
    at + text[at..].iter().take(most).take_while(|b| is_lead(**b)).count()
}

#[cfg(test)]
mod tests {
    use super::is_run;

    #[test]
    fn parameters_that_are_run_say_so_by_a_word_of_their_own() {
        for name in ["cmd", "CMD", "exec_command", "shellCmd", "mycmd", "ping-host", "system", "Command", "cmdline"] {
            assert!(is_run(name.as_bytes()), "{name}");
        }
        for name in ["ecosystem", "grouping", "executor", "operating_system", "shipping", "recommended", "nutshell", ""]
        {
            assert!(!is_run(name.as_bytes()), "{name}");
        }
    }
}
