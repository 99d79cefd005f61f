//! What a configuration means: plain data, every default filled in, every text parsed.
//! Components know nothing of this; `app` maps it to their own `Config` types.

use super::types::{Glob, HeaderName, ListenAddress, LogLevel, LogTarget, Pattern, RoutePattern, Secret, Workers};
use crate::model::{AnomalyKind, Limits, ParserSet};
use ipnet::IpNet;
use std::path::PathBuf;
use std::time::Duration;

pub use super::types::{AnomalyAction, Mode, ModeOverride, OverlimitMode};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The API that connectors call.
    pub connector: Connector,
    /// How requests are inspected.
    pub http_inspector: HttpInspector,
    /// Modes and applications by host and route.
    pub route_config: RouteConfig,
    /// Whom to believe about the client's address: records in order, the first that trusts the peer decides.
    pub proxy_headers: Vec<ProxyRecord>,
    /// Requests that are not inspected at all.
    pub input_filters: InputFilters,
    /// Address lists.
    pub acl: Acl,
    /// Where signatures come from.
    pub rules: Rules,
    /// Local policy file: lists and rules.
    pub policy_file: Option<PathBuf>,
    /// Databases that place an address.
    pub geo: Geo,
    /// What a blocked client gets, unless its route says otherwise.
    pub block_reply: BlockReply,
    /// Bounds of one inspection.
    pub limits: Limits,
    /// Anomalies whose treatment differs from the built-in one.
    pub anomalies: Vec<(AnomalyKind, AnomalyAction)>,
    /// What a request means that could not be inspected within its limits.
    pub overlimit: OverlimitMode,
    /// Bounds of the service as a whole.
    pub load: Load,
    /// Logs.
    pub log: Log,
    /// Prometheus metrics.
    pub metrics: Metrics,
    /// Probes.
    pub health_check: HealthCheck,
    /// Directory for what must survive a restart.
    pub data_dir: PathBuf,
    /// Where events go and policy comes from.
    pub api: Api,
    /// Records of malicious requests.
    pub events: Events,
    /// `weir aggregation`.
    pub aggregation: Aggregation,
    /// `weir control-plane`.
    pub control_plane: ControlPlane,
}

/// Where events go and policy comes from.
#[derive(Clone, Debug)]
pub struct Api {
    /// Host; none: the node works alone. Never one of the vendor's.
    pub host: Option<String>,
    /// Port.
    pub port: u16,
    /// Whether it is called over TLS.
    pub use_ssl: bool,
    /// Whether its certificate is verified.
    pub ca_verify: bool,
    /// Authority that signs its certificate, instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// Token of usage Node deployment.
    pub token: Option<Secret>,
    /// File that holds it.
    pub token_file: Option<PathBuf>,
    /// Group that the node joins.
    pub node_group: String,
    /// What the node is called.
    pub node_name: Option<String>,
    /// Base64 of the Ed25519 key that signs policies, where it is not to be pinned at registration.
    pub policy_key: Option<String>,
}

/// Records of malicious requests.
#[derive(Clone, Debug)]
pub struct Events {
    /// Whether they are spooled and shipped.
    pub enabled: bool,
    /// Octets of spool.
    pub spool_size: u64,
    /// Longest time from write to fsync.
    pub fsync_interval: Duration,
    /// Longest time that an answer waits for its record.
    pub stall: Duration,
    /// Octets of a body kept in a record.
    pub max_body: u64,
    /// Whether identical records are folded.
    pub sampling: bool,
}

/// `weir aggregation`.
#[derive(Clone, Debug)]
pub struct Aggregation {
    /// Where it listens.
    pub address: ListenAddress,
    /// Certificate and key.
    pub tls: Option<TlsFiles>,
}

/// `weir control-plane`.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// Whether it runs in the one-process default.
    pub enabled: bool,
    /// Where it listens; the default depends on whether it runs on its own.
    pub address: Option<ListenAddress>,
    /// Certificate and key.
    pub tls: Option<TlsFiles>,
    /// Database URL; SQLite under `data_dir` without.
    pub database: Option<Secret>,
    /// Signing key; made under `data_dir` without.
    pub key_file: Option<PathBuf>,
    /// First token of usage Node deployment.
    pub deploy_token: Option<Secret>,
    /// Login of the first administrator.
    pub admin_login: String,
    /// Password of the first administrator; made and printed once without.
    pub admin_password: Option<Secret>,
    /// Where browsers reach the Console.
    pub public_url: Option<String>,
    /// Proxies that tell the client's address.
    pub trusted_proxies: Vec<IpNet>,
    /// Header in which they do.
    pub real_ip_header: HeaderName,
    /// Days for which hits are kept.
    pub retention_days: u32,
    /// Login by OpenID Connect.
    pub oidc: Oidc,
}

