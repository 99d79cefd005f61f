//! URLs in parameters that a server would request, or that a browser would be redirected to.
//!
//! Parameters legitimately contain URLs such as `https://example.com/`. Reported are targets that no user needs (the
//! loopback address in unusual notation, cloud metadata, unusual schemes), notations that exist to deceive a check
//! (`//host` and its variants, userinfo that looks like a host, hosts written as numbers), and script to be included.

mod redirect;

pub use redirect::REDIRECT;

use super::{Detector, Match, Samples, Subject};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Key, Tag, Zone};

/// The detector of URLs that make the server send a request.
pub const SSRF: Detector = Detector {
    name: "ssrf.target",
    attack: AttackType::Ssrf,
    about: "A URL to an internal or disguised host, with an odd scheme, or to script that the server would include",
    zones: Zone::QUERY.with(Zone::BODY).with(Zone::COOKIE).with(Zone::NAME).with(Zone::HEADER),
    filter: SSRF_FILTER,
    run: run_ssrf,
    samples: Samples {
        positive: &[
            "http://169.254.169.254/latest/meta-data/",
            "gopher://127.0.0.1:25/x",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::ffff:127.0.0.1]/",
            "dict://localhost:11211/",
            "http://evil.example/c99.txt?",
            "http://metadata.google.internal/",
            "http://0177.0.0.1/",
            "ldap://127.0.0.1:389/",
            "ldap://10.0.0.5:389/x",
            "ldap://10.0.0.5:1389",
            "ldap://10.0.0.05",
            "http://①②⑦.⓪.⓪.①/",
            "http://ⓘⓝⓣⓔⓡⓝⓐⓛ.example/",
            "http://ｌocalhost/",
            "http://𝐥ocalhost/",
            "http://127.0.0.1.nip.io/",
            "http://10.0.0.1.attacker.example/",
            "http://192-168-0-1.attacker.example/",
            "http://127.3.2.1/",
            "url:file:///etc/hosts",
            "local_file:///etc/hosts",
            "http://203.0.113.7/x.php",
            "http://evil.example/x.txt?",
            "http://evil.example/x.gif\0",
            "\\\\203.0.113.7\\share\\x",
            "http://[0:0:0:0:0:ffff:127.0.0.1]/",
            "http://192.0.2.1 &@127.1# @192.0.2.2/",
        ],
        negative: &[
            "https://example.com/a.html",
            "http://93.184.216.34/",
            "http://bücher.example/",
            "http://例え.example/",
            "example.com",
            "https://example.com/?u=1",
            "mailto:a@b.example",
            "ldap://ldap.example.com/dc=example,dc=com",
            "ldaps://10.20.0.5:636",
            "sftp://backup.example.com/daily",
            "ssh://git@localhost:2222/team/site.git",
            "https://example.com/search?q=",
            "\\\\files\\team\\report.docx",
            "http://ip-10-0-0-1.example.com/",
            "gopher:// is an old scheme",
            "http://0.0.0.0:5000 is what the server prints",
            "https://[-a-zA-Z0-9-._~:/?#@!$&'()*+,;=]+",
        ],
    },
};

/// Most bytes inspected of a URL.
const MAX_URL: usize = 512;
/// Schemes that only attacks make a server request.
const ATTACK_SCHEMES: &[&[u8]] = &[
    b"gopher",
    b"dict",
    b"netdoc",
    b"jar",
    b"tftp",
    b"ogg",
    b"expect",
    b"rmi",
    b"local_file",
    b"finger",
    b"cifs",
    b"telnet",
];
/// Schemes of directories, mail and file servers, which occur in legitimate settings with a host name. Attacks use an
/// address.
const DIRECTORY_SCHEMES: &[&[u8]] =
    &[b"ldap", b"ldaps", b"sftp", b"smtp", b"smtps", b"imap", b"imaps", b"pop3", b"smb", b"scp", b"ssh", b"nfs"];
