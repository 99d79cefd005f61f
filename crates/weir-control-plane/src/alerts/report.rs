//! Reports of a day or week: what happened against the period before, and what is weak now.

use super::alert::{Alert, Known};
use super::message::{Message, line};
use super::repository::{self, Reported};
use super::schedule::Schedule;
use crate::app::App;
use crate::error::Result;
use crate::overview::Period;
use crate::overview::report::{Compared, PeriodReport};
use crate::store::{DAY, HOUR};
use std::fmt::Write as _;
use weir_runtime::error_chain::with_causes;

/// How long a replica may take to make and send a report before another one tries, in milliseconds.
pub(super) const HOLD: i64 = 10 * 60_000;

impl App {
    /// Makes and sends the report of an alert, whose turn is taken until `held`. Of the periods that were missed, the last
    /// one is reported.
    pub(super) async fn send_report(&self, alert: &Alert, schedule: Schedule, now: i64, held: i64) -> Result<()> {
        let to = schedule.last(now);
        let done = Reported { since: to, next: schedule.next(now), known: Known::default() };
        if to <= alert.since {
            let mut on = self.store.control().write().acquire().await?;
            let done = Reported { since: alert.since, ..done };
            return repository::mark_reported(&mut on, &alert.id, &done, None).await;
        }
        let message = match self.report_of(alert, schedule, to).await {
            Ok(message) => message,
            Err(error) => return self.alert_failed(alert, &with_causes(&error), now).await,
        };
        // Only who still has the turn sends: of several replicas one.
        let taken = Alert { due: held, ..alert.clone() };
        if !repository::take(&mut *self.store.control().write().acquire().await?, &taken, now + 2 * HOLD).await? {
            return Ok(());
        }
        if let Err(error) = self.send_alert(alert, &message).await {
            return self.alert_failed(alert, &with_causes(&error), now).await;
        }
        let mut on = self.store.control().write().acquire().await?;
        repository::mark_reported(&mut on, &alert.id, &done, Some(now)).await
    }

    async fn report_of(&self, alert: &Alert, schedule: Schedule, to: i64) -> Result<Message> {
        let report = self.period_report(Period::new(to - schedule.window(), to, HOUR)?).await?;
        // A replica that ends after the delivery and before the note of it leaves the report to another one: both send
        // the same id.
        let id = format!("report-{}-{to}", alert.id);
        Ok(about(id, &alert.about.name, &report, self.config.public_url.as_deref()))
    }
}

/// The message of `report`; `public_url` leads to the Console.
fn about(id: String, name: &str, report: &PeriodReport, public_url: Option<&str>) -> Message {
    let weekly = report.period.to - report.period.from > DAY;
    let kind = if weekly { "weekly" } else { "daily" };
    let time = |at| crate::console::view::time::format(at, "%F %H:%M");
    let mut out =
        format!("{} to {} UTC, against the period before.\n\n", time(report.period.from), time(report.period.to));
    row(&mut out, "Requests", report.requests);
    row(&mut out, "Hits", report.hits);
    row(&mut out, "Blocked hits", report.blocked);
    row(&mut out, "Requests that policy let pass without inspection", report.bypassed);
    section(
        &mut out,
        "Hits by attack type",
        report.attack_types.iter().map(|(attack, hits)| compared(attack.name(), *hits)),
    );
    section(
        &mut out,
        "Requests with an attack, by application",
        report
            .applications
            .iter()
            .map(|one| format!("{}, of {} requests", compared(&line(&one.name), one.attacks), one.requests.now)),
    );
    section(
        &mut out,
        "Sources with most hits",
        report.sources.iter().map(|one| format!("{}: {}", value(&one.value), one.hits)),
    );
    section(
        &mut out,
        "Hosts with most hits",
        report.targets.iter().map(|one| format!("{}: {}", value(&one.value), one.hits)),
    );
    section(
        &mut out,
        "Passed by gateways without inspection (since their nodes started)",
        report.gaps.iter().map(|gap| {
            let route = if gap.route.is_empty() { "unknown route".to_owned() } else { line(&gap.route) };
            format!("{route}, {}, {}: at least {}", line(&gap.leg), line(&gap.reason), gap.count)
        }),
    );
    section(&mut out, "Nodes that do not answer", report.nodes_down.iter().map(|name| line(name)));
    section(&mut out, "Rules that weaken protection", report.weakening.iter().map(|says| line(says)));
    if let Some(url) = public_url {
        let _ = writeln!(out, "\n{url}/");
    }
    let plural = if report.hits.now == 1 { "" } else { "s" };
    Message { id, subject: format!("weir {kind} report: {} hit{plural}: {}", report.hits.now, line(name)), text: out }
}

/// A source or host; a request may have none.
fn value(text: &str) -> String {
    if text.is_empty() { "unknown".to_owned() } else { line(text) }
}

fn row(out: &mut String, label: &str, value: Compared) {
    let _ = writeln!(out, "{}", compared(label, value));
}

/// `Hits: 12 (before: 4)`.
fn compared(label: &str, value: Compared) -> String {
    format!("{label}: {} (before: {})", value.now, value.before)
}

/// Lines under a heading; nothing where there are none.
fn section(out: &mut String, heading: &str, lines: impl Iterator<Item = String>) {
    for (number, text) in lines.enumerate() {
        if number == 0 {
            let _ = writeln!(out, "\n{heading}");
        }
        let _ = writeln!(out, "- {text}");
    }
}
