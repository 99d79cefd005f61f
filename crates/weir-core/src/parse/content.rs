//! What the content of a file is, judged by its bytes and never by what is declared about it.
//!
//! A short text is a value like that of a field: an application may use it in the same way, and a file name costs an
//! attacker nothing. Texts that only files hold - pages, scripts, logs, texts of several lines - and all other content are
//! in the zone `file` alone, where signatures and detectors look for what acts when a file is opened, parsed, logged or
//! executed. A file that is JSON, XML or a form is taken apart, and the values in it are like those of a body
//! ([`STRUCTURES`]).

use crate::model::{ParserSet, Tag, Zone, xml_root};

/// Longest text that is a value like that of a field.
pub const MAX_FIELD: usize = 1 << 10;

/// Parsers whose values in a file are inspected like those of a body, if the whole file has their syntax.
pub const STRUCTURES: ParserSet = ParserSet::JSON_DOC.with(ParserSet::XML).with(ParserSet::FORM_URLENCODED);

/// Parsers that run on content that is in the zone `file` alone.
const OF_FILES: ParserSet =
    STRUCTURES.with(ParserSet::MULTIPART).with(ParserSet::GZIP).with(ParserSet::CHARSET).with(ParserSet::ARCHIVE);

/// Whether `parser` runs on `content` that is in the zone `file` alone, at a point whose last step is `tag`.
pub fn runs_on_file(parser: ParserSet, content: &[u8], tag: Tag) -> bool {
    // Documents in archives, and JSON that is laid out for people, are text to read rather than values to use.
    if parser == ParserSet::CHARSET {
        return names_charset(content);
    }
    let is_text = tag == Tag::Archive || parser == ParserSet::JSON_DOC && is_laid_out(content);
    OF_FILES.intersects(parser) && !(is_text && STRUCTURES.intersects(parser))
}

/// Whether content begins in a character set of its own, or names UTF-7 as a page of a server may.
fn names_charset(content: &[u8]) -> bool {
    const LOOKED_AT: usize = 512;
    const NAMES: [&[u8]; 2] = [b"65000", b"utf-7"];
    let marked = matches!(content, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0xef, 0xbb, 0xbf, ..]);
    let wide = matches!(content, [0, b'<', ..] | [b'<', 0, ..]);
    let head = &content[..content.len().min(LOOKED_AT)];
    let names = |name: &&[u8]| head.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name));
    marked || wide || NAMES.iter().any(names)
}

/// The zones of a body that is not taken apart as a form, declared as `media` and sent to store it if `stores`.
pub fn body_zones(body: &[u8], media: &[u8], stores: bool) -> Zone {
    let essence = media.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    let begins = |kind: &&[u8]| essence.get(..kind.len()).is_some_and(|head| head.eq_ignore_ascii_case(kind));
    let is_data = DATA.iter().any(begins);
    if !is_data && FILES.iter().any(begins) {
        return if is_binary(body) { Zone::FILE } else { Zone::BODY.with(Zone::FILE) };
    }
    // What is declared as XML is inspected by its values; script of a page is in its markup.
    let is_xml = essence.last_chunk::<3>().is_some_and(|end| end.eq_ignore_ascii_case(b"xml"));
    let is_file = stores && !is_data || is_xml && is_page(body);
    if is_file { Zone::BODY.with(Zone::FILE) } else { Zone::BODY }
}

/// Whether an XML document is one of which a browser runs the script, as a whole or in elements of a namespace.
fn is_page(body: &[u8]) -> bool {
    const SPACES: [&[u8]; 2] = [b"1999/xhtml", b"2000/svg"];
    xml_root::root(body).is_some_and(|root| {
        matches!(root, b"svg" | b"html") || SPACES.iter().any(|space| memchr::memmem::find(body, space).is_some())
    })
}

/// Beginnings of media types of files.
const FILES: &[&[u8]] = &[
    b"image/",
    b"audio/",
    b"video/",
    b"font/",
    b"application/pdf",
    b"application/zip",
    b"application/gzip",
    b"application/octet-stream",
    b"application/x-",
    b"application/java-archive",
    b"application/msword",
    b"application/vnd.ms-",
    b"application/vnd.openxmlformats",
    b"application/vnd.oasis",
    b"application/epub",
    b"application/sql",
    b"text/x-",
    b"text/html",
];
/// Beginnings of media types of data, also of some that [`FILES`] has.
const DATA: &[&[u8]] = &[
    b"application/json",
    b"application/xml",
    b"application/graphql",
    b"application/x-www-form-urlencoded",
    b"application/x-ndjson",
    b"application/x-protobuf",
    b"application/x-msgpack",
    b"application/x-cbor",
    b"application/x-amz-cbor",
    b"application/grpc",
    b"text/xml",
    b"text/x-json",
    b"multipart/",
];

/// Whether JSON has its first member or element on a line of its own, indented.
fn is_laid_out(json: &[u8]) -> bool {
    let inside = json.trim_ascii_start().get(1..).unwrap_or_default();
    let line = inside.iter().position(|b| !matches!(b, b' ' | b'\r'));
    line.is_some_and(|at| inside[at] == b'\n' && matches!(inside.get(at + 1), Some(b' ' | b'\t')))
}

