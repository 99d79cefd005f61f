//! ZIP archives (APPNOTE.TXT 4.3) and tar archives (POSIX.1-2017 ustar) in files: names of entries that leave the folder
//! into which they are unpacked at `[archive_name]`, and entries that a server would execute or parse at `[archive,name]`.
//!
//! Local headers are searched rather than the central directory followed: a reader that streams uses these, and a
//! directory that lies hides nothing. Of a script 1 MiB is unpacked, of an XML entry the beginning, where a document type
//! stands. Documents of offices are ZIP archives.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{Hint, Segment, SkipReason, Stop, Tag, Zone};
use bumpalo::collections::Vec as BumpVec;
use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;

const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
/// Bytes of a local header before the name.
const LOCAL_LENGTH: usize = 30;
/// Bytes of a header of a tar archive, and of its units of content.
const BLOCK: usize = 512;
/// Where a tar header says what it is.
const USTAR: std::ops::Range<usize> = 257..262;
/// Longest name of an entry.
const MAX_NAME: usize = 1 << 10;
/// Bytes unpacked of an entry that a server would execute.
const MAX_SCRIPT: usize = 1 << 20;
/// Bytes unpacked of an entry that a parser would read.
const MAX_PROLOG: usize = 16 << 10;
/// Bytes of output produced at a time, before the limits are checked again.
const CHUNK: usize = 16 << 10;
/// Work units of an entry besides those of its bytes.
const ENTRY_COST: usize = 256;

/// Extensions of entries that a server executes.
const SCRIPTS: &[&[u8]] = &[
    b"php", b"php3", b"php4", b"php5", b"php7", b"php8", b"phps", b"pht", b"phtml", b"phar", b"inc", b"jsp", b"jspx",
    b"jspf", b"asp", b"aspx", b"asa", b"ashx", b"asmx", b"ascx", b"cer", b"cfm", b"cfc", b"cgi", b"shtml",
];
/// Extensions of entries that a parser reads.
const PARSED: &[&[u8]] = &[b"xml", b"rels", b"svg", b"xsl", b"xslt", b"vml", b"opf"];
/// Names of entries that configure a server.
const SETTINGS: &[&[u8]] = &[b".htaccess", b".user.ini", b"web.config"];

/// Files that begin like an archive.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    let is_file = value.zone.intersects(Zone::FILE) && !matches!(value.tag, Tag::Archive | Tag::ArchiveName);
    Applicability::sniffed(is_file && (value.bytes.starts_with(LOCAL_HEADER) || is_tar(value.bytes)))
}

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(USTAR) == Some(b"ustar")
}

/// Emits names that climb, and entries that are executed or parsed.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    if is_tar(value.bytes) {
        tar(value.bytes, em)?
    } else {
        zip(value.bytes, em)?
    }
    Ok(Parsed::Added)
}

fn zip<'a>(bytes: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    for at in memmem::find_iter(bytes, LOCAL_HEADER) {
        let Some(header) = bytes[at..].first_chunk::<LOCAL_LENGTH>() else { break };
        let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (method, name, extra) = (number(8), number(26), number(28));
        let data = at + LOCAL_LENGTH + name + extra;
        let Some(name) = bytes.get(at + LOCAL_LENGTH..at + LOCAL_LENGTH + name.min(MAX_NAME)) else { continue };
        em.budget.spend(ENTRY_COST)?;
        self::name(name, em)?;
        let (Some(most), Some(data)) = (wanted(name), bytes.get(data..)) else { continue };
        let stored = u32::from_le_bytes([header[22], header[23], header[24], header[25]]) as usize;
        let content = match method {
            0 => &data[..data.len().min(stored).min(most)],
            8 => unpack(data, most, em)?,
            _ => b"",
        };
        entry(name, content, em)?;
    }
    Ok(())
}

fn tar<'a>(bytes: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + BLOCK) {
        em.budget.spend(ENTRY_COST)?;
        let Some(size) = octal(&header[124..136]) else { break };
        at += BLOCK;
        let content = &bytes[at.min(bytes.len())..at.saturating_add(size).min(bytes.len())];
        at = at.saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK));
        if header[0] == 0 {
            continue;
        }
        let short = until_nul(&header[..100]);
        match header[156] {
            // A long name of GNU tar is the content of an entry before.
            b'L' => name(until_nul(&content[..content.len().min(MAX_NAME)]), em)?,
            _ => {
                name(short, em)?;
                if let Some(most) = wanted(short) {
                    entry(short, &content[..content.len().min(most)], em)?;
                }
            }
        }
    }
    Ok(())
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

/// A number in octal digits; none if the field holds something else.
fn octal(field: &[u8]) -> Option<usize> {
    let digits = until_nul(field).trim_ascii();
    digits.iter().try_fold(0usize, |number, digit| {
        matches!(digit, b'0'..=b'7').then(|| number.checked_mul(8)?.checked_add(usize::from(digit - b'0'))).flatten()
    })
}

/// Emits a name with a step upwards.
fn name<'a>(name: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    if !name.split(|b| matches!(b, b'/' | b'\\')).any(|step| step == b"..") {
        return Ok(());
    }
    em.enter(Segment::plain(Tag::ArchiveName))?;
    let result = em.value_as(name, Zone::FILENAME, Hint::None);
    em.leave();
    result
}

