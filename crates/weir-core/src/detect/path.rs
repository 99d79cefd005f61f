//! Path traversal: a path with `..` segments, checked after normalisation.
//!
//! Names of sensitive files are signatures; this detector only finds the traversal itself. A relative path such as
//! `../images/a.png` inside a longer text is not reported: documents refer to neighbouring files with one `..`.

use super::{Detector, Match, Samples, Subject, is_document, text_field};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Key, Tag, TagSet, Zone};
use crate::normalize::PATH_VIEW;

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "ptrav.climb",
    attack: AttackType::Ptrav,
    about: "A path that climbs out of its directory, in any spelling that a file layer accepts",
    zones: Zone::PARAMETERS.with(Zone::HEADER),
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
            "../config.php",
            "..\\web.config",
            "../.env",
            "..\\..",
            "web.config::$DATA",
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
            "../shared/schema.json",
            "../components/Button.tsx",
            "see ../config.php there",
            "../../images/logo.png not found",
            "see ../../../.github/ci.yml",
            "price is 5::$DATAbase",
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
    let path = subject.view(PATH_VIEW).unwrap_or(text);
    if names_stream(path) {
        return Some(Match { confidence: Confidence::High, start: 0, end: text.len() });
    }
    if !has_climb(path) {
        return None;
    }
    let target = subject.is_within(TagSet::URI) && !serves_repository(path);
    let windows = || subject.value.zone.intersects(Zone::QUERY) && steps_back(text);
    let link = is_link(subject);
    if is_module(text) && subject.is_within(TagSet::JSON) {
        return None;
    }
    if (target || decoded_twice(subject)) && steps_up(path) && !is_asset(path)
        || !link && reaches_source(path)
        || windows()
    {
        return Some(Match { confidence: Confidence::High, start: 0, end: text.len() });
    }
    let spelled = steps(memchr::memchr_iter(b'/', path), path) > steps(memchr::memchr2_iter(b'/', b'\\', text), text);
    let prose = text.iter().filter(|b| matches!(b, b' ' | b'\n')).count();
    // A NUL ends a path early in C code, so the extension after it does not count.
    let disguised = spelled || text.contains(&0);
    let confidence = classify(path, disguised, link || prose > 1 || follows_word(text))?;
    // What opens a file takes the whole value for its path, and no line of a document that quotes code.
    if !disguised && is_document(text) && text_field::of(subject).is_some() {
        return None;
    }
    // A manifest in an upload refers to its neighbours by relative paths, which no server opens.
    let uploaded = subject.is_within(TagSet::FILES);
    let confidence = if uploaded { confidence.min(Confidence::Medium) } else { confidence };
    Some(Match { confidence, start: 0, end: text.len() })
}

/// How many of these slashes of `text` follow two dots.
fn steps(slashes: impl Iterator<Item = usize>, text: &[u8]) -> usize {
    slashes.filter(|at| text[..*at].ends_with(b"..")).count()
}

/// Whether the value is the attribute of an element that links to a neighbouring page or file.
fn is_link(subject: &Subject<'_>) -> bool {
    const LINKS: &[&[u8]] = &[b"href", b"src", b"action", b"background", b"cite", b"data", b"poster", b"srcset"];
    subject.ancestors().next().is_some_and(|step| {
        step.tag == Tag::XmlAttr
            && matches!(step.key, Key::Name(name) if LINKS.iter().any(|link| name.eq_ignore_ascii_case(link)))
    })
}

/// Endings of modules and settings of projects, which other files of the project name by relative paths.
const MODULES: &[&[u8]] = &[
    b"js", b"mjs", b"cjs", b"jsx", b"ts", b"tsx", b"vue", b"svelte", b"md", b"mdx", b"rs", b"go", b"h", b"hpp",
    b"proto",
];

/// Whether the value is a relative path, in plain spelling, to a module in another folder of the same project, as the strings of
/// manifests are: `"main": "../../lib/index.js"`, `"$schema": "../../node_modules/a/schema.json"`.
fn is_module(text: &[u8]) -> bool {
    const MAX_PATH: usize = 256;
    const MAX_CLIMBS: usize = 5;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_' | b'-' | b'@');
    if text.len() > MAX_PATH || !text.starts_with(b"../") || !text.iter().all(plain) {
        return false;
    }
    let climbs = text.split(|b| *b == b'/').take_while(|segment| *segment == b"..").count();
    let rest = text.get(3 * climbs..).unwrap_or_default();
    let inside = memchr::memmem::find(rest, b"..").is_none();
    let folder = memchr::memchr(b'/', rest).is_some();
    let file = rest.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let ending = file.rsplit(|b| *b == b'.').next().unwrap_or_default();
    // What a project extends its settings from has no secret, so it may be anywhere above.
    let extended = [&b"tsconfig"[..], b"jsconfig", b".eslintrc", b".prettierrc", b".babelrc", b"biome", b"turbo"];
    let settings =
        file.ends_with(b"schema.json") || ending == b"json" && extended.iter().any(|name| file.starts_with(name));
    let module = file.contains(&b'.') && MODULES.contains(&ending);
    climbs <= MAX_CLIMBS && inside && (folder && module || settings)
}

/// Whether the normalised path may have two dots and a slash.
///
/// **Correctness.** Without bytes that begin an encoding, normalisation only removes bytes and turns `\` into `/`, and dots
/// become adjacent only if they were adjacent before. `skipped_values_have_no_climb` tests this.
fn may_climb(text: &[u8], classes: ByteClasses) -> bool {
    const ENCODINGS: ByteClasses = ByteClasses::HIGH.with(ByteClasses::PERCENT).with(ByteClasses::CONTROL);
    let dots = || memchr::memchr_iter(b'.', text).any(|at| text.get(at + 1) == Some(&b'.'));
    let slash =
        classes.intersects(ByteClasses::SLASH.with(ByteClasses::BACKSLASH)) && classes.intersects(ByteClasses::DOT);
    let spelled = classes.contains(ByteClasses::DIGIT.with(ByteClasses::ALPHA))
        && memchr::memchr_iter(b'x', text).any(|at| at > 0 && text[at - 1] == b'0');
    let stream = classes.contains(ByteClasses::DOLLAR.with(ByteClasses::COLON));
    classes.intersects(ENCODINGS) || spelled || stream || slash && dots()
}

