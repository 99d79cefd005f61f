//! What a node, an aggregation and a control plane know of one another: `api`, `events`, `crowdsec`, `aggregation`,
//! `control_plane`.

use super::routes::warn_of_everyone;
use super::{OWN, V4};
use crate::config::defaults;
use crate::config::diagnostic::Severity;
use crate::config::reader::Section;
use crate::config::resolved::{Abuse, Aggregation, Api, ControlPlane, CrowdSec, Events, Oidc, Redis, Smtp, TlsFiles};
use crate::config::types::{ByteSize, HeaderName, ListenAddress, SmtpTls};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;
use weir_core::model::vendor::is_vendor;

/// Whether `host` is a name or an address and nothing else: no scheme, port, path, percent sign or letter that would be
/// folded into another, behind which a host could hide from [`is_vendor`].
fn is_host(host: &str) -> bool {
    let name = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    name || host.parse::<std::net::IpAddr>().is_ok()
}

/// The key that signs policies: base64 of its 32 bytes.
fn policy_key(s: &mut Section<'_>) -> Option<String> {
    let meaning = "Base64 of the Ed25519 key that signs policies.";
    let key: Option<String> = s.optional("policy_key", OWN, "pinned at registration", meaning);
    let key = key.filter(|key| !key.is_empty())?;
    if STANDARD.decode(key.trim()).is_ok_and(|bytes| bytes.len() == 32) {
        return Some(key);
    }
    s.error(
        "policy_key",
        "not the base64 of 32 bytes",
        "copy it from the Console, or leave it out to pin it at registration",
    );
    None
}

/// Reads `api`.
pub fn api(root: &mut Section<'_>) -> Api {
    root.section("api", V4, "The control plane or aggregation that events go to and policy comes from.", |s| {
        let host: Option<String> =
            s.optional("host", V4, "none: the node works alone and sends nothing", "Its host name or address.");
        let host = host.filter(|host| !host.is_empty()).filter(|host| {
            if !is_host(host) {
                s.error(
                    "host",
                    "not a host name or address",
                    "leave out scheme, port and path: they have keys of their own",
                );
                return false;
            }
            let vendor = is_vendor(host);
            if vendor {
                let help = "name your own control plane, or remove the key";
                s.remark(
                    Severity::Warning,
                    "host",
                    "the vendor's cloud is never contacted; the host counts as empty",
                    help,
                );
            }
            !vendor
        });
        Api {
            host,
            port: s.get("port", V4, 443u16, "Its port."),
            use_ssl: s.get("use_ssl", V4, true, "Whether it is called over TLS."),
            ca_verify: s.get("ca_verify", V4, true, "Whether its certificate is verified. False is for tests."),
            ca_file: s.optional(
                "ca_file",
                OWN,
                "the built-in authorities",
                "PEM file of the authority that signs its certificate.",
            ),
            token: s.optional("token", V4, "none", "Node deployment token, with which the node registers."),
            token_file: s.optional("token_file", OWN, "none", "File with the token. Re-read at each registration."),
            node_group: s.get("node_group", V4, "default".to_owned(), "Group that the node joins."),
            node_name: s.optional("node_name", OWN, "the host's name", "What the node is called in the Console."),
            policy_key: policy_key(s),
        }
    })
}

/// Reads `data_dir`.
pub fn data_dir(root: &mut Section<'_>) -> std::path::PathBuf {
    let meaning = "Directory for what must survive a restart: spool, identity, last good policy, embedded database.";
    root.get("data_dir", OWN, defaults::DATA_DIR.into(), meaning)
}

const SENTINELS: &str = "Addresses of Sentinels, of the same form as `url`, with their own user and password. The host of `url` \
                         is then the name of the primary, e.g. `redis://USER:PASSWORD@mymaster`.";