/// First bytes of formats that are no text.
const BINARY: &[&[u8]] = &[
    b"\x89PNG\r\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"RIFF",
    b"II*\0",
    b"MM\0*",
    b"\0\0\x01\0",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"\xfd7zXZ",
    b"7z\xbc\xaf",
    b"Rar!",
    b"%PDF-",
    b"\x7fELF",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
    b"\xd0\xcf\x11\xe0",
    b"OggS",
    b"ID3",
    b"fLaC",
    b"wOFF",
    b"wOF2",
    b"SQLite format 3\0",
    // Fonts, and catalogues of gettext in either byte order.
    b"\0\x01\0\0\0",
    b"OTTO\0",
    b"ttcf\0",
    b"\xde\x12\x04\x95\0\0\0\0",
    b"\x95\x04\x12\xde\0\0\0\0",
];

/// Bytes from which a boxed media file (ISO/IEC 14496-12) is recognised.
const BOXED: std::ops::Range<usize> = 4..8;

/// The zones of the content of a file that was sent where a field is in `field`.
pub fn zones(content: &[u8], field: Zone) -> Zone {
    let is_value = content.len() <= MAX_FIELD && !is_binary(content) && !is_document(content);
    if is_value { field.with(Zone::FILE) } else { Zone::FILE }
}

/// Whether `content` begins like a format that is no text, and has bytes that no text has.
pub fn is_binary(content: &[u8]) -> bool {
    let begins = BINARY.iter().any(|magic| content.starts_with(magic)) || content.get(BOXED) == Some(b"ftyp");
    begins && content.iter().any(|&b| b == 0 || !(b'\t'..0x80).contains(&b))
}

/// Fewest lines of a text of several lines.
const DOCUMENT_LINES: usize = 4;
/// Beginnings of pages and scripts, in lower case.
const DOCUMENTS: &[&[u8]] = &[b"<!doctype html", b"<html", b"#!/"];

/// Whether a short text is one that only files hold. JSON and XML are not: they are taken apart.
fn is_document(content: &[u8]) -> bool {
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).trim_ascii_start();
    let begins = |known: &&[u8]| text.get(..known.len()).is_some_and(|head| head.eq_ignore_ascii_case(known));
    if DOCUMENTS.iter().any(begins) {
        return true;
    }
    let structure = matches!(text.first(), Some(b'{' | b'<')) || text.starts_with(b"[{");
    if structure || !content.ends_with(b"\n") {
        return false;
    }
    let mut lines = text.split(|&b| b == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.clone().take(DOCUMENT_LINES).count() == DOCUMENT_LINES
        || lines.clone().count() > 1 && lines.all(begins_with_time_or_address)
}

/// Whether a line begins as those of logs do.
fn begins_with_time_or_address(line: &[u8]) -> bool {
    let head = line.iter().take_while(|b| b.is_ascii_digit() || b".:-[/T".contains(b));
    head.clone().count() >= 7 && head.filter(|b| b.is_ascii_digit()).count() >= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_judged_by_its_bytes() {
        let long = "word ".repeat(400);
        for (content, is_value) in [
            (&b"1' or 1=1-- "[..], true),
            (b"", true),
            (b"1' or 1=1-- \n", true),
            (b"a\n\n\n\n;id\n", true),
            (b"{\n\"a\": 1,\n\"b\": 2,\n\"c\": 3\n}\n", true),
            (b"<!DOCTYPE html><html></html>", false),
            (b"#!/bin/sh\nrm -rf \"$1\"\n", false),
            (b"[package]\nname = 1\n\n[dependencies]\na = 1\n", false),
            (b"192.0.2.1 - - GET /\n192.0.2.1 - - GET /\n", false),
            (b"2026-01-01T00:00:00 a\n2026-01-01T00:00:01 b\n", false),
            (b"\x01\x02 odd but no format", true),
            (b"GIF89a' or 1=1-- ", true),
            (b"BMW", true),
            (b"GIF89a\x01\x00\x01\x00\x80\x00\x00", false),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", false),
            (b"\0\0\0\x20ftypisom\0\0", false),
            (long.as_bytes(), false),
        ] {
            assert_eq!(zones(content, Zone::BODY).contains(Zone::BODY), is_value, "{content:?}");
            assert!(zones(content, Zone::BODY).contains(Zone::FILE));
        }
    }

    #[test]
    fn bodies_are_files_by_their_type_or_method() {
        let (both, picture) = (Zone::BODY.with(Zone::FILE), &b"\x89PNG\r\n\x1a\n\0"[..]);
        for (body, media, stores, expected) in [
            (&b"a=1"[..], "application/x-www-form-urlencoded", true, Zone::BODY),
            (b"{}", "application/json", true, Zone::BODY),
            (b"<?php 1;", "", true, both),
            (b"<?php 1;", "", false, Zone::BODY),
            (b"<?php 1;", "image/jpeg", false, both),
            (b"<?xml version='1.0'?><svg/>", "text/xml", false, both),
            (b"<a xmlns:s='http://www.w3.org/2000/svg'><s:svg/></a>", "text/xml", false, both),
            (b"<svg/>", "application/soap+xml", false, both),
            (b"<a><svg/></a>", "text/xml", false, Zone::BODY),
            (b"<html></html>", "text/plain", false, Zone::BODY),
            (picture, "image/png", false, Zone::FILE),
            (picture, "text/plain", false, Zone::BODY),
        ] {
            assert_eq!(body_zones(body, media.as_bytes(), stores), expected, "{media}");
        }
    }
}
