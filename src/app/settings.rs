//! From the resolved configuration to the `Config` of each component.

mod policy;
mod restart;
mod rules;

pub use policy::{mistakes, policy};
pub use restart::restart_needed;
pub use rules::{geo, rule_files, ruleset};

use super::error::SettingsError;
use crate::config::resolved::{self, Resolved};
use crate::config::types::{LogTarget, Workers};
use std::path::Path;
use std::sync::Arc;
use weir_node::crowdsec;
use weir_node::events::{self, spool};
use weir_node::http_inspector::{AccessRules, Config, config};
use weir_node::sync::{self, Endpoint, PublicKey, Token};
use weir_node::traces;
use weir_policy::client::{ClientRules, ProxyHeaders};
use weir_policy::pattern::{self, PatternError};
use weir_protocol::code::NodeRole;
use weir_runtime::serve::{self, Limits, ServeMetrics};
use weir_runtime::telemetry::logs::{self, AccessLog, Output};
use weir_runtime::tls::{self, Tls};

/// Threads of the runtime and of the pool.
pub fn threads(resolved: &Resolved) -> usize {
    match resolved.http_inspector.workers {
        // Honours the CPU quota of a container.
        Workers::Auto => std::thread::available_parallelism().map_or(1, usize::from),
        Workers::Count(n) => usize::from(n).max(1),
    }
}

/// Settings of the API.
pub fn service(resolved: &Resolved) -> Config {
    let (connector, load) = (&resolved.connector, &resolved.load);
    let limits = connector.per_connection_limits;
    Config {
        max_call_bytes: connector.max_call_bytes,
        per_connection: config::ConnectionLimits {
            requests: limits.max_requests,
            bytes: limits.max_received_bytes,
            age: limits.max_duration,
        },
        load: config::LoadLimits {
            connections: load.max_connections,
            calls: load.max_concurrent_calls,
            buffered_bytes: load.max_buffered_bytes,
            inline_bytes: load.inline_bytes,
            queue: load.queue,
            queue_timeout: load.queue_timeout,
            background_queue: load.background_queue,
            lag: config::MAX_LAG,
            retry_after: load.retry_after,
        },
        threads: threads(resolved),
        reply_timeout: connector.app_reply_timeout.map(|limit| (limit, connector.app_reply_timeout_code)),
        health_path: connector.external_health_check.clone(),
        header_timeout: load.header_timeout,
        body_timeout: load.body_timeout,
        idle_timeout: load.idle_timeout,
        drain_timeout: load.drain_timeout,
    }
}

/// Settings of a listener other than the API's, called `name` in metrics. It has the same limits as the API.
pub fn listener(
    resolved: &Resolved,
    name: &'static str,
    counts: &ServeMetrics,
    tls: Option<Arc<Tls>>,
) -> serve::Settings {
    let load = &resolved.load;
    let limits = Limits {
        connections: load.max_connections,
        head: load.header_timeout,
        idle: load.idle_timeout,
        drain: load.drain_timeout,
    };
    serve::Settings { name, limits, metrics: counts.clone(), tls }
}

/// Bytes of spool for statistics that are not delivered: enough for days of an outage with some dozens of hosts.
const STATISTICS_SPOOL: u64 = 16 << 20;

/// Settings of records.
pub fn records(resolved: &Resolved) -> events::RecorderSettings {
    let from = &resolved.events;
    let max_body = usize::try_from(from.max_body).unwrap_or(usize::MAX);
    events::RecorderSettings { stall: from.stall, max_body, sampling: from.sampling }
}

/// The spools of hits and of statistics.
pub fn spools(resolved: &Resolved) -> [spool::Config; 2] {
    let from = &resolved.events;
    let spool = |name: &'static str, size| spool::Config {
        directory: resolved.data_dir.join(name),
        name,
        size,
        fsync_interval: from.fsync_interval,
    };
    [spool("events", from.spool_size), spool("statistics", STATISTICS_SPOOL)]
}

/// Certificate files.
pub fn tls(resolved: &Resolved) -> Option<tls::PemFiles> {
    let auth = &resolved.connector.auth;
    resolved.connector.tls.as_ref().map(|files| tls::PemFiles {
        cert: files.cert.clone(),
        key: files.key.clone(),
        client_ca: auth.client_ca.clone(),
        certificate_optional: !auth.keys.is_empty() || !auth.key_files.is_empty(),
    })
}

/// Bearer keys, those in files included.
pub fn keys(resolved: &Resolved) -> Result<Vec<Vec<u8>>, SettingsError> {
    let auth = &resolved.connector.auth;
    let mut keys: Vec<_> = auth.keys.iter().map(|key| key.expose().as_bytes().to_vec()).collect();
    for path in &auth.key_files {
        let key = read(path)?;
        let key = key.trim();
        if key.is_empty() {
            return Err(SettingsError::EmptyKeyFile(path.clone()));
        }
        keys.push(key.as_bytes().to_vec());
    }
    Ok(keys)
}

