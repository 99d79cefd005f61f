//! `connector`: the API that gateways call.

use super::{NO_MESH, OLD, OWN, V4};
use crate::config::defaults;
use crate::config::diagnostic::Severity;
use crate::config::reader::Section;
use crate::config::resolved::{Auth, Connector, PerConnectionLimits, TlsFiles, UnixSocket};
use crate::config::types::ConnectorMode;
use ipnet::IpNet;

/// Reads the section.
pub fn read(root: &mut Section<'_>) -> Connector {
    root.section("connector", V4, "The API that gateways call.", |s| {
        let address = s.get("address", V4, defaults::ADDRESS, "Where the API listens.");
        let unix_socket = unix_socket(s);
        let tls = tls(s);
        let blocking = blocking(s);
        let networks = s.list::<IpNet>(
            "allowed_networks",
            V4,
            "everyone where `auth` is set, else loopback and private networks",
            "Peers that may call. To allow every address, write `0.0.0.0/0` and `::/0`.",
        );
        let allowed_hosts = s.list("allowed_hosts", V4, "all", "Hosts that inspected requests may be addressed \
             to. Requests to others are refused.");
        let url_normalize = s.get("url_normalize", V4, true, "Whether a route is chosen by the decoded path without dot segments. False: by the path as sent, which a client \
             can spell in ways that miss a route.");
        let external_health_check = external_health_check(s);
        let per_connection_limits = per_connection_limits(s);
        let app_reply_timeout =
            s.optional("app_reply_timeout", V4, "none", "Longest time from the arrival of a call to its response.");
        let app_reply_timeout_code = s.bounded(
            "app_reply_timeout_code",
            V4,
            defaults::REPLY_TIMEOUT_CODE,
            400..=599,
            "HTTP status if that time is exceeded.",
        );
        let auth = auth(s);
        let max_call_bytes = s.bounded(
            "max_call_bytes",
            OWN,
            defaults::MAX_CALL_BYTES,
            crate::config::types::ByteSize(1 << 10)..=defaults::MAX_CALL_BYTES_BOUND,
            "Largest call accepted; larger ones get 413.",
        );
        s.ignored("mesh", V4, NO_MESH);
        s.ignored("disable_mesh", V4, NO_MESH);
        s.ignored("certificate", OLD, "Helm renders `tls_cert` and `tls_key` from it; name the files here");
        if auth.client_ca.is_some() && tls.is_none() {
            s.error("auth", "`auth.client_ca` needs TLS", "set `tls_cert` and `tls_key`");
        }
        if address.tcp().is_none() && tls.is_some() {
            s.error("tls_cert", "a Unix socket has no TLS", "remove `tls_cert` and `tls_key`, or listen on a port");
        }
        let networks_by_default = networks.is_none();
        let open = auth.keys.is_empty() && auth.key_files.is_empty() && auth.client_ca.is_none();
        if open && let Some(tcp) = address.tcp() {
            let reachable = tcp.ip.is_none_or(|ip| !ip.is_loopback());
            warn_open(s, networks.as_deref(), reachable);
        }
        let allowed_networks = networks.unwrap_or_else(|| match open {
            true => defaults::private_networks(),
            false => defaults::all_networks(),
        });
        Connector {
            address,
            unix_socket,
            tls,
            blocking,
            allowed_networks,
            networks_by_default,
            allowed_hosts: allowed_hosts.unwrap_or_default(),
            url_normalize,
            external_health_check,
            per_connection_limits,
            app_reply_timeout,
            app_reply_timeout_code,
            auth,
            max_call_bytes: usize::try_from(max_call_bytes.0).unwrap_or(usize::MAX),
        }
    })
}

fn unix_socket(s: &mut Section<'_>) -> UnixSocket {
    let meaning = "The file of the socket, if `address` is `unix:/PATH`. Who may write to it may connect; `auth` applies as \
                   it does to TCP, `allowed_networks` does not.";
    s.section("unix_socket", OWN, meaning, |s| UnixSocket {
        mode: s.get("mode", OWN, defaults::SOCKET_MODE, "Its permission bits."),
        group: s.optional(
            "group",
            OWN,
            "that of the process, or of a directory with the setgid bit",
            "Its group, a name in `/etc/group` or a number. The process must be a member.",
        ),
    })
}

