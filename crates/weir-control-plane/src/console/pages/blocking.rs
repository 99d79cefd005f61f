//! What blocking would do.

use super::rankings::{self, figure};
use crate::api::ip_lists::quoted;
use crate::console::page::{Page, html};
use crate::console::point_words;
use crate::console::time_range::{self, TimeRange};
use crate::console::view::blocking::{BlockedRow, BlockingPage};
use crate::console::view::number::{grouped, share};
use crate::console::view::parts::AttackKind;
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::download::{CSV, download};
use crate::error::{Error, Result};
use crate::overview::target::Target;
use crate::policy::blocking::{BlockedGroup, BlockingReport, LONG, SHORT};
use crate::store::{Count, Filter};
use axum::response::Response;
use std::collections::BTreeMap;

/// Value of `inspect` that has hits inspected for as long as is allowed.
const MORE: &str = "more";
/// Hosts shown.
const HOSTS: usize = 20;

/// The time range that is asked for; never all of time.
fn range(page: &Page) -> TimeRange {
    let range = time_range::find(page.query.get("range"), "24h");
    if range.length.is_none() { time_range::find("30d", "24h") } else { range }
}

/// `GET /blocking`
pub async fn blocking(page: Page) -> Result<Response> {
    let range = range(&page);
    let (place, filter) = place(&page)?;
    let from = range.from(page.now).unwrap_or(0);
    let long = page.query.get("inspect") == MORE;
    let report = match page.app.blocking_report(&filter, from, if long { LONG } else { SHORT }).await {
        Ok(report) => Some(report),
        Err(Error::Throttled(_)) => None,
        Err(error) => return Err(error),
    };
    let (host, app) = (page.query.get("host"), page.query.get("app"));
    let mut shown = shown(&page, range, place, (host, app), report.as_ref());
    shown.inspect_more = shown.inspect_more.filter(|_| !long);
    html(&shown)
}

/// `GET /blocking/export`: the groups as CSV.
pub async fn export(page: Page) -> Result<Response> {
    let range = range(&page);
    let (_, filter) = place(&page)?;
    let report = page.app.blocking_report(&filter, range.from(page.now).unwrap_or(0), LONG).await?;
    Ok(download(CSV, "blocking-preview.csv", csv(&report.groups)?))
}

fn csv(groups: &[BlockedGroup]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = ["type", "host", "point", "rule", "hits", "sources", "last_hit", "last_time", "request", "matched"];
    writer.write_record(head).map_err(Error::internal)?;
    for group in groups {
        let point = group.point.to_string();
        let (hits, sources) = (group.hits.to_string(), group.sources.to_string());
        let time = crate::console::view::time::format(group.time, "%Y-%m-%dT%H:%M:%SZ");
        let cells = [
            group.attack_type.code(),
            &group.host,
            &point,
            &group.rule,
            &hits,
            &sources,
            &group.hit,
            &time,
            &group.request,
            &group.matched,
        ];
        writer.write_record(cells.map(quoted)).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

/// The host or application that is asked for, in words, and its hits.
fn place(page: &Page) -> Result<(Option<String>, Filter)> {
    let host = page.query.get("host");
    if !host.is_empty() {
        return Ok((Some(host.to_owned()), Target::host(host)?.filter()));
    }
    Ok(match page.query.number::<i64>("app")? {
        Some(id) => (Some(format!("application {id}")), Target::Application(id).filter()),
        None => (None, Filter::default()),
    })
}

fn shown(
    page: &Page,
    range: TimeRange,
    place: Option<String>,
    (host, app): (&str, &str),
    report: Option<&BlockingReport>,
) -> BlockingPage {
    let none = BlockingReport::default();
    let busy = report.is_none();
    let report = report.unwrap_or(&none);
    let all = report.would_block + report.would_pass;
    let here = |code: &str| href("/blocking", &[("host", host), ("app", app), ("range", code)]);
    BlockingPage {
        shell: page.shell("Blocking preview", Place::Blocking),
        ranges: range.choices(|one| one.length.is_some(), here),
        export: href("/blocking/export", &[("host", host), ("app", app), ("range", range.code)]),
        everything: href("/blocking", &[("range", range.code)]),
        busy,
        figures: vec![
            figure(
                "Would be blocked",
                report.would_block,
                match all {
                    0 => "no hits passed".into(),
                    _ => format!("{} of the hits that passed", share(report.would_block, all)),
                },
            ),
            figure("From sources", report.sources as u64, "distinct addresses"),
            figure("Would still pass", report.would_pass, "excepted, or no longer detected by the rules in force"),
        ],
        judged: grouped(report.judged as u64),
        inspect_more: report
            .unfinished
            .then(|| href("/blocking", &[("host", host), ("app", app), ("range", range.code), ("inspect", MORE)])),
        cut: report.cut,
        unjudged: (report.not_judged > 0).then(|| grouped(report.not_judged)),
        uncounted_hours: report.uncounted_hours,
        rows: report.groups.iter().map(|group| row(page, group)).collect(),
        more: report.more_groups,
        sources: rankings::sources(&report.top_sources, range),
        hosts: if place.is_none() { hosts(report, range) } else { Vec::new() },
        place: place.as_deref().map(Text::new),
    }
}

/// Hits of the groups that are shown, by host.
fn hosts(report: &BlockingReport, range: TimeRange) -> Vec<crate::console::view::dashboard::Ranked> {
    let mut sums = BTreeMap::<&str, u64>::new();
    report.groups.iter().for_each(|group| *sums.entry(&group.host).or_default() += group.hits);
    let mut counts: Vec<Count> =
        sums.into_iter().map(|(host, hits)| Count { value: host.to_owned(), hits, blocked: 0 }).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.hits));
    counts.truncate(HOSTS);
    let mut ranked = rankings::hosts(&counts, range);
    for (one, count) in ranked.iter_mut().zip(&counts).filter(|(_, count)| !count.value.is_empty()) {
        one.href = href("/blocking", &[("host", &count.value), ("range", range.code)]);
    }
    ranked
}

fn row(page: &Page, group: &BlockedGroup) -> BlockedRow {
    BlockedRow {
        kind: AttackKind::of(group.attack_type),
        words: Text::new(&point_words::words(&group.point)),
        rule: Text::new(&group.rule),
        host: Text::new(if group.host.is_empty() { "(no host)" } else { &group.host }),
        request: Text::new(&group.request),
        matched: Text::new(&group.matched),
        hits: grouped(group.hits),
        sources: group.sources,
        hit: group.hit.clone(),
        time: page.moment(group.time),
        exceptable: group.exceptable,
    }
}
