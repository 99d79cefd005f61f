//! The second factor on the page of one's account, and its reset by an administrator.

use super::account;
use crate::auth::second_factor::Enrolment;
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{Page, html_with, mistakes, see_other};
use crate::console::view::text::Text;
use crate::console::view::users::{FactorState, Pending, SecondFactor};
use crate::error::{Error, Mistake, Result};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

/// What the page shows of the second factor; none for those whose identity provider asks for one.
pub(super) async fn factor(page: &Page, state: FactorState, wrong: &[Mistake]) -> Result<Option<SecondFactor>> {
    let Some(session) = page.caller.session().filter(|session| !session.user.external) else { return Ok(None) };
    let state = match state {
        FactorState::Plain if page.app.second_factors.is_on(&session.user.id).await? => {
            FactorState::On { codes_left: page.app.second_factors.codes_left(&session.user.id).await? }
        }
        other => other,
    };
    let mistakes = wrong.iter().map(|one| Text::new(&one.message)).collect();
    Ok(Some(SecondFactor { state, mistakes }))
}

async fn show(page: &Page, status: StatusCode, state: FactorState, wrong: &[Mistake]) -> Result<Response> {
    let factor = factor(page, state, wrong).await?;
    html_with(status, &account::form(page, &[], factor))
}

async fn refused(page: &Page, state: FactorState, wrong: &[Mistake]) -> Result<Response> {
    show(page, StatusCode::UNPROCESSABLE_ENTITY, state, wrong).await
}

/// A refusal that the page can show; also that of too many attempts.
fn shown_mistakes<T>(done: Result<T>) -> Result<std::result::Result<T, Vec<Mistake>>> {
    match done {
        Err(error @ Error::Throttled(_)) => Ok(Err(vec![Mistake::new("", error.to_string())])),
        done => mistakes(done),
    }
}

fn pending(begun: &Enrolment) -> Result<FactorState> {
    let groups: Vec<&str> =
        begun.secret.as_bytes().chunks(4).filter_map(|part| std::str::from_utf8(part).ok()).collect();
    Ok(FactorState::Pending(Pending { image: begun.image()?, secret: groups.join(" ") }))
}

/// `POST /account/second-factor`
pub async fn begin(page: Page, given: FormFields) -> Result<Response> {
    match shown_mistakes(page.app.begin_second_factor(&page.caller, given.raw("current").to_owned()).await)? {
        Ok(begun) => show(&page, StatusCode::OK, pending(&begun)?, &[]).await,
        Err(wrong) => refused(&page, FactorState::Plain, &wrong).await,
    }
}

/// `POST /account/second-factor/confirm`
pub async fn confirm(page: Page, given: FormFields) -> Result<Response> {
    match shown_mistakes(page.app.confirm_second_factor(&page.caller, given.get("code")).await)? {
        Ok(codes) => show(&page, StatusCode::OK, FactorState::Codes(codes), &[]).await,
        Err(wrong) => {
            let state = match page.app.pending_second_factor(&page.caller).await? {
                Some(begun) => pending(&begun)?,
                None => FactorState::Plain,
            };
            refused(&page, state, &wrong).await
        }
    }
}

/// `POST /account/second-factor/codes`
pub async fn renew(page: Page, given: FormFields) -> Result<Response> {
    match shown_mistakes(page.app.renew_recovery_codes(&page.caller, given.get("code")).await)? {
        Ok(codes) => show(&page, StatusCode::OK, FactorState::Codes(codes), &[]).await,
        Err(wrong) => refused(&page, FactorState::Plain, &wrong).await,
    }
}

/// `POST /account/second-factor/remove`
pub async fn remove(page: Page, given: FormFields) -> Result<Response> {
    match shown_mistakes(page.app.remove_second_factor(&page.caller, given.get("code")).await)? {
        Ok(()) => Ok(see_other(&with_notice("/account", "factor-off", 0))),
        Err(wrong) => refused(&page, FactorState::Plain, &wrong).await,
    }
}

/// `POST /users/{id}/second-factor/reset`
pub async fn reset(page: Page, Path(id): Path<String>) -> Result<Response> {
    page.app.reset_second_factor(&page.caller, &id).await?;
    Ok(see_other(&with_notice("/users", "factor-reset", 0)))
}
