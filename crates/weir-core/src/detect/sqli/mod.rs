//! SQL injection: parses a value as the code that it would become in a statement.
//!
//! The value is parsed in each context in which an application may put it: outside of a literal, inside `'...'`, inside
//! `"..."` ([`lex::Context`]). In each context, [`structure`] finds structures that only injected code has. Their weight
//! depends on the structure and on its position. A fragment that no database would execute, such as `1' UNION SELECT`
//! alone, is not a structure. `libinjectionrs` runs only on values about which the grammar is not certain. Its result is
//! a signal of medium confidence, because it also reports fragments and sentences.
//!
//! CWE-89. Linear in the length of the value; a window of [`WINDOW`] tokens bounds memory.

mod calls;
mod compared;
mod conditions;
mod converge;
mod define;
mod grammar;
mod lex;
mod prescan;
mod query;
mod samples;
mod script;
mod stacked;
mod structure;
mod union;
mod values;
mod words;

use super::{Detector, Match, Subject, rejoin, text_field, work};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Zone};
use converge::{EarlierReadings, Reached, fill, note_end};
use grammar::{Code, Position};
use lex::{Context, Lexer, Token, TokenKind};
use samples::{GRAMMAR_SAMPLES, LIBRARY_SAMPLES};
use words::Word;

/// Least weight of a structure that is an attack by itself.
const CERTAIN: u8 = 10;
/// Least weight of a structure that is a signal of medium confidence.
const LIKELY: u8 = 6;
/// Least weight of a structure for which `libinjectionrs` runs.
const DOUBT: u8 = 3;
/// Tokens held at once.
const WINDOW: usize = 4096;
/// About how many bytes a token has in ordinary text, blanks included.
const BYTES_PER_TOKEN: usize = 4;
/// Work units of a token in a text of several windows.
const TOKEN_COST: usize = 6;
/// Bytes that could be examined while a window is set up, and while one of its tokens is read.
const CONTEXT_BYTES: usize = 128;
const TOKEN_BYTES: usize = 8;
/// Tokens of one window that are inspected again with the next.
const OVERLAP: usize = 128;
/// Most tokens between a structure and the comment or open quote at the end that belongs to it.
const NEAR_END: usize = 16;
/// Longest value that `libinjectionrs` runs on, in bytes. It looks at five tokens, but reads on for as long as tokens fold into
/// one, and a run cannot be interrupted: 2 KiB of numbers and signs took milliseconds.
const MAX_LIBRARY: usize = 1024;
/// Bytes that could be examined while it reads one.
const LIBRARY_BYTES: usize = 32;

/// Injected SQL needs at least one of these bytes: letters, digits and the punctuation of tokens carry no syntax.
const FILTER: ByteClassFilter = ByteClassFilter::any(
    ByteClasses::ALL.without(ByteClasses::TOKEN.with(ByteClasses::SLASH).with(ByteClasses::COMMA)),
);

/// The detector that uses the grammar alone.
pub const GRAMMAR: Detector = Detector {
    name: "sqli.grammar",
    attack: AttackType::Sqli,
    about: "Injected SQL: the value, read as code in each place where a statement may hold it, adds a condition, a \
            query or a statement, or cuts the statement off.",
    zones: Zone::PARAMETERS.with(Zone::HEADER),
    filter: FILTER,
    run: grammar,
    samples: GRAMMAR_SAMPLES,
};

/// The detector that uses `libinjectionrs` if the grammar is not certain.
pub const LIBRARY: Detector = Detector {
    name: "sqli.libinjection",
    attack: AttackType::Sqli,
    about: "libinjection's verdict, asked where the grammar is in doubt. A signal, never the judge.",
    zones: Zone::PARAMETERS.with(Zone::HEADER),
    filter: FILTER,
    run: library,
    samples: LIBRARY_SAMPLES,
};