/// Login by OpenID Connect.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// Identity provider; local users only without.
    pub issuer: Option<String>,
    /// Id of this client.
    pub client_id: Option<String>,
    /// Secret of this client.
    pub client_secret: Option<Secret>,
    /// Claim that names roles.
    pub role_claim: String,
    /// Role of those whose claim names none.
    pub default_role: Option<String>,
}

/// The API that connectors call.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Where the API listens.
    pub address: ListenAddress,
    /// Certificate and key files; plain text without.
    pub tls: Option<TlsFiles>,
    /// False: nothing is ever blocked, whatever the modes say.
    pub blocking: bool,
    /// Peers that may call; already the effective list (see [`Connector::networks_by_default`]).
    pub allowed_networks: Vec<IpNet>,
    /// Whether `allowed_networks` was left out, so that it follows from authentication.
    pub networks_by_default: bool,
    /// Hosts of inner requests that are accepted; empty accepts all.
    pub allowed_hosts: Vec<Glob>,
    /// Whether paths are normalised before a route is chosen.
    pub url_normalize: bool,
    /// Health endpoint on the API's own port, where wanted: its path.
    pub external_health_check: Option<String>,
    /// When a connection is closed so that load spreads.
    pub per_connection_limits: PerConnectionLimits,
    /// Longest time from the arrival of a call to its answer; none without.
    pub app_reply_timeout: Option<Duration>,
    /// HTTP status of an answer that came too late.
    pub app_reply_timeout_code: u16,
    /// How connectors prove who they are.
    pub auth: Auth,
    /// Largest call accepted, head and body of the inner message together, in octets.
    pub max_call_bytes: usize,
}

impl Connector {
    /// Whether calls are accepted without key and client certificate.
    pub fn unauthenticated(&self) -> bool {
        self.auth.keys.is_empty() && self.auth.key_files.is_empty() && self.auth.client_ca.is_none()
    }
}

/// Certificate chain and private key, PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// How connectors prove who they are. Any one of the ways given suffices.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// Bearer keys, all valid at once.
    pub keys: Vec<Secret>,
    /// Files that hold one bearer key each, surrounding white space ignored.
    pub key_files: Vec<PathBuf>,
    /// PEM file of the authority that signs client certificates.
    pub client_ca: Option<PathBuf>,
}

/// When a connection is closed after the answer under way; none of the bounds applies unless set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerConnectionLimits {
    /// Calls.
    pub max_requests: Option<u64>,
    /// Octets received.
    pub max_received_bytes: Option<u64>,
    /// Age.
    pub max_duration: Option<Duration>,
}

/// How requests are inspected.
#[derive(Clone, Debug)]
pub struct HttpInspector {
    /// Threads.
    pub workers: Workers,
    /// Whether libinjection is asked where the grammar is in doubt.
    pub libdetection_enabled: bool,
    /// Longest time one inspection may take.
    pub process_time_limit: Duration,
    /// Parsers switched off for every request.
    pub parsers_off: ParserSet,
}

/// Modes and applications, by host and route.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// Mode where no route says otherwise.
    pub mode: Mode,
    /// How a mode from the control plane and the local one combine.
    pub mode_override: ModeOverride,
    /// Application where no route says otherwise; -1 is "none".
    pub application: i64,
    /// Tenant where no route says otherwise.
    pub client_uuid: Option<String>,
    /// Routes in order of the file.
    pub routes: Vec<Route>,
}

/// One entry of `route_config.routes`. What is unset is inherited from the entry around it.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Hosts it is for, lower case; every host without.
    pub host: Option<Glob>,
    /// Paths it is for; every path without.
    pub route: Option<RoutePattern>,
    /// Application id.
    pub application: Option<i64>,
    /// Mode.
    pub mode: Option<Mode>,
    /// Tenant.
    pub client_uuid: Option<String>,
    /// What a blocked client gets here.
    pub block_reply: Option<BlockReply>,
    /// Parsers switched off here, besides those switched off around it.
    pub parsers_off: ParserSet,
    /// Entries within this one.
    pub routes: Vec<Route>,
}