/// Reads `abuse`.
pub fn abuse(root: &mut Section<'_>) -> Abuse {
    root.section("abuse", OWN, "Rules on behaviour over many requests: their counters, and who shares them.", |s| {
        let sizes = ByteSize(1 << 20)..=ByteSize(1 << 40);
        let memory = "Memory for counters: about 270 bytes a key, and 150 for each further rule that counts by it. When it is full, the least valuable are given up.";
        Abuse {
            memory: s.bounded("memory", OWN, ByteSize(256 << 20), sizes, memory).0,
            redis: s.section("redis", OWN, "A server of the Redis protocol (Redis, Valkey), through which nodes share counters.", |s| {
                let url = "Its address: `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://` for TLS.";
                let prefix = "Begins the name of every key; nodes that count together have the same, and the same `connector.auth` key.";
                Redis {
                    url: s.optional("url", OWN, "none: each node counts alone", url),
                    sentinels: s.list("sentinels", OWN, "none", SENTINELS),
                    cluster: s.get("cluster", OWN, false, "Whether the server is a node of a cluster. All keys are on one node of it."),
                    ca_file: s.optional("ca_file", OWN, "the authorities of the system", "PEM file of the authority that signs its certificate."),
                    prefix: s.optional("prefix", OWN, "`api.node_group`", prefix),
                }
            }),
        }
    })
}

/// Reads `events`.
pub fn events(root: &mut Section<'_>) -> Events {
    root.section("events", OWN, "Records of malicious requests, on their way to the control plane.", |s| {
        let ms = Duration::from_millis;
        Events {
            enabled: s.get(
                "enabled",
                OWN,
                true,
                "Whether they are recorded and sent. Logs and metrics do not \
                 depend on it.",
            ),
            spool_size: s
                .bounded(
                    "spool_size",
                    OWN,
                    ByteSize(256 << 20),
                    ByteSize(1 << 20)..=ByteSize(1 << 40),
                    "Disk space for records that are not delivered yet. When it is full, new ones are dropped and \
                 counted.",
                )
                .0,
            fsync_interval: s.bounded(
                "fsync_interval",
                OWN,
                ms(100),
                ms(1)..=Duration::from_secs(60),
                "Longest time from writing a record to forcing it to the disk.",
            ),
            stall: s.bounded(
                "stall",
                OWN,
                ms(5),
                ms(1)..=Duration::from_secs(1),
                "Longest time that a response waits until its record is on disk. After it the record is dropped \
                 and counted as `stalled`. Time spent waiting for a CPU core does not count; for it a response \
                 waits at most one second.",
            ),
            max_body: s
                .bounded(
                    "max_body",
                    OWN,
                    ByteSize(16 << 10),
                    ByteSize(0)..=ByteSize(1 << 20),
                    "Bytes of a body that are kept in a record.",
                )
                .0,
            sampling: s.get(
                "sampling",
                OWN,
                false,
                "Whether identical records past the fifth in an hour are \
                 counted only.",
            ),
        }
    })
}

/// Reads `crowdsec`.
pub fn crowdsec(root: &mut Section<'_>) -> CrowdSec {
    root.section("crowdsec", OWN, "Address lists from the decisions of a CrowdSec local API.", |s| {
        let read = CrowdSec {
            lapi_url: s.optional("lapi_url", OWN, "none: off", "URL of the API, such as `http://127.0.0.1:8080`."),
            lapi_key: s.optional("lapi_key", OWN, "none", "Key of a bouncer there (`cscli bouncers add`)."),
            ca_file: s.optional("ca_file", OWN, "built-in authorities", "Certificate authority of the API."),
            update_interval: s.bounded(
                "update_interval",
                OWN,
                Duration::from_secs(10),
                Duration::from_secs(1)..=Duration::from_secs(3600),
                "Time between two calls for what changed.",
            ),
        };
        if read.lapi_url.is_some() && read.lapi_key.is_none() {
            s.error("lapi_key", "`lapi_url` needs the key of a bouncer", "set `lapi_key`");
        }
        read
    })
}

/// Reads `aggregation`.
pub fn aggregation(root: &mut Section<'_>) -> Aggregation {
    root.section("aggregation", V4, "`weir aggregation`: collects events from nodes and serves them policy.", |s| {
        s.ignored("tarantoolMemory", super::OLD, "the spool's size is set by `events.spool_size`");
        s.ignored("wstoreMemory", super::OLD, "the spool's size is set by `events.spool_size`");
        s.ignored("serviceProtocol", V4, "`service_address` determines it");
        Aggregation {
            address: s.get("service_address", V4, ListenAddress::any(3313), "Where it listens."),
            tls: tls(s),
        }
    })
}

