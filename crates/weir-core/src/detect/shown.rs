//! Code that a text shows, and code that is injected into one.
//!
//! Whoever writes about code puts it on lines of its own, in quotes that the same line opens, or into a sentence. An
//! injection is at the beginning of the value, closes a quote that the application opened, or is an expression of a
//! template, which runs wherever it is. Neither lines nor fences around an injection change that, so whoever pads one
//! gains nothing.

use super::work;

/// Most bytes before a match that are read.
const MAX_BEFORE: usize = crate::ruleset::READ_AROUND;
/// Most bytes of punctuation between a closed quote and what is injected.
const MAX_LEAD: usize = 24;
/// Most bytes between the start of an expression and a match in it.
const MAX_EXPRESSION: usize = 200;
/// Words before a match from which on it belongs to a sentence.
const SENTENCE: usize = 3;
/// Words behind a path from which on it belongs to a sentence: no file's name ends with them.
const BEHIND: usize = 2;
/// Most bytes of a line that are read on each side of a path.
const MAX_SENTENCE: usize = 200;
/// What opens an expression of a template.
const OPENS: &[&[u8]] = &[b"${", b"%{", b"#{", b"*{", b"{{", b"<%", b"#set("];

/// Whether the match at `start` of a text of several lines is code that the text shows, and no injection.
pub fn is_shown(text: &[u8], start: usize) -> bool {
    let start = start.min(text.len());
    !(leads(text, start) || breaks_out(text, start) || is_in_expression(text, start) || climbs(text, start))
}

/// Whether the match is neither in an expression of a template nor in a path that climbs.
pub fn is_inert(text: &[u8], start: usize) -> bool {
    let start = start.min(text.len());
    !(is_in_expression(text, start) || climbs(text, start))
}

/// Whether the path at `start..end` belongs to a sentence: words are before or behind it on its line, and it climbs nowhere.
/// What opens a file takes the whole value for its path.
pub fn is_mentioned(text: &[u8], start: usize, end: usize) -> bool {
    let (start, end) = (start.min(text.len()), end.min(text.len()));
    let before = &text[start.saturating_sub(MAX_SENTENCE)..start];
    let before = &before[memchr::memrchr(b'\n', before).map_or(0, |end| end + 1)..];
    // The match may have taken the end of its line.
    let end = end - usize::from(end > start && text[end - 1] == b'\n');
    let behind = &text[end..(end + MAX_SENTENCE).min(text.len())];
    let behind = behind.split(|b| *b == b'\n').next().unwrap_or_default();
    work::count(before.len() + behind.len());
    let cut = |part: &[u8]| {
        part.iter().any(|b| *b < b' ' && *b != b'\t' && *b != b'\r') || memchr::memchr(b'%', part).is_some()
    };
    // The rest of the path is no word.
    let rest = behind.iter().position(|b| *b == b' ').unwrap_or(behind.len());
    // A quote or bracket before it makes it the operand of a call, a scheme an address.
    let name = text[start..end].iter().position(u8::is_ascii_alphanumeric).map_or(start, |at| start + at);
    let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'\\' | b':' | b'.' | b'_' | b'-' | b'~');
    let lead = text[..name].iter().rev().take(MAX_SENTENCE).take_while(part).count();
    let apart = (lead == name || text[name - lead - 1].is_ascii_whitespace())
        && memchr::memmem::find(&text[name - lead..name], b"://").is_none();
    // "permission denied: /etc/passwd"
    let lead_in = before[..before.len() - start.saturating_sub(name - lead).min(before.len())].trim_ascii();
    let announced = lead_in.ends_with(b":") && memchr::memchr(b' ', lead_in).is_some();
    apart
        && (words(before) >= SENTENCE || announced || words(&behind[rest..]) >= BEHIND)
        && !cut(behind)
        && !climbs(text, start)
}

/// Whether a blank is before the match on its line.
pub fn follows_blank(text: &[u8], start: usize) -> bool {
    let before = &text[start.saturating_sub(MAX_SENTENCE)..start.min(text.len())];
    let line = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    memchr::memchr(b' ', before[line..].trim_ascii()).is_some()
}

/// Words of JavaScript that a name may follow.
const KEYWORDS: &[&[u8]] = &[
    b"async",
    b"await",
    b"case",
    b"const",
    b"delete",
    b"do",
    b"else",
    b"for",
    b"function",
    b"get",
    b"if",
    b"in",
    b"instanceof",
    b"let",
    b"new",
    b"of",
    b"return",
    b"set",
    b"static",
    b"throw",
    b"typeof",
    b"var",
    b"void",
    b"while",
    b"yield",
];

/// Whether a sentence leads to the code behind `before`: words that follow each other since the last quote, comment or
/// line end. Where that code would run, they are a syntax error.
pub fn follows_sentence(before: &[u8]) -> bool {
    let before = &before[before.len().saturating_sub(MAX_SENTENCE)..];
    let ends = |b: &u8| matches!(b, b'"' | b'`' | b'\'' | b'\n' | b'\r' | b'*' | b'<' | b'>');
    let rest = &before[before.iter().rposition(ends).map_or(0, |last| last + 1)..];
    work::count(before.len());
    let (mut row, mut longest) = (0, 0);
    for word in rest.split(|b| *b == b' ') {
        let plain = word.len() > 1 && word.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80);
        row = if plain && !KEYWORDS.contains(&word) { row + 1 } else { 0 };
        longest = longest.max(row);
    }
    longest >= SENTENCE
}