/// One record of `proxy_headers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRecord {
    /// Peers whose headers count; already the effective list.
    pub trusted_networks: Vec<IpNet>,
    /// Headers that may hold the host the client asked for, lower case, the first present wins.
    pub original_host: Vec<String>,
    /// Headers that may hold the client's address, lower case, the first present wins.
    pub real_ip: Vec<String>,
}

/// Requests that are inspected or let through unseen. `bypass` wins; an empty `inspect` means all.
#[derive(Clone, Debug, Default)]
pub struct InputFilters {
    /// Only requests that match one of these are inspected.
    pub inspect: Vec<InputFilter>,
    /// Requests that match one of these are not inspected.
    pub bypass: Vec<InputFilter>,
}

/// Address lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acl {
    /// Whether lists are consulted at all.
    pub enabled: bool,
    /// Whether denylisted requests are refused before they are inspected.
    pub access_phase: bool,
}

/// Conditions that must all hold; patterns match anywhere unless anchored.
#[derive(Clone, Debug, Default)]
pub struct InputFilter {
    /// On the path without query.
    pub path: Option<Pattern>,
    /// On host, path and query, such as `example.com/a?b=c`.
    pub url: Option<Pattern>,
    /// On headers: name in lower case, pattern of a value.
    pub headers: Vec<(String, Pattern)>,
    /// The client's address is in one of these.
    pub ip_addresses: Vec<IpNet>,
}

/// Where signatures come from.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether the signatures built into the binary are loaded.
    pub builtin: bool,
    /// Directories of further rule files.
    pub directories: Vec<PathBuf>,
}

/// MMDB files that place an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Geo {
    /// Countries.
    pub country_database: Option<PathBuf>,
    /// Autonomous systems.
    pub asn_database: Option<PathBuf>,
    /// Source types: data centres, VPN, Tor, proxies.
    pub source_type_database: Option<PathBuf>,
}

/// What a blocked client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReply {
    /// HTTP status.
    pub status: u16,
    /// Headers besides the content type. `${request_id}` stands for the id of the request, here and in bodies.
    pub headers: Vec<(String, String)>,
    /// Body for clients that do not ask for HTML.
    pub json: String,
    /// Body for clients whose Accept prefers HTML; the JSON one without.
    pub html: Option<String>,
}

/// Bounds of what listens: what is above is refused early instead of queued without measure. Connections, heads, idling
/// and draining are bounded on each listener, the rest is of the connector API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Open connections of each listener.
    pub max_connections: usize,
    /// Calls being read, inspected or answered at once.
    pub max_concurrent_calls: usize,
    /// Octets of calls held in memory at once.
    pub max_buffered_bytes: usize,
    /// Messages up to this many octets are inspected at once on the runtime's worker; larger ones on the pool.
    pub inline_bytes: usize,
    /// Larger messages that wait for a thread of the pool.
    pub queue: usize,
    /// Longest wait for a thread of the pool.
    pub queue_timeout: Duration,
    /// Out-of-band copies that wait to be inspected.
    pub background_queue: usize,
    /// `Retry-After` of an answer that sheds load.
    pub retry_after: Duration,
    /// Longest time for a TLS handshake, to the first call, and to read the head of each further one.
    pub header_timeout: Duration,
    /// Longest time to read the rest of a call.
    pub body_timeout: Duration,
    /// Longest time a connection of any listener may idle between calls.
    pub idle_timeout: Duration,
    /// Longest time that calls under way are waited for on stop.
    pub drain_timeout: Duration,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Least severity written.
    pub level: LogLevel,
    /// For people instead of JSON.
    pub pretty: bool,
    /// Where to.
    pub target: LogTarget,
    /// One line a call; none without.
    pub access_log: Option<AccessLog>,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Findings and what was not inspected besides the verdict.
    pub verbose: bool,
    /// Where to.
    pub target: LogTarget,
}

/// Prometheus metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Where they are served; nowhere without.
    pub address: Option<ListenAddress>,
    /// Prefix of family names.
    pub namespace: String,
}

/// Probes `/live` and `/ready`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Where they are served; nowhere without.
    pub address: Option<ListenAddress>,
}
