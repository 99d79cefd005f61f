//! Script: URLs that execute it, calls of typical functions, and obfuscated script without letters.

use super::super::any_of::AnyOf;
use super::super::{Match, is_document, shown, work};
use crate::model::Confidence;

/// Functions with which injected script shows a message, loads more script, or executes text. Lower case.
const SINKS: &[&[u8]] = &[
    b"alert",
    b"confirm",
    b"prompt",
    b"eval",
    b"settimeout",
    b"setinterval",
    b"function",
    b"fromcharcode",
    b"execscript",
    b"write",
    b"writeln",
    b"msgbox",
    b"atob",
    b"import",
    b"fetch",
    b"constructor",
    b"open",
    b"print",
    b"setimmediate",
    b"createelement",
    b"appendchild",
    b"getscript",
    b"defineproperty",
];
/// Those of [`SINKS`] that prove an injection at the beginning of a statement.
const PROOFS: &[&[u8]] =
    &[b"alert", b"confirm", b"prompt", b"eval", b"settimeout", b"setinterval", b"execscript", b"msgbox"];
/// Words that occur in the script of pages, and hardly anywhere else.
static SCRIPT_WORDS: AnyOf = AnyOf::new(&[
    b"document.",
    b"window.",
    b"location",
    b"alert",
    b"confirm",
    b"prompt",
    b"eval",
    b"fromcharcode",
    b"cookie",
    b"javascript",
    b"localstorage",
    b"self[",
    b"top[",
    b"this[",
    b"window[",
    b"innerhtml",
    b"xmlhttprequest",
]);
/// Schemes whose URLs execute script.
const SCHEMES: &[&[u8]] = &[b"javascript", b"vbscript", b"livescript", b"mocha", b"jscript"];
/// `data:` media types whose documents hold script.
const DATA: &[&[u8]] = &[
    b"text/html",
    b"image/svg",
    b"text/xml",
    b"application/x",
    b"text/j",
    b"application/j",
    b",",
    b";",
    b"text/plain,",
];
/// Most bytes skipped between the letters of a scheme. Browsers skip control bytes there.
const MAX_SKIPPED: usize = 48;
/// Longest text of one line that is read as part of a script. A longer one may show code, as a document does.
const MAX_SCRIPT: usize = 4096;
/// Most calls of a document that are looked at.
const MAX_SHOWN_CALLS: usize = 16;
/// Bytes that could be examined while a bracket is taken for a call.
const CALL_BYTES: usize = 32;
/// Longest text before a call that still counts as the end of the context that the call broke out of.
const MAX_CONTEXT: usize = 400;
/// A text of at most this length that ends with a call after an operator is not prose.
const MAX_SHORT: usize = 100;

/// Whether the value of a URL attribute executes script: it has a script scheme, or is a `data:` document that may contain
/// script.
pub fn is_script_url(value: &[u8]) -> bool {
    let start = value.iter().position(u8::is_ascii_alphabetic).unwrap_or(value.len());
    let text = &value[start..];
    if let Some(end) = scheme_at(text) {
        return !is_void(&text[end..]);
    }
    if text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:")) {
        let head: Vec<u8> = text[5..].iter().take(64).filter(|b| **b > b' ').map(u8::to_ascii_lowercase).collect();
        return DATA.iter().any(|kind| head.starts_with(kind));
    }
    url_in(value, &|| true).is_some()
}

/// Whether the code after `javascript:` does nothing, as `void(0)`.
fn is_void(rest: &[u8]) -> bool {
    let rest: Vec<u8> =
        rest.iter().take(12).filter(|b| **b > b' ' && **b != b';').map(u8::to_ascii_lowercase).collect();
    matches!(&rest[..], b"" | b"void(0)" | b"void0" | b"//" | b"#")
}

/// Whether a sentence names the link that does nothing: `javascript:void(0) links`. In script, a word behind the call is a syntax
/// error unless it is an operator.
fn is_named(rest: &[u8]) -> bool {
    const VOID: &[&[u8]] = &[b"void(0)", b"void 0", b"void(0);"];
    const OPERATORS: &[&[u8]] = &[b"in", b"instanceof"];
    /// Most bytes of the sentence that are read.
    const MAX: usize = 256;
    let head = |void: &&&[u8]| rest.get(..void.len()).is_some_and(|head| head.eq_ignore_ascii_case(void));
    let Some(behind) = VOID.iter().rfind(head).map(|void| &rest[void.len()..]) else { return false };
    // The end of the attribute that holds the link.
    if let [b'"' | b'\'', b'>' | b' ', ..] | [b'>', ..] = behind {
        return true;
    }
    let Some(behind) = behind.strip_prefix(b" ") else { return false };
    let behind = &behind[..behind.len().min(MAX)];
    work::count(behind.len());
    let word = behind.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(behind.len());
    let codes = |b: &u8| matches!(b, b'(' | b'=' | b'`' | b';' | b'[' | b'<');
    word > 1 && !OPERATORS.contains(&&behind[..word]) && !behind.iter().any(codes)
}

