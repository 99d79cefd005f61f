//! A compiled pattern, searched in a window around a literal that every match contains.

use super::neighbours::Neighbours;
use regex_automata::meta;
use regex_automata::util::pool::{Pool, PoolGuard};
use regex_automata::util::syntax;
use regex_automata::{Input, Match};
use regex_syntax::hir::{Hir, HirKind, Look};
use std::ops::Range;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Bytes that one compiled pattern may take.
const SIZE_LIMIT: usize = 1 << 20;
/// How far a repetition without an upper bound is followed, in bytes.
pub(super) const GAP: usize = 512;
/// How far any match is followed from its literal, in bytes.
pub(super) const MAX_REACH: usize = 1024;

/// Memory of an automaton in bytes, of 2 MiB that it may take, from which on its states are given up after a search.
const MAX_CACHED: usize = 3 << 19;

/// Makes the memory of the automaton of a pattern for one thread.
type NewCache = Box<dyn Fn() -> meta::Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    regex: meta::Regex,
    /// States of the automaton, which searches build when they need them, for each thread.
    caches: Pool<meta::Cache, NewCache>,
    reach: usize,
    bounded: bool,
    anchors: Anchors,
    edges: Option<Neighbours>,
}

/// Where in a text the matches of a pattern are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchors {
    /// They begin where the text does.
    pub start: bool,
    /// They end where the text does.
    pub end: bool,
}

impl Anchors {
    /// Where every match of `hir` is.
    pub fn of(hir: &Hir) -> Self {
        let properties = hir.properties();
        Self {
            start: properties.look_set_prefix().contains(Look::Start),
            end: properties.look_set_suffix().contains(Look::End),
        }
    }

    /// Whether a match that goes from `at` no further than `reach` may be in a text of `length` bytes.
    pub fn allow(self, at: usize, reach: Reach, length: usize) -> bool {
        (!self.start || at <= reach.before) && (!self.end || at.saturating_add(reach.after) >= length)
    }
}

/// How far a match goes from the begin of its literal, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// To its begin, at most.
    pub before: usize,
    /// To its end, at most.
    pub after: usize,
}

/// Options of a pattern's syntax. Patterns are read as bytes, without Unicode classes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Syntax {
    /// Whether letters match both cases.
    pub case_insensitive: bool,
    /// Whether `.` matches a line feed.
    pub dot_matches_new_line: bool,
}

impl Pattern {
    /// Compiles `pattern`. The error says what is wrong with it, or that it takes too much memory.
    pub fn new(pattern: &str, options: Syntax) -> Result<Self, regex::Error> {
        let config_syntax = syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .case_insensitive(options.case_insensitive)
            .dot_matches_new_line(options.dot_matches_new_line);
        let config = meta::Config::new().utf8_empty(false).nfa_size_limit(Some(SIZE_LIMIT));
        let regex = meta::Regex::builder().syntax(config_syntax).configure(config).build(pattern).map_err(error)?;
        let hir =
            syntax::parse_with(pattern, &config_syntax).map_err(|error| regex::Error::Syntax(error.to_string()))?;
        let reach = reach(&hir).min(MAX_REACH);
        let bounded = hir.properties().maximum_len().is_some_and(|longest| longest <= reach);
        let anchors = Anchors::of(&hir);
        let new_cache: NewCache = Box::new({
            let regex = regex.clone();
            move || regex.create_cache()
        });
        Ok(Self {
            regex,
            caches: Pool::new(new_cache),
            reach,
            bounded,
            anchors,
            edges: Neighbours::of_edges(&hir, anchors),
        })
    }

    /// Whether no match is longer than [`Self::reach`].
    pub fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Where every match is.
    pub fn anchors(&self) -> Anchors {
        self.anchors
    }

    /// What a text with a match begins and ends with, as far as matches are there; none where they are anywhere.
    pub fn edges(&self) -> Option<&Neighbours> {
        self.edges.as_ref()
    }

