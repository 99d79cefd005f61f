//! Active content of pictures in files: SVG documents that run script when they are opened (SVG 2 §15), XML documents
//! that do so through elements of XHTML, and bitmaps behind whose first bytes there is a page.

use crate::detect::{Detector, Match, Samples, Subject};
use crate::model::xml_root::{local_name, root};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Zone};
use crate::normalize::html_entities;
use memchr::memmem;

/// The detector.
pub const IN_FILES: Detector = Detector {
    name: "xss.file",
    attack: AttackType::Xss,
    about: "A picture in a file (SVG, or a bitmap with a page behind its first bytes) that runs script when it is opened",
    zones: Zone::FILE,
    filter: ByteClassFilter::any(ByteClasses::LT).and(ByteClasses::GT),
    run,
    samples: Samples {
        positive: &[
            "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
            "<?xml version=\"1.0\"?><!DOCTYPE svg><!-- a --><svg onload='alert(1)'/>",
            "<svg><a xlink:href=\"java&#x73;cript:alert(1)\"><text>x</text></a></svg>",
            "<svg><animate attributeName=\"href\" values=\"javascript:alert(1)\"/></svg>",
            "<svg><set attributeName=\"onmouseover\" to=\"alert(1)\"/></svg>",
            "<svg><foreignObject><iframe src=\"x\"/></foreignObject></svg>",
            "<s:svg xmlns:s=\"http://www.w3.org/2000/svg\"><s:script href=\"//x\"/></s:svg>",
            "<a xmlns:h=\"http://www.w3.org/1999/xhtml\"><h:script>alert(1)</h:script></a>",
            "GIF89a/*<script>alert(1)</script>",
        ],
        negative: &[
            "<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0h9\"/><a href=\"https://example.com/\"/></svg>",
            "<svg><foreignObject><div>Text</div></foreignObject><style>.on { fill: red }</style></svg>",
            "<!DOCTYPE html><html><body onload=\"a()\"><svg/><script src=\"a.js\"></script></body></html>",
            "<svg><text>use the script tag &lt;script&gt;</text></svg>",
            "<plist><dict><key>onload</key></dict></plist>",
            "GIF89a not a page",
        ],
    },
};

/// First bytes of bitmaps.
const BITMAPS: &[&[u8]] = &[b"GIF8", b"\xff\xd8\xff", b"\x89PNG", b"BM", b"RIFF", b"\0\0\x01\0"];
/// Elements of pages that run or embed.
const EMBEDS: &[&[u8]] = &[b"script", b"iframe", b"embed", b"object", b"handler"];
/// Longest tag that is read.
const MAX_TAG: usize = 4096;

fn run(subject: &Subject<'_>) -> Option<Match> {
    let content = subject.bytes;
    let (start, end) = match root(content) {
        Some(root) if root == b"svg" => active_tag(content, false)?,
        Some(root) if root != b"html" && memmem::find(content, b"1999/xhtml").is_some() => active_tag(content, true)?,
        Some(_) => return None,
        None if BITMAPS.iter().any(|magic| content.starts_with(magic)) => page_tag(content)?,
        None => return None,
    };
    Some(Match { confidence: Confidence::High, start, end })
}

/// The first tag that runs script. `foreign`: only elements of pages count.
fn active_tag(content: &[u8], foreign: bool) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(found) = content.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
        let start = at + found;
        let rest = &content[start + 1..];
        if let Some(after) = skipped(rest) {
            at = start + 1 + after;
            continue;
        }
        let (tag, length) = tag(rest);
        let name = local_name(tag);
        let embeds = EMBEDS.iter().any(|embed| name.eq_ignore_ascii_case(embed));
        let active = if foreign { embeds && name.len() < tag.len() && tag.contains(&b':') } else { embeds };
        if active || !foreign && attributes_act(&tag[name.len().min(tag.len())..]) {
            return Some((start, (start + 1 + length).min(content.len())));
        }
        at = start + 1 + length;
    }
    None
}

/// Bytes of a comment or a CDATA section that begins behind `<`.
fn skipped(rest: &[u8]) -> Option<usize> {
    let close: &[u8] = if rest.starts_with(b"!--") {
        b"-->"
    } else if rest.starts_with(b"![CDATA[") {
        b"]]>"
    } else {
        return None;
    };
    Some(memmem::find(rest, close).map_or(rest.len(), |end| end + close.len()))
}

