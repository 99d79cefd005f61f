//! `multipart/*` (RFC 2046 §5.1, RFC 7578): fields at `[multipart,name]`, file content at `[multipart,name][file]`.
//!
//! Servers read broken multipart in different ways. This parser is therefore lenient, and whenever a body can be read in
//! more than one way, it reports so ([`ParseError::Broken`]) and the whole body is inspected besides the parts. A part
//! that only some servers treat as a file is both a file and a field.

mod disposition;
mod lines;
mod upload;

use super::emitter::{Emitter, Pairs};
use super::{Applicability, Candidate, ParseError, Parsed, content};
use crate::model::{AnomalyKind, ByteClasses, Hint, Segment, SkipReason, Stop, Tag, Zone};
use crate::normalize::{base64, quoted_printable};
use disposition::Disposition;
use lines::{Delimiters, folded_line, line_length};
use memchr::{memchr, memmem};

/// Header lines read of one part. Later ones are inspected as part of the whole body only.
const MAX_PART_HEADERS: usize = 32;
/// Longest boundary; RFC 2046 allows 70, but servers take what fits into a header.
const MAX_BOUNDARY: usize = 8 << 10;
/// Boundaries tried if several are declared, besides one that is searched for.
const MAX_BOUNDARIES: usize = 4;
/// Bytes in which an undeclared multipart body must have a part header.
const SNIFFED: usize = 1024;

/// Bodies declared as multipart, in a spelling that some servers accept, and bodies that begin with a delimiter line and a
/// Content-Disposition.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    let media = value.hint_media().unwrap_or_default();
    if media.get(..10).is_some_and(|m| m.eq_ignore_ascii_case(b"multipart/")) {
        return Applicability::Declared;
    }
    if media.windows(9).any(|m| m.eq_ignore_ascii_case(b"multipart")) {
        return Applicability::Sniffed;
    }
    let start = &value.bytes[..value.bytes.len().min(SNIFFED)];
    let looks = value.zone.intersects(Zone::BODY.with(Zone::FILE))
        && start.trim_ascii_start().starts_with(b"--")
        && start.windows(20).any(|w| w.eq_ignore_ascii_case(b"content-disposition:"));
    Applicability::sniffed(looks)
}

/// Emits every part, the preamble and the epilogue.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    if em.nesting(Tag::Multipart) >= usize::from(em.limits.multipart_depth) {
        em.skip(SkipReason::DepthLimit);
        return Err(ParseError::Limit);
    }
    let mut broken = false;
    let mut split = false;
    for boundary in boundaries(value, &mut broken) {
        for delimiters in [Delimiters::OnLines, Delimiters::Anywhere] {
            em.budget.spend(value.bytes.len())?;
            let parts = split_parts(value.bytes, boundary, delimiters, em.limits.multipart_parts, &mut broken);
            let mut has_other_lines = parts.has_delimiter_within_line;
            if !parts.pieces.is_empty() {
                split = true;
                has_other_lines |= emit_parts(&parts, delimiters, &mut broken, em)?;
            }
            if parts.too_many {
                em.skip(SkipReason::CountLimit);
                return Err(ParseError::Limit);
            }
            if !has_other_lines {
                break;
            }
        }
    }
    match (split, broken) {
        (true, false) => Ok(Parsed::Covered),
        _ => Err(ParseError::Broken(AnomalyKind::BadMultipart)),
    }
}