/// Bytes of the entry called `name` that are inspected; none if its content is of no interest.
fn wanted(name: &[u8]) -> Option<usize> {
    let file = name.rsplit(|b| matches!(b, b'/' | b'\\')).next()?;
    let is = |known: &&[u8]| file.eq_ignore_ascii_case(known);
    if SETTINGS.iter().any(is) {
        return Some(MAX_PROLOG);
    }
    let mut extensions = file.split(|&b| b == b'.').skip(1);
    let script = |extension: &[u8]| SCRIPTS.iter().any(|known| extension.eq_ignore_ascii_case(known));
    let parsed = |extension: &[u8]| PARSED.iter().any(|known| extension.eq_ignore_ascii_case(known));
    let last = file.rsplit(|&b| b == b'.').next()?;
    if extensions.any(script) { Some(MAX_SCRIPT) } else { parsed(last).then_some(MAX_PROLOG) }
}

fn entry<'a>(name: &'a [u8], content: &'a [u8], em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    if content.is_empty() {
        return Ok(());
    }
    em.enter(Segment::named(Tag::Archive, name))?;
    let result = em.value_as(content, Zone::FILE, Hint::None);
    em.leave();
    match result {
        // More entries than values are inspected.
        Err(Stop::Limit) => {
            em.skip(SkipReason::ValueLimit);
            Err(Stop::Limit)
        }
        result => result,
    }
}

/// The first `most` bytes of an entry of an archive, whose compressed bytes (RFC 1951) are the first of `input`. Empty if
/// they are no such bytes, or if decompressors have produced too much.
fn unpack<'a>(input: &[u8], most: usize, em: &mut Emitter<'_, 'a>) -> Result<&'a [u8], Stop> {
    let mut stream = Decompress::new(false);
    let mut out = BumpVec::new_in(em.bump);
    while out.len() < most && stream.total_out() as usize == out.len() {
        let chunk = CHUNK.min(most - out.len());
        let (start, used) = (out.len(), stream.total_in() as usize);
        out.resize(start + chunk, 0);
        let status = stream.decompress(&input[used.min(input.len())..], &mut out[start..], FlushDecompress::None);
        let made = stream.total_out() as usize - start;
        out.truncate(start + made);
        em.budget.spend(made)?;
        if !em.charge_inflated(made) {
            em.skip(SkipReason::Decompression);
            break;
        }
        if !matches!(status, Ok(Status::Ok)) || made == 0 {
            break;
        }
    }
    Ok(out.into_bump_slice())
}

#[cfg(test)]
mod tests {
    use crate::parse::testing::{ParsedBody, parse_body};
    use flate2::{Compression, write::DeflateEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, content) in entries {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(content).unwrap();
            let data = encoder.finish().unwrap();
            out.extend_from_slice(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
            out.extend_from_slice(&(data.len() as u32).to_le_bytes());
            out.extend_from_slice(&(content.len() as u32).to_le_bytes());
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&data);
        }
        out
    }

    fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, content) in entries {
            let mut header = [0u8; 512];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
            header[257..262].copy_from_slice(b"ustar");
            out.extend_from_slice(&header);
            out.extend_from_slice(content);
            out.resize(out.len().div_ceil(512) * 512, 0);
        }
        out
    }

    fn upload(content: &[u8]) -> ParsedBody {
        let head = b"--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n";
        parse_body("multipart/form-data; boundary=x", &[head, content, b"\r\n--x--\r\n"].concat())
    }

    #[test]
    fn entries_that_servers_read_are_emitted() {
        let entries: &[(&str, &[u8])] = &[
            ("a/b.php", b"<?php 1;"),
            ("readme.txt", b"not this"),
            ("word/document.xml", b"<w/>"),
            ("../x.txt", b"no"),
        ];
        for archive in [zip(entries), tar(entries)] {
            let parsed = upload(&archive);
            let at = "[post][multipart,'f'][file]";
            parsed.has(&format!("{at}[archive,'a/b.php']"), "<?php 1;");
            parsed.has(&format!("{at}[archive,'word/document.xml']"), "<w/>");
            parsed.has(&format!("{at}[archive_name]"), "../x.txt");
            assert!(!parsed.has_point(&format!("{at}[archive,'readme.txt']")));
            assert!(!parsed.has_point(&format!("{at}[archive,'word/document.xml'][xml]")));
        }
    }

    #[test]
    fn a_bomb_ends_at_the_bound_of_an_entry() {
        let parsed = upload(&zip(&[("a.xml", &vec![b' '; 4 << 20]), ("b.php", b"<?php 2;")]));
        parsed.has("[post][multipart,'f'][file][archive,'b.php']", "<?php 2;");
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes: Vec<u8>, cut in 0usize..1100, at in 0usize..1024, byte: u8) {
            let entries: &[(&str, &[u8])] = &[("a.php", b"<?php 1;"), ("b.xml", b"<b/>")];
            for archive in [zip(entries), tar(entries)] {
                let mut archive = archive;
                let length = archive.len();
                archive[at % length] = byte;
                archive.truncate(cut.max(8));
                archive.append(&mut bytes);
                upload(&archive);
            }
        }
    }
}