/// The place after the colon of a script scheme at the start of `text`. Control bytes between its letters are skipped.
fn scheme_at(text: &[u8]) -> Option<usize> {
    let scheme = SCHEMES.iter().find(|s| text.first().is_some_and(|b| b.eq_ignore_ascii_case(&s[0])))?;
    let mut at = 0;
    for letter in *scheme {
        let skipped = text[at..].iter().take(MAX_SKIPPED).take_while(|b| **b < b' ').count();
        work::count(1 + skipped);
        at += skipped;
        if !text.get(at)?.eq_ignore_ascii_case(letter) {
            return None;
        }
        at += 1;
    }
    at += text[at..].iter().take(8).take_while(|b| **b <= b' ').count();
    (text.get(at) == Some(&b':')).then_some(at + 1)
}

/// A script URL anywhere in `text`, followed by code.
pub fn url_in(text: &[u8], pays: &work::Pays<'_>) -> Option<Match> {
    for colon in memchr::memchr_iter(b':', text) {
        work::count(8);
        let before = text[..colon].iter().rev().take(8).find(|b| **b > b' ');
        if !before.is_some_and(|b| matches!(b, b't' | b'T' | b'a' | b'A')) {
            continue;
        }
        if !pays() {
            return None;
        }
        let low = colon.saturating_sub(MAX_SKIPPED);
        let Some(start) = (low..colon).rev().find(|&i| scheme_at(&text[i..=colon]).is_some()) else { continue };
        let rest = &text[colon + 1..];
        // `javascript:` between backticks is the name of the scheme in Markdown; a URL begins with no backtick.
        if rest.first() == Some(&b'`') && start > 0 && text[start - 1] == b'`' {
            continue;
        }
        let glued = rest.first().is_none_or(|b| *b != b' ') || start == 0;
        if glued && code_follows(rest) && !is_void(rest) && !is_named(rest) {
            return Some(Match { confidence: Confidence::High, start, end: (colon + 65).min(text.len()) });
        }
    }
    None
}

/// Whether the first bytes of `rest` look like script: a call, an assignment, a comment, a string.
fn code_follows(rest: &[u8]) -> bool {
    let rest = &rest[..rest.len().min(256)];
    let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.' | b'\\' | b'{' | b'}' | b'%');
    let words = rest.trim_ascii_start();
    match words.iter().find(|b| !word(b)) {
        Some(b'(' | b'`' | b'=' | b'[' | b'\'' | b'"') => true,
        Some(b'/') => rest.iter().any(|b| matches!(b, b'(' | b'`' | b'=')),
        Some(b' ' | b'<' | b'&' | b'+' | b'-' | b'!' | b'\n' | b'\r' | b';') => {
            // "JavaScript: Basics of the JavaScript Language" calls and sets nothing.
            has_sink(words)
                && !begins_sentence(words)
                && rest.iter().any(|b| matches!(b, b'(' | b'`' | b'=' | b'[' | b';' | b'&'))
        }
        _ => false,
    }
}

/// Whether two words without a sign between them follow, as in "JavaScript: gettext now supports it". Script has such pairs
/// only behind its keywords.
fn begins_sentence(text: &[u8]) -> bool {
    const KEYWORDS: &[&[u8]] = &[
        b"var",
        b"let",
        b"const",
        b"new",
        b"typeof",
        b"void",
        b"delete",
        b"return",
        b"throw",
        b"await",
        b"async",
        b"do",
        b"else",
        b"function",
        b"class",
        b"yield",
        b"import",
        b"export",
        b"case",
        b"if",
        b"for",
        b"while",
        b"try",
        b"in",
    ];
    const OPERATORS: &[&[u8]] = &[b"in", b"instanceof", b"of"];
    let mut words = text.split(|b| *b == b' ');
    let [first, second] = [(); 2].map(|()| words.next().unwrap_or_default());
    work::count(first.len() + second.len());
    let plain = |word: &[u8]| word.len() > 1 && word.iter().all(u8::is_ascii_alphabetic);
    plain(first) && plain(second) && !KEYWORDS.contains(&first) && !OPERATORS.contains(&second)
}

