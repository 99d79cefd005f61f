//! Nodes.

use super::dashboard::percentile;
use super::node_commands::commands;
use crate::auth::Role;
use crate::auth::token::{NewToken, Usage};
use crate::console::notice::with_notice;
use crate::console::page::{Page, html, see_other};
use crate::console::view::nodes::{NodeRow, Nodes};
use crate::console::view::number::{grouped, micros};
use crate::console::view::shell::{Place, Tone};
use crate::console::view::text::Text;
use crate::console::view::{time, ui};
use crate::error::Result;
use crate::nodes::Node;
use crate::policy::version::{Version, number_of};
use crate::store::{TrafficBy, TrafficFilter, TrafficTotal};
use crate::thresholds;
use axum::extract::Path;
use axum::response::Response;
use std::collections::{BTreeMap, HashMap, HashSet};
use weir_protocol::code::NodeRole;

/// Milliseconds over which load is measured.
const LOAD: i64 = 5 * 60_000;
/// Milliseconds for which the token of a new node is valid: 7 days.
const TOKEN: i64 = 7 * 86_400_000;
/// Most nodes whose load is shown.
const LOADS: usize = 100;

/// `GET /nodes`
pub async fn nodes(page: Page) -> Result<Response> {
    html(&list(&page, None).await?)
}

/// `POST /nodes/add`
pub async fn add(page: Page) -> Result<Response> {
    let new = NewToken {
        name: "Added from the Nodes page".into(),
        usage: Usage::NodeDeployment,
        role: Role::Deploy,
        expires_at: Some(page.now.saturating_add(TOKEN)),
    };
    let (text, _) = page.app.create_token(&page.caller, new).await?;
    // No redirect: this response is the only place where the token is shown.
    html(&list(&page, Some(text)).await?)
}

async fn list(page: &Page, fresh: Option<String>) -> Result<Nodes> {
    let versions = page.app.policy.versions().await?;
    let now = page.app.clock.millis();
    let loads = page.app.store.traffic_by(TrafficBy::Node, &TrafficFilter::default(), now - LOAD, now, LOADS).await?;
    let loads: HashMap<String, TrafficTotal> = loads.into_iter().collect();
    let head = page.app.policy.head();
    let mut all = page.app.nodes.list().await?;
    all.sort_by_key(|node| !node.active);
    let mut apart = groups_apart(&all);
    if !apart.is_empty() && !head.state.rules.iter().any(|entry| thresholds::counts(&entry.rule)) {
        apart.clear();
    }
    let seen = Seen { newest: head.version.serial, versions: &versions, loads: &loads };
    Ok(Nodes {
        shell: page.shell("Nodes", Place::Nodes),
        newest: head.version.number,
        apart: apart.iter().map(|group| Text::new(group)).collect(),
        rows: all.iter().map(|node| row(page, node, &seen)).collect(),
        commands: fresh.as_deref().map(|token| commands(page, token)).unwrap_or_default(),
        fresh,
    })
}

/// Groups whose inspecting nodes do not all speak through one aggregation: without a Redis server they do not add up what they
/// count.
fn groups_apart(nodes: &[Node]) -> Vec<String> {
    let mut places: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for node in nodes.iter().filter(|node| node.active && node.role == NodeRole::Processing) {
        let place = if node.parent.is_empty() { &node.id } else { &node.parent };
        places.entry(&node.group).or_default().insert(place);
    }
    places.into_iter().filter(|(_, places)| places.len() > 1).map(|(group, _)| group.to_owned()).collect()
}

/// What rows are seen against.
struct Seen<'s> {
    newest: u64,
    versions: &'s [Version],
    loads: &'s HashMap<String, TrafficTotal>,
}

/// Requests per second over [`LOAD`].
fn per_second(requests: u64) -> String {
    let tenths = requests.saturating_mul(10_000) / LOAD.unsigned_abs();
    match (requests, tenths) {
        (0, _) => "0/s".into(),
        (_, 0) => "<0.1/s".into(),
        (_, n) if n < 100 => format!("{}.{}/s", n / 10, n % 10),
        (_, n) => format!("{}/s", grouped(n / 10)),
    }
}

fn row(page: &Page, node: &Node, seen: &Seen<'_>) -> NodeRow {
    let beat = &node.heartbeat;
    let version = seen.versions.iter().find(|version| version.serial == beat.policy_serial);
    let load = seen.loads.get(&node.id);
    let median = load.and_then(|total| percentile(&total.latency, 50));
    let state = match (node.enabled, node.active, &beat.policy_error) {
        (false, ..) => (Tone::Note, "Disabled"),
        (_, false, _) => (Tone::Note, "Inactive"),
        (_, true, Some(_)) => (Tone::Bad, "Policy rejected"),
        (_, true, None) => (Tone::Good, "Active"),
    };
    NodeRow {
        id: node.id.clone(),
        name: Text::new(&node.name),
        group: Text::new(&node.group),
        role: Text::new(node.role.as_str()),
        state,
        active: node.active,
        version: Text::new(&node.version),
        serial: beat.policy_serial,
        current: beat.policy_serial >= seen.newest,
        number: number_of(seen.versions, beat.policy_serial),
        published: version.map(|version| page.moment(version.published_at)),
        other_version: !node.version.is_empty() && node.version != env!("CARGO_PKG_VERSION"),
        load: per_second(load.map_or(0, |total| total.requests)),
        latency: median.map(micros).unwrap_or_default(),
        policy_error: Text::new(beat.policy_error.as_deref().unwrap_or_default()),
        spooled: grouped(beat.spooled),
        dropped: beat.dropped,
        uptime: time::span(beat.uptime.saturating_mul(1_000)),
        signatures: beat.signatures,
        seen: page.moment(node.seen_at),
        since: page.moment(node.registered_at),
        attacks: ui::href("/attacks", &[("q", &format!("node_uuid:{}", node.id))]),
    }
}

/// `POST /nodes/{id}/remove`
pub async fn remove(page: Page, Path(id): Path<String>) -> Result<Response> {
    page.app.remove_node(&page.caller, &id).await?;
    Ok(see_other(&with_notice("/nodes", "node-gone", 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_per_second_of_five_minutes() {
        assert_eq!([0, 1, 450, 30_000, 600_000].map(per_second), ["0/s", "<0.1/s", "1.5/s", "100/s", "2,000/s"]);
    }
}