fn oidc(s: &mut Section<'_>) -> Oidc {
    s.secret_section("oidc", OWN, "Login by OpenID Connect, besides local users.", |s| Oidc {
        issuer: s.optional("issuer", OWN, "none: local users only", "URL of the identity provider."),
        client_id: s.optional("client_id", OWN, "none", "Id of this client."),
        client_secret: s.optional("client_secret", OWN, "none", "Secret of this client."),
        role_claim: s.get("role_claim", OWN, "groups".to_owned(), "Claim that names roles."),
        default_role: s.optional(
            "default_role",
            OWN,
            "none: no role, no login",
            "Role of users whose claim names no role.",
        ),
    })
}

fn smtp(s: &mut Section<'_>) -> Smtp {
    s.section("smtp", OWN, "Mail server through which alerts are sent.", |s| {
        let read = Smtp {
            host: s.optional("host", OWN, "no e-mail", "Its name or address."),
            port: s.optional("port", OWN, "587; 465 with `tls: implicit`, 25 with `tls: none`", "Its port."),
            tls: s.get(
                "tls",
                OWN,
                SmtpTls::StartTls,
                "Encryption: `starttls` by that command, which the server must offer; `implicit` from the first byte \
                 on; `none` without, for a server on the same machine or network.",
            ),
            user: s.optional("user", OWN, "no login", "User that logs in. Needs `password_file`, and encryption."),
            password_file: s.optional(
                "password_file",
                OWN,
                "no login",
                "File with the password on its first line. It is read for each message.",
            ),
            from: s.optional("from", OWN, "none", "Sender of alerts: `weir <weir@example.com>`."),
        };
        check_smtp(s, &read);
        read
    })
}

/// What e-mail cannot do without.
fn check_smtp(s: &mut Section<'_>, read: &Smtp) {
    match (&read.host, &read.from) {
        (Some(_), None) => s.error("host", "`smtp.host` without `smtp.from`", "set the address that sends alerts"),
        (None, Some(_)) => s.error("from", "`smtp.from` without `smtp.host`", "set the mail server"),
        _ => {}
    }
    if let Some(from) = &read.from
        && weir_control_plane::alerts::check_sender(from).is_err()
    {
        s.error("from", "not an e-mail address", "write `weir@example.com` or `weir <weir@example.com>`");
    }
    match (&read.user, &read.password_file) {
        (Some(_), None) => s.error("user", "`smtp.user` without `smtp.password_file`", "set both or none"),
        (None, Some(_)) => s.error("password_file", "`smtp.password_file` without `smtp.user`", "set both or none"),
        (Some(_), Some(_)) if read.tls == SmtpTls::None => {
            s.error(
                "tls",
                "without encryption the password would be readable on the network",
                "set `starttls` or `implicit`",
            );
        }
        _ => {}
    }
}