/// Whether the value of an event handler is script.
pub fn runs(value: &[u8]) -> bool {
    has_sink(value)
        || value.iter().any(|b| matches!(b, b'(' | b'`' | b'=')) && value.iter().any(u8::is_ascii_alphabetic)
}

/// Whether the first bytes of `text` name something that only a page's script names.
pub fn has_sink(text: &[u8]) -> bool {
    let text = text[..text.len().min(512)].to_ascii_lowercase();
    work::count(text.len());
    SCRIPT_WORDS.is_in(&text)
}

/// Calls and obfuscated script in `text`, read as part of a script.
pub fn find(text: &[u8], pays: &work::Pays<'_>) -> Option<Match> {
    if let Some(noise) = noise(text) {
        return Some(noise);
    }
    let mut shown_calls = (text.len() > MAX_SCRIPT || is_document(text)).then_some(MAX_SHOWN_CALLS);
    let mut best: Option<Match> = None;
    for open in memchr::memchr2_iter(b'(', b'`', text) {
        work::count(CALL_BYTES);
        if !pays() {
            break;
        }
        let Some((start, name)) = called(text, open) else { continue };
        let confidence = classify(text, start, open, name);
        if let Some(left) = shown_calls.as_mut().filter(|_| confidence.is_some()) {
            if *left == 0 {
                break;
            }
            *left -= 1;
            if shown::is_shown(text, start) {
                continue;
            }
        }
        if confidence.is_some_and(|c| best.is_none_or(|b| c > b.confidence)) {
            best = confidence.map(|confidence| Match { confidence, start, end: (open + 32).min(text.len()) });
        }
        if confidence == Some(Confidence::High) {
            break;
        }
    }
    best
}

/// Whether the value begins with the call at `start`: a piece of script of its own, which leaves no place of a page.
pub fn leads(text: &[u8], start: usize) -> bool {
    let letters = text[start..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
    letters > 0 && matches!(text.get(start + letters), Some(b'(' | b'`')) && text[..start].trim_ascii().is_empty()
}

/// The sink called by the bracket at `open`: `alert(`, `(alert)(`, `top["alert"](`, `alert?.(`.
fn called(text: &[u8], open: usize) -> Option<(usize, &[u8])> {
    let between =
        |b: &&u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b')' | b']' | b'\'' | b'"' | b'?' | b'.' | b'/' | b'*');
    let end = open - text[..open].iter().rev().take(8).take_while(between).count();
    // A quoted word is called through brackets alone: `top["alert"](1)`, while `"alert" (a bell)` is a sentence.
    let between = &text[end..open];
    if between.iter().any(|b| matches!(b, b'"' | b'\'')) && !between.contains(&b']') && between.ends_with(b" ") {
        return None;
    }
    let letters = text[..end].iter().rev().take(16).take_while(|b| b.is_ascii_alphabetic()).count();
    let name = &text[end - letters..end];
    SINKS.iter().any(|s| name.eq_ignore_ascii_case(s)).then_some((end - letters, name))
}

/// The confidence that a call is an injection: it must follow the end of a context that it broke out of, or be the whole
/// value.
fn classify(text: &[u8], start: usize, open: usize, name: &[u8]) -> Option<Confidence> {
    let proof = PROOFS.iter().any(|p| name.eq_ignore_ascii_case(p));
    let argument = &text[open + 1..(open + 80).min(text.len())];
    let argument_runs = has_sink(argument);
    let shown = argument_runs || is_literal(argument);
    let before = text[..start].trim_ascii_end();
    work::count(start - before.len());
    let glued = open == start + name.len();
    if before.is_empty() {
        if is_sentence(argument) {
            return None;
        }
        return match (proof && glued && shown, argument_runs) {
            (true, _) => Some(Confidence::High),
            (false, true) => Some(Confidence::Medium),
            _ => None,
        };
    }
    if is_mentioned(text, start, open) || is_pattern(argument) || is_sentence(argument) {
        return None;
    }
    if is_quoted_code(before)
        || is_in_shown_tag(before)
        || is_jsx_handler(before)
        || shown::follows_sentence(before)
        || shown::lists_functions(before)
    {
        return None;
    }
    // Script takes these two separators of Unicode for line ends, also where a comment goes before.
    if proof && shown && (before.ends_with("\u{2028}".as_bytes()) || before.ends_with("\u{2029}".as_bytes())) {
        return Some(Confidence::High);
    }
    let before = without_operator(before);
    let code = |b: &u8| b.is_ascii_punctuation() && !matches!(b, b'#' | b'$' | b'@' | b'_' | b'\\' | b'.');
    let member = before.ends_with(b".");
    let breaks = |b: &u8| matches!(b, b'\'' | b'"' | b'`' | b';' | b'}' | b'*' | b'{' | b'<' | b'(');
    let broke_out = before.len() <= MAX_CONTEXT && before.iter().inspect(|_| work::count(1)).any(breaks);
    let after_code = before.last().is_some_and(code);
    let short = text.len() <= MAX_SHORT && !member && glued;
    match (proof && shown, after_code && (broke_out || short), after_code && !member) {
        (true, true, _) => Some(Confidence::High),
        (true, _, true) => Some(Confidence::Medium),
        (false, _, true) if argument_runs => Some(Confidence::Medium),
        _ => None,
    }
}

