//! Policy settings from the node's own configuration. Plain data; `Policy::compile` validates it.

use super::anomalies::AnomalyAction;
use super::mode::{Mode, ModeOverride};
use super::overlimit::OverlimitPolicy;
use super::reply::ReplySettings;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use weir_core::model::{AnomalyKind, Limits, ParserSet};

/// Application of requests that no route claims.
pub const DEFAULT_APPLICATION: i64 = -1;

/// Default bound on the inspection of one message, as documented for comparable nodes.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(1);

/// Local policy settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `route_config.wallarm_application`.
    pub application: i64,
    /// `route_config.wallarm_mode`; [`Mode::Block`] where unset.
    pub mode: Option<Mode>,
    /// `wallarm_mode_allow_override`.
    pub mode_allow_override: ModeOverride,
    /// `route_config.routes`.
    pub routes: Vec<RouteSettings>,
    /// `input_filters.inspect`: where any is given, only what one of them fits is inspected.
    pub inspect: Vec<FilterSettings>,
    /// `input_filters.bypass`: what one of them fits is not inspected; wins over `inspect`.
    pub bypass: Vec<FilterSettings>,
    /// The reply to a blocked client.
    pub reply: ReplySettings,
    /// Deviations from the default table of anomalies.
    pub anomalies: Vec<(AnomalyKind, AnomalyAction)>,
    /// Bounds of one inspection.
    pub limits: Limits,
    /// `http_inspector.wallarm_process_time_limit`: time for one inspection.
    pub time_limit: Duration,
    /// What happens to requests of which a part was not inspected.
    pub overlimit: OverlimitPolicy,
    /// Parsers switched off for every request.
    pub parsers_off: ParserSet,
    /// `http_inspector.libdetection_enabled`: whether libinjection is asked where the grammar is in doubt.
    pub libdetection: bool,
    /// `connector.url_normalize`: whether routes are chosen by the decoded path without dot segments. False: by the path
    /// as sent.
    pub url_normalize: bool,
    /// Whether address lists are consulted at all; false is `disable_acl on`.
    pub lists: bool,
    /// Whether denylisted requests are refused before inspection. False is `wallarm_acl_access_phase off`:
    /// they are inspected, and monitoring lets them pass.
    pub lists_before_inspection: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            application: DEFAULT_APPLICATION,
            mode: None,
            mode_allow_override: ModeOverride::default(),
            routes: Vec::new(),
            inspect: Vec::new(),
            bypass: Vec::new(),
            reply: ReplySettings::default(),
            anomalies: Vec::new(),
            limits: Limits::default(),
            time_limit: DEFAULT_TIME_LIMIT,
            overlimit: OverlimitPolicy::default(),
            parsers_off: ParserSet::NONE,
            libdetection: true,
            url_normalize: true,
            lists: true,
            lists_before_inspection: true,
        }
    }
}

/// One entry of `route_config.routes`. Unset fields are inherited from the enclosing entry.
#[derive(Clone, Debug, Default)]
pub struct RouteSettings {
    /// Host glob as of Go's `path.Match`: `*`, `?`, `[a-z]`, `[^a-z]`, `\` escapes.
    pub host: Option<String>,
    /// Path with an NGINX-like prefix: `=` exact, `~` regex, `~*` regex without case, `^~` strong prefix, none prefix.
    pub route: Option<String>,
    /// `wallarm_application`.
    pub application: Option<i64>,
    /// `wallarm_mode`.
    pub mode: Option<Mode>,
    /// The reply to a blocked client.
    pub reply: Option<ReplySettings>,
    /// Parsers switched off here, in addition to those of the enclosing entry.
    pub parsers_off: ParserSet,
    /// Nested entries.
    pub routes: Vec<RouteSettings>,
}

/// One item of `input_filters`: all of its conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct FilterSettings {
    /// Regex on the path.
    pub path: Option<String>,
    /// Regex on `host/path?query`.
    pub url: Option<String>,
    /// Header names and a regex on the value; an absent header does not match.
    pub headers: Vec<(String, String)>,
    /// Addresses or networks of the client.
    pub ip_addresses: Vec<String>,
}

/// What to do with a request whose inspection was cut short by a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlimitMode {
    /// The decision uses the inspected parts; nothing is reported.
    Off,
    /// The decision uses the inspected parts, and `overlimit_res` is reported.
    #[default]
    Monitoring,
    /// `overlimit_res` is an attack.
    Blocking,
}