/// Hosts that return the credentials of a cloud machine, and other names of the machine itself.
const INTERNAL_HOSTS: &[&[u8]] = &[
    b"169.254.169.254",
    b"metadata.google.internal",
    b"100.100.100.200",
    b"169.254.170.2",
    b"metadata",
    b"localtest.me",
    b"instance-data",
    b"0",
    b"0.0.0.0",
    b"127.1",
    b"127.0.1",
    b"[::]",
    b"[fd00:ec2::254]",
    b"burpcollaborator.net",
    b"spoofed.burpcollaborator.net",
];
/// Suffixes of host names that resolve to an address chosen by the attacker.
const REBINDERS: &[&[u8]] = &[
    b".nip.io",
    b".xip.io",
    b".sslip.io",
    b".localtest.me",
    b".burpcollaborator.net",
    b".oastify.com",
    b".interact.sh",
    b".lvh.me",
    b".vcap.me",
    b".lacolhost.com",
    b".1u.ms",
    b".rbndr.us",
    b".localdomain.pw",
    b".r3dir.me",
    b".oast.fun",
    b".oast.pro",
    b".oast.live",
    b".oast.me",
    b".oast.site",
    b".oast.online",
];
/// Headers that name hosts of the application, also in a development cluster.
const OWN_HOST_HEADERS: &[&[u8]] =
    &[b"REFERER", b"ORIGIN", b"HOST", b"X-FORWARDED-HOST", b"FORWARDED", b"X-ORIGINAL-HOST", b":AUTHORITY", b"VIA"];
/// Parts of the names of parameters that say which file a script includes.
const INCLUSION_PARAMETERS: &[&[u8]] = &[
    b"path",
    b"dir",
    b"root",
    b"inc",
    b"include",
    b"page",
    b"file",
    b"lang",
    b"template",
    b"tpl",
    b"theme",
    b"skin",
    b"config",
    b"cfg",
    b"class",
    b"lib",
    b"base",
    b"home",
    b"globals",
    b"_env",
    b"_server",
    b"prefix",
    b"module",
    b"folder",
    b"load",
    b"require",
    b"content",
    b"doc",
    b"plugin",
];
/// Extensions of files that a server would execute, or include as text.
const SCRIPTS: &[&[u8]] = &[
    b".php", b".txt", b".inc", b".phtml", b".asp", b".aspx", b".jsp", b".cgi", b".pl", b".php5", b".phar", b".py",
    b".sh",
];
/// Names of web shells without extension.
const WEB_SHELLS: &[&[u8]] = &[
    b"c99",
    b"r57",
    b"shell",
    b"cmd",
    b"webshell",
    b"b374k",
    b"wso",
    b"backdoor",
    b"c100",
    b"phpshell",
    b"evil",
    b"id",
    b"rfi",
];

const FILTER: ByteClassFilter = ByteClassFilter::any(ByteClasses::SLASH.with(ByteClasses::COLON))
    .and(ByteClasses::DOT.with(ByteClasses::DIGIT).with(ByteClasses::ALPHA));

/// Like [`FILTER`], and UNC paths.
const SSRF_FILTER: ByteClassFilter =
    ByteClassFilter::any(ByteClasses::SLASH.with(ByteClasses::COLON).with(ByteClasses::BACKSLASH))
        .and(ByteClasses::DOT.with(ByteClasses::DIGIT).with(ByteClasses::ALPHA));

/// The parts of a URL (WHATWG URL §4.4, as lenient as browsers).
struct Url<'t> {
    scheme: &'t [u8],
    host: &'t [u8],
    /// With the colon before it; empty if there is none.
    port: &'t [u8],
    path: &'t [u8],
    query: bool,
    /// Whether it ends in a `?` or NUL that cuts off what the application appends.
    cut: bool,
    /// Whether it ends in a NUL.
    nul: bool,
    /// Whether `url:` precedes it.
    prefixed: bool,
}