/// The boundaries to try: all that are declared or, if none of these occurs in the body, its first line.
fn boundaries<'a>(value: &Candidate<'a>, broken: &mut bool) -> Vec<&'a [u8]> {
    let mut found: Vec<&'a [u8]> = Vec::new();
    let media = value.hint_media().unwrap_or_default();
    for parameter in disposition::parameters(media).0 {
        // Servers take an empty one too.
        let usable = parameter.value.len() <= MAX_BOUNDARY;
        let is_boundary = parameter.name.get(..8).is_some_and(|n| n.eq_ignore_ascii_case(b"boundary"));
        if is_boundary && usable && !found.contains(&parameter.value) && found.len() < MAX_BOUNDARIES {
            *broken |= parameter.odd || parameter.name.len() != 8;
            found.push(parameter.value);
        }
    }
    if let Some(searched) = disposition::searched_boundary(media)
        && searched.len() <= MAX_BOUNDARY
        && !found.contains(&searched)
    {
        *broken = true;
        found.push(searched);
    }
    *broken |= found.len() != 1 && value.hint_media().is_some();
    let occurs =
        |boundary: &&[u8]| memmem::find_iter(value.bytes, boundary).any(|at| value.bytes[..at].ends_with(b"--"));
    if !found.iter().any(occurs) {
        *broken |= !found.is_empty();
        found.clear();
        let text = value.bytes.trim_ascii_start();
        let line = &text[..memchr(b'\n', text).unwrap_or(text.len())];
        let guess = line.trim_ascii_end().strip_prefix(b"--").unwrap_or_default();
        if (1..=MAX_BOUNDARY).contains(&guess.len()) {
            found.push(guess);
        }
    }
    found
}

/// A body split at its delimiter lines.
struct Parts<'a> {
    preamble: &'a [u8],
    /// Parts with their headers.
    pieces: Vec<&'a [u8]>,
    epilogue: &'a [u8],
    too_many: bool,
    /// Whether a delimiter within a line was passed over.
    has_delimiter_within_line: bool,
}

/// Splits `body` at lines that begin with `--` and `boundary`. Text after the boundary on such a line makes the body
/// broken, but the line still delimits.
fn split_parts<'a>(
    body: &'a [u8],
    boundary: &[u8],
    delimiters: Delimiters,
    max: usize,
    broken: &mut bool,
) -> Parts<'a> {
    let mut parts =
        Parts { preamble: b"", pieces: Vec::new(), epilogue: b"", too_many: false, has_delimiter_within_line: false };
    let delimiter = [b"--", boundary].concat();
    let (mut start, mut closed) = (None, false);
    let mut done = 0;
    for at in memmem::find_iter(body, &delimiter) {
        if at < done {
            continue;
        }
        if at > 0 && body[at - 1] != b'\n' {
            *broken = true;
            if delimiters == Delimiters::OnLines {
                parts.has_delimiter_within_line = true;
                continue;
            }
        }
        let text_end = line_end(&body[..at], broken);
        match start {
            Some(start) if !closed => parts.pieces.push(&body[std::cmp::min(start, text_end)..text_end]),
            Some(_) => *broken = true,
            None => parts.preamble = &body[..text_end],
        }
        if parts.pieces.len() >= max {
            parts.too_many = true;
            return parts;
        }
        let rest = &body[at + delimiter.len()..];
        closed = rest.starts_with(b"--");
        let rest_of_line = &rest[..line_length(rest, delimiters)];
        let padding = if closed { rest_of_line.get(2..).unwrap_or_default() } else { rest_of_line };
        parts.has_delimiter_within_line |= lines::has_bare_cr(rest_of_line);
        *broken |= !padding.trim_ascii().is_empty() || (rest_of_line.len() < rest.len() && !padding.ends_with(b"\r"));
        done = at + delimiter.len() + lines::next(rest, rest_of_line.len());
        start = Some(done);
    }
    match start {
        Some(start) if closed => parts.epilogue = &body[start..],
        Some(start) => {
            *broken = true;
            parts.pieces.push(&body[start..]);
        }
        None => {}
    }
    parts
}

/// The end of the text before a delimiter line. The line end before the delimiter belongs to the delimiter.
fn line_end(before: &[u8], broken: &mut bool) -> usize {
    match before {
        [.., b'\r', b'\n'] => before.len() - 2,
        [.., b'\n'] => {
            *broken = true;
            before.len() - 1
        }
        [.., b'\r'] => before.len() - 1,
        _ => before.len(),
    }
}

