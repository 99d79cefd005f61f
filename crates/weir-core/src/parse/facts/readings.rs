//! All paths that common servers would read in one request target.
//!
//! Servers disagree about a path: how often it is percent-decoded, whether `;v=1` is a parameter of a segment, whether
//! `\` separates segments, whether `//` is one separator, and whether dot segments are resolved before or after all
//! that. Whoever writes the path chooses the server's reading, so a policy that looks at one reading alone can be left
//! or entered at will. [`other_readings`] lists the ones beside the plain reading; most paths have none.

use crate::normalize::segments::{PathSteps, resolve};
use crate::normalize::{path as file_path, percent};

/// Longest path, in bytes, that is read in every way. A longer one that contains a byte on which servers disagree is
/// not read further: [`OtherReadings::complete`] is false.
const MAX_PATH: usize = 4_096;
/// Levels of percent-encoding that are undone one by one; further ones are undone together.
const DECODED_LEVELS: usize = 2;
/// Times that a path is decoded until nothing changes.
const MAX_DECODINGS: usize = 8;

/// Readings of a path beside the plain one.
pub(super) struct OtherReadings {
    /// Path and whether parameters of segments (`;v=1`) were removed from it. No two are the same.
    pub paths: Vec<(Vec<u8>, bool)>,
    /// False if the path is too long to be read in every way.
    pub complete: bool,
}

/// The readings of `raw`, a path as sent, that differ from `plain`, its plain reading.
///
/// Costs up to 80 passes over at most [`MAX_PATH`] bytes, and one pass over a path without disputed bytes.
pub(super) fn other_readings(raw: &[u8], plain: &[u8]) -> OtherReadings {
    let mut readings = OtherReadings { paths: Vec::new(), complete: true };
    if !is_disputed(raw) {
        return readings;
    }
    if raw.len() > MAX_PATH {
        readings.complete = false;
        return readings;
    }
    for text in decodings(raw) {
        for steps in applicable_steps(&text) {
            let path = resolve(&text, steps);
            let is_known = path == plain && !steps.remove_parameters || readings.paths.iter().any(|(p, _)| *p == path);
            if !is_known && path != plain {
                readings.paths.push((path, steps.remove_parameters));
            }
        }
    }
    readings
}

/// Whether servers may disagree about a path: it has encoded bytes, parameters, backslashes, empty or dot segments,
/// control or non-ASCII bytes.
fn is_disputed(raw: &[u8]) -> bool {
    raw.iter().any(|&b| matches!(b, b'%' | b';' | b'\\' | 0x80.. | ..b' '))
        || memchr::memmem::find(raw, b"//").is_some()
        || has_dot_segment(raw)
}

fn has_dot_segment(path: &[u8]) -> bool {
    memchr::memchr(b'.', path).is_some()
        && path.split(|b| matches!(b, b'/' | b'\\')).any(|segment| {
            let segment = &segment[..memchr::memchr(b';', segment).unwrap_or(segment.len())];
            matches!(segment, b"." | b"..")
        })
}

/// `raw` with only those bytes decoded that all servers decode alike, then decoded once, twice, and until nothing
/// changes with invalid encodings decoded too; and up to a NUL byte, where C programs stop. No two are the same.
fn decodings(raw: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![decode_undisputed(raw)];
    let mut text = raw.to_vec();
    for level in 0..MAX_DECODINGS {
        let decoded = percent::decode(&text, percent::Plus::Keep).into_owned();
        if decoded == text {
            break;
        }
        text = decoded;
        if level < DECODED_LEVELS && !all.contains(&text) {
            all.push(text.clone());
        }
    }
    let cut = memchr::memchr(0, &text).map(|end| text[..end].to_vec());
    for text in [Some(file_path::run(&text).into_owned()), cut].into_iter().flatten() {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// Decodes bytes that clients commonly encode and that separate nothing. Unreserved characters, which no client needs to
/// encode, and separators stay as they were sent: some routers compare paths before they decode them.
fn decode_undisputed(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let encoded = raw.get(at..at + 3).filter(|piece| piece[0] == b'%');
        let byte = encoded.map(|piece| percent::decode(piece, percent::Plus::Keep));
        match byte.as_deref() {
            Some(&[byte]) if !is_disputed_byte(byte) => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(raw[at]);
                at += 1;
            }
        }
    }
    out
}

