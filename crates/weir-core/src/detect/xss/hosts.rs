//! Well-known hosts that pages and mails load from.

/// Domains whose players, maps and documents people embed in posts, each with the hosts below it. What they show runs in a
/// page of its own.
const PLAYERS: &[&str] = &[
    "airtable.com",
    "bandcamp.com",
    "canva.com",
    "codepen.io",
    "codesandbox.io",
    "embedly.com",
    "dailymotion.com",
    "embed.music.apple.com",
    "embed.ted.com",
    "figma.com",
    "giphy.com",
    "issuu.com",
    "loom.com",
    "miro.com",
    "calendar.google.com",
    "docs.google.com",
    "drive.google.com",
    "maps.google.com",
    "www.google.com",
    "open.spotify.com",
    "openstreetmap.org",
    "platform.twitter.com",
    "player.twitch.tv",
    "player.vimeo.com",
    "slideshare.net",
    "tiktok.com",
    "typeform.com",
    "w.soundcloud.com",
    "wistia.com",
    "wistia.net",
    "www.facebook.com",
    "www.instagram.com",
    "youtube-nocookie.com",
    "youtube.com",
];

/// Domains whose style sheets only define fonts, symbols or the look of a framework.
const SHEETS: &[&str] = &[
    "fonts.bunny.net",
    "fonts.googleapis.com",
    "fonts.gstatic.com",
    "maxcdn.bootstrapcdn.com",
    "netdna.bootstrapcdn.com",
    "stackpath.bootstrapcdn.com",
    "use.fontawesome.com",
    "use.typekit.net",
];

/// Whether a URL names a host of players, over TLS and at its own port.
pub fn is_player(url: &[u8]) -> bool {
    const SCHEME: &[u8] = b"https:";
    url.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
        && host(&url[SCHEME.len()..]).is_some_and(|host| is_below(&host, PLAYERS))
}

/// Whether a URL names a host of style sheets, by whatever the page came.
pub fn is_sheet(url: &[u8]) -> bool {
    let scheme = url.iter().position(|b| *b == b'/').unwrap_or(0);
    let known = [&b""[..], b"https:", b"http:"].iter().any(|known| url[..scheme].eq_ignore_ascii_case(known));
    known && host(&url[scheme..]).is_some_and(|host| is_below(&host, SHEETS))
}

/// The host of `//host/path` in lower case, if it has nothing but the bytes of a name.
fn host(rest: &[u8]) -> Option<Vec<u8>> {
    let rest = rest.strip_prefix(b"//")?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
    let plain = rest[..end].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    plain.then(|| rest[..end].to_ascii_lowercase())
}

/// Whether a host is one of these domains or below one.
fn is_below(host: &[u8], domains: &[&str]) -> bool {
    domains
        .iter()
        .any(|domain| host.strip_suffix(domain.as_bytes()).is_some_and(|head| head.is_empty() || head.ends_with(b".")))
}

#[cfg(test)]
mod tests {
    use super::{is_player, is_sheet};

    #[test]
    fn players_are_known_by_their_host_alone() {
        for url in ["https://www.youtube.com/embed/a", "HTTPS://player.vimeo.com/video/1", "https://youtube.com?x"] {
            assert!(is_player(url.as_bytes()), "{url}");
        }
        for url in [
            "http://www.youtube.com/embed/a",
            "https://youtube.com.evil.example/",
            "https://notyoutube.com/",
            "https://youtube.com@evil.example/",
            "https://evil.example/youtube.com",
            "https://evil.example\\.youtube.com/",
            "https://youtube.com:8443/",
            "//youtube.com/",
        ] {
            assert!(!is_player(url.as_bytes()), "{url}");
        }
    }

    #[test]
    fn style_sheets_of_fonts_are_known_by_their_host_alone() {
        for url in
            ["https://fonts.googleapis.com/css?family=A:400", "//use.typekit.net/a.css", "http://fonts.bunny.net/"]
        {
            assert!(is_sheet(url.as_bytes()), "{url}");
        }
        for url in [
            "https://fonts.googleapis.com.evil.example/",
            "https://evil.example//fonts.googleapis.com/",
            "javascript://fonts.googleapis.com/%0aalert(1)",
            "https://a@fonts.googleapis.com/",
            "fonts.googleapis.com",
            "",
        ] {
            assert!(!is_sheet(url.as_bytes()), "{url}");
        }
    }
}