/// `before` without an operator that is a word behind a closed quote or bracket: `'in alert(1)`.
fn without_operator(before: &[u8]) -> &[u8] {
    let operators = [&b"in"[..], b"instanceof"];
    let rest = operators.iter().find_map(|word| before.strip_suffix(*word));
    rest.filter(|rest| rest.ends_with(b"'") || rest.ends_with(b"\"") || rest.ends_with(b")")).unwrap_or(before)
}

/// Whether a sentence names the call between backticks: `` do not `eval()` input of clients ``. In script, a text in
/// backticks before a name is a syntax error, and so are two words in a row.
fn is_mentioned(text: &[u8], start: usize, open: usize) -> bool {
    // Documents spell it with one backtick or with two, and texts with quotation marks.
    let marks = text[..start].iter().rev().take(2).take_while(|b| matches!(b, b'`' | b'"')).count();
    let opened = start - marks;
    let apart = marks > 0 && (opened == 0 || text[opened - 1].is_ascii_whitespace());
    let behind = &text[open..text.len().min(open + 80)];
    work::count(behind.len());
    let Some(close) = memchr::memchr(b')', behind).filter(|_| apart) else { return false };
    let mark = &text[opened..start];
    if mark != b"`" {
        let rest = behind[close + 1..].strip_prefix(mark).and_then(|rest| rest.strip_prefix(b" "));
        return behind[1..close].is_empty()
            && rest.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_alphabetic));
    }
    // Behind a word, the first backtick either opens a text, which holds the call, or closes one, and then no name follows.
    let word = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b',' | b':');
    if start > 3 && word(&text[start - 3]) && text[start - 2] == b' ' && behind.get(close + 1) == Some(&b'`') {
        return memchr::memchr(b'`', &behind[..close]).is_none();
    }
    let Some(behind) = behind[close + 1..].strip_prefix(b"` ") else { return false };
    let mut words = behind.split(|b| *b == b' ').map(|word| word.strip_suffix(b",").unwrap_or(word));
    let mut plain = || words.next().is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_alphabetic));
    plain() && plain()
}

/// Whether the argument of a call begins as a pattern that is searched for: `eval(\\|exec(`. Script has no such token.
fn is_pattern(argument: &[u8]) -> bool {
    matches!(argument, [b'\\', b'|' | b'.' | b'*' | b'+' | b'(' | b')' | b'[' | b's' | b'w' | b'd', ..])
}

/// Whether `before` ends with an HTML tag after which documents show code. Executed as script, such a tag would be a
/// comparison with an undefined name, which fails.
fn is_quoted_code(before: &[u8]) -> bool {
    const TAGS: &[&[u8]] = &[b"<code>", b"<pre>", b"<kbd>", b"<samp>", b"<tt>"];
    // The end of a tag that is shown: as script, `&gt;` is an operator and an undefined name.
    before.ends_with(b"&gt;")
        || TAGS
            .iter()
            .any(|tag| before.len() >= tag.len() && before[before.len() - tag.len()..].eq_ignore_ascii_case(tag))
}

/// Whether `before` ends within a tag that is shown, as `&lt;img src=x onerror=`. As script, its name and its attribute are two
/// words in a row, which is a syntax error.
fn is_in_shown_tag(before: &[u8]) -> bool {
    const MAX_TAG: usize = 128;
    let tail = &before[before.len().saturating_sub(MAX_TAG)..];
    work::count(tail.len());
    let Some(open) = memchr::memmem::rfind(tail, b"&lt;") else { return false };
    let tag = &tail[open + 4..];
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'=' | b':' | b'/' | b'.' | b'_' | b'-');
    let name = tag.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    name > 0
        && tag.get(name) == Some(&b' ')
        && tag[name..].trim_ascii_start().first().is_some_and(u8::is_ascii_alphabetic)
        && tag.iter().all(plain)
}

