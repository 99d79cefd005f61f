//! Alerts for people.

use crate::alerts::{Alert, Channel, Every, NewAlert, Schedule};
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{Page, html, html_with, mistakes, see_other};
use crate::console::view::alerts::{AlertRow, Alerts};
use crate::console::view::form::{Control, Field};
use crate::console::view::shell::{Notice, Place, Tone};
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Error, Mistake, Result};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

/// Periods of digests and windows of thresholds: minutes and words.
const PERIODS: [(&str, &str); 6] = [
    ("1", "1 minute"),
    ("5", "5 minutes"),
    ("15", "15 minutes"),
    ("60", "1 hour"),
    ("1440", "1 day"),
    ("10080", "1 week"),
];

/// Hour of reports that name none.
const DEFAULT_HOUR: u8 = 6;
/// When messages are sent.
const WHEN: [(&str, &str); 4] = [
    ("threshold", "When hits come"),
    ("digest", "Digest of a period"),
    ("daily", "Daily report"),
    ("weekly", "Weekly report (Mondays)"),
];

/// Channels and their words.
const CHANNELS: [(&str, &str); 2] = [("slack", "Chat webhook"), ("email", "E-mail")];

/// `GET /alerts`
pub async fn alerts(page: Page) -> Result<Response> {
    html(&list(&page, &FormFields::default(), &[]).await?)
}

/// `POST /alerts`
pub async fn create(page: Page, given: FormFields) -> Result<Response> {
    let made = async { page.app.create_alert(&page.caller, &new(&given)?).await };
    match mistakes(made.await)? {
        Ok(_) => Ok(see_other(&with_notice("/alerts", "alert", 0))),
        Err(wrong) => html_with(StatusCode::UNPROCESSABLE_ENTITY, &list(&page, &given, &wrong).await?),
    }
}

fn new(given: &FormFields) -> Result<NewAlert> {
    let channel = match given.get("channel") {
        "email" => {
            let to = given.get("to").split(|c: char| c == ',' || c.is_whitespace()).filter(|to| !to.is_empty());
            Channel::Email { to: to.map(str::to_owned).collect() }
        }
        _ => Channel::Slack { url: given.get("url").to_owned() },
    };
    let every = match given.get("when") {
        "daily" => Some(Every::Daily),
        "weekly" => Some(Every::Weekly),
        _ => None,
    };
    if let Some(every) = every {
        let hour = given.number("hour")?.unwrap_or(DEFAULT_HOUR);
        return Ok(NewAlert {
            name: given.get("name").to_owned(),
            channel,
            query: given.get("query").to_owned(),
            hits: 0,
            minutes: 0,
            digest: false,
            report: Some(Schedule { every, hour }),
            enabled: true,
        });
    }
    Ok(NewAlert {
        name: given.get("name").to_owned(),
        channel,
        query: given.get("query").to_owned(),
        hits: given.number("hits")?.unwrap_or(0),
        minutes: given.number("minutes")?.ok_or_else(|| Error::invalid("minutes", "choose an option"))?,
        digest: given.get("when") == "digest",
        report: None,
        enabled: true,
    })
}

async fn list(page: &Page, given: &FormFields, wrong: &[Mistake]) -> Result<Alerts> {
    let of = |field: &str| wrong.iter().find(|one| one.field == field).map(|one| one.message.as_str());
    let pairs = |all: &[(&str, &str)]| Control::Select(all.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect());
    let or = |name: &str, other: &str| if given.names(name) { given.get(name).to_owned() } else { other.to_owned() };
    let named = ["name", "channel.url", "channel.to", "query", "hits", "minutes", "report.hour"];
    Ok(Alerts {
        shell: page.shell("Alerts", Place::Alerts),
        rows: page.app.alerts().await?.iter().map(|alert| row(page, alert)).collect(),
        fields: vec![
            Field::new("name", "Name", Control::Line, "").with(given.get("name")).required().with_error(of("name")),
            Field::new("channel", "Send by", pairs(&CHANNELS), "").with(given.get("channel")),
            Field::new(
                "url",
                "Webhook URL",
                Control::Code,
                "For a chat: of Slack, Mattermost, Rocket.Chat and others.",
            )
            .with(given.get("url"))
            .with_error(of("channel.url")),
            Field::new("to", "E-mail addresses", Control::Line, "For e-mail: up to 20, separated by commas.")
                .with(given.get("to"))
                .with_error(of("channel.to")),
            Field::new("when", "When", pairs(&WHEN), "").with(given.get("when")),
            Field::new("hits", "Hits", Control::Number, "At least so many. A digest with 0 is always sent.")
                .with(or("hits", "10"))
                .with_error(of("hits")),
            Field::new(
                "minutes",
                "Period",
                pairs(&PERIODS),
                "In which they come; after a message it is quiet for as long.",
            )
            .with(or("minutes", "15"))
            .with_error(of("minutes")),
            Field::new(
                "hour",
                "Hour of reports, UTC",
                Control::Number,
                "0 to 23. Reports cover everything, without a search.",
            )
            .with(or("hour", "6"))
            .with_error(of("report.hour").or(of("hour"))),
            Field::new("query", "Search", Control::Code, "As in Attacks, e.g. type:sqli or app:shop. Empty: all hits.")
                .with(given.get("query"))
                .with_error(of("query")),
        ],
        mail: page.app.config.smtp.is_some(),
        adding: given.names("name"),
        mistakes: wrong
            .iter()
            .filter(|one| !named.contains(&one.field.as_str()))
            .map(|one| Text::new(&one.message))
            .collect(),
    })
}