/// Whether `before` ends with calls without arguments that a sentence lists, as in "Replaces alert(), confirm() and". In script,
/// a word before the first of them is a syntax error.
pub fn lists_functions(before: &[u8]) -> bool {
    const MAX_LISTED: usize = 8;
    let mut rest = &before[before.len().saturating_sub(MAX_SENTENCE)..];
    work::count(2 * rest.len());
    for listed in 0..MAX_LISTED {
        let trimmed = rest.trim_ascii_end();
        let trimmed =
            trimmed.strip_suffix(b" and").or(trimmed.strip_suffix(b" or")).unwrap_or(trimmed).trim_ascii_end();
        let trimmed = trimmed.strip_suffix(b",").unwrap_or(trimmed);
        let Some(call) = trimmed.strip_suffix(b"()") else {
            // One blank: a line end would end a statement of script.
            let word = rest.strip_suffix(b" ").unwrap_or_default().rsplit(|b| *b == b' ').next().unwrap_or_default();
            let plain = word.len() > 1 && word.iter().all(u8::is_ascii_alphabetic);
            return listed > 0 && plain && !KEYWORDS.contains(&word);
        };
        let name = call.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
        rest = &call[..call.len() - name];
    }
    false
}

/// Words of letters in a part of a sentence.
fn words(part: &[u8]) -> usize {
    let plain = |word: &&[u8]| {
        let word = word.strip_suffix(b",").or(word.strip_suffix(b".")).unwrap_or(word);
        word.len() > 1 && word.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80 || *b == b'\'')
    };
    part.split(|b| *b == b' ').filter(plain).count()
}

/// Whether nothing is before the match but blank lines, comments, and less than a sentence on its own line.
pub fn leads(text: &[u8], start: usize) -> bool {
    start <= MAX_BEFORE && {
        let line = first_line(text);
        let from = memchr::memrchr(b'\n', &text[..start]).map_or(0, |end| end + 1);
        start < line.end && !is_sentence(&text[from..start])
    }
}

/// The first line that is neither blank nor a comment, with its line end.
pub fn first_line(text: &[u8]) -> std::ops::Range<usize> {
    let text = &text[..text.len().min(MAX_BEFORE)];
    let mut start = 0;
    loop {
        let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |end| start + end + 1);
        let line = text[start..end].trim_ascii();
        work::count(end - start);
        let marks = [&b"//"[..], b"#", b"-- ", b"/*", b"*/", b"<!--"];
        if end == text.len() || !(line.is_empty() || marks.iter().any(|mark| line.starts_with(mark))) {
            return start..end;
        }
        start = end;
    }
}

/// Whether several words, or a word that ends with a colon, are before a match.
fn is_sentence(before: &[u8]) -> bool {
    before.trim_ascii_end().ends_with(b":") || words(before) >= SENTENCE
}

/// Whether the match at `start` follows a quote that was not opened before on its line, and then what ends a statement or
/// joins operands.
pub fn breaks_out(text: &[u8], start: usize) -> bool {
    let before = &text[start.saturating_sub(MAX_BEFORE)..start];
    let line = start - before.len() + memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    if closes_first(&text[line..]) {
        return true;
    }
    let name = text[start..].iter().take(MAX_LEAD).position(u8::is_ascii_alphanumeric).map_or(start, |at| start + at);
    let back = text[..name].iter().rev().take(MAX_LEAD);
    let from = name - back.take_while(|b| !b.is_ascii_alphanumeric() && **b != b'\n').count();
    let Some(quote) = text[from..name].iter().position(|b| matches!(b, b'\'' | b'"' | b'`')) else { return false };
    let at = from + quote;
    let behind = &text[at + 1..name];
    let mut behind = behind.iter().skip_while(|b| matches!(b, b' ' | b')' | b']' | b'}'));
    if !behind.next().is_some_and(|b| b";,+.|&-*".contains(b)) {
        return false;
    }
    let before = &text[at.saturating_sub(MAX_BEFORE)..at];
    let line = &before[memchr::memrchr(b'\n', before).map_or(0, |end| end + 1)..];
    work::count(before.len());
    let opened = |part: &[u8]| !memchr::memchr_iter(text[at], part).count().is_multiple_of(2);
    // Code between backticks may go over several lines.
    !opened(line) && (text[at] != b'`' || !opened(before))
}

/// Whether a line begins with a quote that it did not open, and then what ends a statement or joins operands.
fn closes_first(line: &[u8]) -> bool {
    let line = line[..line.len().min(MAX_LEAD)].trim_ascii_start();
    let Some((b'\'' | b'"' | b'`', rest)) = line.split_first() else { return false };
    let mut rest = rest.iter().skip_while(|b| matches!(b, b' ' | b')' | b']' | b'}'));
    rest.next().is_some_and(|b| b";,+.|&-*".contains(b))
}

