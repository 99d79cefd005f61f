//! Shell command injection: a separator or substitution, then a command with an argument that only commands take.
//!
//! Prose has semicolons, ampersands and words such as `cat` too. It does not have a command after a separator that is
//! followed by an option, a path, an address or the end of the line. Texts of several lines may be documents that show
//! commands; in these, only a command with the path of a program counts.

mod argument;
mod commands;
mod grammar;
mod line;
mod place;
mod samples;
mod separator;
mod tag;
mod wildcard;
mod wrapper;

use super::text_field::{self, TextField};
use super::{Detector, Match, Subject, is_document, shown, work};
use crate::model::changes::{changed_parts, distance};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Span, Tag, TagSet, Zone};
use crate::normalize::{SHELL_VIEW, shell as noise};
use bumpalo::Bump;
use line::{Evidence, Found};
use place::Place;
use separator::{Boundary, separator};
use std::cell::OnceCell;

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "rce.shell",
    attack: AttackType::Rce,
    about: "A shell command behind a separator or inside a substitution, or a command line as the whole value",
    zones: Zone::PARAMETERS.with(Zone::HEADER),
    filter: FILTER,
    run,
    samples: samples::SAMPLES,
};

/// Most bytes of the name and path of a command.
const MAX_NAME: usize = 128;
/// Most bytes inspected of a command line, and of the text before it.
const MAX_LINE: usize = 384;

/// Bytes on each side of the place where a command may begin that decide whether there is one.
const MAX_CONTEXT: usize = 2 * MAX_LINE;

/// Length from which on prose that mentions a command line is a text about commands.
const LONG_PROSE: usize = 256;

const FILTER: ByteClassFilter = ByteClassFilter::any(ByteClasses::ALPHA);

fn run(subject: &Subject<'_>) -> Option<Match> {
    if subject.classes.within(ByteClasses::TOKEN) && !line::is_command_name(subject.bytes) {
        return None;
    }
    find_as_written(subject).or_else(|| find_behind_plus(subject)).or_else(|| find_before_nul(subject))
}

/// A command line that ends at a NUL byte, as programs in C read it: `| sleep 10\0.jpg`.
fn find_before_nul(subject: &Subject<'_>) -> Option<Match> {
    if !subject.classes.intersects(ByteClasses::CONTROL) {
        return None;
    }
    let line = &subject.bytes[..memchr::memchr(0, subject.bytes)?];
    work::count(line.len());
    Scan::new(subject, line, ByteClasses::of(line)).find()
}

fn find_as_written(subject: &Subject<'_>) -> Option<Match> {
    let plain_scan = Scan { changes: subject.changes, ..Scan::new(subject, subject.bytes, subject.classes) };
    let plain = plain_scan.find();
    if plain.is_some() || !subject.classes.intersects(NOISE) || is_plain_behind_noise(subject.bytes, subject.classes) {
        return plain;
    }
    let clean = subject.view(SHELL_VIEW)?;
    let bump = Bump::new();
    // Where cleaning changed nothing, nothing was found either.
    let changes = changed_parts(subject.bytes, clean, &bump);
    let scan = Scan::new(subject, clean, ByteClasses::of(clean));
    let scan = Scan { document: plain_scan.document, changes, ..scan };
    // Positions in the cleaned text do not apply to the value: report the whole value.
    scan.find().map(|m| Match { start: 0, end: subject.bytes.len(), ..m })
}

/// A command line whose blanks are spelled `+`, as a form spells them: `;cat+/etc$u/passwd`. An application that decodes a
/// value once more runs it.
fn find_behind_plus(subject: &Subject<'_>) -> Option<Match> {
    const NOT_A_LINE: ByteClasses = ByteClasses::BLANK.with(ByteClasses::NEWLINE);
    if !subject.classes.intersects(ByteClasses::PLUS) || subject.classes.intersects(NOT_A_LINE) {
        return None;
    }
    let all = subject.bytes;
    // Without a separator, only the value itself can be a line.
    let text = if may_separate(subject.classes) { all } else { &all[..all.len().min(MAX_LINE)] };
    work::count(text.len());
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let clean = noise::run(&spaced);
    let found = Scan::new(subject, &clean, ByteClasses::of(&clean)).find();
    // Positions in the cleaned text do not apply to the value: report the whole value.
    found.map(|m| Match { start: 0, end: all.len(), ..m })
}

