//! `http_inspector`, `acl`, `rules`, `policy`, `geo`, `limits`, `overlimit`: what is looked for, and how far.

use super::{NO_OPENAPI, OLD, OWN, V4};
use crate::config::defaults;
use crate::config::reader::Section;
use crate::config::resolved::{Acl, Geo, HttpInspector, Overlimit, Rules};
use crate::config::types::{ByteSize, HeaderName, Setting, Workers};
use std::path::PathBuf;
use std::time::Duration;
use weir_core::model::{Limits, ParserSet};

/// Reads `http_inspector`, and the one header for the client's address that older files name there.
pub fn http_inspector(root: &mut Section<'_>) -> (HttpInspector, Option<HeaderName>) {
    root.section("http_inspector", V4, "How requests are inspected.", |s| {
        let workers = s.get("workers", V4, Workers::Auto, "Threads; `auto` follows the container's CPU quota.");
        let libdetection_enabled = s.get(
            "libdetection_enabled",
            V4,
            true,
            "Whether libinjection also checks values for which the \
                 grammar gives no clear result.",
        );
        let process_time_limit = s.bounded(
            "wallarm_process_time_limit",
            V4,
            defaults::PROCESS_TIME_LIMIT,
            Duration::from_millis(1)..=Duration::from_secs(60),
            "Longest time of one inspection. `overlimit` sets what happens after it.",
        );
        let real_ip_header = s.optional(
            "real_ip_header",
            OLD,
            "none",
            "Header with the client's address. Trusted from loopback and private networks only; use \
             `proxy_headers` to trust others.",
        );
        let parsers_off = parsers_off(s);
        let reason = "nothing is kept in such a directory";
        s.ignored("wallarm_dir", V4, reason);
        s.ignored("shm_dir", V4, reason);
        s.ignored("api_firewall_enabled", V4, NO_OPENAPI);
        s.ignored("api_firewall_database", V4, NO_OPENAPI);
        s.ignored("wmcp_enabled", V4, "MCP traffic is inspected like any JSON");
        (HttpInspector { workers, libdetection_enabled, process_time_limit, parsers_off }, real_ip_header)
    })
}

/// Parsers switched off, by name.
pub fn parsers_off(s: &mut Section<'_>) -> ParserSet {
    let list = s.list::<ParserSet>(
        "parsers_off",
        OWN,
        "none",
        "Parsers that are disabled. Content that only they can decode is not inspected.",
    );
    list.unwrap_or_default().into_iter().fold(ParserSet::NONE, ParserSet::with)
}

/// Reads `acl`.
pub fn acl(root: &mut Section<'_>) -> Acl {
    root.section("acl", V4, "Address lists.", |s| Acl {
        enabled: s.get("enabled", V4, true, "Whether allow, deny and gray lists are consulted."),
        access_phase: s.get(
            "access_phase",
            OWN,
            true,
            "Whether requests from denylisted addresses are blocked without inspection. False: they are \
             inspected, and pass in monitoring mode.",
        ),
    })
}

/// Reads `rules`.
pub fn rules(root: &mut Section<'_>) -> Rules {
    root.section("rules", OWN, "Where signatures come from.", |s| Rules {
        builtin: s.get("builtin", OWN, true, "Whether the signatures built into the program are loaded."),
        directories: s
            .list(
                "directories",
                OWN,
                "none",
                "Directories with additional rule \
             files.",
            )
            .unwrap_or_default(),
    })
}

/// Reads `policy`.
pub fn policy_file(root: &mut Section<'_>) -> Option<PathBuf> {
    root.section("policy", OWN, "Lists and rules.", |s| {
        s.optional("file", OWN, "no lists and rules", "Policy file. Re-read when it changes.")
    })
}

/// Reads `geo`.
pub fn geo(root: &mut Section<'_>) -> Geo {
    root.section(
        "geo",
        OWN,
        "MMDB files that map addresses to countries, networks and source types, for \
                              lists.",
        |s| Geo {
            country_database: s.optional("country_database", OWN, "none", "Countries."),
            asn_database: s.optional("asn_database", OWN, "none", "Autonomous systems."),
            source_type_database: s.optional(
                "source_type_database",
                OWN,
                "none",
                "Source types: data centres, VPN, Tor, proxies.",
            ),
        },
    )
}

/// Reads `overlimit`.
pub fn overlimit(root: &mut Section<'_>) -> Overlimit {
    root.section("overlimit", OWN, "Action for requests that were not inspected completely.", |s| {
        let meaning = "One action for every reason. `off`: they pass. `monitoring`: they pass and are reported as \
                       `overlimit_res`. `block`: they are treated as an attack.";
        let reasons = "What happens for a single reason: `pass`, `report` or `block`. The connector did not send it: \
                       `not_sent`. The time limit: `time_limit`. A coding or framing that cannot be undone: \
                       `undecodable`. A parser or detector failed: `internal_error`. Limits that ordinary clients do not reach: `work_limit`, `value_limit`, \
                       `depth_limit`, `count_limit`, `size_limit`, `recodings` (stacked encodings), `decompression`.";
        let unset = "`report` for `not_sent`, `time_limit`, `size_limit`, `undecodable`, `internal_error`; `pass` for `parser_off`; else \
             `block`";
        Overlimit {
            mode: s.optional("mode", OWN, "each reason has its own action", meaning),
            reasons: s.named("reasons", OWN, unset, reasons),
        }
    })
}

