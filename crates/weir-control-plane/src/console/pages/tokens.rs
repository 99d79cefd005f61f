//! API tokens.

use crate::auth::token::{NewToken, Token, Usage};
use crate::auth::{Permission, Role};
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{Page, html, html_with, mistakes, see_other};
use crate::console::view::form::{Control, Field};
use crate::console::view::nodes::NodeCommand;
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::tokens::{TokenRow, Tokens};
use crate::error::{Error, Mistake, Result};
use crate::store::DAY;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

/// `GET /tokens`
pub async fn tokens(page: Page) -> Result<Response> {
    html(&list(&page, &FormFields::default(), &[], None).await?)
}

/// `POST /tokens`
pub async fn create(page: Page, given: FormFields) -> Result<Response> {
    let made = match new(&page, &given) {
        Ok(new) => mistakes(page.app.create_token(&page.caller, new).await)?,
        Err(error) => mistakes(Err(error))?,
    };
    match made {
        Ok((text, token)) => {
            let start = (token.usage == Usage::NodeDeployment).then(|| super::node_commands::commands(&page, &text));
            // No redirect: this response is the only place where the token is shown.
            html(&list(&page, &FormFields::default(), &[], Some((text, start))).await?)
        }
        Err(wrong) => html_with(StatusCode::UNPROCESSABLE_ENTITY, &list(&page, &given, &wrong, None).await?),
    }
}

fn new(page: &Page, given: &FormFields) -> Result<NewToken> {
    let usage = Usage::from_code(given.get("usage")).ok_or_else(|| Error::invalid("usage", "choose an option"))?;
    let role = match usage {
        Usage::NodeDeployment => Role::Deploy,
        Usage::Api => Role::from_code(given.get("role")).ok_or_else(|| Error::invalid("role", "choose an option"))?,
    };
    let days = given.number::<i64>("days")?;
    let expires_at = days.map(|days| page.now.saturating_add(days.saturating_mul(DAY)));
    Ok(NewToken { name: given.get("name").to_owned(), usage, role, expires_at })
}

async fn list(
    page: &Page,
    given: &FormFields,
    wrong: &[Mistake],
    fresh: Option<(String, Option<Vec<NodeCommand>>)>,
) -> Result<Tokens> {
    let all = page.app.tokens_for(&page.caller).await?;
    let of = |field: &str| wrong.iter().find(|one| one.field == field).map(|one| one.message.as_str());
    let pair = |value: &str, label: &str| (value.to_owned(), label.to_owned());
    let mut usages = vec![pair("node_deployment", "Node deployment")];
    let mut fields = vec![
        Field::new("name", "Name", Control::Line, "What will use it.")
            .with(given.get("name"))
            .required()
            .with_error(of("name")),
    ];
    let ends = vec![pair("90", "In 90 days"), pair("365", "In a year"), pair("7", "In 7 days"), pair("", "Never")];
    let ends =
        Field::new("days", "Expires", Control::Select(ends), "").with(given.get("days")).with_error(of("expires_at"));
    if page.caller.may(Permission::Tokens) {
        usages.push(pair("api", "API"));
        let roles = [Role::ReadOnly, Role::Analyst, Role::Administrator, Role::Deploy];
        let roles = roles.iter().map(|role| pair(role.code(), role.name())).collect();
        let usage = Field::new("usage", "Usage", Control::Select(usages), "").with(given.get("usage"));
        let role = Field::new("role", "Role", Control::Select(roles), "For API tokens only.").with(given.get("role"));
        fields.extend([usage, role.with_error(of("role"))]);
    } else {
        fields.push(Field::new("usage", "Usage", Control::Select(usages), ""));
    }
    fields.push(ends);
    Ok(Tokens {
        shell: page.shell("API tokens", Place::Tokens),
        rows: all.iter().map(|token| row(page, token)).collect(),
        fields,
        mistakes: wrong.iter().filter(|one| one.field.is_empty()).map(|one| Text::new(&one.message)).collect(),
        commands: fresh.as_ref().and_then(|(_, start)| start.clone()).unwrap_or_default(),
        fresh: fresh.map(|(token, _)| token),
    })
}

fn row(page: &Page, token: &Token) -> TokenRow {
    TokenRow {
        id: token.id.clone(),
        name: Text::new(&token.name),
        prefix: Text::new(&token.prefix),
        usage: if token.usage == Usage::Api { "API" } else { "Node deployment" },
        role: if token.usage == Usage::Api { token.role.name() } else { "" },
        author: Text::new(token.created_by.strip_prefix("user:").unwrap_or(&token.created_by)),
        since: page.moment(token.created_at),
        expires: token.expires_at.map(|at| page.moment(at)),
        ended: !token.enabled || token.expires_at.is_some_and(|at| at <= page.now),
        used: token.used_at.map(|at| page.moment(at)),
    }
}

/// `POST /tokens/{id}/revoke`
pub async fn revoke(page: Page, Path(id): Path<String>) -> Result<Response> {
    page.app.remove_token(&page.caller, &id).await?;
    Ok(see_other(&with_notice("/tokens", "revoked", 0)))
}