const NOISE: ByteClasses = ByteClasses::QUOTE
    .with(ByteClasses::DQUOTE)
    .with(ByteClasses::BACKSLASH)
    .with(ByteClasses::CARET)
    .with(ByteClasses::DOLLAR)
    .with(ByteClasses::LBRACKET)
    .with(ByteClasses::BACKTICK);

/// Bytes of separators.
const SEPARATORS: ByteClasses = ByteClasses::SEMICOLON
    .with(ByteClasses::PIPE)
    .with(ByteClasses::AMP)
    .with(ByteClasses::BACKTICK)
    .with(ByteClasses::BACKSLASH)
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
    const CUT: usize = 48;
    if may_separate(classes) {
        return false;
    }
    let unchanged = &text[..noise::first_mark(text).unwrap_or(text.len())];
    if !classes.intersects(ByteClasses::LPAREN) && line::has_first_word(unchanged) {
        // Cleaning leaves the first word as it is.
        return line::cannot_begin(unchanged, true, CUT);
    }
    let head = &text[..text.len().min(HEAD)];
    line::cannot_begin(&noise::run(head), head.len() == text.len(), CUT)
}

/// The search for a command line in one form of a value.
struct Scan<'t> {
    text: &'t [u8],
    classes: ByteClasses,
    /// The parts outside of which nothing can be found; none if all of the text is searched.
    changes: Option<&'t [Span]>,
    /// Whether the text is a document that may show commands.
    document: bool,
    subject: &'t Subject<'t>,
    prose: OnceCell<bool>,
    script: OnceCell<bool>,
    sensitive: OnceCell<bool>,
    place: OnceCell<Place>,
    field: OnceCell<Option<TextField>>,
    /// The first line of a document, whether it is prose, and whether it names what only attackers read.
    first_line: OnceCell<(std::ops::Range<usize>, bool, bool)>,
}

impl<'t> Scan<'t> {
    fn new(subject: &'t Subject<'t>, text: &'t [u8], classes: ByteClasses) -> Self {
        let document = classes.intersects(ByteClasses::NEWLINE) && is_document(text);
        let (prose, script, sensitive, place, field, first_line) = Default::default();
        Self { text, classes, changes: None, document, subject, prose, script, sensitive, place, field, first_line }
    }

    /// The first command line with enough evidence.
    fn find(&self) -> Option<Match> {
        let starts_script = self.text.starts_with(b"#!");
        if self.classes.intersects(ByteClasses::DOLLAR)
            && self.place() == Place::Parameter
            && !starts_script
            && grammar::is_time_probe(self.text)
        {
            return Some(Match { confidence: Confidence::High, start: 0, end: self.text.len() });
        }
        let mut at = 0usize;
        let mut before = Boundary::Start;
        loop {
            if self.changes.is_none_or(|changes| distance(changes, at) <= MAX_CONTEXT)
                && let Some(found) = line::command(self.text, self.classes, at, before)
                // Before what asks for the location: then user agents can be cached.
                && !self.is_user_agent_list(before, &found)
                && self.accepts(before, &found)
            {
                return Some(Match { confidence: Confidence::High, start: at, end: found.end });
            }
            if !may_separate(self.classes) {
                return None;
            }
            if !self.subject.pays() {
                return None;
            }
            let (next, what) = separator(self.text, at)?;
            let computes = what == Boundary::Substitution && grammar::is_constant_arithmetic(&self.text[next - 2..]);
            if computes && !self.document && !self.is_prose() {
                return Some(Match {
                    confidence: Confidence::High,
                    start: next - 2,
                    end: self.text.len().min(next + 64),
                });
            }
            (at, before) = (next, what);
        }
    }