    /// How far from its literal a match is looked for, in bytes.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let mut cache = self.caches.get();
        let found = self.regex.search_half_with(&mut cache, &Input::new(text).earliest(true));
        self.tidy(cache);
        found.is_some()
    }

    /// The first match within `window` of `text`. What is around the window counts for `^`, `$` and `\b`.
    pub fn find_in(&self, text: &[u8], window: Range<usize>) -> Option<Match> {
        let mut cache = self.caches.get();
        let found = self.regex.search_with(&mut cache, &Input::new(text).span(window));
        self.tidy(cache);
        found
    }

    /// Gives up the states of an automaton whose memory is nearly full. A text that needs new ones all the time fills it, and
    /// the library then searches later texts without the automaton, at a tenth of its speed: one request would slow down
    /// others.
    fn tidy(&self, mut cache: PoolGuard<'_, meta::Cache, NewCache>) {
        if cache.memory_usage() > MAX_CACHED {
            cache.reset(&self.regex);
        }
    }
}

/// How long a match is at most, with [`GAP`] for what has no bound.
pub(super) fn reach(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(_) => 1,
        HirKind::Capture(capture) => reach(&capture.sub),
        HirKind::Repetition(repetition) => {
            let times = |times: u32| reach(&repetition.sub).saturating_mul(times as usize);
            repetition.max.map_or_else(|| times(repetition.min).saturating_add(GAP), times)
        }
        HirKind::Concat(parts) => parts.iter().map(reach).fold(0, usize::saturating_add),
        HirKind::Alternation(parts) => parts.iter().map(reach).max().unwrap_or(0),
    }
}

fn error(error: meta::BuildError) -> regex::Error {
    match (error.size_limit(), error.syntax_error()) {
        (Some(limit), _) => regex::Error::CompiledTooBig(limit),
        (None, Some(syntax)) => regex::Error::Syntax(syntax.to_string()),
        (None, None) => regex::Error::Syntax(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surroundings_of_a_window_count() {
        let pattern = Pattern::new(r"\bor\b$|^x", Syntax::default()).unwrap();
        assert!(pattern.find_in(b"x for", 3..5).is_none());
        assert!(pattern.find_in(b"x or y", 2..4).is_none());
        assert!(pattern.find_in(b"ax", 1..2).is_none());
        assert_eq!(pattern.find_in(b"x or", 2..4).map(|found| found.range()), Some(2..4));
    }

    #[test]
    fn bounds_are_those_of_the_pattern() {
        let reach = |text| Pattern::new(text, Syntax::default()).map(|p| (p.is_bounded(), p.reach())).unwrap();
        assert_eq!(reach("ab{2,9}"), (true, 10));
        assert_eq!(reach("ab*"), (false, 1 + GAP));
        assert_eq!(reach("a.{0,5000}b"), (false, MAX_REACH));
    }

    #[test]
    fn a_text_that_fills_the_memory_leaves_it_empty() {
        let pattern = Pattern::new("<a[^>]{0,300}b=c", Syntax::default()).unwrap();
        let (mut text, mut number) = (Vec::new(), 1u32);
        while text.len() < 64 << 10 {
            // Linear congruential: distances that do not repeat.
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(b"<a");
            text.resize(text.len() + (number >> 28) as usize, b'd');
        }
        let mut regular = pattern.regex.create_cache();
        assert_eq!(pattern.regex.search_with(&mut regular, &Input::new(&text)), None);
        assert!(regular.memory_usage() > MAX_CACHED, "{}", regular.memory_usage());
        assert_eq!(pattern.find_in(&text, 0..text.len()), None);
        assert!(pattern.caches.get().memory_usage() < MAX_CACHED / 2);
        assert!(!pattern.is_match(&text));
        assert!(pattern.caches.get().memory_usage() < MAX_CACHED / 2);
        assert!(pattern.is_match(b"<a b=c"));
    }

    #[test]
    fn errors_are_those_of_the_pattern() {
        assert!(matches!(Pattern::new("a(", Syntax::default()), Err(regex::Error::Syntax(_))));
        assert!(matches!(Pattern::new("(?:.{1000}){900}", Syntax::default()), Err(regex::Error::CompiledTooBig(_))));
    }
}
