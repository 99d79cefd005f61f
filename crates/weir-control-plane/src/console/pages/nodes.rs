//! Nodes.

use crate::console::notice::with_notice;
use crate::console::page::{Page, html, see_other};
use crate::console::view::nodes::{NodeRow, Nodes};
use crate::console::view::number::grouped;
use crate::console::view::shell::{Place, Tone};
use crate::console::view::text::Text;
use crate::console::view::{time, ui};
use crate::error::Result;
use crate::nodes::Node;
use axum::extract::Path;
use axum::response::Response;

/// `GET /nodes`
pub async fn nodes(page: Page) -> Result<Response> {
    let newest = page.app.policy.head().version.serial;
    let mut all = page.app.nodes.list().await?;
    all.sort_by_key(|node| !node.active);
    html(&Nodes {
        shell: page.shell("Nodes", Place::Nodes),
        newest,
        rows: all.iter().map(|node| row(&page, node, newest)).collect(),
        start: start(&page, "TOKEN"),
    })
}

/// The command line that starts a node with `token`.
pub fn start(page: &Page, token: &str) -> String {
    let url = page.app.config.public_url.as_deref().unwrap_or("https://weir.example.com");
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, if scheme == "https" { "443" } else { "80" }));
    let tls = if scheme == "https" { "" } else { " --set api.use_ssl=false" };
    format!("weir processing --set api.host={host} --set api.port={port}{tls} \\\n  --set api.token={token}")
}

fn row(page: &Page, node: &Node, newest: u64) -> NodeRow {
    let beat = &node.heartbeat;
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
        current: beat.policy_serial >= newest,
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
