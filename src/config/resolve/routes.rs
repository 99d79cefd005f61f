//! `route_config`, `proxy_headers`, `input_filters`, `block_reply`: what holds for which requests.

use super::{OWN, V4, inspection};
use crate::config::defaults;
use crate::config::diagnostic::Severity;
use crate::config::reader::Section;
use crate::config::resolved::{BlockReply, InputFilter, InputFilters, ProxyRecord, Route, RouteConfig};
use crate::config::types::{Glob, HeaderName, Mode, ModeOverride, Pattern, Setting};
use ipnet::IpNet;

/// Reads `route_config`.
pub fn route_config(root: &mut Section<'_>) -> RouteConfig {
    let carried_over = root.given("version");
    root.section("route_config", V4, "Modes and applications, by host and route.", |s| RouteConfig {
        mode: mode(s, carried_over),
        mode_override: s.get(
            "wallarm_mode_allow_override",
            V4,
            ModeOverride::On,
            "How a mode set by policy combines with this one: `on`: the policy replaces it; `off`: the policy \
             is ignored; `strict`: the stricter one applies.",
        ),
        application: s.get(
            "wallarm_application",
            V4,
            defaults::APPLICATION,
            "Application id, unless a route sets its own; -1 is none.",
        ),
        client_uuid: tenant(s, "none", "Tenant, unless a route sets its own."),
        routes: routes(s),
    })
}

fn mode(s: &mut Section<'_>, carried_over: bool) -> Mode {
    let mode = s.get(
        "wallarm_mode",
        V4,
        defaults::MODE,
        "Mode, unless a route sets its own: `off`, `monitoring`, `safe_blocking` (only attacks from graylisted \
         addresses are blocked) or `block`. The default differs from other nodes, which monitor.",
    );
    // Only files that are written for such nodes too have a version.
    if carried_over && !s.given("wallarm_mode") {
        let message = "`wallarm_mode` is not set: this node blocks then, others monitor";
        s.remark(Severity::Note, "wallarm_mode", message, "write down the one that is meant");
    }
    mode
}

fn routes(s: &mut Section<'_>) -> Vec<Route> {
    let meaning = "Settings for some hosts and paths. A key that is left out is inherited from the enclosing entry.";
    let list = s.records("routes", V4, "none", meaning, |s| Route {
        host: host(s),
        route: s.optional(
            "route",
            V4,
            "every path",
            "Path in the manner of nginx: `/p` begins so, `= /p` this one only, `^~ /p` begins so and beats expressions, \
             `~ re` and `~* re` match an expression, the latter without regard to case.",
        ),
        application: s.optional("wallarm_application", V4, "inherited", "Application id."),
        mode: s.optional("wallarm_mode", V4, "inherited", "Mode."),
        client_uuid: tenant(s, "inherited", "Tenant."),
        parsers_off: inspection::parsers_off(s),
        block_reply: route_reply(s),
        routes: routes(s),
    });
    list.unwrap_or_default()
}

fn host(s: &mut Section<'_>) -> Option<Glob> {
    let host: Option<Glob> = s.optional("host", V4, "every host", "Host without port, with `*`, `?` and `[a-z]`.");
    if let Some((message, help)) = host.as_ref().and_then(Glob::fits_nothing) {
        s.remark(Severity::Warning, "host", message, help);
    }
    host
}

fn tenant(s: &mut Section<'_>, unset: &str, meaning: &'static str) -> Option<String> {
    let uuid = s.optional("wallarm_partner_client_uuid", V4, unset, meaning);
    if uuid.is_some() {
        let help = "tell tenants apart by `wallarm_application`";
        let message = "tenants are not told apart in this version";
        s.remark(Severity::Warning, "wallarm_partner_client_uuid", message, help);
    }
    uuid
}

fn route_reply(s: &mut Section<'_>) -> Option<BlockReply> {
    let mut given = false;
    let reply = s.section(
        "block_reply",
        OWN,
        "Response to a blocked client on this route. Keys that are left out are inherited.",
        |s| {
            let reply = reply_keys(s);
            given = ["status", "headers", "body_json", "body_html"].iter().any(|key| s.given(key));
            reply
        },
    );
    given.then_some(reply)
}

/// Reads `block_reply`.
pub fn block_reply(root: &mut Section<'_>) -> BlockReply {
    root.section("block_reply", OWN, "Response to a blocked client.", reply_keys)
}

