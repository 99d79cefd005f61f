//! Rules, policy and settings of an inspector, as one unit.

use crate::error::InspectorError;
use ipnet::IpNet;
use std::time::Duration;
use weir_core::ruleset::{Ruleset, builtin, compile};
use weir_policy::client::{ClientRules, ProxyHeaders};
use weir_policy::{Policy, PolicyDoc, Settings};

/// Default of [`InspectorSettings::max_body`]: takes a few milliseconds at worst.
pub const DEFAULT_MAX_BODY: usize = 64 << 10;
/// Bound of [`InspectorSettings::max_body`]: the other clients of the gateway's worker wait meanwhile.
pub const MOST_MAX_BODY: usize = 1 << 20;
/// Default of [`InspectorSettings::time_limit`].
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_millis(20);
/// Bound of [`InspectorSettings::time_limit`].
pub const MOST_TIME_LIMIT: Duration = Duration::from_secs(1);

/// What an inspector inspects and decides by.
#[derive(Clone, Debug)]
pub struct InspectorSettings<'s> {
    /// Whether the rules that ship with weir are used.
    pub builtin: bool,
    /// Text of one further rule file (YAML); may be empty.
    pub rules: &'s str,
    /// Text of the policy (YAML, as of `policy_file`); may be empty, and everything is in mode `block` then.
    pub policy: &'s str,
    /// Networks of trusted proxies, separated by commas or blanks.
    pub trusted: &'s str,
    /// Headers with which they report the client's address, separated by commas or blanks.
    pub real_ip: &'s str,
    /// Headers with which they report the host that the client asked for.
    pub original_host: &'s str,
    /// Whether verdicts may block. False is for a gateway that only watches.
    pub blocking: bool,
    /// Bytes of a body that are inspected, at most [`MOST_MAX_BODY`]. What is left counts as not inspected, with the
    /// reason `not_sent`, and the policy decides what that means.
    pub max_body: usize,
    /// Time for one inspection, at most [`MOST_TIME_LIMIT`]. Target and headers are inspected in any case; of a body what
    /// is left then counts as not inspected, with the reason `time_limit`.
    pub time_limit: Duration,
}

impl Default for InspectorSettings<'_> {
    fn default() -> Self {
        Self {
            builtin: true,
            rules: "",
            policy: "",
            trusted: "",
            real_ip: "",
            original_host: "",
            blocking: true,
            max_body: DEFAULT_MAX_BODY,
            time_limit: DEFAULT_TIME_LIMIT,
        }
    }
}

/// An immutable set of rules, policy and settings. A request uses one from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Increases from 1 with each reload.
    pub number: u64,
    pub ruleset: Ruleset,
    pub policy: Policy,
    pub clients: ClientRules,
    pub blocking: bool,
    pub max_body: usize,
    pub time_limit: Duration,
}

impl Generation {
    /// Compiles `settings`.
    pub fn new(settings: &InspectorSettings<'_>) -> Result<Self, InspectorError> {
        bounded("max_body", settings.max_body as u64, MOST_MAX_BODY as u64)?;
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        bounded("time_limit_us", micros(settings.time_limit), micros(MOST_TIME_LIMIT))?;
        let doc = PolicyDoc::parse("policy", settings.policy).map_err(InspectorError::Policy)?;
        let policy = Policy::compile(&Settings::default(), Some(&doc)).map_err(InspectorError::Policy)?;
        let custom = policy.custom_signatures().into_iter().map(|signature| {
            signature.compile().map_err(|source| InspectorError::CustomSignature { name: signature.name(), source })
        });
        let custom = custom.collect::<Result<Vec<_>, _>>()?;
        let mut files = if settings.builtin { builtin::files() } else { Vec::new() };
        if !settings.rules.trim().is_empty() {
            files.push(("rules".to_owned(), settings.rules.to_owned()));
        }
        let ruleset = compile::compile_with(&files, custom).map_err(InspectorError::Rules)?;
        Ok(Self {
            number: 1,
            ruleset,
            policy,
            clients: clients(settings)?,
            blocking: settings.blocking,
            max_body: settings.max_body,
            time_limit: settings.time_limit,
        })
    }
}

fn bounded(name: &'static str, value: u64, most: u64) -> Result<(), InspectorError> {
    if value > most { Err(InspectorError::Setting { name, value, most }) } else { Ok(()) }
}

fn clients(settings: &InspectorSettings<'_>) -> Result<ClientRules, InspectorError> {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace());
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let network = |text: String| match text.parse::<IpNet>() {
        Ok(network) => Ok(network),
        Err(source) => Err(InspectorError::Network { text, source }),
    };
    let trusted = words(settings.trusted).into_iter().map(network).collect::<Result<Vec<_>, _>>()?;
    let (real_ip, original_host) = (words(settings.real_ip), words(settings.original_host));
    Ok(ClientRules::new(vec![ProxyHeaders { trusted, real_ip, original_host }]))
}