/// The result of the grammar.
fn grammar(subject: &Subject<'_>) -> Option<Match> {
    let spend = |units| subject.spend(units);
    let mut found = assess(subject.bytes, subject.classes, &spend);
    if (DOUBT..CERTAIN).contains(&found.weight) && calls::is_pause(subject.bytes) && text_field::is_kept(subject) {
        return None;
    }
    if found.weight >= DOUBT {
        match script::explains(subject) {
            script::Explained::Nothing => {}
            script::Explained::Statements => {
                let apart = script::without_quoted_statements(subject.bytes);
                found = weigh(apart.as_deref().unwrap_or(subject.bytes), subject.classes, false, &spend);
            }
            script::Explained::All => found = BestMatch::default(),
        }
    }
    subject.memo.sql_in_doubt.set((DOUBT..CERTAIN).contains(&found.weight));
    let confidence = match found.weight {
        CERTAIN.. => Confidence::High,
        LIKELY.. => Confidence::Medium,
        _ => return None,
    };
    Some(Match { confidence, start: found.start, end: found.end })
}

/// Spends work units; false if the work or the time of the inspection is used up.
type Spend<'s> = dyn Fn(usize) -> bool + 's;

/// The structure of greatest weight in a value, or in the value without what splits its words.
fn assess(text: &[u8], classes: ByteClasses, spend: &Spend<'_>) -> BestMatch {
    let mut found = BestMatch::default();
    if prescan::may_contain_sql(text, classes) {
        found = weigh(text, classes, true, spend);
    }
    if found.weight < CERTAIN
        && classes.intersects(SPLITS)
        && let Some(joined) = rejoin::run(text)
    {
        let classes = ByteClasses::of(&joined);
        if prescan::may_contain_sql(&joined, classes) && weigh(&joined, classes, true, spend).weight >= CERTAIN {
            // Positions in the joined text do not apply to the value.
            found = BestMatch { weight: CERTAIN, start: 0, end: text.len() };
        }
    }
    found
}

/// The result of `libinjectionrs` on values about which the grammar is not certain.
fn library(subject: &Subject<'_>) -> Option<Match> {
    if !subject.memo.sql_in_doubt.get() || subject.bytes.len() > MAX_LIBRARY || is_formula(subject.bytes) {
        return None;
    }
    work::count(LIBRARY_BYTES * subject.bytes.len());
    let yes = libinjectionrs::detect_sqli(subject.bytes).is_injection();
    yes.then_some(Match { confidence: Confidence::Medium, start: 0, end: subject.bytes.len() })
}

/// Whether a value is a formula of a spreadsheet that computes with cells: `=IF(A1>10,B1,"")`. The names of its functions
/// are those of SQL, so that the library takes it for code.
fn is_formula(text: &[u8]) -> bool {
    const MAX_NAME: usize = 16;
    let Some(rest) = text.trim_ascii().strip_prefix(b"=") else { return false };
    let name = rest.iter().take(MAX_NAME).take_while(|b| b.is_ascii_uppercase() || **b == b'.').count();
    work::count(text.len());
    name >= 2
        && rest.get(name) == Some(&b'(')
        && rest.split(|b| !(b.is_ascii_alphanumeric() || *b == b'$')).any(is_cell)
}

/// Whether a word names a cell: `A1`, `$AB$12`.
fn is_cell(word: &[u8]) -> bool {
    let column = word.strip_prefix(b"$").unwrap_or(word);
    let letters = column.iter().take_while(|b| b.is_ascii_uppercase()).count();
    let row = column[letters..].strip_prefix(b"$").unwrap_or(&column[letters..]);
    (1..=3).contains(&letters) && (1..=7).contains(&row.len()) && row.iter().all(u8::is_ascii_digit)
}

/// The structure of greatest weight in a value.
#[derive(Clone, Copy, Debug, Default)]
struct BestMatch {
    weight: u8,
    start: usize,
    end: usize,
}

