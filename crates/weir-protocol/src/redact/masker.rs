//! The masking itself: first the values with a known location in the bytes, then whatever parsers still find, until
//! nothing is readable.

use super::known_secrets::KnownSecrets;
use super::located_value::{LocatedValue, ValueEncoding, range_in};
use super::masking_buffer::{MaskingBuffer, MessagePart};
use super::residual_scan::{ResidualScan, Residue};
use super::secret_patterns::{self, MaskStyle, Span};
use super::value_locator;
use super::{MaskInput, MaskedMessage, apply};
use bumpalo::Bump;
use weir_core::model::{Budget, Header, Limits, Message, SkipReason};
use weir_core::parse::extract::{ParseOptions, extract};

/// Bytes after the kept part of a body that are checked too, so that a secret is not missed because only its first half
/// is kept.
const LOOKAHEAD: usize = 4 << 10;
/// How often a message is masked and parsed again before what is still readable is withheld.
const ROUNDS: usize = 3;
/// Work units of parsing a kept message once: a few hundred passes over 16 KiB, some milliseconds at the very most.
const WORK: u64 = 4 << 20;
/// Values of a kept message: more of them in a few KiB are an attack on this code.
const VALUES: u32 = 8192;
/// Secrets without a location that are searched for; with more of them, their part is withheld.
const MAX_UNLOCATED: usize = 64;
/// Headers whose values stay when all others are withheld: the message could not be parsed without them.
const STRUCTURAL: &[&str] = &["host", "content-type", "content-length", "content-encoding", "transfer-encoding"];

/// Masks one message.
pub(super) struct Masker<'o, 'a> {
    buffer: MaskingBuffer<'o, 'a>,
    withheld: bool,
    masked_spans: u32,
    secrets: KnownSecrets,
}

impl<'o, 'a> Masker<'o, 'a> {
    pub fn new(input: &'o MaskInput<'a>) -> Self {
        let window = input.body.len().min(input.max_body.saturating_add(LOOKAHEAD));
        let buffer = MaskingBuffer::new(input, window);
        let mut masker = Self { buffer, withheld: false, masked_spans: 0, secrets: KnownSecrets::default() };
        let encoded = masker.buffer.message().header("content-encoding").is_some_and(|coding| !is_identity(coding));
        if encoded && window < input.body.len() {
            // Half of a compressed body cannot be checked to its end.
            masker.withhold(MessagePart::Body);
        }
        masker
    }

    /// Masks the values with a location whose names or points mark them as secrets.
    pub fn mask_located_values(&mut self) {
        let message = self.buffer.message();
        let (mut spans, mut secrets) = (Vec::new(), Vec::new());
        for value in value_locator::of(&message, &self.buffer.raw) {
            if !value.secret && !self.buffer.input.sensitive.iter().any(|pattern| pattern.covers(&value.path)) {
                continue;
            }
            if !self.buffer.is_attacked(&value.path) {
                secrets.push(value.decoded.to_vec());
                secrets.push(self.buffer.raw[value.range.clone()].to_vec());
            }
            let style = if value.encoding == ValueEncoding::Number { MaskStyle::Digit } else { MaskStyle::Star };
            spans.push(Span { range: value.range, style });
        }
        self.apply(spans);
        secrets.iter().for_each(|secret| self.secrets.add(secret));
    }

    /// Masks secrets that are recognised in any text. Returns true if there were some.
    pub fn mask_text_secrets(&mut self) -> bool {
        let spans = secret_patterns::scan(&self.buffer.raw);
        let secrets: Vec<_> = spans.iter().map(|span| self.buffer.raw[span.range.clone()].to_vec()).collect();
        secrets.iter().for_each(|secret| self.secrets.add(secret));
        let before = self.masked_spans;
        self.apply(spans);
        self.masked_spans > before
    }

    fn apply(&mut self, spans: Vec<Span>) {
        for span in spans {
            let stretch = &self.buffer.raw[span.range.clone()];
            let masked = match span.style {
                MaskStyle::Star => stretch.iter().all(|&b| b == b'*'),
                MaskStyle::Digit => stretch.iter().all(|b| !matches!(b, b'0' | b'2'..=b'9')),
            };
            if !masked {
                self.masked_spans = self.masked_spans.saturating_add(1);
                apply(&mut self.buffer.raw, &span);
            }
        }
    }

    /// Parses the message and masks what is still readable, until nothing is or there is no more progress.
    /// Returns true if nothing is readable.
    pub fn mask_until_clean(&mut self) -> bool {
        for _ in 0..ROUNDS {
            let residue = self.find_residue();
            residue.secrets.iter().for_each(|secret| self.secrets.add(secret));
            residue.unverifiable.iter().for_each(|&part| self.withhold(part));
            if residue.spans.is_empty() && residue.unlocated.is_empty() {
                return true;
            }
            let before = self.masked_spans;
            // The body may just have been withheld.
            let inside = |span: &Span| span.range.end <= self.buffer.raw.len();
            let spans = residue.spans.into_iter().filter(inside).collect();
            self.apply(spans);
            for (part, value) in &residue.unlocated {
                self.mask_occurrences(*part, value);
            }
            if self.masked_spans == before && residue.unverifiable.is_empty() {
                return false;
            }
        }
        false
    }