/// Reads `control_plane`.
pub fn control_plane(root: &mut Section<'_>) -> ControlPlane {
    root.section("control_plane", OWN, "`weir control-plane`: Console, API and store.", |s| {
        let read = ControlPlane {
            enabled: s.get("enabled", OWN, true, "Whether `weir` without a subcommand runs it in the same process."),
            address: s.optional(
                "address",
                OWN,
                "127.0.0.1:8088 in one process, :8088 on its own",
                "Where it \
                 listens.",
            ),
            tls: tls(s),
            database: s.optional(
                "database",
                OWN,
                "SQLite files under `data_dir`",
                "`sqlite:DIRECTORY` or `postgres://USER:PASSWORD@HOST/DATABASE`.",
            ),
            key_file: s.optional(
                "key_file",
                OWN,
                "generated under `data_dir`",
                "Ed25519 key (PKCS#8) that signs policies; replicas share it.",
            ),
            deploy_token: s.optional(
                "deploy_token",
                OWN,
                "none",
                "First Node deployment token. Nodes that have the same token in `api.token` can register at once.",
            ),
            admin_login: s.get("admin_login", OWN, "admin".to_owned(), "Login name of the first administrator."),
            admin_password: s.optional(
                "admin_password",
                OWN,
                "generated and printed at each start",
                "Password of the first administrator. Counts until the first login; after it, \
                 `weir admin reset-password` sets a new one.",
            ),
            public_url: s.optional(
                "public_url",
                OWN,
                "the host that the browser requests",
                "URL of the \
                 Console, as browsers reach it.",
            ),
            trusted_proxies: s
                .list(
                    "trusted_proxies",
                    OWN,
                    "none",
                    "Networks of proxies in front of the Console, such as an Ingress controller. The client's \
                     address that they report is used to throttle logins and in the audit log.",
                )
                .unwrap_or_default(),
            real_ip_header: s.get(
                "real_ip_header",
                OWN,
                HeaderName("x-forwarded-for".to_owned()),
                "Header in which they report it, read from the right, skipping trusted proxies. `Forwarded` is \
                 read according to RFC 7239.",
            ),
            outgoing_ca: s.get(
                "outgoing_ca",
                OWN,
                "bundled".to_owned(),
                "Certificate authorities that webhooks, mail servers, syslog receivers, mirrors and the identity provider are \
                 checked against: `bundled` for those of Mozilla, `system` for those of the operating system, or the \
                 path of a PEM file.",
            ),
            private_destinations: s.get(
                "private_destinations",
                OWN,
                true,
                "Whether webhooks, mail servers, syslog receivers and mirrors may be on this machine or in private networks. \
                 Link-local addresses are never contacted.",
            ),
            retention_days: s.bounded("retention_days", OWN, 180u32, 1..=3650, "Days for which hits are kept."),
            behaviour_days: s.bounded("behaviour_days", OWN, 30u32, 1..=365, "Days for which counts of rules on behaviour are kept."),
            session_days: s.bounded("session_days", OWN, 7u32, 1..=365, "Days for which the last requests of sessions with a hit, or past half of a limit, are kept."),
            oidc: oidc(s),
            smtp: smtp(s),
        };
        check_oidc(s, &read);
        check_proxies(s, &read);
        read
    })
}

/// What a login by OpenID Connect cannot do without.
fn check_oidc(s: &mut Section<'_>, read: &ControlPlane) {
    let oidc = &read.oidc;
    if oidc.issuer.is_some() && oidc.client_id.is_none() {
        s.error("oidc", "`oidc.issuer` without `oidc.client_id`", "set the id that the provider gave this client");
    }
    if oidc.issuer.is_some() && read.public_url.is_none() {
        let help = "set it to the URL of the Console; the provider sends browsers back to it";
        s.error("oidc", "`oidc.issuer` without `control_plane.public_url`", help);
    }
    if let Some(role) = &oidc.default_role
        && !ROLES.contains(&role.as_str())
    {
        s.error(
            "oidc",
            format!("`oidc.default_role`: there is no role `{role}`"),
            format!("write one of {}", ROLES.join(", ")),
        );
    }
}

/// Warns if every address is trusted as a proxy, or if a header is set and none is trusted.
fn check_proxies(s: &mut Section<'_>, read: &ControlPlane) {
    warn_of_everyone(s, "trusted_proxies", &read.trusted_proxies);
    if s.given("real_ip_header") && read.trusted_proxies.is_empty() {
        let message = "without `trusted_proxies` this header is ignored";
        s.remark(Severity::Warning, "real_ip_header", message, "list the networks of the proxies");
    }
}

/// Roles of the Console, as they are written.
const ROLES: &[&str] = &["administrator", "analyst", "read_only", "deploy"];

fn tls(s: &mut Section<'_>) -> Option<TlsFiles> {
    let cert =
        s.optional("tls_cert", OWN, "plain text", "PEM file with the certificate chain. Re-read when it changes.");
    let key = s.optional("tls_key", OWN, "plain text", "PEM file with the private key.");
    match (cert, key) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (None, None) => None,
        (Some(_), None) => {
            s.error("tls_cert", "`tls_cert` without `tls_key`", "set both or none");
            None
        }
        (None, Some(_)) => {
            s.error("tls_key", "`tls_key` without `tls_cert`", "set both or none");
            None
        }
    }
}