/// Classes of bytes that may split a keyword.
const SPLITS: ByteClasses = ByteClasses::LT
    .with(ByteClasses::STAR)
    .with(ByteClasses::HIGH)
    .with(ByteClasses::CONTROL)
    .with(ByteClasses::PERCENT);

/// The structure of greatest weight; unless `plain`, only of code behind a quote that the value closes.
fn weigh(text: &[u8], classes: ByteClasses, plain: bool, spend: &Spend<'_>) -> BestMatch {
    let mut best = BestMatch::default();
    let (mut buffers, mut earlier) = (Buffers::default(), EarlierReadings::new(text));
    let curly = classes.intersects(ByteClasses::HIGH);
    let contexts = [
        (Context::Plain, plain),
        (Context::Quoted(b'\''), curly || classes.intersects(ByteClasses::QUOTE)),
        (Context::Quoted(b'"'), classes.intersects(ByteClasses::DQUOTE)),
        (Context::Quoted(b'`'), classes.intersects(ByteClasses::BACKTICK) && ends_name(text)),
    ];
    for (context, worth) in contexts {
        if worth && best.weight < CERTAIN {
            read(text, classes, context, spend, &mut buffers, &mut earlier, &mut best);
        }
    }
    best
}

/// Whether the first backtick of `text` may end the name of a column in a statement. Unlike in Markdown, a name precedes it
/// and it has no partner, or a comment cuts off the rest.
fn ends_name(text: &[u8]) -> bool {
    const MAX_NAME: usize = 64;
    let name = text.iter().take(MAX_NAME).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    let single = || memchr::memchr_iter(b'`', text).count() % 2 == 1;
    let cut = || memchr::memmem::find(text, b"--").is_some() || text.contains(&b'#');
    text.get(name) == Some(&b'`') && (single() || cut())
}

/// The tokens of a window and what is known about them, in memory that the contexts of a value share.
#[derive(Default)]
struct Buffers {
    tokens: Vec<Token>,
    /// For each `(`, the index of its `)`.
    close: Vec<u32>,
    /// For each token, the index past the run of brackets or logical operators that begins with it.
    run_end: Vec<u32>,
    /// For each token, and for the end, how many tokens before it follow a comment.
    comments: Vec<u32>,
}

/// Parses `text` in `context`, window by window, as far as it was not read as the same tokens before.
fn read(
    text: &[u8],
    classes: ByteClasses,
    context: Context,
    spend: &Spend<'_>,
    buffers: &mut Buffers,
    earlier: &mut EarlierReadings,
    best: &mut BestMatch,
) {
    let Some(mut lexer) = Lexer::new(text, context) else { return };
    buffers.tokens.clear();
    buffers.tokens.reserve(WINDOW.min(text.len() / BYTES_PER_TOKEN + 16));
    let mut first = true;
    loop {
        let before = buffers.tokens.len();
        let reached = fill(&mut buffers.tokens, &mut lexer, earlier);
        earlier.note(&buffers.tokens[before..]);
        if reached == Reached::End {
            note_end(context, &buffers.tokens, earlier);
        }
        judge(text, classes, context, (first, reached == Reached::End), buffers, best);
        if reached == Reached::End || best.weight >= CERTAIN {
            break;
        }
        // What the detector costs besides is counted by bytes; statements of many tokens cost more.
        if !spend(buffers.tokens.len() * TOKEN_COST) {
            break;
        }
        if reached == Reached::Known {
            if let Some(tail) = earlier.open_tail.take() {
                read_tail(text, classes, context, tail, buffers, best);
            }
            break;
        }
        first = false;
        let done = buffers.tokens.len().saturating_sub(OVERLAP);
        buffers.tokens.drain(..done);
    }
    truncation(text, context, best);
}

/// Parses the end of `text` from `tail` on in `context`, which it has in common with an earlier one.
fn read_tail(
    text: &[u8],
    classes: ByteClasses,
    context: Context,
    tail: usize,
    buffers: &mut Buffers,
    best: &mut BestMatch,
) {
    buffers.tokens.clear();
    buffers.tokens.extend(Lexer::from(text, tail).take(WINDOW));
    judge(text, classes, context, (false, true), buffers, best);
}

