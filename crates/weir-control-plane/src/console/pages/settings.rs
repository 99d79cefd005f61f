//! The settings page: filtration mode and applications. Webhooks and syslog receivers, on the same page, are in `sinks`.

use super::settings_page::{Confirmation, respond, settings_page};
use crate::console::form_fields::FormFields;
use crate::console::page::{Page, html};
use crate::console::view::settings::MODES;
use crate::error::{Error, Result};
use crate::policy::{Application, Scope};
use axum::response::Response;

/// `GET /settings`
pub async fn settings(page: Page) -> Result<Response> {
    html(&settings_page(&page, &FormFields::default(), &[]).await?)
}

/// `POST /settings/mode`
pub async fn set_mode(page: Page, given: FormFields) -> Result<Response> {
    let code = given.get("mode");
    let known = MODES.iter().any(|mode| mode.code == code);
    let done = if known {
        let mode = (code != "default").then(|| code.to_owned());
        let scope = Scope { mode, ..page.app.policy.head().state.base.clone() };
        page.app.set_scope(&page.caller, None, scope).await
    } else {
        Err(Error::invalid("", "choose a mode"))
    };
    respond(&page, &given, done.map(|_| Confirmation::Redirect("mode", 0))).await
}

/// `POST /settings/applications`
pub async fn set_application(page: Page, given: FormFields) -> Result<Response> {
    let done = async {
        let id = given
            .number::<i64>("id")?
            .ok_or_else(|| Error::invalid("id", "enter the application ID, a whole number"))?;
        let new = Application { name: given.get("name").into(), comment: given.get("comment").into() };
        page.app.set_application(&page.caller, id, Some(new)).await
    };
    let done = done.await;
    let number = given.get("id").parse().unwrap_or(0);
    respond(&page, &given, done.map(|_| Confirmation::Redirect("application", number))).await
}

/// `POST /settings/applications/remove`
pub async fn remove_application(page: Page, given: FormFields) -> Result<Response> {
    let id = given.number::<i64>("id")?.ok_or(Error::NotFound("application"))?;
    let done = page.app.set_application(&page.caller, id, None).await;
    respond(&page, &given, done.map(|_| Confirmation::Redirect("application-gone", id.unsigned_abs()))).await
}
