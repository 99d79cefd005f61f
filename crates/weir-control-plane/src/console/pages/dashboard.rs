//! The dashboard.

use super::attacks::TRY_IT;
use super::behaviour;
use super::protection;
use super::rankings::{self, change};
use crate::console::page::{Page, html};
use crate::console::time_range::{self, TimeRange};
use crate::console::view::dashboard::{AppLine, Dashboard, Figure, NodeLine, Ranked};
use crate::console::view::number::{compact, grouped, micros, of_hits};
use crate::console::view::parts::AttackKind;
use crate::console::view::plot::lines::Lines;
use crate::console::view::plot::stacked::Stacked;
use crate::console::view::plot::{Buckets, FULL, HALF, Series};
use crate::console::view::settings::mode_label;
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Error, Result};
use crate::nodes::Node;
use crate::policy::version::{Version, number_of};
use crate::store::{
    Count, Dimension, Filter, MAX_TOP, Page as Rows, Terms, TrafficBy, TrafficFilter, TrafficSlot, TrafficTotal,
};
use axum::response::Response;
use std::collections::HashMap;
use weir_core::model::AttackType;
use weir_protocol::node_api::LATENCY_BOUNDS_US;

/// Lines of a ranking.
const RANKED: usize = 8;
/// The id of requests of no application.
const NO_APPLICATION: &str = "-1";

/// `GET /`
pub async fn dashboard(page: Page) -> Result<Response> {
    if !page.caller.may(crate::auth::Permission::ReadEvents) {
        // The deployment role may not read events.
        return Ok(crate::console::page::see_other("/nodes"));
    }
    let range = time_range::find(page.query.get("range"), "24h");
    let (from, to) = range.whole(page.now, range.step);
    let in_range = Filter { from: Some(from), to: Some(to), ..Filter::default() };
    let every = TrafficFilter::default();
    let top = |dimension| page.app.store.top(dimension, &in_range, RANKED);
    let ((by_type, attacks), traffic, (sources, targets)) = tokio::try_join!(
        attacks(&page, range, from, to),
        async { Ok(page.app.store.traffic(&every, from, to, range.fine_step).await?) },
        async { Ok(tokio::try_join!(top(Dimension::Source), top(Dimension::Target))?) },
    )?;
    let hits: u64 = by_type.iter().map(|count| count.hits).sum();
    let nodes = page.app.nodes.list().await?;
    let (head, versions) = (page.app.policy.head(), page.app.policy.versions().await?);
    let requests: u64 = traffic.iter().map(|slot| slot.total.requests).sum();
    let first_steps = hits == 0
        && requests == 0
        && page.app.store.attacks(&Filter::default(), &Rows::first(1)).await?.rows.is_empty();
    let (weak, more_weak) = protection::weak(&page);
    let largest = by_type.first().map_or(0, |count| count.hits);
    html(&Dashboard {
        shell: page.shell("Dashboard", Place::Dashboard),
        alarms: page.app.alarms().await?.iter().map(|alarm| behaviour::alarm_line(&page, alarm)).collect(),
        ranges: range.choices(|one| one.length.is_some(), |code| href("/", &[("range", code)])),
        mode: mode_label(head.state.base.mode.as_deref()),
        modes: protection::modes(&page),
        weak,
        more_weak,
        first_steps,
        try_it: TRY_IT.into(),
        figures: figures(&page, range, &traffic, &nodes, from).await?,
        attacks,
        traffic: requests_plot(&traffic, range.fine_step),
        latency: latency_plot(&traffic, range.fine_step),
        kinds: by_type
            .iter()
            .take(RANKED)
            .filter_map(|count| {
                Some(Ranked::kind(
                    AttackKind::of(AttackType::from_code(&count.value)?),
                    count.hits,
                    largest,
                    range.code,
                ))
            })
            .collect(),
        sources: rankings::sources(&sources, range),
        targets: rankings::hosts(&targets, range),
        applications: applications(&page, range, from, to).await?,
        nodes: nodes.iter().take(RANKED).map(|node| node_line(&page, node, &versions)).collect(),
    })
}

