//! Attacks and hits: lists, one, marks, exports, counts.

use super::export::{self, Form, What};
use super::json::{Json, Path, Query, page_limit};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::store::{
    Attack, Count, Cursor, DAY, Dimension, Filter, HOUR, Listing, Mark, Page, Series, StoredHit, TrafficBy,
    TrafficFilter,
};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is searched for, and which page.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// The search.
    q: String,
    /// First millisecond since 1970.
    from: Option<i64>,
    /// First millisecond since 1970 that is too late.
    to: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows wanted.
    limit: Option<u32>,
    /// Of an export: `csv` or `json`.
    form: Option<String>,
}

impl Wanted {
    fn filter(&self, app: &App) -> Result<Filter> {
        let filter = app.search(&self.q)?;
        Ok(Filter { from: self.from.or(filter.from), to: self.to.or(filter.to), ..filter })
    }

    fn page(&self) -> Result<Page> {
        let after = self.after.as_deref().map(str::parse::<Cursor>).transpose();
        let after = after.map_err(|error| Error::invalid("after", error.to_string()))?;
        Ok(Page { after, limit: page_limit(self.limit) as u32 })
    }
}

fn listed<T: Serialize>(listing: Listing<T>) -> axum::Json<Value> {
    let next = listing.next.map(|next| next.to_string());
    axum::Json(json!({"items": listing.rows, "next": next, "searched_since": listing.searched_since}))
}

/// `GET /api/v1/attacks`
pub async fn attacks(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<axum::Json<Value>> {
    Ok(listed(app.store.attacks(&wanted.filter(&app)?, &wanted.page()?).await?))
}

/// `GET /api/v1/attacks/export`
pub async fn export_attacks(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<Response> {
    let filter = wanted.filter(&app)?;
    Ok(export::answer(app, What::Attacks, Form::read(wanted.form.as_deref())?, filter))
}

/// `GET /api/v1/attacks/{id}`
pub async fn attack(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Attack>> {
    app.store.attack(&id).await?.map(axum::Json).ok_or(Error::NotFound("attack"))
}

/// `GET /api/v1/attacks/{id}/hits`
pub async fn attack_hits(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<axum::Json<Value>> {
    let hits = app.store.attack_hits(&id, &wanted.page()?).await?;
    hits.map(listed).ok_or(Error::NotFound("attack"))
}

/// What is said of an attack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marking {
    /// `tp`, `fp`, or null to take the mark away. An answer must be given.
    #[serde(deserialize_with = "Option::deserialize")]
    mark: Option<Mark>,
}

/// `PUT /api/v1/attacks/{id}/mark`
pub async fn mark(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(marking): Json<Marking>,
) -> Result<axum::Json<Attack>> {
    app.mark(&caller, &id, marking.mark).await.map(axum::Json)
}

/// `GET /api/v1/hits`
pub async fn hits(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<axum::Json<Value>> {
    Ok(listed(app.store.hits(&wanted.filter(&app)?, &wanted.page()?).await?))
}

/// `GET /api/v1/hits/export`
pub async fn export_hits(State(app): State<App>, Query(wanted): Query<Wanted>) -> Result<Response> {
    let filter = wanted.filter(&app)?;
    Ok(export::answer(app, What::Hits, Form::read(wanted.form.as_deref())?, filter))
}

/// `GET /api/v1/hits/{id}`
pub async fn hit(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<StoredHit>> {
    app.store.hit(&id).await?.map(axum::Json).ok_or(Error::NotFound("hit"))
}

/// Which counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counted {
    q: String,
    from: Option<i64>,
    to: Option<i64>,
    /// Length of a slot in milliseconds.
    step: Option<i64>,
    /// `type`, `source`, `target`, `country` or `rule`; of traffic `node`, `application` or `host`.
    by: Option<String>,
    limit: Option<u32>,
    node: Option<String>,
    application: Option<i64>,
    host: Option<String>,
}

impl Counted {
    /// First and last moment; the last day unless asked otherwise.
    fn stretch(&self, app: &App) -> (i64, i64) {
        let to = self.to.unwrap_or_else(|| (app.clock.millis() / HOUR + 1) * HOUR);
        (self.from.unwrap_or(to - DAY), to)
    }

    fn traffic(&self) -> TrafficFilter {
        TrafficFilter { node: self.node.clone(), application: self.application, host: self.host.clone() }
    }
}

/// `GET /api/v1/statistics/hits`
pub async fn series(State(app): State<App>, Query(counted): Query<Counted>) -> Result<axum::Json<Series>> {
    let (from, to) = counted.stretch(&app);
    let filter = app.search(&counted.q)?;
    Ok(axum::Json(app.store.series(&filter, from, to, counted.step.unwrap_or(HOUR)).await?))
}

/// `GET /api/v1/statistics/top`
pub async fn top(State(app): State<App>, Query(counted): Query<Counted>) -> Result<axum::Json<Value>> {
    let by = match counted.by.as_deref() {
        None | Some("type") => Dimension::AttackType,
        Some("source") => Dimension::Source,
        Some("target") => Dimension::Target,
        Some("country") => Dimension::Country,
        Some("rule") => Dimension::Rule,
        Some(_) => return Err(Error::invalid("by", "expected type, source, target, country or rule")),
    };
    let (from, to) = counted.stretch(&app);
    let filter = app.search(&counted.q)?;
    let filter = Filter { from: Some(from), to: Some(to), ..filter };
    let counts: Vec<Count> = app.store.top(by, &filter, page_limit(counted.limit).min(100)).await?;
    Ok(super::json::all(counts))
}

/// `GET /api/v1/statistics/traffic`
pub async fn traffic(State(app): State<App>, Query(counted): Query<Counted>) -> Result<axum::Json<Value>> {
    let (from, to) = counted.stretch(&app);
    let filter = counted.traffic();
    let limit = page_limit(counted.limit).min(100);
    let by = match counted.by.as_deref() {
        None => {
            let slots = app.store.traffic(&filter, from, to, counted.step.unwrap_or(HOUR)).await?;
            return Ok(super::json::all(slots));
        }
        Some("node") => TrafficBy::Node,
        Some("application") => TrafficBy::Application,
        Some("host") => TrafficBy::Host,
        Some(_) => return Err(Error::invalid("by", "expected node, application or host")),
    };
    let sums = app.store.traffic_by(by, &filter, from, to, limit).await?;
    let shown = sums.into_iter().map(|(value, total)| json!({"value": value, "total": total}));
    Ok(super::json::all(shown.collect::<Vec<_>>()))
}
