//! Path traversal: a path with `..` segments, checked after normalisation.
//!
//! Names of sensitive files are signatures; this detector only finds the traversal itself. A relative path such as
//! `../images/a.png` inside a longer text is not reported: documents refer to neighbouring files with one `..`.

use super::{Detector, Match, Samples, Subject};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Zone};
use crate::normalize::path as view;

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "ptrav.climb",
    attack: AttackType::Ptrav,
    about: "A path that climbs out of its directory, in any spelling that a file layer accepts",
    zones: Zone::PARAMETERS,
    filter: FILTER,
    run,
    samples: Samples {
        positive: &[
            "../../../etc/hosts",
            "..\\..\\boot.ini",
            "/../../../x",
            "....//....//etc",
            "..%c0%af..%c0%afetc",
            "/var/www/../../etc/x",
            "..0x2f..0x2fx",
            "/..;/..;/manager/html",
            "\\..\\..\\x",
            "%2e%2e/%2e%2e/%2e%2e/x",
            "/.../.../.../x",
            "../../../etc/x\0.png",
            "..%2f..%2fx.png",
        ],
        negative: &[
            "./a/b",
            "wait... what",
            "a/../b",
            "see ../README.md",
            "1/2/3",
            "...",
            "v1..v2",
            "../sibling",
            "http://example.com/a/./b",
            "and/or...",
            "....",
            "he said .../she said",
            "../../assets/img/logo.svg",
            "../../../fonts/a.woff2?v=4.7",
        ],
    },
};

/// Fewest `..` segments in a row that are reported.
const CLIMBS: usize = 2;
/// Fewest `..` segments in a row that are reported within prose.
const CLIMBS_IN_TEXT: usize = 4;

const FILTER: ByteClassFilter = ByteClassFilter::any(DOTS.with(ByteClasses::DIGIT)).and(
    ByteClasses::SLASH
        .with(ByteClasses::BACKSLASH)
        .with(ByteClasses::PERCENT)
        .with(ByteClasses::HIGH)
        .with(ByteClasses::DOT),
);
/// Dots, plain or encoded.
const DOTS: ByteClasses = ByteClasses::DOT.with(ByteClasses::HIGH).with(ByteClasses::PERCENT);

fn run(subject: &Subject<'_>) -> Option<Match> {
    let text = subject.bytes;
    if !may_climb(text, subject.classes) {
        return None;
    }
    let path = view::run(text);
    if !has_climb(&path) {
        return None;
    }
    let spelled = path.windows(3).filter(|w| **w == b"../"[..]).count()
        > text.windows(3).filter(|w| matches!(w, [b'.', b'.', b'/' | b'\\'])).count();
    let prose = text.iter().filter(|b| matches!(b, b' ' | b'\n')).count();
    // A NUL ends a path early in C code, so the extension after it does not count.
    let disguised = spelled || text.contains(&0);
    let confidence = classify(&path, disguised, prose > 2)?;
    Some(Match { confidence, start: 0, end: text.len() })
}

/// Whether the normalised path may have two dots and a slash.
///
/// **Correctness.** Without bytes that begin an encoding, normalisation only removes bytes and turns `\` into `/`, and dots
/// become adjacent only if they were adjacent before. `skipped_values_have_no_climb` tests this.
fn may_climb(text: &[u8], classes: ByteClasses) -> bool {
    const ENCODINGS: ByteClasses = ByteClasses::HIGH.with(ByteClasses::PERCENT).with(ByteClasses::CONTROL);
    let dots = || memchr::memmem::find(text, b"..").is_some();
    let slash =
        classes.intersects(ByteClasses::SLASH.with(ByteClasses::BACKSLASH)) && classes.intersects(ByteClasses::DOT);
    let spelled =
        classes.contains(ByteClasses::DIGIT.with(ByteClasses::ALPHA)) && memchr::memmem::find(text, b"0x").is_some();
    classes.intersects(ENCODINGS) || spelled || slash && dots()
}

fn has_climb(path: &[u8]) -> bool {
    memchr::memmem::find(path, b"..").is_some() && memchr::memchr(b'/', path).is_some()
}

/// Rates a normalised path. `disguised`: normalisation revealed `..` segments. `prose`: the path is part of a text.
fn classify(path: &[u8], disguised: bool, prose: bool) -> Option<Confidence> {
    let mut run = 0;
    let mut longest = 0;
    let mut dots = 0;
    for segment in path.split(|b| *b == b'/') {
        let only_dots = segment.iter().all(|b| *b == b'.');
        let climbs = segment.len() >= 2 && (segment.ends_with(b"..") && segment.len() < 4 || only_dots)
            || segment == b".. "
            || segment == b". .";
        if climbs {
            run += 1;
            dots += usize::from(only_dots && segment.len() == 3);
        } else if !segment.is_empty() && segment != b"." {
            run = 0;
        }
        longest = longest.max(run);
    }
    let rooted_climb = path.starts_with(b"/../") && longest >= 1;
    if !disguised && !rooted_climb && is_asset(path) {
        return None;
    }
    let needed = if prose { CLIMBS_IN_TEXT } else { CLIMBS };
    if longest >= needed && (dots == 0 || longest > 2 || dots < longest) {
        return Some(Confidence::High);
    }
    if !prose && longest >= 1 && (disguised || rooted_climb) {
        return Some(Confidence::High);
    }
    None
}

/// Extensions of files that pages load and that hold no secrets.
const ASSETS: &[&[u8]] = &[
    b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"avif", b"ico", b"css", b"scss", b"less", b"woff", b"woff2",
    b"ttf", b"eot", b"mp3", b"mp4", b"webm",
];

/// Whether the path ends in an image, style sheet, font or video. Style sheets and documents refer to these with any number
/// of `..` segments.
fn is_asset(path: &[u8]) -> bool {
    let end = path.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(path.len());
    let Some(dot) = path[..end].iter().rposition(|b| *b == b'.') else { return false };
    let ending = &path[dot + 1..end];
    !path.contains(&b'%') && ASSETS.iter().any(|a| ending.eq_ignore_ascii_case(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sure(text: &str) -> bool {
        let path = view::run(text.as_bytes());
        classify(&path, false, text.contains("  ")) == Some(Confidence::High)
    }

    #[test]
    fn one_climb_is_not_reported_and_two_are() {
        assert!(!sure("../a") && !sure("a/../b"));
        assert!(sure("../../a") && sure("a/../../b") && sure("..\\..\\a"));
    }

    proptest::proptest! {
        #[test]
        fn skipped_values_have_no_climb(text in r"(\.\./|[./\\%;]|0x2f|0X2E|%c0|é|[a0]|\x00){0,20}") {
            let classes = ByteClasses::of(text.as_bytes());
            if !may_climb(text.as_bytes(), classes) {
                proptest::prop_assert!(!has_climb(&view::run(text.as_bytes())), "{:?}", text);
            }
        }

        #[test]
        fn never_panics(text in r"[./\\%c0af;x -]{0,80}") {
            classify(&view::run(text.as_bytes()), true, false);
        }
    }
}
