//! From a hit to a rule, what a rule would change, and why a hit is one.

use super::json::{Json, Path};
use crate::app::App;
use crate::error::{Error, Result};
use crate::policy::explain::{Explanation, RuleDoc};
use crate::policy::preview::LONG;
use crate::policy::rule_test::RuleTest;
use crate::policy::{Choice, Material, NewRule, Preview, Purpose};
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

async fn propose(app: App, id: String, purpose: Purpose, mut choice: Choice) -> Result<axum::Json<Value>> {
    let replay = app.replay_of(&id).await?.ok_or(Error::NotFound("hit"))?;
    let material = Material::of(&replay.hit, &replay.raw)?;
    let rule = material.rule(purpose, &choice, &replay.hit.id)?;
    let proposed = NewRule { rule, groups: Vec::new(), from_hit: replay.hit.id };
    let (subject, by) = material.chosen(purpose, &choice);
    (choice.subject, choice.by) = (Some(subject), Some(by));
    let left = (purpose == Purpose::Exception).then(|| material.left(&choice));
    Ok(axum::Json(json!({"proposal": proposed, "choice": choice, "left": left, "material": material})))
}

/// `POST /api/v1/hits/{id}/exception`
pub async fn exception(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(choice): Json<Choice>,
) -> Result<axum::Json<Value>> {
    propose(app, id, Purpose::Exception, choice).await
}

/// `POST /api/v1/hits/{id}/virtual-patch`
pub async fn virtual_patch(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(choice): Json<Choice>,
) -> Result<axum::Json<Value>> {
    propose(app, id, Purpose::VirtualPatch, choice).await
}

/// `GET /api/v1/hits/{id}/explain`
pub async fn explain(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Explanation>> {
    app.explain(&id).await.map(axum::Json)
}

/// `GET /api/v1/signatures/{name}`
pub async fn signature(State(app): State<App>, Path(name): Path<String>) -> Result<axum::Json<RuleDoc>> {
    app.rule_doc(&name).await?.map(axum::Json).ok_or(Error::NotFound("signature"))
}

/// A rule and how far to look back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewAsked {
    proposal: NewRule,
    /// The rule whose place it takes.
    #[serde(default)]
    replaces: Option<u64>,
    #[serde(default)]
    days: Option<u32>,
}

/// `POST /api/v1/rules/preview`
pub async fn preview(State(app): State<App>, Json(asked): Json<PreviewAsked>) -> Result<axum::Json<Preview>> {
    app.preview(&asked.proposal, asked.replaces, asked.days, LONG).await.map(axum::Json)
}

/// A request, and perhaps a rule to try on it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialAsked {
    /// The message as a client sends it.
    request: String,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    rule: Option<NewRule>,
    #[serde(default)]
    replaces: Option<u64>,
}

/// `POST /api/v1/rules/test`
pub async fn trial(State(app): State<App>, Json(asked): Json<TrialAsked>) -> Result<axum::Json<RuleTest>> {
    let rule = asked.rule.as_ref().map(|rule| (rule, asked.replaces));
    app.try_request(&asked.request, asked.group.as_deref(), rule).await.map(axum::Json)
}