fn parse(text: &[u8]) -> Option<Url<'_>> {
    let text = &text[..text.len().min(MAX_URL)];
    // Java reads `url:http://...` as the URL behind it.
    let prefixed = text.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"url:"));
    let text = if prefixed { &text[4..] } else { text };
    let colon = memchr::memchr(b':', text)?;
    let scheme = &text[..colon];
    let named = (2..=12).contains(&colon)
        && scheme.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'_' | b'-'));
    let rest = text[colon + 1..].strip_prefix(b"//")?;
    if !named {
        return None;
    }
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // "gopher:// is an old scheme", "http://0.0.0.0:5000 is printed": a host has no blank, unless a client stops at it.
    if authority.contains(&b' ') && !authority.iter().any(|b| *b == b'@' || *b < b' ') {
        return None;
    }
    let host = &authority[memchr::memrchr(b'@', authority).map_or(0, |at| at + 1)..];
    let host_end = if host.starts_with(b"[") {
        memchr::memchr(b']', host).map_or(host.len(), |at| at + 1)
    } else {
        memchr::memchr(b':', host).unwrap_or(host.len())
    };
    let path_end = memchr::memchr2(b'?', b'#', tail).unwrap_or(tail.len());
    let query = tail.get(path_end) == Some(&b'?');
    // What a script appends to the URL is cut off by a `?` or a NUL at its end.
    let cut = matches!(tail.split_last(), Some((b'?' | 0, _))) || tail.ends_with(b"?\0");
    let path = &tail[..path_end];
    let nul = tail.ends_with(b"\0");
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    let (host, port) = host.split_at(host_end);
    Some(Url { scheme, host, port, path, query, cut, nul, prefixed })
}

fn run_ssrf(subject: &Subject<'_>) -> Option<Match> {
    let text = subject.bytes.trim_ascii();
    // Without a `=`, the URL is part of the name, after the actual name of the parameter.
    let start =
        if subject.value.zone.intersects(Zone::NAME) { memchr::memmem::find(text, b"http").unwrap_or(0) } else { 0 };
    let end = subject.bytes.len().min(MAX_URL);
    let found = |confidence| Match { confidence, start: 0, end };
    // The location is asked last: what depends on it cannot be cached, and most requests have a URL in a header.
    let is_own = || subject.value.zone.intersects(Zone::HEADER) && names_own_host(subject);
    if text.starts_with(b"\\\\") {
        return unc(&text[2..], || subject.parameter_name()).filter(|_| !is_own()).map(found);
    }
    let url = parse(&text[start..])?;
    ssrf(&url, || subject.parameter_name()).filter(|_| !is_own()).map(found)
}

/// Whether the value is in a header that names hosts of the application.
fn names_own_host(subject: &Subject<'_>) -> bool {
    subject
        .ancestors()
        .any(|step| step.tag == Tag::Header && matches!(step.key, Key::Name(name) if OWN_HOST_HEADERS.contains(&name)))
}

/// A UNC path, which makes a Windows server log in to the host that it names.
fn unc<'n>(path: &[u8], name: impl FnOnce() -> &'n [u8]) -> Option<Confidence> {
    let end = path.iter().take(MAX_URL).position(|b| matches!(b, b'\\' | b'/'))?;
    let host = &path[..end];
    let named = !host.is_empty() && host.iter().all(|b| b.is_ascii_alphanumeric() || b".-_:@[]".contains(b));
    let address = !host.iter().any(u8::is_ascii_alphabetic);
    if !named || !host.contains(&b'.') {
        return None;
    }
    let name = name().to_ascii_lowercase();
    // `shareName`: the application is made to open shares of its network.
    if memchr::memmem::find(&name, b"share").is_some() && (!address || is_private(host)) {
        return None;
    }
    let includes = address || INCLUSION_PARAMETERS.iter().any(|i| memchr::memmem::find(&name, i).is_some());
    Some(if includes { Confidence::High } else { Confidence::Medium })
}

/// Whether a host is a pattern as schemas and rules about addresses have it, and nothing that resolves: `.*`, `[a-z-]+`.
fn is_pattern(host: &[u8]) -> bool {
    let class = host.first() == Some(&b'[')
        && host[1..]
            .iter()
            .take_while(|b| !matches!(b, b']' | b'%'))
            .any(|b| !(b.is_ascii_hexdigit() || b":.vV".contains(b)));
    class || host.contains(&b'*')
}