/// Looks for structures in the tokens of a window, which may be the `(first, last)` of `text`.
fn judge(
    text: &[u8],
    classes: ByteClasses,
    context: Context,
    (first, last): (bool, bool),
    buffers: &mut Buffers,
    best: &mut BestMatch,
) {
    let Buffers { tokens, close, run_end, comments } = buffers;
    work::count(CONTEXT_BYTES + tokens.len() * TOKEN_BYTES);
    if classes.intersects(ByteClasses::PLUS) {
        join(tokens, text);
    }
    pair(tokens, close);
    measure_runs(tokens, run_end);
    count_comments(tokens, comments);
    let code = Code { text, tokens, close, run_end };
    scan(&code, comments, context, (first, last), best);
}

/// Removes each `+` beside a keyword. It is a space that was not decoded (`1+or+1=1`): no database allows a `+` there.
fn join(tokens: &mut Vec<Token>, text: &[u8]) {
    let plus = |t: &Token| t.kind == TokenKind::Operator && text[t.start as usize] == b'+';
    let keyword = |t: Option<&Token>| {
        t.is_some_and(
            |t| matches!(t.kind, TokenKind::Word(w) if !matches!(w, Word::Plain | Word::SoftCall | Word::Constant)),
        )
    };
    if !tokens.iter().any(plus) {
        return;
    }
    let mut kept = 0;
    for at in 0..tokens.len() {
        let beside = plus(&tokens[at])
            && (keyword(tokens.get(at + 1))
                || (kept > 0 && keyword(Some(&tokens[kept - 1])))
                || tokens.get(at + 1).is_some_and(plus));
        if !beside {
            tokens[kept] = tokens[at];
            kept += 1;
        }
    }
    tokens.truncate(kept);
}

/// Fills `close` with the index of the `)` of each `(`.
fn pair(tokens: &[Token], close: &mut Vec<u32>) {
    close.clear();
    close.resize(tokens.len(), tokens.len() as u32);
    let mut open: smallvec::SmallVec<[u32; 32]> = smallvec::SmallVec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Left => open.push(at as u32),
            TokenKind::Right => {
                if let Some(left) = open.pop() {
                    close[left as usize] = at as u32;
                }
            }
            _ => {}
        }
    }
}

/// Fills `run_end`: for each `)` and each logical operator with the index past the run of such tokens, and for each other
/// token with its own index.
fn measure_runs(tokens: &[Token], run_end: &mut Vec<u32>) {
    let logical = |kind: TokenKind| matches!(kind, TokenKind::Pipes | TokenKind::Word(Word::Logic));
    run_end.clear();
    run_end.extend(0..tokens.len() as u32);
    for at in (0..tokens.len()).rev() {
        let kind = tokens[at].kind;
        if kind != TokenKind::Right && !logical(kind) {
            continue;
        }
        let goes_on = tokens
            .get(at + 1)
            .is_some_and(|next| if kind == TokenKind::Right { next.kind == kind } else { logical(next.kind) });
        run_end[at] = if goes_on { run_end[at + 1] } else { at as u32 + 1 };
    }
}

/// Fills `comments`: for each token, and for the end, how many tokens before it follow a comment.
fn count_comments(tokens: &[Token], comments: &mut Vec<u32>) {
    comments.clear();
    comments.push(0);
    comments.extend(tokens.iter().scan(0, |count, token| {
        *count += u32::from(token.after_comment);
        Some(*count)
    }));
}