/// Lines of a text that are values of their own for signatures: the first one behind blank lines, and those that begin by
/// closing a quote.
pub fn injected_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let blank = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
    let first = memchr::memchr(b'\n', &text[..blank]).map(|_| &text[blank..]);
    let lines = text.split(|b| *b == b'\n').skip(1).filter(|line| closes_first(line));
    first.into_iter().flat_map(|rest| rest.split(|b| *b == b'\n').take(1)).chain(lines)
}

/// Whether the match is in an expression of a template that is not closed before.
pub fn is_in_expression(text: &[u8], start: usize) -> bool {
    let start = start.min(text.len());
    let end = (start + 4).min(text.len());
    let window = &text[start.saturating_sub(MAX_EXPRESSION)..end];
    work::count(window.len() * OPENS.len());
    let opened = OPENS.iter().filter_map(|open| memchr::memmem::rfind(window, open)).max();
    opened.is_some_and(|at| {
        let inside = &window[at + 2..];
        !inside.contains(&b'\n') && !inside.contains(&b'}') && memchr::memmem::find(inside, b"%>").is_none()
    })
}

/// Whether the match is part of a path that climbs several steps.
fn climbs(text: &[u8], start: usize) -> bool {
    let near = &text[start.saturating_sub(8)..(start + 8).min(text.len())];
    [&b"../.."[..], b"..\\..", b"..//.."].iter().any(|steps| memchr::memmem::find(near, steps).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> bool {
        is_shown(text.as_bytes(), text.find("CALL").expect("a match"))
    }

    #[test]
    fn code_that_a_text_shows_is_told_from_an_injection() {
        for text in [
            "To list files\nuse this:\n\n    CALL('ls')\n",
            "```php\nCALL('ls');\n```\n",
            "import os\nimport sys\n\nos.CALL('ls')\n",
            "one\ntwo\na = 'x'; CALL('y')\n",
            "fetch the page and then CALL('x')\nb\nc\n",
            "See also: CALL(1)\nb\nc\nd",
            "one\ntwo\nf(\"a\");CALL(\"b\")\n",
        ] {
            assert!(shown(text), "{text:?}");
        }
        for text in [
            "CALL('id');\nb\nc\nd\n",
            "\n\n  ;CALL('id');\nb\nc\nd\n",
            "# a\n// b\n/* c */\nCALL('id')",
            "x';CALL('id');//\nb\nc\nd\n",
            "first\nsecond\nthird\n';CALL('id');//",
            "```\na\nb\n\"));CALL(1)\n```\n",
            "a\nb\nc\nDear ${T(CALL)}",
            "a\nb\nc\n../../CALL",
        ] {
            assert!(!shown(text), "{text:?}");
        }
    }

    #[test]
    fn a_path_in_a_sentence_is_mentioned() {
        let mentioned = |text: &str| {
            let start = text.find("etc").expect("a path");
            is_mentioned(text.as_bytes(), start, start + 10)
        };
        for text in [
            "you have to edit /etc/passwd",
            "/etc/passwd is where users are listed",
            "permission denied: /etc/passwd",
            "a\nsee the file in /etc/passwd\nb",
        ] {
            assert!(mentioned(text), "{text:?}");
        }
        for text in [
            "/etc/passwd",
            "cat /etc/passwd",
            "what is this ../../etc/passwd",
            "select content from load_file('/etc/passwd')",
            "please open this one file:///etc/passwd",
            "/etc/passwd\0 is where users are",
            "/etc/passwd%00 is where users are",
            "one two three four\n/etc/passwd\n",
        ] {
            assert!(!mentioned(text), "{text:?}");
        }
    }

    #[test]
    fn a_sentence_is_no_script() {
        for text in ["What is wrong with this? if (a = b) { ", "it's one of those calls that run; "] {
            assert!(follows_sentence(text.as_bytes()), "{text:?}");
        }
        for text in ["", "x'; ", "one two three four'; ", "return typeof void ", "var a = 1; if (a) { ", "a b; "] {
            assert!(!follows_sentence(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn sentences_list_functions() {
        for text in ["Replaces CALL(), CALL() and ", "it wraps a.b(), ", "use CALL(),"] {
            assert!(lists_functions(text.as_bytes()), "{text:?}");
        }
        for text in [
            "",
            "a(), ",
            "x';a(), ",
            "return a(), ",
            "case a(), ",
            "foo\n a(), ",
            "foo\na(), ",
            "use ",
            "x = a(), ",
            "say a(1), ",
        ] {
            assert!(!lists_functions(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn work_is_bounded() {
        for unit in ["'", "a\n", "${", "# x\n", "../"] {
            let text = unit.repeat(1 << 16);
            assert!(work::counted(|| is_shown(text.as_bytes(), text.len() - 8)) < 3 * MAX_BEFORE as u64, "{unit}");
        }
    }
}
