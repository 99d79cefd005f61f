//! The masking itself: what stands in the bytes, then what parsers still find, until nothing is left.

use super::leaf::{Coding, Leaf, range_in};
use super::leaves;
use super::look::Look;
use super::needles::Needles;
use super::text::{self, Span, Style};
use super::{Masked, Original, apply};
use bumpalo::Bump;
use weir_core::model::{Budget, Header, Limits, Message, MessageKind, PointPath, SkipReason};
use weir_core::parse::extract::{Options, extract};
use weir_core::parse::message;

/// Bytes of a head that are kept: beyond what servers accept.
pub(super) const MAX_HEAD: usize = 32 << 10;
/// Bytes behind those of a body that are kept which are looked at too, so that a secret is not missed because only
/// its first half is kept.
const AHEAD: usize = 4 << 10;
/// Times a message is masked and taken apart again before what is left is withheld.
const ROUNDS: usize = 3;
/// Work units of taking a kept message apart once: a few hundred passes over 16 KiB, some milliseconds at the very most.
const WORK: u64 = 4 << 20;
/// Values of a kept message: more of them in a few KiB is an attack on this code.
const VALUES: u32 = 8192;
/// Values without a place that are looked for; more of them, and their part is withheld.
const MAX_UNLOCATED: usize = 64;
/// Headers whose values stay when all others must go: the message could not be read without them.
const STRUCTURAL: &[&str] = &["host", "content-type", "content-length", "content-encoding", "transfer-encoding"];

/// The parts of a message that are withheld on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Head,
    Body,
}

/// What is still readable in a masked message.
#[derive(Default)]
pub(super) struct Found {
    pub spans: Vec<Span>,
    pub secrets: Vec<Vec<u8>>,
    /// Parts that could not be looked at to their end.
    pub hopeless: Vec<Part>,
    /// Values to look for in the bytes, for want of a better place.
    pub unlocated: Vec<(Part, Vec<u8>)>,
}

/// A message that is being masked.
pub(super) struct Cleaner<'o, 'a> {
    pub original: &'o Original<'a>,
    pub raw: Vec<u8>,
    pub head: usize,
    withheld: bool,
    places: u32,
    needles: Needles,
}

impl<'o, 'a> Cleaner<'o, 'a> {
    pub fn new(original: &'o Original<'a>) -> Self {
        let window = original.body.len().min(original.max_body.saturating_add(AHEAD));
        let mut raw = Vec::with_capacity(original.head.len().min(MAX_HEAD) + window + 4);
        raw.extend_from_slice(&original.head[..original.head.len().min(MAX_HEAD)]);
        if original.head.len() > MAX_HEAD {
            raw.extend_from_slice(b"\r\n\r\n");
        }
        let head = raw.len();
        raw.extend_from_slice(&original.body[..window]);
        let mut cleaner = Self { original, raw, head, withheld: false, places: 0, needles: Needles::default() };
        let encoded = cleaner.message().header("content-encoding").is_some_and(|coding| !is_identity(coding));
        if encoded && window < original.body.len() {
            // Half of a compressed body cannot be looked at to its end.
            cleaner.withhold(Part::Body);
        }
        cleaner
    }