fn reply_keys(s: &mut Section<'_>) -> BlockReply {
    let status = s.bounded("status", OWN, defaults::BLOCK_STATUS, 200..=599, "HTTP status.");
    let headers = s.named::<HeaderName, String>(
        "headers",
        OWN,
        "none",
        "Additional headers. `${request_id}`, `${host}`, `${application}` and `${status}` are replaced, here and in bodies.",
    );
    let json = s.get("body_json", OWN, defaults::BLOCK_JSON.to_owned(), "Body for clients that do not ask for HTML.");
    let html = s.optional("body_html", OWN, "the JSON body", "Body for clients whose Accept prefers HTML.");
    for (name, value) in &headers {
        if value.bytes().any(|b| b != b'\t' && (b < b' ' || b == 0x7f)) {
            let message = format!("the value of `{}` holds control bytes", name.0);
            s.error("headers", message, "write it in one line");
        }
    }
    let headers = headers.into_iter().map(|(name, value)| (name.0, value)).collect();
    BlockReply { status, headers, json, html }
}

/// Reads `proxy_headers`. `real_ip_header` is the short form of a last record.
pub fn proxy_headers(root: &mut Section<'_>, real_ip_header: Option<HeaderName>) -> Vec<ProxyRecord> {
    let meaning = "Proxies that are trusted to report the client's address. The first entry whose `trusted_networks` \
                   contains the peer of the gateway applies; headers from other peers are ignored.";
    let list = root.records("proxy_headers", V4, "none", meaning, |s| {
        let trusted = s.list::<IpNet>(
            "trusted_networks",
            V4,
            "loopback and private networks",
            "Proxies whose headers are trusted. To allow every address, write `0.0.0.0/0` and `::/0`: then any client can \
             claim any address.",
        );
        let original_host = s.list(
            "original_host",
            V4,
            "none",
            "Headers with the host that the client requested. The first one that is present is used.",
        );
        let real_ip = s.list(
            "real_ip",
            V4,
            "none",
            "Headers with the client's address. The first one that is present is used, read from the right, skipping \
             trusted proxies. `Forwarded` is read according to RFC 7239.",
        );
        match &trusted {
            None => s.remark(
                Severity::Warning,
                "trusted_networks",
                "without `trusted_networks` only loopback and private networks are trusted",
                "list the networks of the proxies; other nodes trust every address here",
            ),
            Some(list) if list.is_empty() => s.remark(
                Severity::Warning,
                "trusted_networks",
                "an empty list trusts no address: this entry never applies",
                "list the networks of the proxies, or remove the entry",
            ),
            Some(list) => warn_of_everyone(s, "trusted_networks", list),
        }
        let names = |list: Option<Vec<HeaderName>>| list.unwrap_or_default().into_iter().map(|name| name.0).collect();
        ProxyRecord {
            trusted_networks: trusted.unwrap_or_else(defaults::private_networks),
            original_host: names(original_host),
            real_ip: names(real_ip),
        }
    });
    let mut list = list.unwrap_or_default();
    list.extend(real_ip_header.map(|name| ProxyRecord {
        trusted_networks: defaults::private_networks(),
        original_host: Vec::new(),
        real_ip: vec![name.show()],
    }));
    list
}

/// Warns where the `trusted` proxies that key `name` gives are everyone.
pub(super) fn warn_of_everyone(s: &mut Section<'_>, name: &'static str, trusted: &[IpNet]) {
    if trusted.iter().any(|network| network.prefix_len() == 0) {
        s.remark(Severity::Warning, name, "every client can claim any address", "list the networks of the proxies");
    }
}

/// Reads `input_filters`.
pub fn input_filters(root: &mut Section<'_>) -> InputFilters {
    root.section("input_filters", V4, "Which requests are inspected at all.", |s| InputFilters {
        inspect: filters(s, "inspect", "all", "Only requests that match one of these are inspected."),
        bypass: filters(
            s,
            "bypass",
            "none",
            "Requests that match one of these are not inspected; wins over `inspect`.",
        ),
    })
}

fn filters(s: &mut Section<'_>, name: &'static str, unset: &str, meaning: &'static str) -> Vec<InputFilter> {
    let list = s.records(name, V4, unset, meaning, |s| {
        let filter = InputFilter {
            path: s.optional("path", V4, "any", "Expression on the path."),
            url: s.optional("url", V4, "any", "Expression on host, path and query: `example.com/a?b=c`."),
            headers: s
                .named::<HeaderName, Pattern>("headers", V4, "any", "Expressions on header values, by header.")
                .into_iter()
                .map(|(name, pattern)| (name.0, pattern))
                .collect(),
            ip_addresses: s.list("ip_addresses", V4, "any", "Networks of the client.").unwrap_or_default(),
        };
        // A bypass without conditions would let everything pass unseen: surely a slip.
        if !["path", "url", "headers", "ip_addresses"].iter().any(|key| s.given(key)) {
            s.error("path", "a filter without a condition", "give it at least one of its keys");
        }
        filter
    });
    list.unwrap_or_default()
}
