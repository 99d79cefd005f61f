//! URLs that a browser would be redirected to, spelled so that a check takes them for local or trusted.

use super::super::{Detector, Match, Samples, Subject};
use super::{FILTER, MAX_URL, is_pattern};
use crate::model::{AttackType, Confidence, Tag, Zone};

/// The detector of URLs that make the browser leave the site.
pub const REDIRECT: Detector = Detector {
    name: "redir.disguise",
    attack: AttackType::Redir,
    about: "A URL spelled so that a check takes it for local or trusted while a browser leaves the site",
    zones: Zone::QUERY.with(Zone::BODY).with(Zone::COOKIE).with(Zone::PATH),
    filter: FILTER,
    run: run_redirect,
    samples: Samples {
        positive: &[
            "/\\evil.example",
            "https://good.example@evil.example/",
            "///evil.example",
            "https:evil.example",
            "/https://evil.example",
            "////evil.example/..",
            "https:/\\evil.example",
            "//good.example@evil.example",
        ],
        negative: &[
            "/account",
            "https://example.com/",
            "https://user:secret@example.com/",
            "https://medium.com/@user",
            "http://a.example/b//c",
            "https://a.example/b//",
            "a/b",
            "// comment",
            "https://.*",
            "https://...",
            "https://[a-z0-9-]+\\.example\\.com[/]?",
        ],
    },
};

fn run_redirect(subject: &Subject<'_>) -> Option<Match> {
    // Only texts that begin with a slash or a scheme can match, and most values begin with neither.
    if !matches!(subject.bytes.first(), Some(b'/' | b'\\' | b'\t' | 0x0b | b'h' | b'H')) {
        return None;
    }
    let text = &subject.bytes[..subject.bytes.len().min(MAX_URL)];
    if subject.value.zone == Zone::PATH {
        let end = text.len();
        return leads_away(text).then_some(Match { confidence: Confidence::High, start: 0, end });
    }
    let spaces = text.iter().filter(|b| **b == b' ').count();
    if spaces > 1 || memchr::memchr(b'\n', text).is_some() {
        return None;
    }
    redirect(text, || if is_listed(subject) { b"" } else { subject.parameter_name() }).map(|confidence| Match {
        confidence,
        start: 0,
        end: text.len(),
    })
}

/// Whether the value is a member of an element of a named list, as in `{"servers": [{"url": "//a.example"}]}`. Such lists are
/// data: an application redirects to a member of the request, not to one of each element.
fn is_listed(subject: &Subject<'_>) -> bool {
    let mut steps = subject.ancestors();
    let mut next = |tag| steps.next().is_some_and(|step| step.tag == tag);
    next(Tag::Hash) && next(Tag::Array) && next(Tag::Hash)
}

/// Whether the path of a request begins as the address of another host: a server that answers by redirecting to the path
/// with a slash at its end, or without one, sends the browser there. Clients that join paths carelessly send `//a/b`, and a
/// backslash or a tab never.
fn leads_away(path: &[u8]) -> bool {
    const ENCODED: [&[u8]; 6] = [b"%5c", b"%09", b"%0d", b"%2f", b"\\", b"\t"];
    let Some(mut rest) = path.strip_prefix(b"/") else { return false };
    let (mut marks, mut odd) = (0, false);
    loop {
        if let Some(after) = rest.strip_prefix(b"/") {
            rest = after;
        } else if let Some(mark) =
            ENCODED.iter().find(|mark| rest.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark)))
        {
            rest = &rest[mark.len()..];
            odd = true;
        } else {
            break;
        }
        marks += 1;
    }
    if marks == 0 || !host_like(rest) {
        return false;
    }
    let host_end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\' | b'%')).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(host_end);
    let named = host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'@' | b':'));
    let ends = [&b"/.."[..], b"/../", b"/%2e%2e", b"/%2e%2e/", b"/%2f..", b"//", b"/%2f", b"%2f..", b"//..", b"//../"];
    named && (odd || ends.iter().any(|end| tail.eq_ignore_ascii_case(end)))
}

/// Names of parameters that contain the target of a redirect.
const REDIRECT_PARAMETERS: &[&[u8]] = &[
    b"url",
    b"next",
    b"redir",
    b"return",
    b"goto",
    b"dest",
    b"continue",
    b"target",
    b"out",
    b"view",
    b"link",
    b"callback",
    b"to",
    b"uri",
    b"forward",
    b"success",
    b"checkout",
    b"image_url",
    b"go",
    b"q",
    b"back",
    b"ref",
];

