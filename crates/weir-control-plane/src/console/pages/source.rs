//! A source address.

use super::rankings::{self, by_source, figure, hits_plot, kinds, sampled};
use super::{attacks, lists};
use crate::abuse::ListedEntry;
use crate::console::page::{Page, html};
use crate::console::time_range::{self, TimeRange};
use crate::console::view::attacks::AttackRows;
use crate::console::view::form::{Control, Field};
use crate::console::view::hit::Fact;
use crate::console::view::number::{grouped, of_hits};
use crate::console::view::parts::Pager;
use crate::console::view::plot::FULL;
use crate::console::view::shell::{Place, Tone};
use crate::console::view::source::{SourceAutomatic, SourceEntry, SourcePage};
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Error, Result};
use crate::overview::Period;
use crate::overview::source::SourceReport;
use crate::policy::IpEntry;
use crate::store::{Filter, Page as Rows, Terms};
use axum::extract::Path;
use axum::response::Response;
use std::net::IpAddr;
use weir_abuse::Listed;

/// Attacks shown.
const ATTACKS: u32 = 10;

/// `GET /sources/{ip}`
pub async fn source(page: Page, Path(ip): Path<String>) -> Result<Response> {
    let ip: IpAddr = ip.parse().map_err(|_| Error::NotFound("address"))?;
    let range = time_range::find(page.query.get("range"), "7d");
    let (from, to) = range.whole(page.now, range.step);
    let report = page.app.source_report(ip, Period::new(from, to, range.step)?).await?;
    let filter = Filter { from: Some(from), to: Some(to), ips: Terms::only(ip.into()), ..Filter::default() };
    let newest = page.app.store.attacks(&filter, &Rows::first(ATTACKS)).await?;
    let rows: Vec<_> = newest.rows.iter().map(|attack| attacks::row(&page, attack)).collect();
    let shown = match (newest.next.is_some(), rows.len()) {
        (true, n) => format!("the newest {n} attacks"),
        (false, 1) => "1 attack".into(),
        (false, n) => format!("{n} attacks"),
    };
    let term = by_source(&ip.to_string());
    html(&SourcePage {
        shell: page.shell(format!("Source {ip}"), Place::Attacks),
        ip: ip.to_string(),
        ranges: range.choices(|one| one.length.is_some(), |code| rankings::source_page(&ip.to_string(), code)),
        figures: vec![
            figure("Hits", report.hits, rankings::change(report.hits, report.hits_before)),
            figure("Blocked", report.blocked, of_hits(report.blocked, report.hits)),
            figure("Attack types", report.attack_types.len() as u64, "in this period"),
            figure("Targets", report.targets.len() as u64, "hosts, at most 10 counted"),
        ],
        plot: hits_plot(&report.series, from, FULL),
        kinds: kinds(&report.attack_types, &term, range),
        targets: rankings::hosts(&report.targets, range),
        paths: sampled(&report.paths, "/"),
        agents: sampled(&report.user_agents, "(no user agent)"),
        sampled: sample_note(&report),
        facts: facts(&report, range),
        entries: report.entries.iter().map(|entry| listed(&page, entry, ip)).collect(),
        automatic: report.automatic.iter().map(|one| automatic(&page, one)).collect(),
        fields: fields(),
        attacks: AttackRows { rows, pager: Pager { shown, ..Pager::default() }, can_write: false, searched: None },
        all: href("/attacks", &[("q", &term), ("range", range.code)]),
    })
}

fn sample_note(report: &SourceReport) -> String {
    let sample = match report.sampled {
        0 => String::new(),
        1 => "Paths and user agents are those of the newest hit.".into(),
        n => format!("Paths and user agents are those of the newest {n} hits."),
    };
    match report.cut {
        true => format!("{sample} Attack types and targets are those of the newest {} hits.", grouped(report.counted)),
        false => sample,
    }
}

fn facts(report: &SourceReport, range: TimeRange) -> Vec<Fact> {
    let fact = |name, value: String, query: Option<String>| Fact {
        name,
        value: Text::new(&value),
        href: query.map(|query| href("/attacks", &[("q", &query), ("range", range.code)])),
    };
    let mut all = Vec::new();
    if !report.country.is_empty() {
        all.push(fact("Country", report.country.clone(), Some(format!("country:{}", report.country))));
    }
    if report.asn != 0 {
        all.push(fact("ASN", format!("AS{}", report.asn), None));
    }
    if !report.source_types.is_empty() {
        all.push(fact("Source type", report.source_types.join(", "), None));
    }
    all
}

fn list_label(list: &str) -> (Tone, &'static str) {
    match list {
        "deny" => (Tone::Bad, "Denylist"),
        "allow" => (Tone::Good, "Allowlist"),
        _ => (Tone::Note, "Graylist"),
    }
}

fn listed(page: &Page, entry: &IpEntry, ip: IpAddr) -> SourceEntry {
    let end = entry.expired_at.map(|end| i64::try_from(end).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000));
    SourceEntry {
        id: entry.id,
        list: list_label(&entry.list),
        value: Text::new(&entry.value),
        own: entry.value.parse() == Ok(ip),
        expires: end.map(|end| page.moment(end)),
        ended: end.is_some_and(|end| end <= page.now),
        reason: Text::new(&entry.reason),
        author: Text::new(entry.created_by.strip_prefix("user:").unwrap_or(&entry.created_by)),
    }
}

fn automatic(page: &Page, listed: &ListedEntry) -> SourceAutomatic {
    let entry = &listed.entry;
    SourceAutomatic {
        list: list_label(if entry.list == Listed::Deny { "deny" } else { "gray" }),
        reason: Text::new(&entry.reason),
        rule: entry.rule,
        expires: page.moment(i64::try_from(entry.expires).unwrap_or(i64::MAX)),
        group: Text::new(&listed.group),
        key: entry.key.to_string(),
    }
}

fn fields() -> Vec<Field> {
    vec![
        Field::new("expires", "Expires", lists::ends(), "").with("86400"),
        Field::new("reason", "Reason", Control::Line, "Shown in the address lists and in the audit log."),
    ]
}