/// Types by hits, and the plot of those with a colour of their own; the others are summed up.
async fn attacks(page: &Page, range: TimeRange, from: i64, to: i64) -> Result<(Vec<Count>, Stacked)> {
    let filter = Filter { from: Some(from), to: Some(to), ..Filter::default() };
    let by_type = page.app.store.top(Dimension::AttackType, &filter, AttackType::ALL.len()).await?;
    let hour = 3_600_000;
    let all = if range.step % hour == 0 {
        page.app.store.series_by_type(from, to, range.step).await?
    } else {
        let mut all = Vec::new();
        for attack in by_type.iter().filter_map(|count| AttackType::from_code(&count.value)) {
            let only = Filter { attack_types: Terms::only(attack), ..Filter::default() };
            all.push((attack, page.app.store.series(&only, from, to, range.step).await?));
        }
        all
    };
    let count = usize::try_from((to - from) / range.step).map_err(Error::internal)?;
    let values =
        |series: &crate::store::Series| (0..count).map(|at| series.slots.get(at).map_or(0, |slot| slot.hits)).collect();
    let series = by_colour(all.iter().map(|(attack, one)| (AttackKind::of(*attack), values(one))));
    let buckets = Buckets { from, step: range.step, count };
    Ok((by_type, Stacked::new("attacks", "Hits by attack type", buckets, series, FULL)))
}

/// A series for each kind with a colour of its own, and one for the others together; one other alone keeps its name.
fn by_colour(kinds: impl Iterator<Item = (AttackKind, Vec<u64>)>) -> Vec<Series> {
    let of_kind = |(kind, values): (AttackKind, _)| Series { label: kind.name.into(), slot: kind.slot, values };
    let seen = kinds.filter(|(_, values)| values.iter().any(|hits| *hits > 0)).map(of_kind);
    let (others, mut series): (Vec<Series>, _) = seen.partition(|one| one.slot == 0);
    series.extend(others.into_iter().reduce(|mut sum, one| {
        sum.values.iter_mut().zip(&one.values).for_each(|(sum, n)| *sum = sum.saturating_add(*n));
        Series { label: "Other types".into(), ..sum }
    }));
    series
}

async fn figures(
    page: &Page,
    range: TimeRange,
    traffic: &[TrafficSlot],
    nodes: &[Node],
    from: i64,
) -> Result<Vec<Figure>> {
    let sum = |of: fn(&TrafficSlot) -> u64| traffic.iter().map(of).sum::<u64>();
    let requests = sum(|slot| slot.total.requests);
    let length = range.length.unwrap_or(1);
    let counts = |from, to| async move {
        let series = page.app.store.series(&Filter::default(), from, to, range.step).await?;
        let hits: u64 = series.slots.iter().map(|slot| slot.hits).sum();
        Ok::<_, Error>((hits, series.slots.iter().map(|slot| slot.blocked).sum::<u64>()))
    };
    let (hits, blocked) = counts(from, from + length).await?;
    let before = if from > length { counts(from - length, from).await?.0 } else { 0 };
    let dropped: u64 = nodes.iter().filter(|node| node.active).map(|node| node.heartbeat.dropped).sum();
    let active = nodes.iter().filter(|node| node.active).count();
    let latency = total_latency(traffic);
    let link = |query: &str| Some(href("/attacks", &[("q", query), ("range", range.code)]));
    let figure = |label, value: String, note: String, href, alarm| Figure { label, value, note, href, alarm };
    let rate = (requests * 1_000).checked_div(length.unsigned_abs()).unwrap_or(0);
    let rate = if rate == 0 && requests > 0 { "<1/s".into() } else { format!("{}/s", grouped(rate)) };
    let inactive = nodes.len() - active;
    Ok(vec![
        figure("Requests", compact(requests), rate, None, false),
        figure("Hits", compact(hits), change(hits, before), link(""), false),
        figure("Blocked", compact(blocked), of_hits(blocked, hits), link("status:blocked"), false),
        figure(
            "Inspection time (p99)",
            percentile(&latency, 99).map_or_else(|| "–".into(), micros),
            format!("median {}", percentile(&latency, 50).map_or_else(|| "–".into(), micros)),
            None,
            false,
        ),
        figure(
            "Dropped records",
            compact(dropped),
            "by active nodes since they started".into(),
            Some("/nodes".into()),
            dropped > 0,
        ),
        figure(
            "Active nodes",
            active.to_string(),
            if inactive == 0 { "all nodes active".into() } else { format!("{inactive} inactive") },
            Some("/nodes".into()),
            active == 0 && inactive > 0,
        ),
    ])
}

