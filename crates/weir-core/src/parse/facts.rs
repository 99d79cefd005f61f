//! [`DecodedHead`] of a request head, on which policy conditions are evaluated.

mod readings;

use crate::model::decoded_head::DecodedPair;
use crate::model::{DecodedHead, DecodedPath, Message};
use crate::normalize::segments::{PathSteps, resolve};
use crate::normalize::{form, percent};
use readings::other_readings;
use std::borrow::Cow;

/// Query parameters that conditions are evaluated on. Later ones are inspected, but conditions do not see them.
const MAX_QUERY_FACTS: usize = 1_000;
/// Hosts besides the plain one that are distinguished; a request with more of them is also taken for one of no host.
const MAX_OTHER_HOSTS: usize = 3;

/// The facts of the head of `message`, decoded and normalised.
pub fn facts<'a>(message: &Message<'a>) -> DecodedHead<'a> {
    let (authority, uri) = split_target(message.target);
    let path_end = uri.iter().position(|b| b"?#".contains(b)).unwrap_or(uri.len());
    let query = if uri.get(path_end) == Some(&b'?') { &uri[path_end + 1..] } else { b"" };
    let query = &query[..memchr::memchr(b'#', query).unwrap_or(query.len())];
    let raw_path = &uri[..path_end];
    let path = plain_path(raw_path);
    let others = other_readings(raw_path, &path);
    let mut other_paths: Vec<DecodedPath<'a>> = others
        .paths
        .into_iter()
        .map(|(path, parameters_removed)| DecodedPath { parameters_removed, ..decoded_path(Cow::Owned(path)) })
        .collect();
    if !others.complete {
        other_paths.push(DecodedPath { text: Cow::Borrowed(b"/"), ..DecodedPath::default() });
    }
    let host = host(authority.or_else(|| message.header("host")).unwrap_or_default());
    DecodedHead {
        method: message.method,
        uri: if uri.is_empty() { Cow::Borrowed(b"/") } else { Cow::Borrowed(uri) },
        other_hosts: other_hosts(&host, message),
        host,
        path: decoded_path(path),
        other_paths,
        query: query_facts(query),
        proto: message.protocol,
        scheme: message.scheme,
        application: message.application,
    }
}

/// The path as most servers read it: decoded once, without dot segments and repeated slashes.
fn plain_path(raw: &[u8]) -> Cow<'_, [u8]> {
    normalise_path(percent::decode(raw, percent::Plus::Keep))
}

/// `path` and its parts.
fn decoded_path(path: Cow<'_, [u8]>) -> DecodedPath<'_> {
    match path {
        Cow::Borrowed(path) => {
            let (segments, name, ext) = split_path(path);
            DecodedPath {
                text: Cow::Borrowed(path),
                segments: segments.into_iter().map(Cow::Borrowed).collect(),
                action_name: Cow::Borrowed(name),
                action_ext: ext.map(Cow::Borrowed),
                parameters_removed: false,
            }
        }
        Cow::Owned(path) => {
            let (segments, name, ext) = split_path(&path);
            DecodedPath {
                segments: segments.into_iter().map(|s| Cow::Owned(s.to_vec())).collect(),
                action_name: Cow::Owned(name.to_vec()),
                action_ext: ext.map(|e| Cow::Owned(e.to_vec())),
                text: Cow::Owned(path),
                parameters_removed: false,
            }
        }
    }
}

/// The authority of a target in absolute form, which overrides Host (RFC 9112 §3.2.2), and the rest.
fn split_target(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let scheme = target.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
    if scheme == 0 || !target[scheme..].starts_with(b"://") {
        return (None, target);
    }
    let rest = &target[scheme + 3..];
    let (authority, rest) = rest.split_at(rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len()));
    (Some(authority), rest)
}

/// Without userinfo, port and a trailing dot, in lower case; an IPv6 literal keeps its brackets.
fn host(authority: &[u8]) -> Cow<'_, [u8]> {
    let host = authority.trim_ascii();
    let host = &host[memchr::memrchr(b'@', host).map_or(0, |at| at + 1)..];
    let host = match host.first() {
        Some(b'[') => &host[..memchr::memchr(b']', host).map_or(host.len(), |at| at + 1)],
        _ => &host[..memchr::memchr(b':', host).unwrap_or(host.len())],
    };
    let host = host.strip_suffix(b".").unwrap_or(host);
    if host.iter().any(u8::is_ascii_uppercase) { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) }
}

/// Hosts in Host headers that differ from the `plain` one. Not every server lets a target in absolute form override Host, and
/// of several Host headers some take the first and some the last.
fn other_hosts<'a>(plain: &[u8], message: &Message<'a>) -> Vec<Cow<'a, [u8]>> {
    let mut others = Vec::new();
    for one in message.headers_named("host").map(host) {
        if *one == *plain || others.contains(&one) {
            continue;
        }
        if others.len() == MAX_OTHER_HOSTS {
            others.push(Cow::Borrowed(&b""[..]));
            break;
        }
        others.push(one);
    }
    others
}

fn query_facts(query: &[u8]) -> Vec<DecodedPair<'_>> {
    let decode = |text| percent::decode(text, percent::Plus::Space);
    form::encoded_pairs(query).take(MAX_QUERY_FACTS).map(|piece| (decode(piece.name), decode(piece.value))).collect()
}

