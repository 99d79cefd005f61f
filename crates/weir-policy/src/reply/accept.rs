//! Which media type a client prefers, by its Accept header (RFC 9110 §12.5.1).

/// The weight, in thousandths, of a media type: that of the most specific range that covers it.
pub(super) fn weight(accept: &[u8], kind: &str, subtype: &str) -> u32 {
    let mut best = (0, 0);
    for item in accept.split(|&b| b == b',') {
        let mut parts = item.split(|&b| b == b';').map(<[u8]>::trim_ascii);
        let range = parts.next().unwrap_or_default();
        let slash = range.iter().position(|&b| b == b'/').unwrap_or(range.len());
        let (have_kind, have_subtype) = (&range[..slash], range.get(slash + 1..).unwrap_or_default());
        let specific = match (have_kind, have_subtype) {
            (b"*", b"*") => 1,
            (k, b"*") if k.eq_ignore_ascii_case(kind.as_bytes()) => 2,
            (k, s) if k.eq_ignore_ascii_case(kind.as_bytes()) && s.eq_ignore_ascii_case(subtype.as_bytes()) => 3,
            _ => continue,
        };
        let q = parts.find_map(|p| p.strip_prefix(b"q=").or_else(|| p.strip_prefix(b"Q="))).map_or(1000, quality);
        best = best.max((specific, q));
    }
    best.1
}

/// `0.5` as 500; anything that is not a number counts as 0.
fn quality(text: &[u8]) -> u32 {
    let value = std::str::from_utf8(text).ok().and_then(|t| t.parse::<f32>().ok()).unwrap_or(0.0);
    (value.clamp(0.0, 1.0) * 1000.0) as u32
}
