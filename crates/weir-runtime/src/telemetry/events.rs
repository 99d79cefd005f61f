//! Events of the verdict path.

use super::logs::{ACCESS_TARGET, AccessLog};
use super::metrics::{Attack, Kind, Leg, List, Metrics, Reason, Verdict};
use super::{Telemetry, TraceParent};
use crate::serve::Caller;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;
use weir_core::model::bytes::printable;
use weir_core::model::{Inspection, NotInspected, SkipReason};
use weir_policy::{self, Action, Bypass};

/// Bytes of a host or path shown in a log line.
const MAX_SHOWN: usize = 512;

/// Rules named in a log line; of further ones, only how many.
const MAX_RULES: usize = 3;

/// Event: a verdict on a message.
pub struct VerdictEvent<'a> {
    /// `request` or `response`.
    pub leg: &'static str,
    /// Id given by the gateway.
    pub request_id: &'a str,
    /// Product token of the connector.
    pub connector: &'a str,
    /// Who called: a gateway.
    pub caller: Caller,
    /// Client address, if known.
    pub client: Option<IpAddr>,
    /// Method of the request.
    pub method: &'a [u8],
    /// Host of the request.
    pub host: &'a [u8],
    /// Path of the request, without parameters.
    pub path: &'a [u8],
    /// Application of the request.
    pub application: i64,
    /// Whether the gateway waits for the verdict.
    pub blocking: bool,
    /// Trace context of the call.
    pub trace: Option<TraceParent<'a>>,
    /// Why it was not inspected.
    pub bypass: Option<Bypass>,
    /// The verdict.
    pub verdict: &'a weir_policy::Verdict,
    /// The result of the inspection, if there was one.
    pub inspection: Option<&'a Inspection>,
    /// Bytes of the message.
    pub bytes: usize,
    /// Time taken.
    pub elapsed: Duration,
}

impl VerdictEvent<'_> {
    /// Counts the event and logs it.
    pub fn emit(&self, telemetry: &Telemetry) {
        self.count(&telemetry.metrics);
        let interesting = !self.verdict.attacks.is_empty() || self.verdict.action == Action::Block;
        match telemetry.access.get() {
            AccessLog::Off => {}
            AccessLog::Attacks if !interesting => {}
            AccessLog::Attacks | AccessLog::All => self.log(false),
            AccessLog::Verbose => self.log(true),
        }
    }

    fn count(&self, metrics: &Metrics) {
        let leg = Leg { leg: self.leg };
        metrics.inspection.get_or_create(&leg).observe(self.elapsed.as_secs_f64());
        metrics.bytes.get_or_create(&leg).inc_by(self.bytes as u64);
        let blocking = if self.blocking { "true" } else { "false" };
        let verdict = self.verdict.action.code();
        let mode = self.verdict.mode.code();
        metrics.verdicts.get_or_create(&Verdict { leg: self.leg, verdict, mode, blocking }).inc();
        if self.leg == "request" {
            metrics.hosts.inc(self.host);
            self.count_application(metrics);
        }
        if let Some(bypass) = self.bypass {
            metrics.bypassed.get_or_create(&Reason { reason: bypass.code() }).inc();
        }
        if let Some(hit) = &self.verdict.list {
            metrics.lists.get_or_create(&List { list: hit.list.code() }).inc();
        }
        if self.verdict.action == Action::Block {
            metrics.blocked_hosts.inc(self.host);
        }
        for attack in &self.verdict.attacks {
            metrics.threats.get_or_create(&Attack { r#type: attack.code(), outcome: self.outcome() }).inc();
        }
        if let Some(inspection) = self.inspection {
            count_gaps(metrics, inspection);
        }
    }

    fn count_application(&self, metrics: &Metrics) {
        let mut digits = [0u8; 20];
        let mut rest = &mut digits[..];
        let _fits = std::io::Write::write_fmt(&mut rest, format_args!("{}", self.application));
        let left = rest.len();
        metrics.applications.inc(&digits[..digits.len() - left]);
    }

    fn outcome(&self) -> &'static str {
        match (self.verdict.action, self.verdict.would_block) {
            (Action::Block, _) => "blocked",
            (Action::Pass, true) => "would_block",
            (Action::Pass, false) => "monitored",
        }
    }

    fn log(&self, verbose: bool) {
        if !tracing::enabled!(target: ACCESS_TARGET, tracing::Level::INFO) {
            return;
        }
        let attacks = joined(self.verdict.attacks.iter().map(|a| a.code()));
        let findings = verbose.then(|| {
            joined(self.verdict.findings.iter().filter(|f| f.decisive).map(|f| format!("{}@{}", f.rule, f.point)))
        });
        let gaps = self.inspection.map(|i| i.not_inspected.as_slice()).unwrap_or_default();
        let not_inspected = (!gaps.is_empty()).then(|| gaps_of(gaps, verbose));
        tracing::info!(
            target: ACCESS_TARGET,
            request_id = self.request_id,
            leg = self.leg,
            connector = self.connector,
            caller = tracing::field::display(self.caller),
            client = self.client.map(tracing::field::display),
            method = printable(self.method, MAX_SHOWN),
            host = printable(self.host, MAX_SHOWN),
            path = printable(self.path, MAX_SHOWN),
            application = self.application,
            verdict = self.verdict.action.code(),
            mode = self.verdict.mode.code(),
            reason = self.verdict.reason.map(|r| r.code()),
            would_block = self.verdict.would_block,
            attacks = attacks,
            rules = deciding(self.verdict),
            bypass = self.bypass.map(|b| b.code()),
            list = self.verdict.list.as_ref().map(|hit| hit.list.code()),
            out_of_band = !self.blocking,
            bytes = self.bytes,
            time_us = self.elapsed.as_micros() as u64,
            findings,
            not_inspected,
            trace_id = self.trace.map(|t| t.trace_id()),
            "verdict"
        );
    }
}