/// The inside of a tag up to its `>`, which quotes may hide, and its length.
fn tag(rest: &[u8]) -> (&[u8], usize) {
    let rest = &rest[..rest.len().min(MAX_TAG)];
    let mut quote = 0;
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            b'>' if quote == 0 => return (&rest[..at], at),
            b'"' | b'\'' if quote == 0 => quote = byte,
            byte if byte == quote => quote = 0,
            _ => {}
        }
    }
    (rest, rest.len())
}

/// Whether an attribute of a tag is a handler, or holds script.
fn attributes_act(attributes: &[u8]) -> bool {
    let mut rest = attributes;
    while let Some(equals) = memchr::memchr(b'=', rest) {
        let before = rest[..equals].trim_ascii_end();
        let from = before.iter().rposition(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'"' | b'\''));
        let name = local_name(&before[from.map_or(0, |at| at + 1)..]);
        let after = rest[equals + 1..].trim_ascii_start();
        let quoted = after.first().filter(|b| matches!(b, b'"' | b'\''));
        let (value, next) = match quoted {
            Some(quote) => {
                let end = memchr::memchr(*quote, &after[1..]).unwrap_or(after.len() - 1);
                (&after[1..=end], &after[(end + 2).min(after.len())..])
            }
            None => {
                let end = after.iter().position(u8::is_ascii_whitespace).unwrap_or(after.len());
                (&after[..end], &after[end..])
            }
        };
        if is_active(name, value) {
            return true;
        }
        rest = next;
    }
    false
}

fn is_active(name: &[u8], value: &[u8]) -> bool {
    let handler = |name: &[u8]| {
        name.len() > 3 && name[..2].eq_ignore_ascii_case(b"on") && name.iter().all(u8::is_ascii_alphabetic)
    };
    if handler(name) || name.eq_ignore_ascii_case(b"attributeName") && handler(value.trim_ascii()) {
        return true;
    }
    let is = |names: &[&[u8]]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
    is(&[b"href", b"src", b"to", b"from", b"values", b"by", b"begin"]) && is_script_url(value)
}

/// Whether a value has a URL that runs script, in characters or in references to them.
fn is_script_url(value: &[u8]) -> bool {
    let decoded = html_entities::decode(value);
    let plain: Vec<u8> = decoded.iter().filter(|b| **b > b' ').take(MAX_TAG).map(u8::to_ascii_lowercase).collect();
    [&b"javascript:"[..], b"vbscript:", b"data:text/html", b"data:application/x", b"data:image/svg"]
        .iter()
        .any(|scheme| plain.split(|&b| b == b';').any(|part| part.starts_with(scheme)))
}

/// The first tag of a page in a bitmap.
fn page_tag(content: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(found) = content.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
        let start = at + found;
        let rest = &content[start + 1..];
        let is = |name: &[u8]| {
            let ends = rest.get(name.len()).is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
            ends && rest[..name.len()].eq_ignore_ascii_case(name)
        };
        at = start + 1;
        if is(b"svg") || is(b"img") || is(b"body") {
            let (tag, length) = tag(rest);
            if attributes_act(tag) {
                return Some((start, at + length));
            }
            at += length;
        } else if is(b"script") {
            return Some((start, content.len().min(start + 80)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_decides() {
        for (content, expected) in [
            ("<svg/>", Some("svg")),
            ("\u{feff}<?xml?>\n<!-- <a> -->\n<!DOCTYPE svg [<!ENTITY a \"b\">]>\n<x:svg/>", Some("svg")),
            ("<!doctype html><html>", Some("html")),
            ("text <svg/>", None),
            ("<!-- never closed", None),
            ("", None),
        ] {
            let root = root(content.as_bytes()).map(|name| String::from_utf8_lossy(name).into_owned());
            assert_eq!(root.as_deref(), expected, "{content}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r#"(<svg |<!--|<!\[CDATA\[|-->|on|=|"|'|<script|href=|javascript:|[<>/ a-z:!?\[\]-]){0,60}"#) {
            active_tag(text.as_bytes(), false);
            root(text.as_bytes());
            page_tag(text.as_bytes());
        }
    }
}