/// Emits all parts, and says whether a header of one has a bare CR, which some servers take for the end of a line.
fn emit_parts<'a>(
    parts: &Parts<'a>,
    delimiters: Delimiters,
    broken: &mut bool,
    em: &mut Emitter<'_, 'a>,
) -> Result<bool, Stop> {
    for outer in [parts.preamble, parts.epilogue] {
        if !outer.trim_ascii().is_empty() {
            em.value(outer)?;
        }
    }
    let mut fields = Pairs::new();
    let mut has_bare_cr = false;
    for piece in &parts.pieces {
        let part = Part::read(piece, delimiters, broken);
        has_bare_cr |= part.has_bare_cr;
        let (name, names) = part.disposition.names.split_first().map_or((&b""[..], &[][..]), |(n, rest)| (*n, rest));
        let is_plain = !part.is_file() && part.media.is_none() && part.coding.is_none();
        part.emit_headers(name, names, em)?;
        if is_plain && !part.disposition.odd {
            fields.push((name, part.content));
        } else {
            *broken |= part.disposition.odd;
            part.emit(name, em)?;
        }
    }
    em.pairs(Tag::Multipart, Tag::MultipartName, &fields)?;
    Ok(has_bare_cr)
}

/// One part, its headers read.
struct Part<'a> {
    content: &'a [u8],
    disposition: Disposition<'a>,
    media: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
    /// Headers to be inspected: all but unambiguous Content-Dispositions and ordinary media types.
    headers: Vec<(&'a [u8], &'a [u8])>,
    /// Whether servers differ in which headers the part has.
    has_disputed_headers: bool,
    has_bare_cr: bool,
}

impl<'a> Part<'a> {
    /// Reads a part. Its headers end at the first empty line; without one, the whole part is content.
    fn read(piece: &'a [u8], delimiters: Delimiters, broken: &mut bool) -> Self {
        let mut part = Part {
            content: piece,
            disposition: Disposition::default(),
            media: None,
            coding: None,
            headers: Vec::new(),
            has_disputed_headers: false,
            has_bare_cr: false,
        };
        let mut at = 0;
        let mut lines = 0;
        loop {
            let Some(line) = folded_line(&piece[at..], delimiters) else {
                part.has_bare_cr |= lines::has_bare_cr(&piece[at..]);
                *broken = true;
                break;
            };
            *broken |= line.ambiguous;
            part.has_bare_cr |= lines::has_bare_cr(line.text);
            part.has_disputed_headers |= line.folded;
            at += line.length;
            if line.text.is_empty() {
                part.content = &piece[at..];
                break;
            }
            lines += 1;
            if lines <= MAX_PART_HEADERS {
                part.header(line.text, broken);
            } else {
                part.has_disputed_headers = true;
            }
        }
        *broken |= part.disposition.names.is_empty() && !part.headers.is_empty() && lines == 0;
        *broken |= part.has_disputed_headers;
        part
    }

    fn header(&mut self, line: &'a [u8], broken: &mut bool) {
        let Some(colon) = memchr(b':', line) else {
            *broken = true;
            self.headers.push((line, b""));
            return;
        };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        self.has_disputed_headers |= name.len() != colon;
        let is = |want: &[u8]| name.eq_ignore_ascii_case(want);
        if is(b"content-disposition") {
            self.disposition.read(value);
            if !self.disposition.odd {
                return;
            }
        } else if is(b"content-type") {
            *broken |= self.media.replace(value).is_some_and(|other| other != value);
            if ByteClasses::of(value).within(MEDIA) {
                return;
            }
        } else if is(b"content-transfer-encoding") {
            *broken |= self.coding.replace(value).is_some_and(|other| other != value);
        }
        self.headers.push((name, value));
    }

    fn is_file(&self) -> bool {
        !self.disposition.files.is_empty()
    }

    /// Whether some servers take the part for a field.
    fn may_be_field(&self) -> bool {
        let is_nested =
            self.media.is_some_and(|media| media.get(..10).is_some_and(|m| m.eq_ignore_ascii_case(b"multipart/")));
        is_nested || !self.disposition.is_surely_file || self.disposition.odd || self.has_disputed_headers
    }

