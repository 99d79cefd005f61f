//! What comes in and goes out: JSON and queries read strictly, lists in pages.

use crate::body::WholeBody;
use crate::error::{Error, Result};
use crate::policy::Change;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Items of a page unless asked otherwise.
const DEFAULT_PAGE: u32 = 50;
/// Most items of a page.
pub const MAX_PAGE: u32 = 200;

/// A JSON object: of the right content type, without unknown members (by its type).
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let body = json_bytes(request, state).await?;
        // Otherwise an array would be taken for the members in their order.
        match body.trim_ascii_start().first() {
            Some(b'{') => parse(&body).map(Json),
            _ => Err(Error::invalid("", "expected an object")),
        }
    }
}

/// A JSON array of objects, or one object in place of an array of one: of the right content type.
pub struct JsonItems<T>(pub Vec<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonItems<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        items(&json_bytes(request, state).await?).map(JsonItems)
    }
}

/// The objects of an array, or the one object of `body`.
pub fn items<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>> {
    match body.trim_ascii_start().first() {
        Some(b'[') => parse(body),
        Some(b'{') => parse(body).map(|one| vec![one]),
        _ => Err(Error::invalid("", "expected an object, or an array of objects")),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| Error::invalid("", error.to_string()))
}

/// A body that is said to be JSON.
async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Error::invalid("", "expected a body of type application/json"));
    }
    WholeBody::from_request(request, state).await.map(|body| body.0)
}

/// The query of a URL, without unknown parameters (by its type).
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let read = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        read.map(|query| Query(query.0)).map_err(|error| {
            let text = error.body_text();
            Error::invalid("query", text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text))
        })
    }
}

/// Parameters of a path.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        // A path that does not parse names nothing.
        read.map(|path| Path(path.0)).map_err(|_| Error::NotFound("object"))
    }
}

/// Which page of a list whose items have rising numbers.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ByNumber {
    /// The last number seen.
    pub after: u64,
    /// Items wanted.
    pub limit: Option<u32>,
}

/// Items of a page at most.
pub fn page_limit(limit: Option<u32>) -> usize {
    limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE) as usize
}

/// A page of `items`, which come in order of `number`.
pub fn page<'i, T: Serialize + 'i>(
    items: impl Iterator<Item = &'i T>,
    after: u64,
    limit: Option<u32>,
    number: impl Fn(&T) -> u64,
) -> Value {
    let limit = page_limit(limit);
    let mut shown: Vec<&T> = items.filter(|item| number(item) > after).take(limit + 1).collect();
    let more = shown.len() > limit;
    shown.truncate(limit);
    let next = shown.last().filter(|_| more).map(|item| number(item).to_string());
    json!({"items": shown, "next": next})
}

/// A whole list.
pub fn all(items: impl Serialize) -> axum::Json<Value> {
    axum::Json(json!({"items": items, "next": null}))
}

/// What a change of the policy answers.
pub fn changed<T: Serialize>(change: Change<T>) -> axum::Json<Value> {
    axum::Json(json!({"serial": change.serial, "notices": change.notices, "item": change.value}))
}