/// Whether words follow the call whose bracket `argument` is behind: `alert(1) is the usual probe`. Script with them does
/// not parse.
fn is_sentence(argument: &[u8]) -> bool {
    let Some(close) = memchr::memchr(b')', argument) else { return false };
    let Some(behind) = argument[close + 1..].strip_prefix(b" ") else { return false };
    let mut words = behind.split(|b| *b == b' ').map(|word| word.strip_suffix(b",").unwrap_or(word));
    let mut plain = || {
        words.next().is_some_and(|word| {
            let word = word.strip_suffix(b";").unwrap_or(word);
            let all = |kind: fn(&u8) -> bool| word.iter().all(kind);
            !word.is_empty() && (all(u8::is_ascii_alphabetic) || all(u8::is_ascii_digit))
        })
    };
    let last = memchr::memchr(b' ', behind).is_none();
    if behind.starts_with(b"in ") {
        // `eval(expression) in JS` parses. The page has no such variable, unlike the name of the window.
        let named = argument[..close].iter().all(u8::is_ascii_alphabetic) && !argument[..close].is_empty();
        return named && &argument[..close] != b"name" && plain() && plain();
    }
    !(behind.starts_with(b"instanceof ") || behind.starts_with(b"in "))
        && behind.first().is_some_and(u8::is_ascii_alphabetic)
        && plain()
        && (last || plain())
}

/// Whether `before` ends with the head of a function that is the value of an attribute in JSX: `onClick={() =>`. In a
/// page, such a function is never called.
fn is_jsx_handler(before: &[u8]) -> bool {
    const LONGEST: usize = 48;
    let tail = &before[before.len().saturating_sub(LONGEST)..];
    let Some(open) = memchr::memmem::rfind(tail, b"={") else { return false };
    let head = &tail[open + 2..];
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'(' | b')' | b'_' | b',' | b' ' | b'=' | b'>');
    let arrow = memchr::memmem::find(head, b"=>");
    open > 0
        && tail[open - 1].is_ascii_alphabetic()
        && arrow.is_some_and(|at| head[..at].iter().all(plain) && matches!(head[at + 2..].trim_ascii(), b"" | b"{"))
}

/// Whether the first argument is one that proofs of concept use: nothing, a number, a string, a regular expression, a
/// name, a sum of names, or one of these decoded or negated.
fn is_literal(argument: &[u8]) -> bool {
    /// Functions without effect that proofs wrap their argument in.
    const DECODERS: &[&[u8]] = &[b"atob", b"unescape", b"parseInt", b"Number", b"String", b"Boolean", b"decodeURI"];
    let argument = argument.trim_ascii_start();
    match argument.first() {
        Some(b'0'..=b'9' | b'\'' | b'"' | b'`' | b'/' | b'\\' | b')') => true,
        Some(b'!') => matches!(argument, [b'!', b'0' | b'1', ..] | [b'!', b'!', b'0' | b'1', ..]),
        Some(b) if b.is_ascii_alphabetic() => {
            // "alert(s)" is one alert or several.
            if argument.starts_with(b"s)") {
                return false;
            }
            let word = argument.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            match &argument[word..] {
                [b')' | b'`' | b'.', ..] => word <= 12,
                [b'+', next, ..] => word <= 12 && next.is_ascii_alphanumeric(),
                [b'(', b'\'' | b'"' | b'0'..=b'9', ..] => DECODERS.contains(&&argument[..word]),
                _ => false,
            }
        }
        _ => false,
    }
}

/// Script written without letters: a long run of brackets, `!` and `+` only.
fn noise(text: &[u8]) -> Option<Match> {
    const RUN: usize = 24;
    let (mut start, mut kinds) = (0, 0u8);
    work::count(text.len());
    for (at, b) in text.iter().enumerate() {
        kinds |= match b {
            b'[' | b']' => 1,
            b'(' | b')' => 2,
            b'!' => 4,
            b'+' => 8,
            b'{' | b'}' | b'$' | b'_' | b'=' | b'~' | b'0'..=b'9' => 0,
            _ => {
                (start, kinds) = (at + 1, 0);
                continue;
            }
        };
        if at + 1 - start >= RUN && kinds == 15 {
            return Some(Match { confidence: Confidence::High, start, end: at + 1 });
        }
    }
    None
}