fn row(page: &Page, alert: &Alert) -> AlertRow {
    let about = &alert.about;
    let (kind, to) = match &about.channel {
        Channel::Slack { url } => ("Webhook", url.clone()),
        Channel::Email { to } => ("E-mail", to.join(", ")),
    };
    let minutes = about.minutes.to_string();
    let known = PERIODS.iter().find(|(code, _)| *code == minutes).map(|(_, words)| (*words).to_owned());
    let period = known.unwrap_or_else(|| format!("{minutes} minutes"));
    let when = match (about.digest, about.hits) {
        _ if about.report.is_some() => about.report.map_or_else(String::new, report_words),
        (true, 0) => format!("Digest every {period}"),
        (true, hits) => format!("Digest every {period} with {hits} hits or more"),
        (false, hits) => format!("{hits} hits in {period}"),
    };
    let state = match (about.enabled, alert.failures, alert.last_sent) {
        (false, ..) => (Tone::Note, "Disabled".to_owned()),
        (_, 1.., _) => (Tone::Bad, format!("Failing ({}): {}", alert.failures, alert.last_error)),
        (_, 0, 0) => (Tone::Note, "Nothing sent yet".to_owned()),
        _ => (Tone::Good, "Sending".to_owned()),
    };
    AlertRow {
        id: alert.id.clone(),
        name: Text::new(&about.name),
        kind,
        to: Text::new(&to),
        when,
        query: Text::new(&about.query),
        attacks: href("/attacks", &[("q", &about.query)]),
        state: (state.0, Text::new(&state.1)),
        active: about.enabled,
        sent: alert.sent,
        last: (alert.last_sent > 0).then(|| page.moment(alert.last_sent)),
    }
}

fn report_words(report: Schedule) -> String {
    let day = match report.every {
        Every::Daily => "day",
        Every::Weekly => "Monday",
    };
    format!("Report every {day} at {:02}:00 UTC", report.hour)
}

/// `POST /alerts/{id}/test`
pub async fn test(page: Page, Path(id): Path<String>) -> Result<Response> {
    let notice = match page.app.test_alert(&page.caller, &id).await? {
        Ok(()) => Notice { tone: Tone::Good, text: Text::new("Test sent.") },
        Err(why) => Notice { tone: Tone::Bad, text: Text::new(&format!("Test failed: {why}")) },
    };
    let mut shown = list(&page, &FormFields::default(), &[]).await?;
    shown.shell.notice = Some(notice);
    html(&shown)
}

async fn switch(page: &Page, id: &str, enabled: bool, code: &'static str) -> Result<Response> {
    let about = page.app.alert(id).await?.about;
    page.app.change_alert(&page.caller, id, NewAlert { enabled, ..about }).await?;
    Ok(see_other(&with_notice("/alerts", code, 0)))
}

/// `POST /alerts/{id}/enable`
pub async fn enable(page: Page, Path(id): Path<String>) -> Result<Response> {
    switch(&page, &id, true, "alert-on").await
}

/// `POST /alerts/{id}/disable`
pub async fn disable(page: Page, Path(id): Path<String>) -> Result<Response> {
    switch(&page, &id, false, "alert-off").await
}

/// `POST /alerts/{id}/delete`
pub async fn delete(page: Page, Path(id): Path<String>) -> Result<Response> {
    page.app.remove_alert(&page.caller, &id).await?;
    Ok(see_other(&with_notice("/alerts", "alert-gone", 0)))
}
