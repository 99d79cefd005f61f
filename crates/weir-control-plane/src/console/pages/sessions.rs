//! Sessions of interest.

use super::rankings::source_page;
use crate::console::page::{Page, html};
use crate::console::view::sessions::{SessionPage, SessionRow, Sessions, StepRow};
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Error, Result};
use crate::store::{SessionStep, SessionSummary};
use axum::extract::Path;
use axum::response::Response;
use std::net::IpAddr;
use weir_core::model::AttackType;

/// Characters of a name that the list shows.
const SHOWN: usize = 12;

/// `GET /sessions`
pub async fn sessions(page: Page) -> Result<Response> {
    let client = page.query.get("client").trim().to_owned();
    let found = page.app.store.sessions(Some(client.as_str()).filter(|client| !client.is_empty())).await?;
    html(&Sessions {
        shell: page.shell("Sessions", Place::Sessions),
        client: Text::new(&client),
        days: page.app.config.session_days,
        rows: found.iter().map(|one| row(&page, one)).collect(),
    })
}

fn row(page: &Page, one: &SessionSummary) -> SessionRow {
    let name: String = one.session.chars().take(SHOWN).collect();
    let application = if one.application < 0 { String::new() } else { one.application.to_string() };
    SessionRow {
        href: format!("/sessions/{}", one.session),
        name: Text::new(&name),
        client: Text::new(&one.client),
        source: one.client.parse::<IpAddr>().is_ok().then(|| source_page(&one.client, "7d")),
        application: Text::new(&application),
        counts: [one.requests, one.hits, one.blocked],
        last: page.moment(one.last),
    }
}

/// `GET /sessions/{session}`
pub async fn session(page: Page, Path(name): Path<String>) -> Result<Response> {
    let found = page.app.store.session_requests(&name).await?;
    let last = found.last().ok_or(Error::NotFound("session"))?;
    let attacks = href("/attacks", &[("range", "all"), ("q", &format!("ip:{}", last.client))]);
    let mut client = "";
    let mut rows = Vec::with_capacity(found.len());
    for step in &found {
        let is_other = std::mem::replace(&mut client, &step.client) != step.client;
        rows.push(step_row(&page, step, is_other));
    }
    let shell = page.shell("Session", Place::Sessions);
    html(&SessionPage { shell, name: Text::new(&name), attacks, rows })
}

/// A note of a node with names of attack types for their codes, which come first.
fn in_words(note: &str) -> String {
    let mut parts: Vec<&str> = note.split("; ").collect();
    for part in &mut parts {
        let Some(attack) = AttackType::from_code(part) else { break };
        *part = attack.name();
    }
    parts.join("; ")
}

fn step_row(page: &Page, step: &SessionStep, is_other: bool) -> StepRow {
    StepRow {
        at: page.moment(step.time),
        method: Text::new(&step.method),
        path: Text::new(&step.path),
        status: if step.status == 0 { String::new() } else { step.status.to_string() },
        blocked: step.blocked,
        hit: if step.hit.is_empty() { String::new() } else { href(&format!("/hits/{}", step.hit), &[]) },
        note: Text::new(&in_words(&step.note)),
        client: is_other.then(|| Text::new(&step.client)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_attacks_as_the_rest_of_the_console_does() {
        let (found, text) = (AttackType::ForcedBrowsing, "198.51.100.9: 11 requests in 60 s; rule 3 allows 10");
        assert_eq!(in_words(&format!("{}; {text}", found.code())), format!("{}; {text}", found.name()));
        assert_eq!(in_words(text), text);
        assert_eq!(in_words(""), "");
    }
}