/// The rules that decided: names of signatures and detectors, each once, then ids of rules of the policy; none where nothing was
/// found.
fn deciding(verdict: &weir_policy::Verdict) -> Option<String> {
    let found = verdict.findings.iter().filter(|finding| finding.decisive).map(|finding| finding.rule.to_string());
    let (mut names, mut further): (Vec<String>, usize) = (Vec::new(), 0);
    for name in found.chain(verdict.rules.iter().map(|id| format!("rule/{id}"))) {
        if names.contains(&name) {
            continue;
        }
        if names.len() < MAX_RULES {
            names.push(name);
        } else {
            further += 1;
        }
    }
    if further > 0 {
        names.push(format!("+{further}"));
    }
    (!names.is_empty()).then(|| joined(names.iter()))
}

fn count_gaps(metrics: &Metrics, inspection: &Inspection) {
    for gap in &inspection.not_inspected {
        metrics.not_inspected.get_or_create(&Reason { reason: gap.reason.code() }).inc();
        if gap.reason == SkipReason::InternalError {
            metrics.panics.inc();
        }
    }
    for anomaly in &inspection.anomalies {
        metrics.anomalies.get_or_create(&Kind { r#type: anomaly.kind.code() }).inc();
    }
    if inspection.findings_dropped > 0 {
        metrics.findings_dropped.inc_by(u64::from(inspection.findings_dropped));
    }
}

fn gaps_of(gaps: &[NotInspected], verbose: bool) -> String {
    joined(
        gaps.iter()
            .map(|gap| if verbose { format!("{}@{}", gap.reason.code(), gap.point) } else { gap.reason.code().into() }),
    )
}

fn joined<T: AsRef<str>>(items: impl Iterator<Item = T>) -> String {
    let mut out = String::new();
    for item in items {
        let comma = if out.is_empty() { "" } else { "," };
        write!(out, "{comma}{}", item.as_ref()).expect("String");
    }
    out
}

/// Event: a call was rejected.
pub struct RejectedCallEvent<'a> {
    /// Code of the problem.
    pub code: &'static str,
    /// Status of the response.
    pub status: u16,
    /// The exhausted resource, if the call was shed.
    pub shed: Option<&'static str>,
    /// Who called.
    pub peer: Caller,
    /// Id given by the gateway, if it is valid.
    pub request_id: &'a str,
    /// What is wrong.
    pub detail: &'a str,
}

impl RejectedCallEvent<'_> {
    /// Counts the event and logs it. Shed calls are only counted: logging them would add to the load.
    pub fn emit(&self, telemetry: &Telemetry) {
        let metrics = &telemetry.metrics;
        metrics.messages_rejected.get_or_create(&Reason { reason: self.code }).inc();
        if let Some(reason) = self.shed {
            metrics.shed.get_or_create(&Reason { reason }).inc();
            return;
        }
        let (code, status, request_id, detail) = (self.code, self.status, self.request_id, self.detail);
        let peer = tracing::field::display(self.peer);
        if status >= 500 {
            tracing::error!(code, status, peer, request_id, detail, "call failed");
        } else {
            tracing::warn!(code, status, peer, request_id, detail, "call refused");
        }
    }
}

/// Event: the end of a reload.
pub struct ReloadEvent<'a> {
    /// What was reloaded: `rules and policy`, `certificate`...
    pub what: &'static str,
    /// The number of the new generation, or all mistakes.
    pub outcome: Result<u64, &'a str>,
}

impl ReloadEvent<'_> {
    /// Counts the event and logs it.
    pub fn emit(&self, metrics: &Metrics) {
        match self.outcome {
            Ok(generation) => {
                metrics.reloads.inc();
                tracing::info!(what = self.what, generation, "reloaded");
            }
            Err(errors) => {
                metrics.reload_errors.inc();
                tracing::error!(what = self.what, errors, "reload rejected; the last good state stays in use");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::model::{AttackType, Confidence, Finding, PointPath};

    #[test]
    fn the_rules_that_decided_are_named_once_and_few_of_them() {
        let finding = |rule: &str, decisive| Finding {
            attack: AttackType::Sqli,
            rule: rule.into(),
            point: PointPath(Vec::new()),
            also_at: Vec::new(),
            confidence: Confidence::High,
            decisive,
            start: 0,
            matched: String::new(),
        };
        let verdict = |names: &[&str], rules: &[u64]| weir_policy::Verdict {
            findings: names.iter().map(|name| finding(name, !name.starts_with("weak."))).collect(),
            rules: rules.to_vec(),
            ..weir_policy::Verdict::default()
        };
        let named = |names: &[&str], rules: &[u64]| deciding(&verdict(names, rules));
        assert_eq!(named(&[], &[]), None);
        assert_eq!(named(&["weak.one"], &[]), None, "it did not decide");
        assert_eq!(named(&["sqli.grammar", "sqli.grammar"], &[7]).as_deref(), Some("sqli.grammar,rule/7"));
        assert_eq!(named(&["a.a", "b.b", "c.c", "d.d", "a.a"], &[1, 2]).as_deref(), Some("a.a,b.b,c.c,+3"));
    }
}
