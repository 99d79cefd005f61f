//! What an upload claims to be beside what it holds, as one line for signatures: `media content name`.
//!
//! Filters of uploads trust the media type or the name; servers execute by the name or by the content. A part that claims to
//! be a picture and holds or is named as a program of a server comes from an attacker, whatever the program does.
//! The line is in the zone `meta`, at the point of the file name. Its fields are parted by blanks; the name is the last one.

/// Longest content that is one word.
const MAX_WORD: usize = 128;
/// Longest media type and name on the line; longer ones are cut, the name at its beginning.
const MAX_FIELD: usize = 256;
/// Bytes behind a short tag of code that must be text. Pictures hold such tags by chance.
const TEXT_BEHIND_TAG: usize = 12;

/// Media types of content that no server executes, and names that claim the same.
const PASSIVE_MEDIA: &[&[u8]] = &[
    b"image/",
    b"audio/",
    b"font/",
    b"video/mp4",
    b"video/webm",
    b"video/quicktime",
    b"video/mpeg",
    b"application/pdf",
];
const PASSIVE_NAMES: &[&[u8]] =
    &[b".jpg", b".jpeg", b".png", b".gif", b".bmp", b".webp", b".ico", b".avif", b".pdf", b".mp3", b".mp4"];
/// Extensions by which a server executes, opens or unpacks a file.
const ACTIVE_NAMES: &[&[u8]] =
    &[b"php", b"jsp", b"asp", b"ash", b"asm", b"phtml", b"pht", b"phar", b"cf", b"war", b"jar", b"htm", b"cgi", b"pl"];
/// Media types of pages and programs, which browsers declare for files that are named so.
const ACTIVE_MEDIA: &[&[u8]] = &[
    b"text/html",
    b"application/xhtml+xml",
    b"application/x-httpd-php",
    b"application/x-php",
    b"text/php",
    b"text/x-php",
];

/// The line about an upload; `None` if nothing about it is worth one. Takes time linear in the content.
pub(super) fn line(media: Option<&[u8]>, content: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let media = media.unwrap_or_default().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let media = media[..media.len().min(MAX_FIELD)].to_ascii_lowercase();
    let name = &name[name.len().saturating_sub(MAX_FIELD)..];
    let lower = name.to_ascii_lowercase();
    let is_passive = PASSIVE_MEDIA.iter().any(|kind| media.starts_with(kind))
        || PASSIVE_NAMES.iter().any(|extension| lower.ends_with(extension));
    let program = if is_passive { program(content) } else { None };
    let is_active = lower
        .rsplit(|b| *b == b'.')
        .next()
        .is_some_and(|end| end.len() < lower.len() && ACTIVE_NAMES.iter().any(|active| end.starts_with(active)));
    let is_declared = ACTIVE_MEDIA.contains(&&media[..]) && !name.is_empty();
    if program.is_none() && !is_active && !is_declared {
        return None;
    }
    let kind = program.unwrap_or_else(|| if is_word(content) { "word" } else { "other" });
    let media = if media.is_empty() { b"-" } else { &media[..] };
    Some([media, b" ", kind.as_bytes(), b" ", name].concat())
}

/// Whether content is one word, as those have who only ask whether a file arrives.
fn is_word(content: &[u8]) -> bool {
    let text = content.trim_ascii();
    (1..=MAX_WORD).contains(&text.len())
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'~'))
}

/// The kind of program of a server in `content`: `php`, `page` or `script`.
fn program(content: &[u8]) -> Option<&'static str> {
    if content.trim_ascii_start().starts_with(b"#!/") {
        return Some("script");
    }
    memchr::memchr_iter(b'<', content).find_map(|at| tag(&content[at + 1..]))
}

/// The kind of program whose tag of code begins behind a `<`.
fn tag(rest: &[u8]) -> Option<&'static str> {
    let begins = |word: &[u8]| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    let text_behind = |from: usize| {
        let behind = &rest[from..rest.len().min(from + TEXT_BEHIND_TAG)];
        behind.len() > 2 && behind.iter().all(|b| (b' '..0x7f).contains(b) || matches!(b, b'\t' | b'\r' | b'\n'))
    };
    match rest.first()? {
        b'?' if begins(b"?php") => rest.get(4).is_none_or(u8::is_ascii_whitespace).then_some("php"),
        b'?' => (matches!(rest.get(1), Some(b'=' | b' ' | b'\n' | b'\r' | b'\t')) && text_behind(1)).then_some("php"),
        b'%' => text_behind(1).then_some("page"),
        b'j' | b'J' if begins(b"jsp:") => Some("page"),
        b'c' | b'C'
            if [&b"cfexecute"[..], b"cfset ", b"cffile ", b"cfscript", b"cfoutput"].iter().any(|t| begins(t)) =>
        {
            Some("page")
        }
        b's' | b'S' if begins(b"script") => {
            let tag = rest[..rest.len().min(64)].split(|b| *b == b'>').next().unwrap_or_default().to_ascii_lowercase();
            memchr::memmem::find(&tag, b"runat").map(|_| "page")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn contradictions_and_programs_have_a_line() {
        for (media, content, name, expected) in [
            ("image/png; x=1", "hello\n", "a.php", Some("image/png word a.php")),
            ("", "two words", "dir/b.JSP", Some("- other dir/b.JSP")),
            ("Image/JPEG", "\u{1}\u{2}<?php echo 1;", "c.jpg", Some("image/jpeg php c.jpg")),
            ("text/plain", "GIF89a<%@ page import=\"x\"%>", "d.gif", Some("text/plain page d.gif")),
            ("image/gif", "#!/usr/bin/perl\nprint 1;", "e", Some("image/gif script e")),
            ("image/gif", "<script language=x runat=server>", "f.gif", Some("image/gif page f.gif")),
            ("image/jpeg", "<?xpacket begin=\"\"?>", "g.jpg", None),
            ("image/jpeg", "<%\u{1}\u{2}\u{3}", "h.jpg", None),
            ("image/jpeg", "<?=\u{80}\u{81}", "i.jpg", None),
            ("image/svg+xml", "<?xml version=\"1.0\"?><svg/>", "j.svg", None),
            ("text/plain", "<?php echo 1;", "notes.txt", None),
            ("text/html", "word", "l.png", Some("text/html word l.png")),
            ("application/x-httpd-php", "a b", "m.txt%", Some("application/x-httpd-php other m.txt%")),
            ("video/mp2t", "#!/usr/bin/env node", "k.ts", None),
            ("", "word", "php", None),
        ] {
            let got = line(Some(media.as_bytes()), content.as_bytes(), name.as_bytes());
            assert_eq!(got.as_deref().map(String::from_utf8_lossy).as_deref(), expected, "{media} {name}");
        }
    }
}