/// Reads `limits`. Every field of [`Limits`] has its key: the compiler asks for it.
pub fn limits(root: &mut Section<'_>) -> Limits {
    root.section("limits", OWN, "Limits of one inspection. Content beyond them is reported as not inspected.", |s| {
        let d = Limits::default();
        Limits {
            work: at_least(
                s,
                "work",
                d.work,
                1 << 10,
                "Most work units for each part of a message, whatever its size; a unit is about one byte read once.",
            ),
            depth: nesting(
                s,
                "depth",
                d.depth,
                "Parsers applied to one value in turn: base64 in JSON in gzip is three.",
            ),
            values: at_least(s, "values", d.values, 1, "Values extracted from one message."),
            members: at_least(s, "members", d.members, 1, "Pairs of one form."),
            decoded_bytes: size(s, "decoded_bytes", d.decoded_bytes, "Bytes made by decoders from one message."),
            inflated_bytes: size(s, "inflated_bytes", d.inflated_bytes, "Bytes decompressed from one message."),
            inflate_ratio: s.bounded(
                "inflate_ratio",
                OWN,
                d.inflate_ratio,
                2..=MAX_INFLATE_RATIO,
                "Bytes that may be decompressed for each byte of the body, besides `inflate_grace`.",
            ),
            inflate_grace: size(
                s,
                "inflate_grace",
                d.inflate_grace,
                "Bytes that may be decompressed whatever the size of the body.",
            ),
            headers: at_least(s, "headers", d.headers, 1, "Header lines of one message."),
            json_depth: nesting(s, "json_depth", d.json_depth, "Nesting of JSON arrays and objects."),
            xml_depth: nesting(s, "xml_depth", d.xml_depth, "Nesting of XML elements."),
            multipart_parts: at_least(s, "multipart_parts", d.multipart_parts, 1, "Parts of a multipart body."),
            multipart_depth: nesting(s, "multipart_depth", d.multipart_depth, "Nesting of multipart bodies."),
            gql_depth: nesting(s, "gql_depth", d.gql_depth, "Selection nesting that the GraphQL parser follows."),
            gql_tokens: at_least(s, "gql_tokens", d.gql_tokens, 1, "Tokens of one GraphQL document."),
            binary_depth: nesting(
                s,
                "binary_depth",
                d.binary_depth,
                "Nesting of protobuf, msgpack, CBOR and viewstate messages.",
            ),
            findings: at_least(s, "findings", d.findings, 1, "Findings kept. More are counted only."),
            anomalies: at_least(s, "anomalies", d.anomalies, 1, "Anomalies kept."),
        }
    })
}

/// Greatest ratio of decompressed to compressed bytes: deflate reaches about 1,030.
const MAX_INFLATE_RATIO: usize = 1600;
/// Greatest multiple of its default that a count may be set to: more is probably a typing error.
const COUNT_HEADROOM: u64 = 16;
/// The same for nesting, where each level may cost stack.
const NESTING_HEADROOM: u64 = 4;

fn at_least<T: Quantity>(s: &mut Section<'_>, name: &'static str, default: T, least: u64, meaning: &'static str) -> T {
    s.bounded(name, OWN, default, T::clamped(least)..=default.times(COUNT_HEADROOM), meaning)
}

fn nesting<T: Quantity>(s: &mut Section<'_>, name: &'static str, default: T, meaning: &'static str) -> T {
    s.bounded(name, OWN, default, T::clamped(1)..=default.times(NESTING_HEADROOM), meaning)
}

/// The integers in which limits count.
trait Quantity: Setting + PartialOrd + Copy {
    /// `n`, or the greatest value below it.
    fn clamped(n: u64) -> Self;
    /// `factor` times this, or the greatest value below it.
    fn times(self, factor: u64) -> Self;
}

macro_rules! quantities {
    ($($type:ty),*) => {$(
        impl Quantity for $type {
            fn clamped(n: u64) -> Self {
                Self::try_from(n).unwrap_or(Self::MAX)
            }

            fn times(self, factor: u64) -> Self {
                Self::clamped((self as u64).saturating_mul(factor))
            }
        }
    )*};
}
quantities!(u8, u32, u64, usize);

fn size(s: &mut Section<'_>, name: &'static str, default: usize, meaning: &'static str) -> usize {
    let bounds = ByteSize(1 << 10)..=ByteSize(1 << 30);
    let bytes = s.bounded(name, OWN, ByteSize(default as u64), bounds, meaning);
    usize::try_from(bytes.0).unwrap_or(usize::MAX)
}