fn ssrf<'n>(url: &Url<'_>, name: impl FnOnce() -> &'n [u8]) -> Option<Confidence> {
    if is_pattern(url.host) {
        return None;
    }
    let host = url.host.to_ascii_lowercase();
    let scheme = url.scheme.to_ascii_lowercase();
    let strip = host.strip_suffix(b".").unwrap_or(&host);
    let addressed = strip == b"localhost" || strip.starts_with(b"[") || !strip.iter().any(u8::is_ascii_alphabetic);
    if ATTACK_SCHEMES.contains(&&scheme[..])
        || DIRECTORY_SCHEMES.contains(&&scheme[..]) && addressed && !is_repository(url) && !is_directory(url)
        || INTERNAL_HOSTS.contains(&strip)
        || REBINDERS.iter().any(|r| strip.ends_with(r))
        || is_disguised(strip)
        || holds_private_address(strip)
        || has_folded_letters(strip)
        || strip.starts_with(b"127.") && !strip.starts_with(b"127.0.0.")
        || url.prefixed && matches!(&scheme[..], b"file" | b"http" | b"https" | b"ftp")
    {
        return Some(Confidence::High);
    }
    if !matches!(&scheme[..], b"http" | b"https" | b"ftp") {
        return None;
    }
    if let Some(confidence) = inclusion(url, name) {
        return Some(confidence);
    }
    let local = strip == b"localhost"
        || strip == b"[::1]"
        || strip.starts_with(b"127.")
        || strip.ends_with(b".internal")
        || strip.ends_with(b".localdomain");
    local.then_some(Confidence::Medium)
}

/// Whether a URL names a repository of Git, as webhooks of a server under development do: `ssh://git@localhost/a/b.git`.
fn is_repository(url: &Url<'_>) -> bool {
    url.scheme.eq_ignore_ascii_case(b"ssh") && url.path.ends_with(b".git")
}

/// Whether a URL names a server of a directory by its address in a private network and nothing else, as settings of a login
/// do: `ldap://10.0.0.5:389`. An attack needs the name of an object, another port, or the machine itself.
fn is_directory(url: &Url<'_>) -> bool {
    const PORTS: [&[u8]; 5] = [b"", b":389", b":636", b":3268", b":3269"];
    let scheme = url.scheme.eq_ignore_ascii_case(b"ldap") || url.scheme.eq_ignore_ascii_case(b"ldaps");
    let whole = matches!(url.path, b"" | b"/") && !url.query && !url.cut;
    scheme && whole && PORTS.contains(&url.port) && is_private(url.host)
}

/// Whether a host is an address of four decimals in a private network (RFC 1918).
fn is_private(host: &[u8]) -> bool {
    let mut parts = host.split(|b| *b == b'.').map(|part| std::str::from_utf8(part).ok()?.parse::<u8>().ok());
    let numbers = [parts.next(), parts.next(), parts.next(), parts.next()].map(Option::flatten);
    let private = matches!(numbers, [Some(10), ..] | [Some(192), Some(168), ..] | [Some(172), Some(16..=31), ..]);
    private && numbers.iter().all(Option::is_some) && parts.next().is_none() && !is_disguised(host)
}

/// Whether a host is an address in another notation than dotted decimals: `2130706433`, `0x7f.1`, `0177.0.0.1`, IPv4 in
/// IPv6.
fn is_disguised(host: &[u8]) -> bool {
    if host.starts_with(b"[") {
        return memchr::memmem::find(host, b"::ffff:").is_some() || host.contains(&b'.') && host.contains(&b':');
    }
    let mut parts = 0;
    let mut odd = false;
    for part in host.split(|b| *b == b'.') {
        parts += 1;
        let hex = part.starts_with(b"0x") && part.len() > 2 && part[2..].iter().all(u8::is_ascii_hexdigit);
        let digits = !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        if !hex && !digits {
            return false;
        }
        odd |= hex || part.len() > 1 && part[0] == b'0' || part.len() > 3;
        odd |= digits && part.len() == 3 && part > &b"255"[..];
    }
    odd || parts < 4
}

