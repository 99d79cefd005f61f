//! Hosts whose players, maps and documents people embed in posts.

/// Their domains, each with the hosts below it. What they show runs in a page of its own.
const DOMAINS: &[&str] = &[
    "airtable.com",
    "bandcamp.com",
    "canva.com",
    "codepen.io",
    "codesandbox.io",
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

/// Whether a URL names one of these hosts, over TLS and at its own port.
pub fn is_known(url: &[u8]) -> bool {
    const SCHEME: &[u8] = b"https://";
    if !url.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)) {
        return false;
    }
    let rest = &url[SCHEME.len()..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
    let host = rest[..end].to_ascii_lowercase();
    let is_below =
        |domain: &str| host.strip_suffix(domain.as_bytes()).is_some_and(|head| head.is_empty() || head.ends_with(b"."));
    host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')) && DOMAINS.iter().copied().any(is_below)
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn players_are_known_by_their_host_alone() {
        for url in ["https://www.youtube.com/embed/a", "HTTPS://player.vimeo.com/video/1", "https://youtube.com?x"] {
            assert!(is_known(url.as_bytes()), "{url}");
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
            assert!(!is_known(url.as_bytes()), "{url}");
        }
    }
}