    /// Withholds the parts in which something is still readable.
    pub fn withhold_residue(&mut self) {
        let residue = self.find_residue();
        let head = self.buffer.head;
        let unlocated = residue.unlocated.iter().map(|(part, _)| *part);
        let located = residue
            .spans
            .iter()
            .map(|span| if span.range.start < head { MessagePart::Head } else { MessagePart::Body });
        let parts: Vec<MessagePart> = unlocated.chain(located).chain(residue.unverifiable.iter().copied()).collect();
        parts.into_iter().for_each(|part| self.withhold(part));
    }

    /// Masks every occurrence of `value`.
    fn mask_occurrences(&mut self, part: MessagePart, value: &[u8]) {
        let (raw, head) = (&self.buffer.raw, self.buffer.head);
        let area = if part == MessagePart::Head { 0..head } else { head..raw.len() };
        let at = |from: usize| Span::star(area.start + from..area.start + from + value.len());
        let spans = memchr::memmem::find_iter(&raw[area.clone()], value).map(at).collect();
        self.apply(spans);
    }

    fn withhold(&mut self, part: MessagePart) {
        self.withheld = true;
        match part {
            MessagePart::Body => self.buffer.raw.truncate(self.buffer.head),
            MessagePart::Head => {
                let message = self.buffer.message();
                let query = memchr::memchr(b'?', message.target).map(|at| &message.target[at + 1..]);
                let structural = |header: &&Header<'_>| STRUCTURAL.iter().any(|name| header.is(name));
                let values = message.headers.iter().filter(|header| !structural(header)).map(|header| header.value);
                let ranges = values.chain(query).filter_map(|text| range_in(&self.buffer.raw, text));
                let spans = ranges.map(Span::star).collect();
                self.apply(spans);
            }
        }
    }

    /// Parses the message and returns the secrets that are still readable.
    fn find_residue(&self) -> Residue {
        let mut residue = Residue::default();
        let message = self.buffer.message();
        let located = value_locator::of(&message, &self.buffer.raw);
        let head = Message { body: b"", ..message.clone() };
        self.find_in(MessagePart::Head, &head, &located, &mut residue);
        if !message.body.is_empty() {
            let declares = |header: &Header<'_>| header.is("content-type") || header.is("content-encoding");
            let headers = message.headers.iter().copied().filter(declares).collect();
            let body = Message { target: b"", headers, ..message.clone() };
            self.find_in(MessagePart::Body, &body, &located, &mut residue);
        }
        residue
    }

    fn find_in(&self, part: MessagePart, message: &Message<'_>, located: &[LocatedValue<'_>], residue: &mut Residue) {
        let bump = Bump::new();
        let limits =
            Limits { work: WORK, values: VALUES, decoded_bytes: 4 << 20, inflated_bytes: 1 << 20, ..Limits::default() };
        let budget = Budget::new(limits.work, &|| false);
        let extracted = extract(message, &ParseOptions::default(), &limits, &budget, &bump);
        let incomplete = |reason: &SkipReason| !matches!(reason, SkipReason::NotSent | SkipReason::ParserOff);
        if budget.stopped().is_some() || extracted.notes.skipped.iter().any(|(reason, _)| incomplete(reason)) {
            residue.unverifiable.push(part);
        }
        let scan = ResidualScan::new(&self.buffer, part, located, &extracted);
        extracted.values.iter().for_each(|value| scan.check(value, residue));
        // Many values share a container.
        residue.spans.sort_unstable_by_key(|span| (span.range.start, span.range.end));
        residue.spans.dedup();
        residue.unlocated.sort_unstable();
        residue.unlocated.dedup();
        if residue.unlocated.len() > MAX_UNLOCATED {
            residue.unlocated.truncate(MAX_UNLOCATED);
            residue.unverifiable.push(part);
        }
        residue.unverifiable.dedup();
    }

    pub fn finish(self) -> MaskedMessage<'a> {
        let MaskingBuffer { input, mut raw, head } = self.buffer;
        let mut masked_spans = self.masked_spans;
        let matcher = self.secrets.build();
        for range in matcher.find(&raw) {
            apply(&mut raw, &Span::star(range));
            masked_spans = masked_spans.saturating_add(1);
        }
        raw.truncate(head + input.max_body);
        let kept = raw.len().saturating_sub(head);
        let bytes_cut = (input.body.len() - kept) as u64;
        MaskedMessage { raw, bytes_cut, withheld: self.withheld, masked_spans, matcher, sensitive: input.sensitive }
    }
}

fn is_identity(coding: &[u8]) -> bool {
    let coding = coding.trim_ascii();
    coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
}