/// Whether a host name begins with a private address, as names do that resolve to the address in them:
/// `10.0.0.1.example`, `127-0-0-1.example`.
fn holds_private_address(host: &[u8]) -> bool {
    let mut parts = host.split(|b| matches!(b, b'.' | b'-'));
    let mut numbers = [0u16; 4];
    for number in &mut numbers {
        let Some(part) = parts.next().filter(|p| (1..=3).contains(&p.len()) && p.iter().all(u8::is_ascii_digit)) else {
            return false;
        };
        *number = part.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    }
    let named = parts.next().is_some_and(|part| part.iter().any(u8::is_ascii_alphabetic));
    named && matches!(numbers, [127 | 10 | 0, ..] | [192, 168, ..] | [169, 254, ..] | [172, 16..=31, ..])
}

/// Whether a host has letters, digits or dots that a browser or resolver folds to ASCII (UTS 46): enclosed `①ⓛ`, full-width,
/// mathematical and letter-like ones. No registered name has them.
fn has_folded_letters(host: &[u8]) -> bool {
    host.iter().any(|b| *b >= 0x80)
        && host.windows(3).any(|w| {
            matches!(w, [0xe2, 0x91..=0x93 | 0x84, _] | [0xef, 0xbc, 0x8e | 0x90..=0x99 | 0xa1..=0xba])
                || matches!(w, [0xef, 0xbd, 0x81..=0x9a | 0xa1] | [0xe3, 0x80, 0x82] | [0xf0, 0x9d, 0x90..=0x9f])
        })
}

/// Remote file inclusion: the URL of a file that a script would execute, in a parameter that says what to include.
fn inclusion<'n>(url: &Url<'_>, name: impl FnOnce() -> &'n [u8]) -> Option<Confidence> {
    let path = url.path.trim_ascii_end().to_ascii_lowercase();
    let script = SCRIPTS.iter().find(|e| path.ends_with(e));
    if script.is_none() && !url.nul && !url.cut {
        return None;
    }
    let name = name().to_ascii_lowercase();
    // `contents_url` names the place of contents, not what to include.
    let link = [&b"url"[..], b"uri", b"href", b"link"].iter().any(|end| name.ends_with(end));
    let includes = !link && INCLUSION_PARAMETERS.iter().any(|i| memchr::memmem::find(&name, i).is_some());
    let Some(ending) = script else {
        return (url.nul || url.cut && (includes || path.len() < 2)).then_some(Confidence::High);
    };
    let file = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let stem = &file[..file.len() - ending.len()];
    let shell = WEB_SHELLS.contains(&stem);
    let address = !url.host.iter().any(u8::is_ascii_alphabetic) || url.host.starts_with(b"[");
    match (shell || url.cut || address, includes, *ending == b".txt") {
        (true, _, _) => Some(Confidence::High),
        // A question mark cuts off what the script appends. Without one, it may be a link to a document.
        (_, true, true) if url.query => Some(Confidence::High),
        (_, true, _) => Some(Confidence::Medium),
        (_, false, true) if url.query && url.path.len() > 1 && !link => Some(Confidence::Medium),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_in_unusual_notations_are_recognised() {
        for host in ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:10.0.0.1]", "472.314.470.462"] {
            assert!(is_disguised(host.as_bytes()), "{host}");
        }
        for host in ["10.0.0.1", "example.com", "1.example", "93.184.216.34", "[2001:db8::1]"] {
            assert!(!is_disguised(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn urls_are_split_into_parts() {
        let url = parse(b"https://a:b@host.example:8443/p/q.txt?x").unwrap();
        assert_eq!((url.host, url.path, url.query), (&b"host.example"[..], &b"/p/q.txt"[..], true));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r"[a-c:/@\\.?#\[\]0-9x]{0,60}") {
            if let Some(url) = parse(text.as_bytes()) {
                ssrf(&url, || b"page");
            }
        }
    }
}
