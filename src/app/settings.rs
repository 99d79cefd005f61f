//! From the resolved configuration to the `Config` of each component.

use super::{StartError, rule_files};
use crate::config::resolved::{self, Resolved};
use crate::config::types::{LogTarget, RoutePattern, Workers};
use crate::events::{self, spool};
use crate::geo::{Files, Geo};
use crate::http_inspector::{Access, Config, config};
use crate::policy::client::{ClientRules, Record};
use crate::policy::{
    AnomalyAction, CustomSignature, FilterSettings, Mode, ModeOverride, OverlimitMode, Policy, PolicyDoc,
    ReplySettings, RouteSettings, Settings, pattern,
};
use crate::ruleset::custom::Custom;
use crate::ruleset::{Ruleset, builtin, compile};
use crate::serve::{self, Limits, ServeMetrics};
use crate::sync::{self, Endpoint, Pack, PublicKey, Remote, Token};
use crate::telemetry::logs::{self, AccessLog, Output};
use crate::tls::{self, Tls};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

/// Name of the rule pack that takes the place of the built-in signatures.
const BUILTIN_PACK: &str = "builtin";

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
        per_connection: config::PerConnection {
            requests: limits.max_requests,
            bytes: limits.max_received_bytes,
            age: limits.max_duration,
        },
        load: config::Load {
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

/// Settings of a listener beside that of the API, called `name` in metrics: the bounds of the service hold for it, too.
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

/// Room for statistics that are not delivered: days of an outage for some dozens of hosts.
const STATISTICS_SPOOL: u64 = 16 << 20;

/// Settings of records.
pub fn records(resolved: &Resolved) -> events::Settings {
    let from = &resolved.events;
    let max_body = usize::try_from(from.max_body).unwrap_or(usize::MAX);
    events::Settings { stall: from.stall, max_body, sampling: from.sampling }
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
pub fn tls(resolved: &Resolved) -> Option<tls::Files> {
    let auth = &resolved.connector.auth;
    resolved.connector.tls.as_ref().map(|files| tls::Files {
        cert: files.cert.clone(),
        key: files.key.clone(),
        client_ca: auth.client_ca.clone(),
        certificate_optional: !auth.keys.is_empty() || !auth.key_files.is_empty(),
    })
}

/// Bearer keys, those in files included.
pub fn keys(resolved: &Resolved) -> Result<Vec<Vec<u8>>, String> {
    let auth = &resolved.connector.auth;
    let mut keys: Vec<_> = auth.keys.iter().map(|key| key.expose().as_bytes().to_vec()).collect();
    for path in &auth.key_files {
        let key = read(path)?;
        let key = key.trim();
        if key.is_empty() {
            return Err(format!("{}: no key in it", path.display()));
        }
        keys.push(key.as_bytes().to_vec());
    }
    Ok(keys)
}

/// Who may call.
pub fn access(resolved: &Resolved, keys: &[Vec<u8>]) -> Result<Access, String> {
    let connector = &resolved.connector;
    let hosts = allowed_hosts(resolved).collect::<Result<_, _>>()?;
    Ok(Access::new(keys, connector.auth.client_ca.is_some(), Some(connector.allowed_networks.clone()), hosts))
}

fn allowed_hosts(resolved: &Resolved) -> impl Iterator<Item = Result<regex::bytes::Regex, String>> {
    resolved.connector.allowed_hosts.iter().map(|glob| pattern::glob(glob.as_str()))
}

/// Whom to believe about the client's address.
pub fn client_rules(resolved: &Resolved) -> ClientRules {
    let record = |from: &resolved::ProxyRecord| Record {
        trusted: from.trusted_networks.clone(),
        real_ip: from.real_ip.clone(),
        original_host: from.original_host.clone(),
    };
    ClientRules::new(resolved.proxy_headers.iter().map(record).collect())
}

/// Keys that were changed and take effect only when the program is started anew.
pub fn restart_needed(before: &Resolved, after: &Resolved) -> Vec<&'static str> {
    let differs = |name, of: fn(&Resolved) -> String| (of(before) != of(after)).then_some(name);
    [
        differs("connector.address", |r| r.connector.address.to_string()),
        differs("connector.tls_cert, connector.tls_key", |r| format!("{:?}", r.connector.tls)),
        differs("connector.auth.client_ca", |r| format!("{:?}", r.connector.auth.client_ca)),
        differs("connector.max_call_bytes", |r| r.connector.max_call_bytes.to_string()),
        differs("connector.per_connection_limits", |r| format!("{:?}", r.connector.per_connection_limits)),
        differs("connector.app_reply_timeout", |r| {
            format!("{:?} {}", r.connector.app_reply_timeout, r.connector.app_reply_timeout_code)
        }),
        differs("connector.external_health_check", |r| format!("{:?}", r.connector.external_health_check)),
        differs("http_inspector.workers", |r| format!("{:?}", r.http_inspector.workers)),
        differs("load", |r| format!("{:?}", r.load)),
        differs("log.pretty", |r| r.log.pretty.to_string()),
        differs("log.log_file", |r| format!("{:?}", r.log.target)),
        // A target that is the log's own is open already.
        differs("log.access_log.log_file", |r| {
            let target = r.log.access_log.as_ref().map(|access| &access.target);
            format!("{:?}", target.filter(|target| **target != r.log.target))
        }),
        differs("metrics", |r| format!("{:?}", r.metrics)),
        differs("health_check", |r| format!("{:?}", r.health_check)),
        differs("data_dir", |r| format!("{:?}", r.data_dir)),
        differs("api", |r| format!("{:?}", r.api)),
        differs("events", |r| format!("{:?}", r.events)),
        differs("control_plane", |r| format!("{:?}", r.control_plane)),
    ]
    .into_iter()
    .flatten()
    .collect()
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

/// What the access log says.
pub fn access_log(resolved: &Resolved) -> AccessLog {
    match &resolved.log.access_log {
        None => AccessLog::Off,
        Some(access) if access.verbose => AccessLog::Verbose,
        Some(_) => AccessLog::All,
    }
}

/// Rule files, name and text: those that ship with the node or the control plane's newer ones, those of directories,
/// and further packs of the control plane.
pub fn rule_files(resolved: &Resolved, remote: Option<&Remote>) -> Result<Vec<(String, String)>, String> {
    let packs = remote.map(|remote| remote.packs.as_slice()).unwrap_or_default();
    let named = |pack: &Pack| (format!("rule pack {}", pack.name), pack.text.clone());
    let newer = packs.iter().find(|pack| pack.name == BUILTIN_PACK);
    let mut files = match newer {
        _ if !resolved.rules.builtin => Vec::new(),
        Some(pack) => vec![named(pack)],
        None => builtin::files(),
    };
    for directory in &resolved.rules.directories {
        rule_files::read(directory, &mut files).map_err(|error| error.to_string())?;
    }
    files.extend(packs.iter().filter(|pack| pack.name != BUILTIN_PACK).map(named));
    Ok(files)
}

/// The signatures of `files` and of the policy. Every mistake is told.
pub fn ruleset(files: &[(String, String)], custom: &[CustomSignature]) -> Result<Ruleset, String> {
    let custom = custom.iter().map(|s| {
        Custom::new(&s.name(), s.attack, &s.pattern, s.points.clone()).map_err(|error| format!("{}: {error}", s.name()))
    });
    let custom = custom.collect::<Result<Vec<_>, _>>()?;
    compile::compile_with(files, custom).map_err(|errors| lines(&errors))
}

/// The address databases: the configured ones, else those of the control plane. Those that did not change since `before`
/// are taken over.
pub fn geo(resolved: &Resolved, remote: Option<&Remote>, before: Option<&Geo>) -> Result<Geo, String> {
    let theirs = remote.map(|remote| remote.databases.clone()).unwrap_or_default();
    let own = resolved.geo.clone();
    let files = Files {
        country: own.country_database.or(theirs.country),
        asn: own.asn_database.or(theirs.asn),
        source_types: own.source_type_database.or(theirs.source_type),
    };
    let opened = before.map_or_else(|| Geo::open(&files), |geo| geo.reopen(&files));
    opened.map_err(|errors| lines(&errors))
}

/// The control plane or aggregation, where one is configured.
pub fn upstream(resolved: &Resolved, role: &'static str) -> Result<Option<sync::Config>, StartError> {
    let api = &resolved.api;
    let Some(host) = &api.host else { return Ok(None) };
    let key = api.policy_key.as_deref().map(PublicKey::parse).transpose();
    let text = || api.token.as_ref().map(|token| Token::Text(token.expose().to_owned()));
    Ok(Some(sync::Config {
        endpoint: Endpoint {
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
        policy_key: key.map_err(|error| StartError::Settings(format!("api.policy_key: {error}")))?,
        directory: resolved.data_dir.join("sync"),
    }))
}

/// What this machine is called.
fn host_name() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let told = told.trim();
    if told.is_empty() { "weir".into() } else { told.into() }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn lines<E: Display>(errors: &[E]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The policy: settings of the configuration, the local policy file, the control plane's document.
pub fn policy(resolved: &Resolved, remote: Option<&Remote>) -> Result<Policy, String> {
    let doc = match &resolved.policy_file {
        None => None,
        Some(path) => Some(PolicyDoc::parse(&path.display().to_string(), &read(path)?).map_err(|e| lines(&e))?),
    };
    let theirs = remote.map(|remote| &remote.doc);
    Policy::join(&policy_settings(resolved), doc.as_ref(), theirs).map_err(|errors| lines(&errors))
}

/// What policy has against the configuration, apart from the files that it names: key and message of each mistake.
pub fn mistakes(resolved: &Resolved) -> Vec<(String, String)> {
    // Policy calls these keys by their meaning.
    let key = |at: &str| {
        let at = if at.starts_with("reply") { format!("block_{at}") } else { at.replace(".reply.", ".block_reply.") };
        at.replace("block_reply.json", "block_reply.body_json").replace("block_reply.html", "block_reply.body_html")
    };
    let errors = Policy::compile(&policy_settings(resolved), None).err().unwrap_or_default();
    let hosts = allowed_hosts(resolved).filter_map(Result::err).map(|why| ("connector.allowed_hosts".to_owned(), why));
    errors.into_iter().map(|error| (key(&error.at), error.message)).chain(hosts).collect()
}

fn policy_settings(resolved: &Resolved) -> Settings {
    let routes = &resolved.route_config;
    let filters = &resolved.input_filters;
    let anomaly = |action| match action {
        resolved::AnomalyAction::Ignore => AnomalyAction::Ignore,
        resolved::AnomalyAction::Report => AnomalyAction::Report,
        resolved::AnomalyAction::Block => AnomalyAction::Block,
    };
    Settings {
        application: routes.application,
        mode: Some(mode(routes.mode)),
        mode_allow_override: match routes.mode_override {
            resolved::ModeOverride::On => ModeOverride::On,
            resolved::ModeOverride::Off => ModeOverride::Off,
            resolved::ModeOverride::Strict => ModeOverride::Strict,
        },
        routes: routes.routes.iter().map(route).collect(),
        inspect: filters.inspect.iter().map(filter).collect(),
        bypass: filters.bypass.iter().map(filter).collect(),
        reply: reply(&resolved.block_reply),
        anomalies: resolved.anomalies.iter().map(|&(kind, action)| (kind, anomaly(action))).collect(),
        limits: resolved.limits.clone(),
        time_limit: resolved.http_inspector.process_time_limit,
        overlimit: match resolved.overlimit {
            resolved::OverlimitMode::Off => OverlimitMode::Off,
            resolved::OverlimitMode::Monitoring => OverlimitMode::Monitoring,
            resolved::OverlimitMode::Block => OverlimitMode::Blocking,
        },
        parsers_off: resolved.http_inspector.parsers_off,
        libdetection: resolved.http_inspector.libdetection_enabled,
        url_normalize: resolved.connector.url_normalize,
        lists: resolved.acl.enabled,
        lists_before_inspection: resolved.acl.access_phase,
    }
}

fn mode(mode: resolved::Mode) -> Mode {
    match mode {
        resolved::Mode::Off => Mode::Off,
        resolved::Mode::Monitoring => Mode::Monitoring,
        resolved::Mode::SafeBlocking => Mode::SafeBlocking,
        resolved::Mode::Block => Mode::Block,
    }
}

fn reply(from: &resolved::BlockReply) -> ReplySettings {
    ReplySettings {
        status: from.status,
        headers: from.headers.clone(),
        json: from.json.clone(),
        html: from.html.clone(),
    }
}

fn route(from: &resolved::Route) -> RouteSettings {
    RouteSettings {
        host: from.host.as_ref().map(|glob| glob.as_str().to_owned()),
        route: from.route.as_ref().map(|pattern| match pattern {
            RoutePattern::Exact(path) => format!("={path}"),
            RoutePattern::StrongPrefix(path) => format!("^~{path}"),
            RoutePattern::Regex { pattern, ignore_case: true } => format!("~*{}", pattern.text),
            RoutePattern::Regex { pattern, ignore_case: false } => format!("~{}", pattern.text),
            RoutePattern::Prefix(path) => path.clone(),
        }),
        application: from.application,
        mode: from.mode.map(mode),
        reply: from.block_reply.as_ref().map(reply),
        parsers_off: from.parsers_off,
        routes: from.routes.iter().map(route).collect(),
    }
}

fn filter(from: &resolved::InputFilter) -> FilterSettings {
    FilterSettings {
        path: from.path.as_ref().map(|pattern| pattern.text.clone()),
        url: from.url.as_ref().map(|pattern| pattern.text.clone()),
        headers: from.headers.iter().map(|(name, pattern)| (name.clone(), pattern.text.clone())).collect(),
        ip_addresses: from.ip_addresses.iter().map(ToString::to_string).collect(),
    }
}