    /// Whether a command line is an attack where it is.
    fn accepts(&self, boundary: Boundary, found: &Found) -> bool {
        let place = self.place();
        if self.document {
            let rooted = found.evidence == Evidence::Rooted && boundary >= Boundary::Strong;
            let injected = place::breaks_out(self.text, found.start)
                || found.evidence > Evidence::Bare && !self.is_script() && shown::breaks_out(self.text, found.start)
                || self.begins_value(boundary, found.start);
            return injected || place == Place::Parameter && rooted;
        }
        match place {
            Place::Parameter if found.evidence == Evidence::Bare => self.expects_no_command(found),
            Place::Parameter if boundary == Boundary::Start => !self.subject.is_name(),
            _ if boundary == Boundary::Strong && place::is_query_stage(self.text, found) => false,
            Place::Parameter => self.text.len() < LONG_PROSE || !self.is_prose() || self.is_sensitive(),
            // Nothing is broken out of by what is a script as a whole, or by a sentence about commands.
            Place::Document if boundary == Boundary::Start || self.is_script() => {
                self.is_sensitive()
                    || boundary == Boundary::Start
                        && found.evidence == Evidence::Glob
                        && wildcard::leads_to_secret(&self.text[found.start..found.line_end])
            }
            Place::Document if self.is_prose() => false,
            Place::Document
                if self.field() == Some(TextField::Prose)
                    && (place::is_in_code_span(self.text, found.start)
                        || place::is_in_code_element(self.text, found.start)) =>
            {
                false
            }
            // The lines of a short text. Line ends that are spelled `\n` are no lines.
            Place::Document if boundary == Boundary::Line && self.classes.intersects(ByteClasses::NEWLINE) => {
                place::breaks_out(self.text, found.start) || matches!(self.text[0], b'\n' | b'\r')
            }
            Place::Document => found.evidence > Evidence::Bare || place::follows_address(self.text, found.start),
        }
    }

    /// Whether a command is on the first line of a document, which is neither a script nor a sentence.
    fn begins_value(&self, boundary: Boundary, start: usize) -> bool {
        let (line, prose, sensitive) = self.first_line.get_or_init(|| {
            let line = shown::first_line(self.text);
            let text = &self.text[line.clone()];
            (line, place::is_prose(text), argument::is_sensitive(text))
        });
        let injected = boundary > Boundary::Line && boundary != Boundary::Tick && !self.is_script();
        line.contains(&start) && !prose && (injected || *sensitive && self.field() != Some(TextField::Code))
    }

