//! XML (W3C XML 1.0) at `[xml]`: elements at `[xml_tag,name]`, attributes at `[xml_attr,name]`, and comments, processing
//! instructions and the document type as written. Entities are never expanded, and nothing is ever fetched.

mod dtd;
mod mixed;

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, ByteClasses, Hint, ParserSet, Segment, SkipReason, Stop, Tag, Zone};
use crate::normalize::charset::{self, Charset, xml_label};
use bumpalo::collections::Vec as BumpVec;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Media types of data in XML.
const MEDIA: &[&str] = &["application/xml", "text/xml", "+xml"];
/// Media types of XML that browsers execute: detectors must inspect the markup itself.
const ACTIVE: &[&str] = &["image/svg+xml", "application/xhtml+xml"];
/// Distinct names of elements and attributes of one document that are emitted as values.
const MAX_NAMES: usize = 1_000;
/// Beginnings that only XML has.
const BEGINNINGS: &[&[u8]] = &[b"<?xml", b"<!doctype", b"<!entity"];

/// Values that are declared as XML or begin like a prolog, and bodies from `<` to `>`.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_declared(ParserSet::XML) || value.is_media(MEDIA) {
        return Applicability::Declared;
    }
    if !value.classes.contains(ByteClasses::LT.with(ByteClasses::GT)) {
        return Applicability::No;
    }
    let text = value.bytes.trim_ascii();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let prolog = |begin: &&[u8]| text.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin));
    let wide = matches!(text, [0xff, 0xfe, b'<', 0, ..] | [0xfe, 0xff, 0, b'<', ..] | [b'<', 0, ..] | [0, b'<', ..]);
    // A body whose byte order mark was taken off is still one.
    let body = matches!(value.tag, Tag::Post | Tag::File | Tag::Charset);
    let whole = body && text.first() == Some(&b'<') && text.last() == Some(&b'>');
    Applicability::sniffed(text.len() > 4 && (BEGINNINGS.iter().any(prolog) || wide || whole))
}

/// Whether `declaration`, what is between `<?` and `?>`, has nothing but the three attributes of an XML declaration.
fn is_plain_declaration(declaration: &str) -> bool {
    let is_plain = |value: &str| value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-'\"".contains(&b));
    declaration.split_ascii_whitespace().skip(1).all(|attribute| {
        let known = ["version=", "encoding=", "standalone="].into_iter().find_map(|name| attribute.strip_prefix(name));
        known.is_some_and(is_plain)
    })
}

/// Emits every text, attribute, comment, instruction and declaration.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len().saturating_mul(2))?;
    let (text, readable) = decode(value.bytes, em)?;
    em.enter(Segment::plain(Tag::Xml))?;
    let mut walker = Walker {
        em,
        open: Vec::new(),
        counts: HashMap::new(),
        names: HashSet::new(),
        text: Text::None,
        first: b"",
        mixed: None,
        entities: dtd::Entities::default(),
        serial: 0,
        comments: 0,
        instructions: 0,
        declared: 0,
        roots: 0,
        broken: !readable,
        too_deep: false,
    };
    walker.document(text)?;
    let (broken, too_deep) = (walker.broken || walker.roots != 1, walker.too_deep);
    if broken {
        return Err(ParseError::Broken(AnomalyKind::BadXml));
    }
    if too_deep {
        return Err(ParseError::Limit);
    }
    // A file may be opened by what reads the markup itself.
    let is_data = value.is_media(MEDIA) && !value.is_media(ACTIVE) && !value.zone.intersects(Zone::FILE);
    Ok(if is_data { Parsed::Covered } else { Parsed::Added })
}

/// `bytes` as text in their declared encoding, and whether they are valid in it (XML 1.0 §4.3.3, appendix F).
fn decode<'a>(bytes: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(&'a str, bool), Stop> {
    if let charset @ (Charset::Utf7 | Charset::Ebcdic(_)) = named(bytes) {
        // Decoded as parsers of Java and .NET do, but reported as broken: no legitimate client sends these encodings.
        let decoded = charset::decode(bytes, charset);
        let copy = em.copy(String::from_utf8_lossy(&decoded.text).as_bytes())?;
        return Ok((std::str::from_utf8(copy).expect("copied from text"), false));
    }
    let encoding = match bytes {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => encoding_rs::UTF_16LE,
        [0xfe, 0xff, ..] | [0, b'<', ..] => encoding_rs::UTF_16BE,
        _ => match xml_label(bytes).map(encoding_rs::Encoding::for_label) {
            // UTF-16 is recognised by its first bytes. A declaration of UTF-16 that is readable as ASCII must be wrong.
            Some(Some(encoding)) if encoding != encoding_rs::UTF_16LE && encoding != encoding_rs::UTF_16BE => encoding,
            None => encoding_rs::UTF_8,
            _ => return Ok((lossy(bytes, em)?, false)),
        },
    };
    if encoding == encoding_rs::UTF_8
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Ok((text.strip_prefix('\u{feff}').unwrap_or(text), true));
    }
    let (text, _, bad) = encoding.decode(bytes);
    let copy = em.copy(text.as_bytes())?;
    Ok((std::str::from_utf8(copy).expect("copied from text"), !bad))
}