/// Which callers the API accepts.
pub fn access(resolved: &Resolved, keys: &[Vec<u8>]) -> Result<AccessRules, SettingsError> {
    let connector = &resolved.connector;
    let hosts = allowed_hosts(resolved).collect::<Result<_, _>>().map_err(SettingsError::AllowedHost)?;
    Ok(AccessRules::new(keys, connector.auth.client_ca.is_some(), Some(connector.allowed_networks.clone()), hosts))
}

fn allowed_hosts(resolved: &Resolved) -> impl Iterator<Item = Result<regex::bytes::Regex, PatternError>> {
    resolved.connector.allowed_hosts.iter().map(|glob| pattern::glob(glob.as_str()))
}

/// Which proxies are trusted to report the client's address.
pub fn client_rules(resolved: &Resolved) -> ClientRules {
    let record = |from: &resolved::ProxyRecord| ProxyHeaders {
        trusted: from.trusted_networks.clone(),
        real_ip: from.real_ip.clone(),
        original_host: from.original_host.clone(),
    };
    ClientRules::new(resolved.proxy_headers.iter().map(record).collect())
}

/// Logs.
pub fn logs(resolved: &Resolved) -> logs::Config {
    let log = &resolved.log;
    let access = log.access_log.as_ref().map(|access| &access.target).filter(|target| **target != log.target);
    logs::Config {
        level: crate::config::types::Setting::show(&log.level).to_lowercase(),
        pretty: log.pretty,
        output: output(&log.target),
        access_output: access.map(output),
    }
}

fn output(target: &LogTarget) -> Output {
    match target {
        LogTarget::Stdout => Output::Stdout,
        LogTarget::Stderr => Output::Stderr,
        LogTarget::File(path) => Output::File(path.clone()),
    }
}

/// Which calls the access log contains.
pub fn access_log(resolved: &Resolved) -> AccessLog {
    match &resolved.log.access_log {
        None => AccessLog::Off,
        Some(access) if access.verbose => AccessLog::Verbose,
        Some(_) => AccessLog::All,
    }
}

/// The control plane or aggregation, where one is configured.
pub fn upstream(resolved: &Resolved, role: NodeRole) -> Result<Option<sync::Config>, SettingsError> {
    let api = &resolved.api;
    let Some(host) = &api.host else { return Ok(None) };
    let key = api.policy_key.as_deref().map(PublicKey::parse).transpose();
    let text = || api.token.as_ref().map(|token| Token::Text(token.expose().to_owned()));
    Ok(Some(sync::Config {
        endpoint: Endpoint {
            section: "api",
            host: host.clone(),
            port: api.port,
            tls: api.use_ssl,
            verify: api.ca_verify,
            ca_file: api.ca_file.clone(),
        },
        token: api.token_file.clone().map(Token::File).or_else(text),
        group: api.node_group.clone(),
        name: api.node_name.clone().unwrap_or_else(host_name),
        role,
        policy_key: key.map_err(|error| SettingsError::PolicyKey(error.into()))?,
        directory: resolved.data_dir.join("sync"),
    }))
}

/// Where CrowdSec's decisions come from, if they are read.
pub fn crowdsec(resolved: &Resolved) -> Result<Option<crowdsec::Config>, SettingsError> {
    let resolved::CrowdSec { lapi_url, lapi_key, ca_file, update_interval } = &resolved.crowdsec;
    let (Some(url), Some(key)) = (lapi_url, lapi_key) else { return Ok(None) };
    let config = crowdsec::Config::new(url, key.expose(), ca_file.clone(), *update_interval);
    config.map(Some).map_err(SettingsError::CrowdSec)
}

/// Where spans go; none if they are not exported.
pub fn traces(resolved: &Resolved) -> Result<Option<traces::Config>, SettingsError> {
    let from = &resolved.traces;
    let Some(endpoint) = &from.endpoint else { return Ok(None) };
    let ratio = f64::from(from.per_million) / 1_000_000.0;
    let config = traces::Config::new(endpoint, from.ca_file.clone(), ratio, from.service_name.clone());
    let config = config.map_err(SettingsError::Traces)?;
    let headers = from.headers.iter().filter_map(|header| {
        let (name, value) = header.expose();
        traces::header(name, value)
    });
    let (headers_file, metrics_interval) = (from.headers_file.clone(), from.metrics_interval);
    Ok(Some(traces::Config { headers: headers.collect(), headers_file, metrics_interval, ..config }))
}

/// The host name of this machine; `weir` if it has none.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "weir".into() } else { name.into() }
}

fn read(path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })
}
