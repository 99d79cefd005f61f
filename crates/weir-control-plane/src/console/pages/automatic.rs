//! Automatic entries.

use super::behaviour;
use crate::abuse::{Decision, ListedEntry, ListedException, MAX_LISTED};
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{self, Page, html};
use crate::console::view::automatic::{Automatic, AutomaticRow, ExceptionRow};
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Error, Result};
use axum::response::Response;
use weir_abuse::{Entry, Listed};

/// `GET /automatic`
pub async fn automatic(page: Page) -> Result<Response> {
    let entries = page.app.abuse_entries().await?;
    let rows = entries.iter().map(|listed| row(&page, listed)).collect();
    let exceptions = page.app.abuse_exceptions().await?.iter().map(|one| exception(&page, one)).collect();
    let alarms = behaviour::of_entries(&page).await?;
    let cut = entries.len() == MAX_LISTED;
    html(&Automatic { shell: page.shell("Automatic entries", Place::Lists), alarms, rows, cut, exceptions })
}

fn row(page: &Page, listed: &ListedEntry) -> AutomaticRow {
    let entry = &listed.entry;
    let moment = |ms: u64| page.moment(i64::try_from(ms).unwrap_or(i64::MAX));
    let address = entry.source.split(',').next().unwrap_or_default();
    AutomaticRow {
        source: Text::new(&entry.source),
        list: if entry.list == Listed::Deny { "Denylist" } else { "Graylist" },
        reason: Text::new(reason(entry)),
        rule: entry.rule,
        at: moment(entry.at),
        expires: moment(entry.expires),
        group: Text::new(&listed.group),
        key: entry.key.to_string(),
        inert: listed.inert.unwrap_or_default(),
        attacks: href("/attacks", &[("range", "all"), ("q", &format!("ip:{address}"))]),
    }
}

/// Why, without the source: it is beside it.
fn reason(entry: &Entry) -> &str {
    entry.reason.strip_prefix(&entry.source).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&entry.reason)
}

fn exception(page: &Page, listed: &ListedException) -> ExceptionRow {
    let exception = &listed.exception;
    let moment = |ms: u64| page.moment(i64::try_from(ms).unwrap_or(i64::MAX));
    ExceptionRow {
        source: Text::new(&exception.source),
        key: exception.key.to_string(),
        rule: exception.rule,
        at: moment(exception.at),
        until: moment(exception.until),
        group: Text::new(&listed.group),
        inert: listed.inert.unwrap_or_default(),
    }
}

/// `POST /automatic/decide`
pub async fn decide(page: Page, given: FormFields) -> Result<Response> {
    let number =
        |name: &'static str| given.get(name).parse::<u64>().map_err(|_| Error::invalid(name, "expected a number"));
    let except_for = if given.has("except") { Some(number("except")?) } else { None };
    let key = u128::from_str_radix(given.get("key"), 16).map_err(|_| Error::invalid("key", "expected hex digits"))?;
    let decision =
        Decision { group: given.get("group").into(), rule: number("rule")?, key: weir_abuse::Key(key), except_for };
    page.app.decide_abuse(&page.caller, &decision).await?;
    let code = if except_for.is_some() { "excepted" } else { "lifted" };
    let days = except_for.unwrap_or_default() / 86_400;
    let back = if given.has("back") { given.get("back") } else { "/automatic" };
    Ok(page::back(&with_notice(back, code, days)))
}
