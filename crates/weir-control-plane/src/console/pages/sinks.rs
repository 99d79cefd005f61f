//! Webhooks and syslog receivers, on the page of settings.

use super::settings_page::{Confirmation, respond};
use crate::console::form_fields::FormFields;
use crate::console::page::Page;
use crate::console::view::shell::{Notice, Tone};
use crate::console::view::text::Text;
use crate::error::{Error, Result};
use crate::sinks::{FeedName, NewSink, Target};
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

fn new(given: &FormFields) -> Result<NewSink> {
    let text = |name: &str| given.get(name).to_owned();
    let (name, target, secret) = match given.get("kind") {
        "webhook" => {
            let target = json!({"kind": "webhook", "url": text("hook_url"), "format": text("hook_format")});
            (text("hook_name"), target, Some(text("hook_secret")).filter(|secret| !secret.is_empty()))
        }
        "syslog" => {
            let port: u16 =
                text("log_port").parse().map_err(|_| Error::invalid("target.port", "enter a port from 1 to 65535"))?;
            let target =
                json!({"kind": "syslog", "host": text("log_host"), "port": port, "transport": text("log_transport")});
            (text("log_name"), target, None)
        }
        _ => return Err(Error::invalid("", "expected `webhook` or `syslog`")),
    };
    let target: Target = serde_json::from_value(target).map_err(|error| Error::invalid("", error.to_string()))?;
    let feeds = FeedName::ALL.iter().copied().filter(|feed| given.has(feed.code())).collect();
    Ok(NewSink { name, target, secret, feeds, enabled: true })
}

/// `POST /settings/sinks`
pub async fn create(page: Page, given: FormFields) -> Result<Response> {
    let done = async { page.app.create_sink(&page.caller, &new(&given)?).await };
    let done = done.await.map(|_| Confirmation::Redirect("sink", 0));
    respond(&page, &given, done).await
}

/// `POST /settings/sinks/{id}/test`
pub async fn test(page: Page, Path(id): Path<String>) -> Result<Response> {
    let notice = match page.app.sinks.test(&id).await? {
        Ok(()) => Notice { tone: Tone::Good, text: Text::new("Test delivered.") },
        Err(why) => Notice { tone: Tone::Bad, text: Text::new(&format!("Test failed: {why}")) },
    };
    respond(&page, &FormFields::default(), Ok(Confirmation::Notice(notice))).await
}

async fn switch(page: &Page, id: &str, enabled: bool) -> Result<Response> {
    let sink = page.app.sinks.get(id).await?;
    // No secret: the stored one is kept.
    let new = NewSink { name: sink.name, target: sink.target, secret: None, feeds: sink.feeds, enabled };
    let done = page.app.change_sink(&page.caller, id, &new).await;
    let code = if enabled { "sink-on" } else { "sink-off" };
    respond(page, &FormFields::default(), done.map(|_| Confirmation::Redirect(code, 0))).await
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
    respond(&page, &FormFields::default(), done.map(|()| Confirmation::Redirect("sink-gone", 0))).await
}