/// Where the code of the application is complete: the index of the first token that may be injected, and its position.
fn head(code: &Code<'_>, context: Context) -> (usize, Position) {
    let mut at = 0;
    let mut place = Position::Start;
    if context == Context::Plain {
        at += usize::from(code.kind(at) == Some(TokenKind::Operator));
        match code.kind(at) {
            Some(TokenKind::Number | TokenKind::Text | TokenKind::Word(Word::Constant)) => {
                (at, place) = (past_numbers(code, at + 1), Position::Value)
            }
            Some(TokenKind::Word(Word::Plain)) => (at, place) = (at + 1, Position::Word),
            _ => at = 0,
        }
    } else {
        place = Position::Break;
    }
    let closed = at;
    while code.kind(at) == Some(TokenKind::Right) {
        at += 1;
    }
    // A bracket that the value closes without opening it ends an expression of the application.
    if at > closed && matches!(place, Position::Word | Position::Start) {
        place = Position::Value;
    }
    (at, place)
}

/// Past `-2` or `,2` at token `at`, if they complete a number or a list of the application: `3-2;`, `1,2)`.
fn past_numbers(code: &Code<'_>, at: usize) -> usize {
    const MAX_NUMBERS: usize = 8;
    let more = |at: &usize| {
        matches!(code.kind(*at), Some(TokenKind::Operator | TokenKind::Comma))
            && code.kind(*at + 1) == Some(TokenKind::Number)
    };
    let pairs = (0..MAX_NUMBERS).map(|pair| at + 2 * pair).take_while(more).count();
    match code.kind(at + 2 * pairs) {
        Some(TokenKind::Right | TokenKind::Semicolon) => at + 2 * pairs,
        _ => at,
    }
}

/// Looks for a structure at every token of a window, which may be the `(first, last)` of the text.
fn scan(code: &Code<'_>, comments: &[u32], context: Context, (first, last): (bool, bool), best: &mut BestMatch) {
    let (head, place) = if first { head(code, context) } else { (usize::MAX, Position::Inside) };
    let ending = code.tokens.last().filter(|_| last).map(|t| t.kind);
    let mut previous: Option<(usize, u8)> = None;
    for at in 0..code.tokens.len() {
        let here = if at == head {
            place
        } else if at == 0 && first && place != Position::Break {
            Position::Start
        } else {
            Position::Inside
        };
        let Some((weight, end)) = structure::at(code, at, here) else { continue };
        let mut total = weight;
        total += match here {
            Position::Break => 4,
            // `)-sleep(9)`: nothing but the bracket of the application is before it.
            Position::Value if code.kind(0) == Some(TokenKind::Right) => 3,
            // A value that begins with `or` continues a condition of the application.
            Position::Start if matches!(code.kind(at), Some(TokenKind::Word(Word::Logic))) => 4,
            Position::Start | Position::Value => 2,
            Position::Word => 1,
            Position::Inside => 0,
        };
        if code.tokens.len() <= end + NEAR_END {
            total += match ending {
                Some(TokenKind::Tail) => 3,
                Some(TokenKind::Open) if context != Context::Plain => 3,
                Some(TokenKind::Open) => 2,
                _ => 0,
            };
        }
        let end = end.min(code.tokens.len());
        total += 2 * u8::from(comments[end.max(at + 1)] > comments[at + 1]);
        if weight >= LIKELY - 1 {
            if previous.is_some_and(|(before, kind)| at - before <= NEAR_END && kind >= LIKELY - 1) {
                total += 2;
            }
            previous = Some((at, weight));
        }
        if total > best.weight {
            let until = code.tokens[end.max(at + 1) - 1].end as usize;
            *best = BestMatch { weight: total, start: code.tokens[at].start as usize, end: until };
        }
        if best.weight >= CERTAIN {
            break;
        }
    }
}

