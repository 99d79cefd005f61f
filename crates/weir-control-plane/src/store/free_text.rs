//! Free text: what of a hit is searched, and how far back where no index helps.

use super::migrate::Engine;
use super::{Database, Filter, Pools, ids};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_protocol::hit::Hit;

/// Bytes of a hit's text that are searched.
const MAX_WORDS: usize = 1_024;
/// How far back texts are looked for without an index.
const UNINDEXED: i64 = 7 * ids::DAY;
/// Shortest text that can be looked for, in characters: an index of trigrams finds nothing shorter.
pub(super) const MIN_TEXT: usize = 3;

/// The extension has the operators of the index. Both statements do nothing where it is there already.
const TRIGRAMS: [&str; 2] = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX IF NOT EXISTS hits_words ON hits USING gin (words gin_trgm_ops)",
];

/// Makes the index of trigrams on PostgreSQL. False where the server lacks the extension or the role may not create it.
pub(super) async fn index(pools: &Pools) -> bool {
    for statement in TRIGRAMS {
        if let Err(error) = sqlx::query(statement).execute(pools.write()).await {
            tracing::info!(%error, "free text is searched in the hits of the last 7 days only: pg_trgm cannot be used");
            return false;
        }
    }
    true
}

/// The text of a hit: what matched, the request line, the user agent, the body; in lower case, cut to measure.
pub(super) fn words(hit: &Hit) -> String {
    let mut out = String::new();
    let mut add = |text: &str| {
        let room = MAX_WORDS.saturating_sub(out.len());
        let text = &text[..text.floor_char_boundary(room)];
        if !text.is_empty() {
            out.push_str(&text.to_lowercase().replace('\0', "\u{fffd}"));
            out.push(' ');
        }
    };
    hit.findings.iter().for_each(|finding| add(&finding.matched));
    add(&hit.request.path);
    if let Ok(raw) = STANDARD.decode(&hit.request.raw) {
        let text = String::from_utf8_lossy(&raw);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        add(lines.next().unwrap_or_default());
        let agent = lines.find(|line| line.get(..11).is_some_and(|name| name.eq_ignore_ascii_case("user-agent:")));
        add(agent.map_or("", |line| line[11..].trim()));
        add(body);
    }
    out.truncate(out.floor_char_boundary(MAX_WORDS));
    out
}

impl Database {
    /// First millisecond since 1970 in which free text is looked for; none where an index finds it in all hits.
    pub fn free_text_from(&self) -> Option<i64> {
        let indexed = self.engine() == Engine::Postgres && self.partitions().has_trigrams();
        (!indexed).then(|| (ids::now() - UNINDEXED).max(0))
    }

    /// `filter`, bounded to the period in which its texts are looked for.
    pub(super) fn bounded(&self, filter: &Filter) -> Filter {
        let least = if filter.texts.is_empty() { None } else { self.free_text_from() };
        Filter { from: filter.from.max(least), ..filter.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::hit::HitRequest;

    #[test]
    fn words_are_bounded_and_lower_case() {
        let raw = format!("POST /A?b=C HTTP/1.1\r\nUSER-agent: Curl/8\r\n\r\nUNION {}", "x".repeat(5_000));
        let request = HitRequest { path: "/A".into(), raw: STANDARD.encode(raw), ..HitRequest::default() };
        let words = words(&Hit { request, ..Hit::default() });
        assert!(words.starts_with("/a post /a?b=c http/1.1 curl/8 union xxx"), "{words}");
        assert_eq!(words.len(), MAX_WORDS);
        let odd = HitRequest { raw: "?".into(), path: "\u{0}\u{e9}".repeat(900), ..HitRequest::default() };
        let cut = super::words(&Hit { request: odd, ..Hit::default() });
        assert!(cut.len() <= MAX_WORDS && !cut.contains('\0'));
    }
}