fn tls(s: &mut Section<'_>) -> Option<TlsFiles> {
    let cert =
        s.optional("tls_cert", V4, "plain text", "PEM file with the certificate chain. Re-read when it changes.");
    let key = s.optional("tls_key", V4, "plain text", "PEM file with the private key.");
    match (cert, key) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (Some(_), None) if !s.given("tls_key") => {
            s.error("tls_cert", "`tls_cert` without `tls_key`", "set both or none");
            None
        }
        (None, Some(_)) if !s.given("tls_cert") => {
            s.error("tls_key", "`tls_key` without `tls_cert`", "set both or none");
            None
        }
        _ => None,
    }
}

fn blocking(s: &mut Section<'_>) -> bool {
    let blocking =
        s.get("blocking", V4, true, "False: nothing is blocked, whatever the modes are. Attacks are still reported.");
    let mode = s.optional::<ConnectorMode>(
        "mode",
        OLD,
        "nothing",
        "`block` and `monitoring` of older charts stand for `blocking: true` and `blocking: false`.",
    );
    let by_mode = match mode {
        Some(ConnectorMode::Block) => true,
        Some(ConnectorMode::Monitoring) => false,
        Some(ConnectorMode::ConnectorServer) | None => return blocking,
    };
    if s.given("blocking") && by_mode != blocking {
        s.error("mode", "`mode` contradicts `blocking`", "remove `mode`; it is the older form of `blocking`");
    }
    by_mode
}

fn external_health_check(s: &mut Section<'_>) -> Option<String> {
    s.section("external_health_check", V4, "A health endpoint on the API's own port.", |s| {
        let enabled = s.get("enabled", V4, false, "Whether it is offered.");
        let default = defaults::EXTERNAL_HEALTH_ENDPOINT.to_owned();
        let path = s.get("endpoint", V4, default, "Its path; answers 200 while the node is alive.");
        if !path.starts_with('/') || path.starts_with("/v1/") {
            s.error("endpoint", "not a path that is free", "write a path such as `/health`, outside `/v1/`");
        }
        enabled.then_some(path)
    })
}

fn per_connection_limits(s: &mut Section<'_>) -> PerConnectionLimits {
    let meaning = "Limits after which a connection is closed, once the current response is sent. Load then \
                   spreads to new replicas.";
    s.section("per_connection_limits", V4, meaning, |s| {
        let max_requests = s.optional::<u64>("max_requests", V4, "none", "Calls on one connection.");
        let max_received_bytes =
            s.optional::<crate::config::types::ByteSize>("max_received_bytes", V4, "none", "Bytes received.");
        let max_duration = s.optional::<std::time::Duration>("max_duration", V4, "none", "Age of the connection.");
        for (name, zero) in [
            ("max_requests", max_requests == Some(0)),
            ("max_received_bytes", max_received_bytes.is_some_and(|n| n.0 == 0)),
            ("max_duration", max_duration.is_some_and(|d| d.is_zero())),
        ] {
            if zero {
                s.error(name, format!("`{name}: 0` would close every connection"), "leave it out for no bound");
            }
        }
        PerConnectionLimits { max_requests, max_received_bytes: max_received_bytes.map(|n| n.0), max_duration }
    })
}

fn auth(s: &mut Section<'_>) -> Auth {
    let meaning = "Authentication of gateways. If several ways are configured, any one of them is enough.";
    s.secret_section("auth", OWN, meaning, |s| Auth {
        keys: s
            .list("keys", OWN, "none", "Bearer keys, all valid at once, so that they can be rotated.")
            .unwrap_or_default(),
        key_files: s
            .list("key_files", OWN, "none", "Files with one bearer key each. Re-read when they change.")
            .unwrap_or_default(),
        client_ca: s.optional("client_ca", OWN, "none", "PEM file of the authority that signs client certificates."),
    })
}

/// Without authentication the network is all that protects the API: whoever can call it can fill logs and events. Where
/// only this machine can reach it, there is nothing to warn of.
fn warn_open(s: &mut Section<'_>, networks: Option<&[IpNet]>, reachable: bool) {
    let everyone = networks.is_some_and(|list| list.iter().any(|network| network.prefix_len() == 0));
    if everyone {
        let help = "set `auth.keys` or `auth.client_ca`, or name the gateways' networks";
        s.remark(Severity::Warning, "allowed_networks", "everyone may call the API without authentication", help);
    } else if reachable && networks.is_none() && !s.given("auth") {
        let help = "set `connector.auth` or `connector.allowed_networks`";
        let message = "the API accepts calls from loopback and private networks without authentication";
        s.remark(Severity::Note, "auth", message, help);
    }
}
