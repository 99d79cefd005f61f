//! Renders the settings page for the handlers of `settings` and `sinks`.

use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{Page, html, html_with, mistakes, see_other};
use crate::console::view::form::{Control, Field};
use crate::console::view::settings::{ApplicationRow, Settings};
use crate::console::view::shell::{Notice, Place};
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Mistake, Result};
use axum::http::StatusCode;
use axum::response::Response;

/// The settings page, with the submitted fields and their errors.
pub async fn settings_page(page: &Page, given: &FormFields, wrong: &[Mistake]) -> Result<Settings> {
    let head = page.app.policy.head();
    let of = |name: &str| wrong.iter().find(|one| one.field == name).map(|one| one.message.as_str());
    let applications = head.state.applications.iter().map(|(id, one)| ApplicationRow {
        id: *id,
        name: Text::new(&one.name),
        comment: Text::new(&one.comment),
        attacks: href("/attacks", &[("q", &format!("app:{id}"))]),
    });
    let sink_fields = super::sink_form::fields(given, wrong);
    let named =
        ["id", "name", "secret", "target.url", "target.format", "target.host", "target.port", "target.transport"];
    Ok(Settings {
        shell: page.shell("Settings", Place::Settings),
        mode: head.state.base.mode.clone().unwrap_or_else(|| "default".into()),
        mode_rules: head.state.rules.iter().filter(|rule| rule.kind() == "wallarm_mode").count(),
        applications: applications.collect(),
        application_fields: vec![
            Field::new("id", "ID", Control::Number, "").with(given.get("id")).required().with_error(of("id")),
            Field::new("name", "Name", Control::Line, "")
                .with(given.get("name"))
                .required()
                .with_error(of("name").filter(|_| !given.has("kind"))),
            Field::new("comment", "Notes", Control::Line, "").with(given.get("comment")),
        ],
        retention_days: page.app.config.retention_days,
        behaviour_days: page.app.config.behaviour_days,
        session_days: page.app.config.session_days,
        sinks: super::sink_form::rows(page).await?,
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

/// What a successful change shows.
pub enum Confirmation {
    /// A notice after a redirect: its code (see `notice`) and number.
    Redirect(&'static str, u64),
    /// A notice on the page that is returned directly.
    Notice(Notice),
}

/// Redirects to the settings page after a successful change, or shows it with the errors of the form.
pub async fn respond(page: &Page, given: &FormFields, done: Result<Confirmation>) -> Result<Response> {
    match mistakes(done)? {
        Ok(Confirmation::Redirect(code, number)) => Ok(see_other(&with_notice("/settings", code, number))),
        Ok(Confirmation::Notice(notice)) => {
            let mut settings = settings_page(page, given, &[]).await?;
            settings.shell.notice = Some(notice);
            html(&settings)
        }
        Err(wrong) => html_with(StatusCode::UNPROCESSABLE_ENTITY, &settings_page(page, given, &wrong).await?),
    }
}