/// Applications with most requests, against the period before; none where every request is of the default one.
async fn applications(page: &Page, range: TimeRange, from: i64, to: i64) -> Result<Vec<AppLine>> {
    let all = TrafficFilter::default();
    let of = |from, to, limit| page.app.store.traffic_by(TrafficBy::Application, &all, from, to, limit);
    let now = of(from, to, RANKED).await?;
    if now.iter().all(|(id, _)| id == NO_APPLICATION) {
        return Ok(Vec::new());
    }
    let start = from - (to - from);
    let before: HashMap<String, TrafficTotal> =
        if start >= 0 { of(start, from, MAX_TOP).await?.into_iter().collect() } else { HashMap::new() };
    let head = page.app.policy.head();
    let line = |(id, now): &(String, TrafficTotal)| {
        let known = id.parse().ok().and_then(|id: i64| head.state.applications.get(&id));
        let name = match known {
            Some(known) => known.name.clone(),
            None if id == NO_APPLICATION => "No application".into(),
            None => format!("Application {id}"),
        };
        let before = before.get(id).cloned().unwrap_or_default();
        AppLine {
            name: Text::new(&name),
            href: href(&format!("/applications/{id}"), &[("range", range.code)]),
            requests: compact(now.requests),
            requests_change: change(now.requests, before.requests),
            attacks: compact(now.attacks),
            attacks_change: change(now.attacks, before.attacks),
            blocked: compact(now.blocked),
        }
    };
    Ok(now.iter().map(line).collect())
}

fn total_latency(traffic: &[TrafficSlot]) -> Vec<u64> {
    let mut sum = vec![0u64; LATENCY_BOUNDS_US.len() + 1];
    for slot in traffic {
        sum.iter_mut().zip(&slot.total.latency).for_each(|(sum, n)| *sum = sum.saturating_add(*n));
    }
    sum
}

/// The time, in microseconds, below which `percent` of the requests stay: within its class evenly spread.
pub(super) fn percentile(classes: &[u64], percent: u64) -> Option<u64> {
    let total: u64 = classes.iter().sum();
    let wanted = (u128::from(total) * u128::from(percent)).div_ceil(100);
    let mut below = 0u128;
    for (at, &count) in classes.iter().enumerate() {
        if count > 0 && below + u128::from(count) >= wanted {
            let low = at.checked_sub(1).and_then(|at| LATENCY_BOUNDS_US.get(at)).copied().unwrap_or(0);
            let high = LATENCY_BOUNDS_US.get(at).or(LATENCY_BOUNDS_US.last()).copied().unwrap_or(low);
            let part = (u128::from(high - low.min(high)) * (wanted - below)) / u128::from(count);
            return u64::try_from(part).ok().map(|part| low + part);
        }
        below += u128::from(count);
    }
    None
}

fn buckets(traffic: &[TrafficSlot], step: i64) -> Buckets {
    Buckets { from: traffic.first().map_or(0, |slot| slot.time), step, count: traffic.len() }
}

