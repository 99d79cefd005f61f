//! `api`, `events`, `aggregation`, `control_plane`: what goes beyond one node.

use super::TlsFiles;
use crate::config::types::{Credential, HeaderName, ListenAddress, Secret, SmtpTls};
use ipnet::IpNet;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Node deployment token.
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

/// Rules on behaviour over many requests.
#[derive(Clone, Debug)]
pub struct Abuse {
    /// Bytes for counters.
    pub memory: u64,
    /// The server through which nodes share counters.
    pub redis: Redis,
}

/// A server of the Redis protocol.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Its address, with user and password.
    pub url: Option<Credential>,
    /// Addresses of Sentinels.
    pub sentinels: Option<Vec<Credential>>,
    /// Whether it is a node of a cluster.
    pub cluster: bool,
    /// Certificate authorities to trust instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// Begins the name of every key.
    pub prefix: Option<String>,
}

/// Records of malicious requests.
#[derive(Clone, Debug)]
pub struct Events {
    /// Whether they are spooled and shipped.
    pub enabled: bool,
    /// Bytes of spool.
    pub spool_size: u64,
    /// Longest time from write to fsync.
    pub fsync_interval: Duration,
    /// Longest time that the disk may hold up an answer for its record.
    pub stall: Duration,
    /// Bytes of a body kept in a record.
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
    pub database: Option<Credential>,
    /// Signing key; generated under `data_dir` without.
    pub key_file: Option<PathBuf>,
    /// First token of usage Node deployment.
    pub deploy_token: Option<Secret>,
    /// Login name of the first administrator.
    pub admin_login: String,
    /// Certificate authorities of outgoing connections: `bundled`, `system` or a path.
    pub outgoing_ca: String,
    /// Whether destinations may be in private networks.
    pub private_destinations: bool,
    /// Password of the first administrator until the first login; generated and printed at each start without.
    pub admin_password: Option<Credential>,
    /// URL of the Console, as browsers reach it.
    pub public_url: Option<String>,
    /// Proxies that are trusted to report the client's address.
    pub trusted_proxies: Vec<IpNet>,
    /// Header in which they do.
    pub real_ip_header: HeaderName,
    /// Days for which hits are kept.
    pub retention_days: u32,
    /// Days for which counts of abuse rules are kept.
    pub behaviour_days: u32,
    /// Days for which requests of sessions are kept.
    pub session_days: u32,
    /// Login by OpenID Connect.
    pub oidc: Oidc,
    /// The mail server of alerts.
    pub smtp: Smtp,
}

/// The mail server of alerts.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Name or address; no e-mail without.
    pub host: Option<String>,
    /// Port; the usual one of the encryption without.
    pub port: Option<u16>,
    /// Encryption.
    pub tls: SmtpTls,
    /// User of the login; none without.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Sender.
    pub from: Option<String>,
}

/// Login by OpenID Connect.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// Identity provider; local users only without.
    pub issuer: Option<String>,
    /// Id of this client.
    pub client_id: Option<String>,
    /// Secret of this client.
    pub client_secret: Option<Credential>,
    /// Claim that names roles.
    pub role_claim: String,
    /// Role of users whose claim names no role.
    pub default_role: Option<String>,
}