const fn is_disputed_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b'\\' | b';' | b'%' | b'?' | b'#' | 0)
}

/// Every combination of steps that can make a difference to `text`.
fn applicable_steps(text: &[u8]) -> impl Iterator<Item = PathSteps> + use<> {
    let has = |byte| memchr::memchr(byte, text).is_some();
    let slashes = memchr::memmem::find(text, b"//").is_some() || has(b'\\');
    let possible = [has(b';'), has(b'\\'), slashes || has_dot_segment(text), has_dot_segment(text)];
    (0u8..16).filter(move |bits| (0..4).all(|n| bits & (1 << n) == 0 || possible[n])).map(|bits| PathSteps {
        remove_parameters: bits & 1 != 0,
        backslash_separates: bits & 2 != 0,
        merge_slashes: bits & 4 != 0,
        resolve_dots: bits & 8 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(raw: &str) -> Vec<String> {
        let plain = super::super::plain_path(raw.as_bytes());
        let mut all = vec![String::from_utf8_lossy(&plain).into_owned()];
        let others = other_readings(raw.as_bytes(), &plain);
        assert!(others.complete);
        all.extend(others.paths.iter().map(|(path, _)| String::from_utf8_lossy(path).into_owned()));
        all
    }

    #[test]
    fn ordinary_paths_have_one_reading() {
        for path in ["/", "/a/b.c", "/.well-known/x", "/a/", "/caf%C3%A9/x%20y%40z", "/a..b/...", "/%5Bid%5D"] {
            assert_eq!(readings(path).len(), 1, "{path}: {:?}", readings(path));
        }
    }

    #[test]
    fn every_servers_reading_is_there() {
        for (raw, read) in [
            ("/static/..;/admin", "/admin"),
            ("/static/..;a=b/admin", "/admin"),
            ("/static;a/x", "/static/x"),
            ("/static/%2e%2e;/admin", "/admin"),
            ("/static/..%3b/admin", "/admin"),
            ("/static/%252e%252e/admin", "/admin"),
            ("/static/%2525252e%2525252e/admin", "/admin"),
            ("/static/..%5cadmin", "/admin"),
            ("/static\\..\\admin", "/admin"),
            ("/static//../admin", "/static/admin"),
            ("/static//../admin", "/admin"),
            ("/admin/../static/x", "/admin/../static/x"),
            ("/admin/..%2fstatic/x", "/admin/..%2fstatic/x"),
            ("/st%61tic/x", "/st%61tic/x"),
            ("/static/..%c0%afadmin", "/admin"),
            ("/static/x%00.png", "/static/x"),
            ("/a;x/..;/..;/b%255c..\\c", "/c"),
        ] {
            assert!(readings(raw).iter().any(|path| path == read), "{raw} as {read}: {:?}", readings(raw));
        }
    }

    #[test]
    fn a_long_disputed_path_is_not_read_in_every_way() {
        let long = format!("/{}/..;/b", "a".repeat(MAX_PATH));
        assert!(!other_readings(long.as_bytes(), long.as_bytes()).complete);
        let plain = format!("/{}", "a".repeat(2 * MAX_PATH));
        assert!(other_readings(plain.as_bytes(), plain.as_bytes()).complete);
    }

    proptest::proptest! {
        #[test]
        fn readings_differ_from_each_other_and_are_few(raw in r"/([a./;\\]|%2e|%2f|%25|%5c|%3b|//|\.\./|%00|\PC){0,16}") {
            let all = readings(&raw);
            let distinct: std::collections::BTreeSet<_> = all.iter().collect();
            proptest::prop_assert_eq!(all.len(), distinct.len());
            proptest::prop_assert!(all.len() <= 81);
        }
    }
}
