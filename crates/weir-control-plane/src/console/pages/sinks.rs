//! Webhooks and syslog receivers, on the page of settings.

use super::settings::{Outcome, answer};
use crate::auth::Permission;
use crate::console::given::Given;
use crate::console::page::Page;
use crate::console::view::form::{Control, Field};
use crate::console::view::settings::SinkRow;
use crate::console::view::shell::{Notice, Tone};
use crate::console::view::text::Text;
use crate::error::{Error, Mistake, Result};
use crate::sinks::{FeedName, NewSink, Sink, Target};
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

/// Sinks for those who may see them.
pub async fn rows(page: &Page) -> Result<Option<Vec<SinkRow>>> {
    if !page.caller.may(Permission::Settings) {
        return Ok(None);
    }
    let all = page.app.sinks.list().await?;
    Ok(Some(all.into_iter().map(|sink| row(page, sink.masked())).collect()))
}

fn row(page: &Page, sink: Sink) -> SinkRow {
    let to = match &sink.target {
        Target::Webhook { url, .. } => url.clone(),
        Target::Syslog { host, port, transport, .. } => {
            let transport = serde_json::to_value(transport).ok().and_then(|t| t.as_str().map(str::to_owned));
            format!("syslog {host}:{port} over {}", transport.unwrap_or_default())
        }
    };
    let feed = |feed: &FeedName| if *feed == FeedName::NewHits { "new hits" } else { "system events" };
    let state = match (sink.enabled, sink.failures, sink.last_success) {
        (false, ..) => (Tone::Note, Text::new("Switched off")),
        (_, 1.., _) => (Tone::Bad, Text::new(&format!("Fails ({}): {}", sink.failures, sink.last_error))),
        (_, 0, 0) => (Tone::Note, Text::new("Nothing delivered yet")),
        _ => (Tone::Good, Text::new("Delivers")),
    };
    SinkRow {
        id: sink.id,
        name: Text::new(&sink.name),
        to: Text::new(&to),
        events: Text::new(&sink.feeds.iter().map(feed).collect::<Vec<_>>().join(", ")),
        signed: sink.signed,
        state,
        active: sink.enabled,
        delivered: sink.delivered,
        last: (sink.last_success > 0).then(|| page.moment(sink.last_success)),
    }
}

/// Fields of the forms that add one: for webhooks, for syslog.
pub fn fields(given: &Given, wrong: &[Mistake]) -> [Vec<Field>; 2] {
    let of = |field: &str| wrong.iter().find(|one| one.field == field).map(|one| one.message.as_str());
    let pairs = |all: &[(&str, &str)]| Control::Select(all.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect());
    let mine = |kind: &str| given.get("kind") == kind;
    let value = |kind: &str, name: &str| if mine(kind) { given.get(name).to_owned() } else { String::new() };
    let blame = |kind: &str, field: &str| of(field).filter(|_| mine(kind)).map(str::to_owned);
    let line = |kind: &str, name, label, control, hint, field: &str| {
        Field::new(name, label, control, hint).with(value(kind, name)).blamed(blame(kind, field).as_deref())
    };
    let hook = "webhook";
    let log = "syslog";
    [
        vec![
            line(hook, "hook_name", "Name", Control::Line, "", "name").needed(),
            line(
                hook,
                "hook_url",
                "Address",
                Control::Code,
                "http or https; private addresses are fine.",
                "target.url",
            )
            .needed(),
            line(
                hook,
                "hook_secret",
                "Secret",
                Control::Password,
                "Signs each call; at least 16 characters. Empty signs nothing.",
                "secret",
            ),
            line(
                hook,
                "hook_format",
                "Form",
                pairs(&[("json", "JSON"), ("ndjson", "NDJSON, a record a line")]),
                "",
                "target.format",
            ),
        ],
        vec![
            line(log, "log_name", "Name", Control::Line, "", "name").needed(),
            line(log, "log_host", "Host", Control::Code, "", "target.host").needed(),
            line(log, "log_port", "Port", Control::Number, "", "target.port").needed(),
            line(
                log,
                "log_transport",
                "Transport",
                pairs(&[("tls", "TLS"), ("tcp", "TCP"), ("udp", "UDP")]),
                "",
                "target.transport",
            ),
        ],
    ]
}

fn new(given: &Given) -> Result<NewSink> {
    let text = |name: &str| given.get(name).to_owned();
    let (name, target, secret) = match given.get("kind") {
        "webhook" => {
            let target = json!({"kind": "webhook", "url": text("hook_url"), "format": text("hook_format")});
            (text("hook_name"), target, Some(text("hook_secret")).filter(|secret| !secret.is_empty()))
        }
        "syslog" => {
            let port: u16 =
                text("log_port").parse().map_err(|_| Error::invalid("target.port", "write a port from 1 to 65535"))?;
            let target =
                json!({"kind": "syslog", "host": text("log_host"), "port": port, "transport": text("log_transport")});
            (text("log_name"), target, None)
        }
        _ => return Err(Error::invalid("", "webhook or syslog is wanted")),
    };
    let target: Target = serde_json::from_value(target).map_err(|error| Error::invalid("", error.to_string()))?;
    let feeds = FeedName::ALL.iter().copied().filter(|feed| given.has(feed.code())).collect();
    Ok(NewSink { name, target, secret, feeds, enabled: true })
}

/// `POST /settings/sinks`
pub async fn create(page: Page, given: Given) -> Result<Response> {
    let done = async { page.app.create_sink(&page.caller, &new(&given)?).await };
    let done = done.await.map(|_| Outcome::Said("sink", 0));
    answer(&page, &given, done).await
}

/// `POST /settings/sinks/{id}/test`
pub async fn test(page: Page, Path(id): Path<String>) -> Result<Response> {
    let notice = match page.app.sinks.test(&id).await? {
        Ok(()) => Notice { tone: Tone::Good, text: Text::new("The test was delivered.") },
        Err(why) => Notice { tone: Tone::Bad, text: Text::new(&format!("The test was not delivered: {why}")) },
    };
    answer(&page, &Given::default(), Ok(Outcome::Shown(notice))).await
}

async fn switch(page: &Page, id: &str, enabled: bool) -> Result<Response> {
    let sink = page.app.sinks.get(id).await?;
    // Without a secret the one there is stays.
    let new = NewSink { name: sink.name, target: sink.target, secret: None, feeds: sink.feeds, enabled };
    let done = page.app.change_sink(&page.caller, id, &new).await;
    let code = if enabled { "sink-on" } else { "sink-off" };
    answer(page, &Given::default(), done.map(|_| Outcome::Said(code, 0))).await
}

/// `POST /settings/sinks/{id}/enable`
pub async fn enable(page: Page, Path(id): Path<String>) -> Result<Response> {
    switch(&page, &id, true).await
}

/// `POST /settings/sinks/{id}/disable`
pub async fn disable(page: Page, Path(id): Path<String>) -> Result<Response> {
    switch(&page, &id, false).await
}

/// `POST /settings/sinks/{id}/delete`
pub async fn delete(page: Page, Path(id): Path<String>) -> Result<Response> {
    let done = page.app.remove_sink(&page.caller, &id).await;
    answer(&page, &Given::default(), done.map(|()| Outcome::Said("sink-gone", 0))).await
}