fn requests_plot(traffic: &[TrafficSlot], step: i64) -> Lines {
    let values = traffic.iter().map(|slot| slot.total.requests).collect();
    let series = vec![Series { label: "Requests".into(), slot: 1, values }];
    Lines::new("traffic", "Requests over time", buckets(traffic, step), series, HALF, compact)
}

fn latency_plot(traffic: &[TrafficSlot], step: i64) -> Lines {
    let line = |label: &str, slot, percent| Series {
        label: label.into(),
        slot,
        values: traffic.iter().map(|one| percentile(&one.total.latency, percent).unwrap_or(0)).collect(),
    };
    let series = vec![line("Median", 1, 50), line("p95", 2, 95), line("p99", 3, 99)];
    Lines::new("latency", "Inspection time", buckets(traffic, step), series, HALF, micros)
}

fn node_line(page: &Page, node: &Node, versions: &[Version]) -> NodeLine {
    let beat = &node.heartbeat;
    let policy = match (&beat.policy_error, beat.policy_serial) {
        (Some(_), _) => "newest policy rejected".into(),
        (None, 0) => "local configuration".into(),
        (None, serial) => format!("policy version {}", number_of(versions, serial)),
    };
    let waiting = if beat.spooled > 0 { format!(", {} records queued", grouped(beat.spooled)) } else { String::new() };
    NodeLine {
        name: Text::new(&node.name),
        active: node.active,
        note: format!("{policy}{waiting}"),
        seen: page.moment(node.seen_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_on_behaviour_have_names_and_colours_and_others_are_added_up() {
        let behaviour = [
            AttackType::Brute,
            AttackType::CredentialStuffing,
            AttackType::ForcedBrowsing,
            AttackType::Bola,
            AttackType::RateLimit,
        ];
        let plotted = |types: &[AttackType]| {
            let one = |attack: &AttackType| (AttackKind::of(*attack), vec![0, 2]);
            let all = by_colour(types.iter().map(one));
            all.into_iter().map(|one| (one.label, one.slot, one.values[1])).collect::<Vec<_>>()
        };
        let mut slots: Vec<u8> = Vec::new();
        for (attack, (label, slot, hits)) in behaviour.iter().zip(plotted(&behaviour)) {
            assert_eq!((label.as_str(), hits), (attack.name(), 2));
            slots.push(slot);
        }
        assert_eq!(slots, [8, 9, 10, 11, 12]);
        let css = include_str!("../assets/console.css");
        for rule in slots.iter().flat_map(|n| [format!(".dot.s{n} {{"), format!(".fill.s{n}"), format!("--s{n}: #")]) {
            assert!(css.contains(&rule), "the style sheet has no {rule}");
        }
        let two = plotted(&[AttackType::Xxe, AttackType::Bola, AttackType::Protocol]);
        assert_eq!(two, [(AttackType::Bola.name().into(), 11, 2), ("Other types".into(), 0, 4)]);
        assert_eq!(plotted(&[AttackType::Xxe]), [(AttackType::Xxe.name().to_owned(), 0, 2)], "one other is named");
        assert!(by_colour([(AttackKind::of(AttackType::Xss), vec![0, 0])].into_iter()).is_empty());
    }

    #[test]
    fn percentiles_lie_within_their_class() {
        let mut classes = vec![0; LATENCY_BOUNDS_US.len() + 1];
        assert_eq!(percentile(&classes, 50), None);
        classes[0] = 90;
        classes[3] = 10;
        assert_eq!(percentile(&classes, 45), Some(25));
        assert_eq!(percentile(&classes, 90), Some(50));
        assert!((250..=500).contains(&percentile(&classes, 99).unwrap()));
        classes[LATENCY_BOUNDS_US.len()] = 1_000;
        assert_eq!(percentile(&classes, 99), LATENCY_BOUNDS_US.last().copied());
    }
}
