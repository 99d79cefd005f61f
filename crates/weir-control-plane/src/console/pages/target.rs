//! A host or an application.

use super::rankings::{self, change, figure, hits_plot, host_page, kinds};
use crate::console::page::{Page, html};
use crate::console::point_words;
use crate::console::search::term;
use crate::console::time_range;
use crate::console::view::dashboard::{ModeLine, WeakRule};
use crate::console::view::number::{compact, grouped, of_hits};
use crate::console::view::parts::AttackKind;
use crate::console::view::plot::lines::Lines;
use crate::console::view::plot::{Buckets, HALF, Series};
use crate::console::view::shell::Place;
use crate::console::view::target::{PointRow, TargetPage};
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::console::{pages::protection, rule_text};
use crate::error::Result;
use crate::overview::Period;
use crate::overview::target::{AttackedPoint, Target, TargetReport};
use crate::policy::state::DEFAULT_GROUP;
use axum::extract::Path;
use axum::response::Response;

/// Rules shown; the rest is counted.
const RULES: usize = 8;

/// `GET /hosts/{host}`
pub async fn host(page: Page, Path(host): Path<String>) -> Result<Response> {
    let place = Target::host(&host)?;
    let name = host.to_ascii_lowercase();
    let of = Names {
        what: "Host",
        address: host_page(&name, ""),
        term: term("d", &name),
        blocking: vec![("host", name.clone())],
        name,
    };
    shown(&page, place, &of).await
}

/// `GET /applications/{id}`
pub async fn application(page: Page, Path(id): Path<i64>) -> Result<Response> {
    let head = page.app.policy.head();
    let name = match (id, head.state.applications.get(&id)) {
        (_, Some(known)) => format!("{id}, {}", known.name),
        (-1, None) => "-1, requests that name none".into(),
        (_, None) => id.to_string(),
    };
    let of = Names {
        what: "Application",
        address: format!("/applications/{id}"),
        term: term("app", &id.to_string()),
        blocking: vec![("app", id.to_string())],
        name,
    };
    shown(&page, Target::Application(id), &of).await
}

/// How the pages and searches of a target are named.
struct Names {
    what: &'static str,
    name: String,
    address: String,
    term: String,
    blocking: Vec<(&'static str, String)>,
}

async fn shown(page: &Page, target: Target, of: &Names) -> Result<Response> {
    let range = time_range::find(page.query.get("range"), "24h");
    let (from, to) = range.whole(page.now, range.step);
    let report = page.app.target_report(target, Period::new(from, to, range.step)?).await?;
    let (weak, more_weak) = weak(page, &report);
    let modes = modes(&report);
    let blocking: Vec<(&str, &str)> = of.blocking.iter().map(|(key, value)| (*key, value.as_str())).collect();
    html(&TargetPage {
        shell: page.shell(format!("{} {}", of.what, Text::new(&of.name).as_str()), Place::Dashboard),
        what: of.what,
        name: Text::new(&of.name),
        ranges: range.choices(|one| one.length.is_some(), |code| href(&of.address, &[("range", code)])),
        figures: figures(&report),
        lenient: report.modes.iter().any(|one| one.mode.as_deref().is_some_and(|mode| mode != "block")),
        modes,
        weak,
        more_weak,
        blocking: href("/blocking", &blocking),
        attacks: href("/attacks", &[("q", &of.term), ("range", range.code)]),
        plot: hits_plot(&report.series, from, HALF),
        traffic: requests(&report),
        kinds: kinds(&report.attack_types, &of.term, range),
        sources: rankings::sources(&report.sources, range),
        hosts: rankings::hosts(&report.hosts, range),
        points: report.points.iter().map(point).collect(),
    })
}

fn figures(report: &TargetReport) -> Vec<crate::console::view::dashboard::Figure> {
    let (now, before) = (&report.now, &report.before);
    vec![
        figure("Requests", now.requests, change(now.requests, before.requests)),
        figure("Hits", now.hits, change(now.hits, before.hits)),
        figure("Blocked", now.blocked, of_hits(now.blocked, now.hits)),
        figure("Passed", now.hits.saturating_sub(now.blocked), "hits that reached the application"),
    ]
}

fn modes(report: &TargetReport) -> Vec<ModeLine> {
    let line = |one: &crate::overview::target::ModeInForce| {
        let place =
            if one.group == DEFAULT_GROUP { "Filtration mode".into() } else { format!("Node group {}", one.group) };
        protection::line(&place, one.mode.as_deref())
    };
    report.modes.iter().map(line).collect()
}

fn weak(page: &Page, report: &TargetReport) -> (Vec<WeakRule>, usize) {
    let head = page.app.policy.head();
    let known = report.weakening.iter().filter_map(|id| head.state.rule(*id));
    let lines = known.map(|entry| WeakRule { id: entry.id, says: Text::new(&rule_text::sentence(&entry.rule)) });
    (lines.take(RULES).collect(), report.weakening.len().saturating_sub(RULES))
}

fn requests(report: &TargetReport) -> Lines {
    let values = report.traffic.iter().map(|slot| slot.total.requests).collect();
    let buckets = Buckets { from: report.period.from, step: report.period.step, count: report.traffic.len() };
    let series = vec![Series { label: "Requests".into(), slot: 1, values }];
    Lines::new("traffic", "Requests over time", buckets, series, HALF, compact)
}

fn point(one: &AttackedPoint) -> PointRow {
    let words = point_words::words(&one.point);
    PointRow {
        kind: AttackKind::of(one.attack_type),
        words: Text::new(if words.is_empty() { "whole request" } else { &words }),
        point: Text::new(&one.point.to_string()),
        hits: grouped(one.hits),
        href: format!("/attacks/{}", one.attack),
    }
}
