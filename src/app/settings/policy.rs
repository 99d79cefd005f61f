//! The policy, from the configuration, the local policy file and the control plane's document.

use super::{allowed_hosts, read};
use crate::app::error::SettingsError;
use crate::config::resolved::{self, Resolved};
use crate::config::types::RoutePattern;
use weir_node::sync::RemotePolicy;
use weir_policy::pattern::PatternError;
use weir_policy::{
    AnomalyAction, FilterSettings, Mode, ModeOverride, OverlimitAction, OverlimitMode, OverlimitPolicy, Policy,
    PolicyDoc, ReplySettings, RouteSettings, Settings,
};

/// The policy: settings of the configuration, the local policy file, the control plane's document.
pub fn policy(resolved: &Resolved, remote: Option<&RemotePolicy>) -> Result<Policy, SettingsError> {
    let doc = match &resolved.policy_file {
        None => None,
        Some(path) => Some(PolicyDoc::parse(&path.display().to_string(), &read(path)?).map_err(SettingsError::Policy)?),
    };
    let theirs = remote.map(|remote| &remote.doc);
    Policy::join(&policy_settings(resolved), doc.as_ref(), theirs).map_err(SettingsError::Policy)
}

/// Mistakes in the configuration that only the compilation of the policy finds: key and message of each. The policy file
/// is not read.
pub fn mistakes(resolved: &Resolved) -> Vec<(String, String)> {
    // The policy has its own names for these keys.
    let key = |at: &str| {
        let at = if at.starts_with("reply") { format!("block_{at}") } else { at.replace(".reply.", ".block_reply.") };
        at.replace("block_reply.json", "block_reply.body_json").replace("block_reply.html", "block_reply.body_html")
    };
    let host = |error: PatternError| ("connector.allowed_hosts".to_owned(), error.to_string());
    let errors = Policy::compile(&policy_settings(resolved), None).err().unwrap_or_default();
    let hosts = allowed_hosts(resolved).filter_map(Result::err).map(host);
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
        overlimit: overlimit(&resolved.overlimit),
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

/// What happens to requests of which a part was not inspected.
fn overlimit(settings: &resolved::Overlimit) -> OverlimitPolicy {
    let mut policy = settings.mode.map_or_else(OverlimitPolicy::default, |mode| match mode {
        resolved::OverlimitMode::Off => OverlimitMode::Off.into(),
        resolved::OverlimitMode::Monitoring => OverlimitMode::Monitoring.into(),
        resolved::OverlimitMode::Block => OverlimitMode::Blocking.into(),
    });
    for &(reason, action) in &settings.reasons {
        policy.set(
            reason,
            match action {
                resolved::OverlimitAction::Pass => OverlimitAction::Pass,
                resolved::OverlimitAction::Report => OverlimitAction::Report,
                resolved::OverlimitAction::Block => OverlimitAction::Block,
            },
        );
    }
    policy
}