    fn message(&self) -> Message<'_> {
        let mut message = match self.original.kind {
            MessageKind::Request => message::request(&self.raw[..self.head]),
            MessageKind::Response => message::response(&self.raw[..self.head]),
        };
        message.body = &self.raw[self.head..];
        message
    }

    /// Masks the values that stand in the bytes by their own names.
    pub fn leaves(&mut self) {
        let message = self.message();
        let (mut spans, mut secrets) = (Vec::new(), Vec::new());
        for leaf in leaves::of(&message, &self.raw) {
            if !leaf.secret && !self.original.sensitive.iter().any(|pattern| pattern.covers(&leaf.path)) {
                continue;
            }
            if !self.is_attacked(&leaf.path) {
                secrets.push(leaf.decoded.to_vec());
                secrets.push(self.raw[leaf.range.clone()].to_vec());
            }
            let style = if leaf.coding == Coding::Number { Style::Digit } else { Style::Star };
            spans.push(Span { range: leaf.range, style });
        }
        self.apply(spans);
        secrets.iter().for_each(|secret| self.needles.add(secret));
    }

    /// Masks the secrets that stand in the bytes as in any text. True if there were some.
    pub fn scan(&mut self) -> bool {
        let spans = text::scan(&self.raw);
        let secrets: Vec<_> = spans.iter().map(|span| self.raw[span.range.clone()].to_vec()).collect();
        secrets.iter().for_each(|secret| self.needles.add(secret));
        let before = self.places;
        self.apply(spans);
        self.places > before
    }

    pub fn is_attacked(&self, point: &PointPath) -> bool {
        let below = |attacked: &PointPath| attacked.0.starts_with(&point.0);
        self.original.attacked.iter().any(|attacked| below(attacked))
    }

    fn apply(&mut self, spans: Vec<Span>) {
        for span in spans {
            let stretch = &self.raw[span.range.clone()];
            let masked = match span.style {
                Style::Star => stretch.iter().all(|&b| b == b'*'),
                Style::Digit => stretch.iter().all(|b| !matches!(b, b'0' | b'2'..=b'9')),
            };
            if !masked {
                self.places = self.places.saturating_add(1);
                apply(&mut self.raw, &span);
            }
        }
    }

    /// Takes the message apart and masks what is still readable, until nothing is, or no more can be done so.
    /// True if nothing is.
    pub fn repeat(&mut self) -> bool {
        for _ in 0..ROUNDS {
            let found = self.find();
            found.secrets.iter().for_each(|secret| self.needles.add(secret));
            found.hopeless.iter().for_each(|&part| self.withhold(part));
            if found.spans.is_empty() && found.unlocated.is_empty() {
                return true;
            }
            let before = self.places;
            // A part may have been withheld this moment.
            let inside = |span: &Span| span.range.end <= self.raw.len();
            let spans = found.spans.into_iter().filter(inside).collect();
            self.apply(spans);
            for (part, value) in &found.unlocated {
                self.scrub(*part, value);
            }
            if self.places == before && found.hopeless.is_empty() {
                return false;
            }
        }
        false
    }

    /// Withholds the parts in which something is still readable.
    pub fn give_up(&mut self) {
        let found = self.find();
        let left = found.unlocated.iter().map(|(part, _)| *part);
        let places = found.spans.iter().map(|span| if span.range.start < self.head { Part::Head } else { Part::Body });
        let parts: Vec<Part> = left.chain(places).chain(found.hopeless.iter().copied()).collect();
        parts.into_iter().for_each(|part| self.withhold(part));
    }

    /// Masks every occurrence of `value`.
    fn scrub(&mut self, part: Part, value: &[u8]) {
        let area = if part == Part::Head { 0..self.head } else { self.head..self.raw.len() };
        let at = |from: usize| Span::star(area.start + from..area.start + from + value.len());
        let spans = memchr::memmem::find_iter(&self.raw[area.clone()], value).map(at).collect();
        self.apply(spans);
    }

    fn withhold(&mut self, part: Part) {
        self.withheld = true;
        match part {
            Part::Body => self.raw.truncate(self.head),
            Part::Head => {
                let message = self.message();
                let query = memchr::memchr(b'?', message.target).map(|at| &message.target[at + 1..]);
                let structural = |header: &&Header<'_>| STRUCTURAL.iter().any(|name| header.is(name));
                let values = message.headers.iter().filter(|header| !structural(header)).map(|header| header.value);
                let spans = values.chain(query).filter_map(|text| range_in(&self.raw, text)).map(Span::star).collect();
                self.apply(spans);
            }
        }
    }

    /// Takes the message apart and looks for secrets.
    fn find(&self) -> Found {
        let mut found = Found::default();
        let message = self.message();
        let leaves = leaves::of(&message, &self.raw);
        let head = Message { body: b"", ..message.clone() };
        self.find_in(Part::Head, &head, &leaves, &mut found);
        if !message.body.is_empty() {
            let declares = |header: &Header<'_>| header.is("content-type") || header.is("content-encoding");
            let headers = message.headers.iter().copied().filter(declares).collect();
            let body = Message { target: b"", headers, ..message.clone() };
            self.find_in(Part::Body, &body, &leaves, &mut found);
        }
        found
    }

    fn find_in(&self, part: Part, message: &Message<'_>, leaves: &[Leaf<'_>], found: &mut Found) {
        let bump = Bump::new();
        let limits =
            Limits { work: WORK, values: VALUES, decoded_bytes: 4 << 20, inflated_bytes: 1 << 20, ..Limits::default() };
        let budget = Budget::new(limits.work, &|| false);
        let extracted = extract(message, &Options::default(), &limits, &budget, &bump);
        let unseen = |reason: &SkipReason| !matches!(reason, SkipReason::NotSent | SkipReason::ParserOff);
        if budget.stopped().is_some() || extracted.notes.skipped.iter().any(|(reason, _)| unseen(reason)) {
            found.hopeless.push(part);
        }
        let look = Look::new(self, part, leaves, &extracted);
        extracted.values.iter().for_each(|value| look.at(value, found));
        // Many values share a container.
        found.spans.sort_unstable_by_key(|span| (span.range.start, span.range.end));
        found.spans.dedup();
        found.unlocated.sort_unstable();
        found.unlocated.dedup();
        if found.unlocated.len() > MAX_UNLOCATED {
            found.unlocated.truncate(MAX_UNLOCATED);
            found.hopeless.push(part);
        }
        found.hopeless.dedup();
    }

    pub fn finish(mut self) -> Masked<'a> {
        let search = self.needles.build();
        for range in search.find(&self.raw) {
            apply(&mut self.raw, &Span::star(range));
            self.places = self.places.saturating_add(1);
        }
        self.raw.truncate(self.head + self.original.max_body);
        let kept = self.raw.len().saturating_sub(self.head);
        let cut = (self.original.body.len() - kept) as u64;
        let (raw, places, withheld) = (self.raw, self.places, self.withheld);
        Masked { raw, cut, withheld, places, search, sensitive: self.original.sensitive }
    }
}

fn is_identity(coding: &[u8]) -> bool {
    let coding = coding.trim_ascii();
    coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
}