fn lossy<'a>(bytes: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<&'a str, Stop> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Ok(text),
        Cow::Owned(text) => Ok(std::str::from_utf8(em.copy(text.as_bytes())?).expect("copied from text")),
    }
}

/// The character set that the XML declaration names. A declaration in EBCDIC is recognised by its first bytes.
fn named(bytes: &[u8]) -> Charset {
    match xml_label(bytes) {
        None => charset::xml_in_ebcdic(bytes).unwrap_or(Charset::Utf8),
        Some(label) => charset::named(label),
    }
}

/// The text of an element read so far, across comments, CDATA sections and references.
enum Text<'a> {
    None,
    One(&'a str),
    Joined(BumpVec<'a, u8>),
}

struct Walker<'w, 'x, 'a> {
    em: &'w mut Emitter<'x, 'a>,
    /// Serial number of each open element, and whether it has an index step, as a repeated element.
    open: Vec<(u32, bool)>,
    /// How often each name occurred in each element.
    counts: HashMap<(u32, &'a str), u32>,
    /// Names of elements and attributes that were emitted.
    names: HashSet<&'a str>,
    text: Text<'a>,
    /// The text read last, if no tag came after it.
    first: &'a [u8],
    mixed: Option<mixed::Mixed<'a>>,
    entities: dtd::Entities<'a>,
    serial: u32,
    comments: u32,
    instructions: u32,
    declared: u32,
    roots: u32,
    broken: bool,
    too_deep: bool,
}

impl<'a> Walker<'_, '_, 'a> {
    fn document(&mut self, text: &'a str) -> Result<(), Stop> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().allow_dangling_amp = true;
        loop {
            self.em.budget.spend(1)?;
            match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(event) => self.event(event)?,
                Err(_) => {
                    self.broken = true;
                    break;
                }
            }
        }
        self.flush()?;
        self.broken |= !self.open.is_empty();
        while !self.open.is_empty() {
            self.end_mixed()?;
            self.close();
        }
        if self.entities.is_expansion_bomb() {
            self.em.anomaly(AnomalyKind::EntityBomb);
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'a>) -> Result<(), Stop> {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::Empty(tag) => {
                self.start(tag)?;
                self.close();
                Ok(())
            }
            Event::End(_) => {
                self.flush()?;
                self.end_mixed()?;
                self.close();
                Ok(())
            }
            Event::Text(text) => self.add(text.into_inner()),
            Event::CData(text) => self.add(text.into_inner()),
            Event::GeneralRef(name) => self.reference(name.into_inner()),
            Event::Comment(text) => {
                self.comments += 1;
                let mut text = text.into_inner();
                // A directive of server-side includes is one together with what makes it a comment.
                if text.starts_with('#') {
                    text = Cow::Owned(format!("<!--{text}-->"));
                }
                self.markup(Segment::indexed(Tag::XmlComment, self.comments - 1), text)
            }
            Event::PI(text) => {
                self.instructions += 1;
                self.markup(Segment::indexed(Tag::XmlPi, self.instructions - 1), text.into_inner())
            }
            Event::DocType(text) => self.doctype(text.into_inner()),
            Event::Decl(text) if !is_plain_declaration(&text) => {
                self.markup(Segment::indexed(Tag::XmlPi, self.instructions), Cow::Owned((*text).to_owned()))
            }
            Event::Decl(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, tag: BytesStart<'a>) -> Result<(), Stop> {
        self.flush()?;
        self.begin_mixed()?;
        let parent = self.open.last().map_or(0, |(serial, _)| *serial);
        self.roots += u32::from(self.open.is_empty());
        self.serial += 1;
        let steps = self.open.len() < self.em.limits.xml_depth;
        if steps {
            let name = self.keep(Cow::Borrowed(tag.name().into_inner()))?;
            self.name(name)?;
            let count = self.counts.entry((parent, name)).or_insert(0);
            let index = *count;
            *count += 1;
            self.em.enter(Segment::named(Tag::XmlTag, name.as_bytes()))?;
            if index > 0 {
                // Repeated elements have one step more, for their index.
                self.em.enter(Segment::indexed(Tag::XmlTagArray, index))?;
            }
            self.open.push((self.serial, index > 0));
        } else {
            if !self.too_deep {
                self.em.skip(SkipReason::DepthLimit);
            }
            self.too_deep = true;
            self.open.push((self.serial, false));
        }
        self.attributes(&tag)
    }

    fn attributes(&mut self, tag: &BytesStart<'a>) -> Result<(), Stop> {
        // The library finds duplicates by comparing all pairs of attributes, which takes quadratic time.
        for attribute in tag.attributes().with_checks(false) {
            let Ok(attribute) = attribute else {
                self.broken = true;
                return Ok(());
            };
            let name = self.keep(Cow::Borrowed(attribute.key.into_inner()))?;
            self.name(name)?;
            let value = quick_xml::escape::unescape(&attribute.value).unwrap_or(Cow::Borrowed(&attribute.value));
            let value = self.keep(value)?;
            self.em.child(Segment::named(Tag::XmlAttr, name.as_bytes()), value.as_bytes())?;
        }
        Ok(())
    }

    /// Emits a name once. The library accepts any bytes as a name, so names with unusual bytes are emitted even past
    /// [`MAX_NAMES`].
    fn name(&mut self, name: &'a str) -> Result<(), Stop> {
        if self.names.contains(name) {
            return Ok(());
        }
        if self.names.len() < MAX_NAMES {
            self.names.insert(name);
        } else if ByteClasses::of(name.as_bytes())
            .within(ByteClasses::TOKEN.with(ByteClasses::COLON).with(ByteClasses::HIGH))
        {
            self.em.skip(SkipReason::ValueLimit);
            return Ok(());
        }
        self.em.name(Tag::XmlTagName, name.as_bytes())
    }

    fn close(&mut self) {
        let Some((_, repeated)) = self.open.pop() else {
            self.broken = true;
            return;
        };
        if self.open.len() >= self.em.limits.xml_depth {
            return;
        }
        if repeated {
            self.em.leave();
        }
        self.em.leave();
    }

    fn reference(&mut self, name: Cow<'a, str>) -> Result<(), Stop> {
        let known = match name.strip_prefix('#') {
            Some(number) => {
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                code.ok().and_then(char::from_u32)
            }
            None => quick_xml::escape::resolve_predefined_entity(&name).and_then(|text| text.chars().next()),
        };
        match known {
            Some(c) => self.add(Cow::Owned(c.to_string())),
            None => {
                self.entities.used(&name);
                self.add(Cow::Owned(format!("&{name};")))
            }
        }
    }

    fn doctype(&mut self, text: Cow<'a, str>) -> Result<(), Stop> {
        let text = self.keep(text)?;
        self.declaration(Segment::plain(Tag::XmlDtd), text)?;
        for entity in dtd::entities(text) {
            self.declaration(Segment::indexed(Tag::XmlDtdEntity, self.declared), entity)?;
            self.declared += 1;
            self.entities.declare(entity);
        }
        Ok(())
    }

    /// Emits a part of the document type. Documents in files have entities of their own, those of clients' data do not.
    fn declaration(&mut self, segment: Segment<'a>, text: &'a str) -> Result<(), Stop> {
        let zone = self.em.zone();
        let zone = if zone.intersects(Zone::FILE) { Zone::FILE } else { zone };
        self.em.enter(segment)?;
        let result = self.em.value_as(text.as_bytes(), zone, Hint::None);
        self.em.leave();
        result
    }

    fn markup(&mut self, segment: Segment<'a>, text: Cow<'a, str>) -> Result<(), Stop> {
        let text = self.keep(text)?;
        self.em.child(segment, text.as_bytes())
    }

    fn keep(&mut self, text: Cow<'_, str>) -> Result<&'a str, Stop> {
        Ok(std::str::from_utf8(self.em.copy(text.as_bytes())?).expect("copied from text"))
    }

    fn add(&mut self, piece: Cow<'a, str>) -> Result<(), Stop> {
        self.text = match (std::mem::replace(&mut self.text, Text::None), piece) {
            (Text::None, Cow::Borrowed(piece)) => Text::One(piece),
            (before, piece) => {
                let first = match before {
                    Text::Joined(mut joined) => {
                        self.em.charge_decoded(piece.len())?;
                        joined.extend_from_slice_copy(piece.as_bytes());
                        self.text = Text::Joined(joined);
                        return Ok(());
                    }
                    Text::One(first) => first,
                    Text::None => "",
                };
                self.em.charge_decoded(first.len() + piece.len())?;
                let mut joined = BumpVec::new_in(self.em.bump);
                joined.extend_from_slice_copy(first.as_bytes());
                joined.extend_from_slice_copy(piece.as_bytes());
                Text::Joined(joined)
            }
        };
        Ok(())
    }

    /// Emits the text before a tag.
    fn flush(&mut self) -> Result<(), Stop> {
        let text = match std::mem::replace(&mut self.text, Text::None) {
            Text::None => return Ok(()),
            Text::One(text) => text.as_bytes(),
            Text::Joined(text) => text.into_bump_slice(),
        };
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        self.broken |= self.open.is_empty();
        self.mix(text)?;
        self.em.value(text)
    }
}

#[cfg(test)]
mod tests;
