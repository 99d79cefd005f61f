//! The list of webhooks and syslog receivers, and the forms that add one.

use crate::auth::Permission;
use crate::console::form_fields::FormFields;
use crate::console::page::Page;
use crate::console::view::form::{Control, Field};
use crate::console::view::settings::SinkRow;
use crate::console::view::shell::Tone;
use crate::console::view::text::Text;
use crate::error::{Mistake, Result};
use crate::sinks::{FeedName, Sink, Target};

/// The receivers, if the user may see them.
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
        (false, ..) => (Tone::Note, Text::new("Disabled")),
        (_, 1.., _) => (Tone::Bad, Text::new(&format!("Failing ({} attempts): {}", sink.failures, sink.last_error))),
        (_, 0, 0) => (Tone::Note, Text::new("Nothing delivered yet")),
        _ => (Tone::Good, Text::new("Delivering")),
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

/// Fields of the two forms that add a webhook or a syslog receiver.
pub fn fields(given: &FormFields, wrong: &[Mistake]) -> [Vec<Field>; 2] {
    let of = |field: &str| wrong.iter().find(|one| one.field == field).map(|one| one.message.as_str());
    let pairs = |all: &[(&str, &str)]| Control::Select(all.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect());
    let mine = |kind: &str| given.get("kind") == kind;
    let value = |kind: &str, name: &str| if mine(kind) { given.get(name).to_owned() } else { String::new() };
    let blame = |kind: &str, field: &str| of(field).filter(|_| mine(kind)).map(str::to_owned);
    let line = |kind: &str, name, label, control, hint, field: &str| {
        Field::new(name, label, control, hint).with(value(kind, name)).with_error(blame(kind, field).as_deref())
    };
    let hook = "webhook";
    let log = "syslog";
    [
        vec![
            line(hook, "hook_name", "Name", Control::Line, "", "name").required(),
            line(hook, "hook_url", "URL", Control::Code, "http or https. Private addresses are allowed.", "target.url")
                .required(),
            line(
                hook,
                "hook_secret",
                "Secret",
                Control::Password,
                "Used to sign each request; at least 16 characters. Empty: requests are not signed.",
                "secret",
            ),
            line(
                hook,
                "hook_format",
                "Format",
                pairs(&[("json", "JSON"), ("ndjson", "NDJSON (one record per line)")]),
                "",
                "target.format",
            ),
        ],
        vec![
            line(log, "log_name", "Name", Control::Line, "", "name").required(),
            line(log, "log_host", "Host", Control::Code, "", "target.host").required(),
            line(log, "log_port", "Port", Control::Number, "", "target.port").required(),
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