fn has_climb(path: &[u8]) -> bool {
    memchr::memmem::find(path, b"..").is_some() && memchr::memchr(b'/', path).is_some()
}

/// Whether the first step up follows a word and a blank, as in a sentence.
fn follows_word(text: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(text, b"..") else { return false };
    let before = &text[..at];
    before.last() == Some(&b' ') && before.iter().filter(|b| b.is_ascii_alphabetic()).count() > 1
}

/// Whether some segment of a normalised path is `..`. In the path of a request no client leaves one: browsers and libraries
/// resolve them, plain or encoded, before they send it.
fn steps_up(path: &[u8]) -> bool {
    let mut segments = path.split(|b| *b == b'/').skip_while(|segment| *segment != b"..").skip(1);
    segments.any(|segment| !segment.is_empty())
}

/// Whether the path is that of an API for the files of a repository, in which a path of a file is a parameter.
fn serves_repository(path: &[u8]) -> bool {
    const STORES: &[&[u8]] = &[b"files", b"contents", b"blob", b"raw", b"tree", b"repository"];
    path.split(|b| *b == b'/').any(|segment| STORES.contains(&segment))
}

/// Whether the value was percent-encoded once more than its place requires.
fn decoded_twice(subject: &Subject<'_>) -> bool {
    subject.ancestors().next().is_some_and(|step| step.tag == Tag::Percent)
        && subject.is_within(TagSet::FORMS)
        && !subject.bytes.iter().any(|b| matches!(b, b':' | b'\n'))
}

/// Whether a parameter of a URL is a path of Windows with a step up: `..\x`, `a\..\b`. Links do not have backslashes.
fn steps_back(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_whitespace)
        && (text.starts_with(b"..\\") && text.len() > 3 || memchr::memmem::find(text, b"\\..\\").is_some())
}

/// Endings of files that a server executes or reads its settings from.
const SOURCES: &[&[u8]] = &[
    b"php",
    b"phtml",
    b"inc",
    b"asp",
    b"aspx",
    b"ascx",
    b"ashx",
    b"cshtml",
    b"jsp",
    b"jspx",
    b"cfm",
    b"cgi",
    b"pl",
    b"config",
    b"conf",
    b"cnf",
    b"cfg",
    b"ini",
    b"properties",
    b"env",
    b"htaccess",
    b"htpasswd",
    b"sqlite",
    b"log",
    b"bak",
    b"pem",
    b"key",
    b"passwd",
    b"lua",
];

/// Whether the whole value is one step up, to a file of a server by its name: `../config.php`, `..\web.config`.
fn reaches_source(path: &[u8]) -> bool {
    const MAX_PATH: usize = 256;
    let path = path.trim_ascii();
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    if path.len() > MAX_PATH || path.iter().any(|b| b.is_ascii_whitespace()) {
        return false;
    }
    let Some(rest) = path.strip_prefix(b"../").or(path.strip_prefix(b"./../")) else { return false };
    let file = rest.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let end = file.iter().position(|b| matches!(b, b'?' | b'#' | b'%' | b':')).unwrap_or(file.len());
    let ending = file[..end].rsplit(|b| *b == b'.').next().unwrap_or_default();
    file.contains(&b'.') && SOURCES.iter().any(|source| ending.eq_ignore_ascii_case(source))
}

/// Whether the value names a stream of NTFS, by which a server returns the source of a script: `x.asp::$DATA`.
fn names_stream(path: &[u8]) -> bool {
    const STREAMS: &[&[u8]] = &[b"$data", b"$index_allocation", b"$bitmap", b"$i30"];
    memchr::memmem::find_iter(path, b"::$").any(|at| {
        let name = &path[at + 2..];
        let end = name[1..].iter().take(20).position(|b| !(b.is_ascii_alphanumeric() || *b == b'_'));
        let name = &name[..end.map_or(name.len(), |end| end + 1)];
        at > 0 && STREAMS.iter().any(|stream| name.eq_ignore_ascii_case(stream))
    })
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
    use crate::normalize::path as view;

    fn sure(text: &str) -> bool {
        let path = view::run(text.as_bytes());
        classify(&path, false, text.contains("  ")) == Some(Confidence::High)
    }

    #[test]
    fn one_climb_is_not_reported_and_two_are() {
        assert!(!sure("../a") && !sure("a/../b"));
        assert!(sure("../../a") && sure("a/../../b") && sure("..\\..\\a"));
    }

    #[test]
    fn modules_of_a_project_are_named_by_relative_paths() {
        for path in [
            "../../lib/index.js",
            "../../../packages/a/tsconfig.base.json",
            "../../node_modules/a/schema.json",
            "../../tsconfig.json",
            "../../.eslintrc.json",
        ] {
            assert!(is_module(path.as_bytes()), "{path}");
        }
        for path in [
            "../../index.js",
            "../../..",
            "../../config/database.yml",
            "../../package.json",
            "../../a/../tsconfig.json",
            "../../lib/../index.js",
            "..//..//lib/index.js",
            "../../../../../../srv/app.js",
            "..\\..\\lib\\index.js",
        ] {
            assert!(!is_module(path.as_bytes()), "{path}");
        }
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
            is_module(text.as_bytes());
        }
    }
}
