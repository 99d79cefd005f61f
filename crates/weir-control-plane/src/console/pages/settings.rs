//! Settings: filtration mode, applications, retention; webhooks and syslog stand in `sinks`.

use crate::console::given::Given;
use crate::console::notice::say;
use crate::console::page::{Page, html, html_with, mistakes, see_other};
use crate::console::view::form::{Control, Field};
use crate::console::view::settings::{ApplicationRow, MODES, Settings};
use crate::console::view::shell::{Notice, Place};
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Error, Mistake, Result};
use crate::policy::{Application, Scope};
use axum::http::StatusCode;
use axum::response::Response;

/// `GET /settings`
pub async fn settings(page: Page) -> Result<Response> {
    html(&shown(&page, &Given::default(), &[]).await?)
}

/// The general mode in words.
pub fn mode_name(mode: Option<&str>) -> &'static str {
    let code = mode.unwrap_or("default");
    MODES.iter().find(|mode| mode.code == code).map_or("unknown", |mode| mode.label)
}

async fn shown(page: &Page, given: &Given, wrong: &[Mistake]) -> Result<Settings> {
    let head = page.app.policy.head();
    let of = |name: &str| wrong.iter().find(|one| one.field == name).map(|one| one.message.as_str());
    let applications = head.state.applications.iter().map(|(id, one)| ApplicationRow {
        id: *id,
        name: Text::new(&one.name),
        comment: Text::new(&one.comment),
        attacks: href("/attacks", &[("q", &format!("app:{id}"))]),
    });
    let sink_fields = super::sinks::fields(given, wrong);
    let named =
        ["id", "name", "secret", "target.url", "target.format", "target.host", "target.port", "target.transport"];
    Ok(Settings {
        shell: page.shell("Settings", Place::Settings),
        mode: head.state.base.mode.clone().unwrap_or_else(|| "default".into()),
        mode_rules: head.state.rules.iter().filter(|rule| rule.kind() == "wallarm_mode").count(),
        applications: applications.collect(),
        application_fields: vec![
            Field::new("id", "Id", Control::Number, "").with(given.get("id")).needed().blamed(of("id")),
            Field::new("name", "Name", Control::Line, "")
                .with(given.get("name"))
                .needed()
                .blamed(of("name").filter(|_| !given.has("kind"))),
            Field::new("comment", "Notes", Control::Line, "").with(given.get("comment")),
        ],
        retention_days: page.app.config.retention_days,
        sinks: super::sinks::rows(page).await?,
        sink_fields,
        sink_open: (given.get("kind") == "webhook", given.get("kind") == "syslog"),
        mistakes: wrong
            .iter()
            .filter(|one| !named.contains(&one.field.as_str()))
            .map(|one| {
                Text::new(&format!("{}{}{}", one.field, if one.field.is_empty() { "" } else { ": " }, one.message))
            })
            .collect(),
    })
}

/// How a change ended well.
pub enum Outcome {
    /// With a code of what is said then, and its number.
    Said(&'static str, u64),
    /// With a message that is shown at once.
    Shown(Notice),
}

/// Sends the browser back to the settings, or shows them with what is wrong.
pub async fn answer(page: &Page, given: &Given, done: Result<Outcome>) -> Result<Response> {
    match mistakes(done)? {
        Ok(Outcome::Said(code, number)) => Ok(see_other(&say("/settings", code, number))),
        Ok(Outcome::Shown(notice)) => {
            let mut settings = shown(page, given, &[]).await?;
            settings.shell.notice = Some(notice);
            html(&settings)
        }
        Err(wrong) => html_with(StatusCode::UNPROCESSABLE_ENTITY, &shown(page, given, &wrong).await?),
    }
}

/// `POST /settings/mode`
pub async fn set_mode(page: Page, given: Given) -> Result<Response> {
    let code = given.get("mode");
    let known = MODES.iter().any(|mode| mode.code == code);
    let done = if known {
        let mode = (code != "default").then(|| code.to_owned());
        let scope = Scope { mode, ..page.app.policy.head().state.base.clone() };
        page.app.set_scope(&page.caller, None, scope).await
    } else {
        Err(Error::invalid("", "choose a mode"))
    };
    answer(&page, &given, done.map(|_| Outcome::Said("mode", 0))).await
}

/// `POST /settings/applications`
pub async fn set_application(page: Page, given: Given) -> Result<Response> {
    let done = async {
        let id = given.number::<i64>("id")?.ok_or_else(|| Error::invalid("id", "a number is wanted"))?;
        let new = Application { name: given.get("name").into(), comment: given.get("comment").into() };
        page.app.set_application(&page.caller, id, Some(new)).await
    };
    let done = done.await;
    let number = given.get("id").parse().unwrap_or(0);
    answer(&page, &given, done.map(|_| Outcome::Said("application", number))).await
}

/// `POST /settings/applications/remove`
pub async fn remove_application(page: Page, given: Given) -> Result<Response> {
    let id = given.number::<i64>("id")?.ok_or(Error::NotFound("application"))?;
    let done = page.app.set_application(&page.caller, id, None).await;
    answer(&page, &given, done.map(|_| Outcome::Said("application-gone", id.unsigned_abs()))).await
}