fn redirect<'n>(text: &[u8], name: impl FnOnce() -> &'n [u8]) -> Option<Confidence> {
    let slashed = matches!(text.first(), Some(b'/' | b'\\' | b'\t' | 0x0b));
    if !slashed && !text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http")) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let slashes = lower.iter().take_while(|b| matches!(b, b'/' | b'\\' | b'\t' | 0x0b)).count();
    let rest = &lower[slashes..];
    let lead = &lower[..slashes];
    let host = host_like(rest);
    let odd_lead = lead.iter().any(|b| matches!(b, b'\\' | b'\t' | 0x0b)) || slashes >= 3;
    if slashes >= 2 && odd_lead && host || slashes >= 1 && lead.contains(&b'\\') && host && slashes <= 6 {
        return Some(Confidence::High);
    }
    if slashes >= 1 && (rest.starts_with(b"http:") || rest.starts_with(b"https:") || rest.starts_with(b"javascript:")) {
        return Some(Confidence::High);
    }
    let redirects = slashes == 2 && host && redirects(rest, name());
    // An `@` hides the host of a URL only within the authority (RFC 3986 §3.2.1).
    let authority = rest.split(|b| matches!(b, b'/' | b'?' | b'#')).next().unwrap_or_default();
    let disguised = authority.contains(&b'@');
    if slashes == 2 && host && (redirects || disguised || rest.ends_with(b"/..")) {
        return Some(if redirects || disguised || rest.ends_with(b"..") {
            Confidence::High
        } else {
            Confidence::Medium
        });
    }
    let after = rest.strip_prefix(b"https:").or(rest.strip_prefix(b"http:"))?;
    let proper = after.strip_prefix(b"//");
    match proper {
        None => (host_like(after.trim_ascii_start()) || after.starts_with(b"/\\") || after.starts_with(b"\\"))
            .then_some(Confidence::High),
        // Documentation leaves the host out, and rules about addresses have a pattern there.
        Some(after) if after == b"..." || after.starts_with(b".../") || is_pattern(host_of(after)) => None,
        Some(after) => odd_authority(after).then_some(Confidence::High),
    }
}

/// Whether `//rest` in a parameter of this name leads to another site. Fields such as `url` and `icon` hold addresses of
/// images and pages without a scheme, which have a path.
fn redirects(rest: &[u8], name: &[u8]) -> bool {
    const STRONG: &[&[u8]] =
        &[b"redir", b"next", b"goto", b"continue", b"dest", b"forward", b"success", b"checkout", b"callback"];
    if !is_redirect_parameter(name) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let host_end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let path = &rest[host_end..];
    path.len() < 2
        || [&b".."[..], b"//", b"/../"].iter().any(|end| path.ends_with(end))
        || path.contains(&b'@')
        || path.starts_with(b"/%")
        || STRONG.iter().any(|word| memchr::memmem::find(&lower, word).is_some())
}

/// Whether a parameter of this name contains the target of a redirect.
fn is_redirect_parameter(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    REDIRECT_PARAMETERS.iter().any(|g| name == *g || g.len() > 3 && memchr::memmem::find(&name, g).is_some())
}

/// Whether the authority of a URL is written so that a check may take it for another.
fn odd_authority(after: &[u8]) -> bool {
    let end = after.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(after.len());
    let (authority, tail) = after.split_at(end);
    let at = memchr::memrchr(b'@', authority);
    let userinfo = at.is_some_and(|at| {
        authority[..at].contains(&b'.') && !authority[..at].contains(&b':')
            || authority[..at].iter().any(|b| matches!(b, b'[' | b'>' | b'+' | b'&' | b' ' | b'\\' | b';' | b'@'))
    });
    let starts_odd =
        matches!(after.first(), Some(b'/' | b'\\' | b'\t' | b'.' | b';' | b'@' | b'?')) || authority.contains(&b'\\');
    let after_hash = tail.len() < 64 && tail.first().is_some_and(|b| matches!(b, b'#' | b'?')) && tail.contains(&b'@');
    // Clients that join paths carelessly send `https://a.example/b//`.
    let climbs = tail.ends_with(b"/..") || tail.ends_with(b"/../") || tail == b"//";
    let nested = authority.starts_with(b"http:")
        || authority.starts_with(b"https:")
        || tail.starts_with(b"/http:/")
        || tail.starts_with(b"/https:/");
    let tailless = tail.first() == Some(&b'?') && tail.get(1) == Some(&b'.');
    let host = &authority[at.map_or(0, |at| at + 1)..];
    userinfo
        || starts_odd
        || after_hash
        || climbs
        || nested
        || tailless
        || host.iter().any(|b| *b >= 0x80)
            && host.windows(3).any(|w| matches!(w, [0xe3, 0x80, 0x82] | [0xef, 0xbc, _] | [0xef, 0xbd, _]))
}

/// What is between the userinfo and the path of a URL whose authority begins `after`.
fn host_of(after: &[u8]) -> &[u8] {
    authority_of(after).rsplit(|b| *b == b'@').next().unwrap_or_default()
}

/// The authority with which `text` begins, as browsers read it: a backslash ends it like a slash.
fn authority_of(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).unwrap_or(text.len());
    &text[..end]
}

/// Whether `text` begins like a host name or an address.
fn host_like(text: &[u8]) -> bool {
    let authority = authority_of(text);
    let dot = authority.iter().position(|b| *b == b'.');
    authority.len() > 3
        && dot.is_some_and(|at| at > 0 && at + 2 < authority.len())
        && !authority.iter().any(|b| b" ^()\"<$,!*|{}'`".contains(b))
        && authority.iter().any(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::{leads_away, redirect};

    #[test]
    fn a_path_that_is_the_address_of_a_host_leads_away() {
        for path in [
            "//evil.example/%2e%2e",
            "/%5cevil.example",
            "//evil.example//",
            "//evil.example//..",
            "/\\evil.example/a",
            "///evil.example/..",
        ] {
            assert!(leads_away(path.as_bytes()), "{path}");
        }
        for path in ["//api/v1/", "//favicon.ico", "//cdn.example.com/a.js", "/a.b/..", "/a/%5cb.c", "//"] {
            assert!(!leads_away(path.as_bytes()), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r"[a-c:/@\\.?#\[\]0-9x]{0,60}") {
            redirect(text.as_bytes(), || &b"url"[..]);
            leads_away(text.as_bytes());
        }
    }
}