/// Rates `admin'--`: a short value that closes the literal and comments out the rest of the statement.
fn truncation(text: &[u8], context: Context, best: &mut BestMatch) {
    const MAX_BEFORE: usize = 40;
    const MAX_COMMENT: usize = 8;
    let Context::Quoted(quote) = context else { return };
    let Some(at) = memchr::memchr(quote, text).filter(|&at| at <= MAX_BEFORE) else { return };
    let mut rest = text[at + 1..].trim_ascii_start();
    while let Some(b')' | b';' | b' ') = rest.first() {
        rest = &rest[1..];
    }
    let comment = rest.strip_prefix(b"--").or(rest.strip_prefix(b"#")).or(rest.strip_prefix(b"/*"));
    let Some(comment) = comment else { return };
    let name =
        text[..at].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'@' | b'-' | b'<' | b'>'));
    let short = comment.len() <= MAX_COMMENT
        && comment.iter().all(|b| b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || b"-+*/#\0_.".contains(b));
    if name && short && best.weight < CERTAIN {
        let bare = at == 0 && comment.iter().all(|b| matches!(b, b' ' | b'-' | b'+'));
        let word = bare || text[..at].iter().any(u8::is_ascii_alphabetic);
        *best =
            BestMatch { weight: best.weight.max(if word { CERTAIN } else { LIKELY + 1 }), start: at, end: text.len() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weight(text: &[u8]) -> u8 {
        weigh(text, ByteClasses::of(text), true, &|_| true).weight
    }

    #[test]
    fn complete_injections_are_certain() {
        let unsure: Vec<_> = GRAMMAR_SAMPLES
            .positive
            .iter()
            .map(|t| (assess(t.as_bytes(), ByteClasses::of(t.as_bytes()), &|_| true).weight, t))
            .filter(|(w, _)| *w < CERTAIN)
            .collect();
        assert!(unsure.is_empty(), "{unsure:#?}");
    }

    #[test]
    fn odd_white_space_separates_words() {
        for text in [&b"1\xa0union\xa0select\xa01,2"[..], b"1\x0bunion\x0cselect\x0b1,2", b"1\nunion\xc2\x85select 1,2"]
        {
            assert!(weight(text) >= CERTAIN, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn padding_does_not_hide_an_injection() {
        for filler in ["a ", "(", "'x'", "/**/", ") ", "1,"] {
            let text = format!("{} union select 1,concat(user,0x3a) from users-- ", filler.repeat(3 * WINDOW));
            assert!(weight(text.as_bytes()) >= CERTAIN || filler == "(", "{filler}");
        }
    }

    #[test]
    fn work_on_hostile_text_is_linear() {
        const UNITS: &[&str] = &[
            "or ",
            "or(",
            "(",
            ")",
            "1||",
            "1)",
            "or 1)",
            "$a$",
            "--",
            "/*!",
            "[a",
            "'",
            "select ",
            "union select(",
            "case when ",
            "@",
        ];
        // Long runs before and after an operand: each token of them might begin a structure or extend one.
        let runs = ["or ".repeat(WINDOW / 2), "1".to_owned(), ")".repeat(WINDOW / 2 - 1)].concat();
        for unit in UNITS.iter().copied().chain([&runs[..]]) {
            let reads = |bytes: usize| {
                grammar::TOKEN_READS.set(0);
                weight(unit.repeat(bytes.div_ceil(unit.len())).as_bytes());
                grammar::TOKEN_READS.get()
            };
            let (small, large) = (reads(1 << 15), reads(1 << 18));
            assert!(large <= small * 9 + 1000, "{unit:.20}: {small} {large}");
            assert!(large <= 40 << 18, "{unit:.20}: {large}");
        }
    }

    #[test]
    fn the_prescan_rejects_no_sample_among_words() {
        let words = [
            "",
            "the cat ",
            "-- the cat\n",
            "the cat.\n",
            "it is a dog, ",
            "<p>the cat</p> ",
            "1 ",
            "x' ",
            "a (cat) ",
            "and the ",
        ];
        for sample in GRAMMAR_SAMPLES.positive.iter().chain(LIBRARY_SAMPLES.positive) {
            for (before, after) in words.iter().flat_map(|before| words.iter().map(move |after| (before, after))) {
                let text = format!("{before}{sample} {after}");
                let rejected = !prescan::may_contain_sql(text.as_bytes(), ByteClasses::of(text.as_bytes()));
                assert!(!rejected || weight(text.as_bytes()) < DOUBT, "{text}");
            }
        }
    }

    /// Pieces of SQL that the grammar knows, and pieces of ordinary text.
    #[rustfmt::skip]
    const PIECES: &[&str] = &[
        " ", " ", " ", " ", "\t", "\n", "'", "'", "\"", "`", "[", "]", "(", "(", ")", ")", ",", ";", "=", "<", ">",
        "!", "+", "-", "*", "/", "%", "|", "||", "&", "&&", "@", "@@", "$", "$$", "#", "--", "/*", "*/", "/*!",
        "\\", ".", ":", ":=", "?", "_", "^", "~", "\u{2019}", "\u{2018}", "\u{2bc}", "\u{a0}", "é", "日", "\0", "0",
        "1", "12", "1.", "1e", "1.e(", "5e3", "0x", "0x6f", "n'", "x'", "_a'", "a", "b", "it", "it's", "don't",
        "name", "user's", "or", "and", "xor", "where", "when", "on", "not", "binary", "like", "regexp", "in",
        "between", "is", "null", "true", "div", "union", "all", "select", "from", "into", "outfile", "order",
        "group", "by", "limit", "as", "case", "then", "if", "while", "insert", "replace", "update", "delete",
        "drop", "create", "table", "user", "grant", "to", "exec", "call", "declare", "print", "set", "values", "shutdown",
        "waitfor", "delay", "procedure", "analyse", "boolean", "sleep", "concat", "char", "count", "version",
        "domain", "benchmark", "xp_x", "sqlite_master",
    ];

    /// Texts joined from [`PIECES`].
    fn pieces() -> impl Strategy<Value = String> {
        proptest::collection::vec(proptest::sample::select(PIECES), 0..14).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            weight(&bytes);
        }

        #[test]
        fn never_panics_on_code(text in "([a-z]{1,3}|or|and|union|select|from|[0-9]|[ '\"(),;*=<>|&@$#/-]|/\\*|--|sleep|\u{2018}){0,60}") {
            weight(text.as_bytes());
        }

        #[test]
        fn measured_runs_are_those_found_by_walking(text in r"(\) |or |\|\| |1 |\( ){0,20}") {
            let tokens: Vec<Token> = Lexer::new(text.as_bytes(), Context::Plain).unwrap().collect();
            let logical = |kind: TokenKind| matches!(kind, TokenKind::Pipes | TokenKind::Word(Word::Logic));
            let mut run_end = Vec::new();
            measure_runs(&tokens, &mut run_end);
            for (at, token) in tokens.iter().enumerate() {
                let same = |other: &&Token| match token.kind {
                    TokenKind::Right => other.kind == TokenKind::Right,
                    kind => logical(kind) && logical(other.kind),
                };
                let length = tokens[at..].iter().take_while(same).count();
                prop_assert_eq!(run_end[at] as usize, at + length);
            }
        }

        #[test]
        fn texts_rejected_by_the_prescan_weigh_nothing(text in pieces()) {
            // A literal in typographic quotes behind `or` is left out: in prose these are apostrophes.
            let typographic = ["or", "and", "where", "when", "on", "having"].iter().any(|word| text.to_lowercase().contains(word))
                && text.contains(['\u{2018}', '\u{2019}', '\u{2bc}', '\u{ff07}', '\u{2032}', '\u{2b9}']);
            if !typographic && !prescan::may_contain_sql(text.as_bytes(), ByteClasses::of(text.as_bytes())) {
                prop_assert!(weight(text.as_bytes()) < DOUBT, "{text:?}");
            }
        }

        #[test]
        fn the_byte_class_filter_rejects_no_injection(text in "[A-Za-z0-9_.:,/-]{0,40}") {
            if !FILTER.matches(ByteClasses::of(text.as_bytes())) {
                prop_assert!(weight(text.as_bytes()) < LIKELY);
            }
        }
    }
}