/// Removes `.` and `..` segments (RFC 3986 §5.2.4) and repeated slashes; `..` never climbs past the root.
fn normalise_path(path: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let needs = |segment: &[u8]| segment.is_empty() || segment == b"." || segment == b"..";
    if path.is_empty() {
        return Cow::Borrowed(b"/");
    }
    let Some(inner) = path.strip_prefix(b"/") else { return path };
    let is_clean = {
        let mut segments = inner.split(|&b| b == b'/').peekable();
        let mut clean = true;
        while let Some(segment) = segments.next() {
            clean &= !needs(segment) || (segment.is_empty() && segments.peek().is_none());
        }
        clean
    };
    if is_clean {
        return path;
    }
    let steps =
        PathSteps { remove_parameters: false, backslash_separates: false, merge_slashes: true, resolve_dots: true };
    Cow::Owned(resolve(&path, steps))
}

/// All segments but the last, and of the last the part before its first dot and the part after its last dot.
fn split_path(path: &[u8]) -> (Vec<&[u8]>, &[u8], Option<&[u8]>) {
    let mut segments: Vec<&[u8]> = path.strip_prefix(b"/").unwrap_or(path).split(|&b| b == b'/').collect();
    let last = segments.pop().unwrap_or_default();
    let name = &last[..memchr::memchr(b'.', last).unwrap_or(last.len())];
    (segments, name, memchr::memrchr(b'.', last).map(|at| &last[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Header;
    use proptest::prelude::*;

    fn of<'a>(target: &'a str, host: &'a str) -> DecodedHead<'a> {
        let headers = vec![Header { name: b"host", value: host.as_bytes() }];
        facts(&Message { target: target.as_bytes(), headers, ..Message::default() })
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn paths_are_normalised_and_split() {
        for (target, path, segments, name, ext) in [
            ("/", "/", "", "", None),
            ("", "/", "", "", None),
            ("*", "*", "", "*", None),
            ("/blogs/123/index.php?q=a", "/blogs/123/index.php", "blogs,123", "index", Some("php")),
            ("/a.b/c.min.js", "/a.b/c.min.js", "a.b", "c", Some("js")),
            ("/a/", "/a/", "a", "", None),
            ("//a///b", "/a/b", "a", "b", None),
            ("/a/%2e%2e/./b/../c", "/c", "", "c", None),
            ("/../../x", "/x", "", "x", None),
            ("/a/..", "/", "", "", None),
            ("/%2561", "/%61", "", "%61", None),
            ("http://h/p/q.", "/p/q.", "p", "q", Some("")),
            ("http://h?x", "/", "", "", None),
            ("/a#b?c", "/a", "", "a", None),
        ] {
            let got = of(target, "h");
            assert_eq!(text(&got.path.text), path, "{target}");
            assert_eq!(got.path.segments.iter().map(|s| text(s)).collect::<Vec<_>>().join(","), segments, "{target}");
            assert_eq!(text(&got.path.action_name), name, "{target}");
            assert_eq!(got.path.action_ext.as_deref().map(text), ext, "{target}");
        }
    }

    #[test]
    fn hosts_have_no_userinfo_port_or_trailing_dot() {
        for (host, want) in [
            ("Example.COM:8080", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[2001:DB8::1]:443", "[2001:db8::1]"),
            ("user:pw@h", "h"),
            ("", ""),
        ] {
            assert_eq!(text(&of("/", host).host), want);
        }
        assert_eq!(text(&of("http://u@A.b:1/x?y=1", "other").host), "a.b");
        assert_eq!(text(&of("http://u@A.b:1/x?y=1", "other").uri), "/x?y=1");
    }

    #[test]
    fn hosts_that_other_servers_take_a_request_for_are_told() {
        let others = |target: &str, hosts: &[&str]| -> Vec<String> {
            let headers = hosts.iter().map(|host| Header { name: b"Host", value: host.as_bytes() }).collect();
            let message = Message { target: target.as_bytes(), headers, ..Message::default() };
            let facts = facts(&message);
            facts.hosts().map(|host| text(host).to_owned()).collect()
        };
        assert_eq!(others("/", &["a.example"]), ["a.example"]);
        assert_eq!(others("/", &["a.example", "A.example.:80"]), ["a.example"]);
        assert_eq!(others("/", &["a.example", "b.example", "b.example"]), ["a.example", "b.example"]);
        assert_eq!(others("http://a.example/", &["a.example:80"]), ["a.example"]);
        assert_eq!(others("http://a.example/", &["b.example"]), ["a.example", "b.example"]);
        assert_eq!(others("/", &[]), [""]);
        assert_eq!(others("/", &["a", "b", "c", "d", "e", "f"]), ["a", "b", "c", "d", ""]);
    }

    #[test]
    fn query_is_decoded() {
        let facts = of("/?a=1%202&b+c=%27&d#e", "h");
        let pairs: Vec<_> = facts.query.iter().map(|(n, v)| (text(n), text(v))).collect();
        assert_eq!(pairs, [("a", "1 2"), ("b c", "'"), ("d", "")]);
    }

    proptest! {
        #[test]
        fn normalising_a_normal_path_changes_nothing(target in "/[a./%2e]{0,20}") {
            let path = normalise_path(Cow::Borrowed(target.as_bytes())).into_owned();
            prop_assert_eq!(normalise_path(Cow::Borrowed(&path[..])).into_owned(), path.clone());
            prop_assert!(!path.split(|&b| b == b'/').any(|s| s == b".." || s == b"."));
        }
    }
}
