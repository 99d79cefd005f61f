//! What a configuration means: plain data, every default filled in, every text parsed.
//! Components know nothing of this; `app` maps it to their own `Config` types.

use super::types::{ConnectorAddress, Credential, FileMode, Glob, Pattern, RoutePattern, Secret, Workers};
use ipnet::IpNet;
use std::path::PathBuf;
use std::time::Duration;
use weir_core::model::{AnomalyKind, Limits, ParserSet, SkipReason};

mod cloud;
mod service;

pub use super::types::{AnomalyAction, Mode, ModeOverride, OverlimitAction, OverlimitMode};
pub use cloud::{Abuse, Aggregation, Api, ControlPlane, Events, Oidc, Redis, Smtp};
pub use service::{AccessLog, HealthCheck, Load, Log, Metrics, Traces};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The API that connectors call.
    pub connector: Connector,
    /// How requests are inspected.
    pub http_inspector: HttpInspector,
    /// Modes and applications by host and route.
    pub route_config: RouteConfig,
    /// Which proxies are trusted to report the client's address; the first entry that trusts the peer applies.
    pub proxy_headers: Vec<ProxyRecord>,
    /// Requests that are not inspected at all.
    pub input_filters: InputFilters,
    /// Address lists.
    pub acl: Acl,
    /// Where signatures come from.
    pub rules: Rules,
    /// Local policy file: lists and rules.
    pub policy_file: Option<PathBuf>,
    /// Databases that map addresses to countries, networks and source types.
    pub geo: Geo,
    /// Response to a blocked client, unless its route has its own.
    pub block_reply: BlockReply,
    /// Bounds of one inspection.
    pub limits: Limits,
    /// Anomalies whose treatment differs from the built-in one.
    pub anomalies: Vec<(AnomalyKind, AnomalyAction)>,
    /// What a request means that could not be inspected within its limits.
    pub overlimit: Overlimit,
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
    /// Rules on behaviour over many requests.
    pub abuse: Abuse,
    /// Spans for an OpenTelemetry collector.
    pub traces: Traces,
    /// The agent for HAProxy.
    pub spoe: Spoe,
    /// Lists of CrowdSec.
    pub crowdsec: CrowdSec,
    /// `weir aggregation`.
    pub aggregation: Aggregation,
    /// `weir control-plane`.
    pub control_plane: ControlPlane,
}

/// The API that connectors call.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Where the API listens.
    pub address: ConnectorAddress,
    /// The file of the socket, if `address` is one.
    pub unix_socket: UnixSocket,
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
    /// HTTP status if that time is exceeded.
    pub app_reply_timeout_code: u16,
    /// How connectors prove who they are.
    pub auth: Auth,
    /// Largest call accepted, head and body of the inner message together, in bytes.
    pub max_call_bytes: usize,
}

impl Connector {
    /// Whether calls are accepted without key and client certificate.
    pub fn unauthenticated(&self) -> bool {
        self.auth.keys.is_empty() && self.auth.key_files.is_empty() && self.auth.client_ca.is_none()
    }
}

/// Lists of CrowdSec.
#[derive(Clone, Debug)]
pub struct CrowdSec {
    /// URL of the local API; off without.
    pub lapi_url: Option<String>,
    /// Key of a bouncer.
    pub lapi_key: Option<Credential>,
    /// Certificate authority to trust instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// Time between two calls.
    pub update_interval: Duration,
}

/// The agent for HAProxy.
#[derive(Clone, Debug)]
pub struct Spoe {
    /// Where it listens; it is off without.
    pub address: Option<ConnectorAddress>,
}

/// Who may connect to a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Permission bits of its file.
    pub mode: FileMode,
    /// Its group, a name or a number; that of the process or the directory without.
    pub group: Option<String>,
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
    /// Bytes received.
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
    /// Tenant, unless a route sets its own.
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

/// Response to a blocked client.
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

/// What happens to requests of which a part was not inspected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlimit {
    /// One action for all reasons; none leaves each at its default.
    pub mode: Option<OverlimitMode>,
    /// Actions for single reasons, over `mode`.
    pub reasons: Vec<(SkipReason, OverlimitAction)>,
}