    /// Whether a header has a word in a list behind `;` that names a command, as the comments of clients have.
    fn is_user_agent_list(&self, boundary: Boundary, found: &Found) -> bool {
        boundary == Boundary::Weak
            && self.subject.value.zone.intersects(Zone::HEADER)
            && self.text[found.start..found.line_end]
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b')' | b' ' | b';'))
            && place::has_words_before(self.text, found.start)
    }

    fn field(&self) -> Option<TextField> {
        *self.field.get_or_init(|| text_field::of(self.subject))
    }

    fn place(&self) -> Place {
        *self.place.get_or_init(|| {
            let document = self.subject.is_within(TagSet::DOCUMENTS);
            // One line of code in a parameter may be run, several lines are a file.
            let text = || match self.field() {
                Some(TextField::Code | TextField::Sql | TextField::CodeLine | TextField::Path) => {
                    self.text.trim_ascii().contains(&b'\n')
                }
                Some(TextField::Prose | TextField::Script) => true,
                None => false,
            };
            // Lines of a file are a script or a list of names.
            let lines = || self.subject.is_within(TagSet::FILES) && self.text.trim_ascii().contains(&b'\n');
            if document || text() || lines() { Place::Document } else { Place::Parameter }
        })
    }

    /// Whether a value that is the name of a command, perhaps with an option, is more likely a command than a word: the
    /// parameter is named as one that is run, or the command does nothing but tell about the system.
    fn expects_no_command(&self, found: &Found) -> bool {
        let named =
            matches!(self.subject.ancestors().next(), Some(step) if matches!(step.tag, Tag::Path | Tag::ActionName));
        if named || self.subject.is_name() {
            return false;
        }
        let name = self.subject.names().next().unwrap_or_default();
        let runs = place::is_run(name);
        let search = [&b"q"[..], b"query", b"search", b"s", b"term", b"keyword", b"keywords"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word));
        let line = &self.text[found.start..found.line_end];
        let word = line.split(|b| !b.is_ascii_alphanumeric()).next().unwrap_or_default();
        // `cmd=start`, `exec=true` and `shell=bash` are choices of an interface.
        let alone = line.trim_ascii() == word;
        let chosen = alone && commands::is_choice(word);
        runs && !chosen || !search && commands::enumerates(word)
    }

    fn is_prose(&self) -> bool {
        *self.prose.get_or_init(|| place::is_prose(self.text))
    }

    fn is_sensitive(&self) -> bool {
        *self.sensitive.get_or_init(|| argument::is_sensitive(self.text))
    }

    fn is_script(&self) -> bool {
        *self.script.get_or_init(|| {
            let runs =
                || self.field() == Some(TextField::Script) && self.text.first().is_some_and(u8::is_ascii_alphabetic);
            place::starts_as_script(self.text) || runs()
        })
    }
}

/// Whether a shell skips this byte before a command, or an application may put it there.
fn is_lead(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'+' | b'"' | b'\'' | b'(' | b'{' | b'@' | b'!' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::work;
    use crate::model::{PointId, PointTree, Value};

    /// What the search finds in a parameter that is no document.
    fn find(bytes: &[u8], classes: ByteClasses) -> Option<Match> {
        let value = Value { classes, ..Value::new(PointId::ROOT, bytes, Zone::QUERY) };
        let tree = PointTree::new();
        let subject = Subject::new(bytes, classes, &value, &tree);
        Scan { document: false, ..Scan::new(&subject, bytes, classes) }.find()
    }

    #[test]
    fn documents_may_show_commands() {
        let text = "Install\n\n```\ncd foo && npm install\nls -la | grep x\ncurl -O example.com\n```\n\nThen run `ls` and enjoy.\n".repeat(5);
        let bytes = text.as_bytes();
        assert!(!DETECTOR.matches(bytes));
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
                assert_eq!(find(text, ByteClasses::of(text)), None, "{unit}")
            });
        }
    }

    proptest::proptest! {
        #[test]
        fn shortcuts_change_no_result(text in r#"([ +"'({@!]{0,9}(id|ls|l''s|cat|c\\at|who\$@ami|cmd\.exe|sl"e"ep|it's|x)?([ "'\\^$@(0-9a-z/.-]|\$IFS|é){0,20}|[;|&`\n<]){0,2}( [a-z']{100,300})?"#) {
            let (bytes, classes) = (text.as_bytes(), ByteClasses::of(text.as_bytes()));
            if is_plain_behind_noise(bytes, classes) {
                proptest::prop_assert_eq!(find(&noise::run(bytes), ByteClasses::of(&noise::run(bytes))), None);
            }
            if classes.within(ByteClasses::TOKEN) && !line::is_command_name(bytes) {
                proptest::prop_assert_eq!(find(bytes, classes), None);
            }
            let always = SEPARATORS;
            proptest::prop_assert_eq!(find(bytes, classes), find(bytes, classes.with(always)));
        }

        #[test]
        fn never_panics(text in r#"[;|&`$(){}\n idlscat/etc\\.'"^0-9-]{0,120}"#) {
            if let Some(m) = find(text.as_bytes(), ByteClasses::of(text.as_bytes())) {
                proptest::prop_assert!(m.start <= m.end && m.end <= text.len());
            }
        }
    }
}