    /// Emits everything but the content: names, file names, headers.
    fn emit_headers(&self, name: &'a [u8], names: &[&'a [u8]], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
        for other in names {
            em.name(Tag::MultipartName, other)?;
        }
        if self.headers.is_empty() && !self.is_file() && !self.disposition.ambiguous {
            return Ok(());
        }
        em.under_name(Tag::Multipart, name, |em, _| self.emit_files_and_headers(em))
    }

    fn emit_files_and_headers(&self, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
        if self.disposition.ambiguous {
            em.anomaly(AnomalyKind::AmbiguousMultipart);
        }
        let zone = em.zone();
        for file in &self.disposition.files {
            em.budget.spend(self.content.len())?;
            let line = upload::line(self.media, self.content, file);
            em.enter(Segment::named(Tag::ContentDisp, b"filename"))?;
            let mut result = em.copy(file).and_then(|file| em.value_as(file, Zone::FILENAME, Hint::None));
            if let (Ok(()), Some(line)) = (&result, line) {
                result = em.copy(&line).and_then(|line| em.value_as(line, Zone::META, Hint::None));
            }
            em.leave();
            result?;
        }
        for &(name, value) in &self.headers {
            let upper = em.bump.alloc_slice_copy(name);
            upper.make_ascii_uppercase();
            em.enter(Segment::named(Tag::Header, upper))?;
            let text = if value.is_empty() { name } else { value };
            let result = em.value_as(text, zone.with(Zone::HEADER), Hint::None);
            em.leave();
            result?;
        }
        Ok(())
    }

    /// Emits the content of a file, or of a field with declarations about it.
    fn emit(&self, name: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
        em.name(Tag::MultipartName, name)?;
        em.under_name(Tag::Multipart, name, |em, element| {
            if !element {
                return self.content(em);
            }
            em.enter(Segment::indexed(Tag::Array, 0))?;
            let result = self.content(em);
            em.leave();
            result
        })
    }

    fn content(&self, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
        let hint = self.media.map(Hint::Media).unwrap_or_default();
        if self.is_file() {
            let zone = content::zones(self.content, em.zone());
            em.enter(Segment::plain(Tag::File))?;
            let result = self.content_in(zone, hint, em);
            em.leave();
            result?;
        }
        // A server that does not read a multipart body within a part takes it for a field.
        let is_nested = em.nesting(Tag::Multipart) > 1;
        if self.may_be_field() || is_nested { self.content_in(em.zone(), hint, em) } else { Ok(()) }
    }

    fn content_in(&self, zone: Zone, hint: Hint<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
        em.value_as(self.content, zone, hint)?;
        self.decoded(zone, hint, em)
    }

    /// Emits the content decoded from its transfer encoding, which RFC 7578 §4.7 deprecates but libraries still decode.
    fn decoded(&self, zone: Zone, hint: Hint<'a>, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
        let Some(coding) = self.coding else { return Ok(()) };
        em.budget.spend(self.content.len())?;
        let coding = coding.split(|b| b";,".contains(b)).next().unwrap_or_default();
        let coding = coding.trim_ascii();
        let coding = coding.strip_prefix(b"\"").map_or(coding, |inner| inner.strip_suffix(b"\"").unwrap_or(inner));
        let is_base64 = coding.eq_ignore_ascii_case(b"base64");
        let decoded = if is_base64 {
            base64::decode(self.content).or_else(|| Some(base64::decode_digits(self.content)))
        } else if coding.eq_ignore_ascii_case(b"quoted-printable") {
            quoted_printable::decode(self.content)
        } else {
            None
        };
        let Some(decoded) = decoded else { return Ok(()) };
        let decoded = em.copy(&decoded)?;
        let zone = if zone == Zone::FILE { content::zones(decoded, em.zone()) } else { zone };
        if !is_base64 {
            return em.value_as(decoded, zone, hint);
        }
        em.enter(Segment::plain(Tag::Base64))?;
        let result = em.value_as(decoded, zone, hint);
        em.leave();
        result
    }
}

/// Bytes of ordinary media types.
const MEDIA: ByteClasses = ByteClasses::TOKEN
    .with(ByteClasses::SLASH)
    .with(ByteClasses::PLUS)
    .with(ByteClasses::SEMICOLON)
    .with(ByteClasses::EQUALS)
    .with(ByteClasses::BLANK)
    .with(ByteClasses::DQUOTE);

#[cfg(test)]
mod tests;
