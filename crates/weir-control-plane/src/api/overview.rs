//! A source address, a host, an application; and what blocking would do.

use super::json::{Path, Query};
use crate::app::App;
use crate::error::{Error, Result};
use crate::overview::Period;
use crate::overview::source::SourceReport;
use crate::overview::target::{Target, TargetReport};
use crate::policy::blocking::{self, BlockingReport};
use crate::store::{DAY, HOUR};
use axum::extract::State;
use serde::Deserialize;
use std::net::IpAddr;

/// Which stretch of time.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stretch {
    from: Option<i64>,
    to: Option<i64>,
    step: Option<i64>,
}

impl Stretch {
    /// The last day in hours, unless asked otherwise.
    fn period(&self, app: &App) -> Result<Period> {
        let to = self.to.unwrap_or_else(|| (app.clock.millis() / HOUR + 1) * HOUR);
        Period::new(self.from.unwrap_or(to - DAY), to, self.step.unwrap_or(HOUR))
    }
}

/// `GET /api/v1/statistics/sources/{ip}`
pub async fn source(
    State(app): State<App>,
    Path(ip): Path<String>,
    Query(stretch): Query<Stretch>,
) -> Result<axum::Json<SourceReport>> {
    let ip: IpAddr = ip.parse().map_err(|_| Error::NotFound("address"))?;
    let period = stretch.period(&app)?;
    app.source_report(ip, period).await.map(axum::Json)
}

/// `GET /api/v1/statistics/hosts/{host}`
pub async fn host(
    State(app): State<App>,
    Path(host): Path<String>,
    Query(stretch): Query<Stretch>,
) -> Result<axum::Json<TargetReport>> {
    let period = stretch.period(&app)?;
    app.target_report(Target::host(&host)?, period).await.map(axum::Json)
}

/// `GET /api/v1/statistics/applications/{id}`
pub async fn application(
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(stretch): Query<Stretch>,
) -> Result<axum::Json<TargetReport>> {
    let period = stretch.period(&app)?;
    app.target_report(Target::Application(id), period).await.map(axum::Json)
}

/// Which hits are judged again.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Judged {
    host: Option<String>,
    application: Option<i64>,
    from: Option<i64>,
    seconds: Option<u64>,
}

/// `GET /api/v1/statistics/blocking`
pub async fn blocking(State(app): State<App>, Query(judged): Query<Judged>) -> Result<axum::Json<BlockingReport>> {
    let mut filter = judged.application.map(|id| Target::Application(id).filter()).unwrap_or_default();
    if let Some(host) = &judged.host {
        filter.hosts = Target::host(host)?.filter().hosts;
    }
    let from = judged.from.unwrap_or_else(|| (app.clock.millis() - DAY).max(0));
    let most = blocking::LONG.as_secs();
    let time = match judged.seconds {
        None => blocking::SHORT,
        Some(seconds) if (1..=most).contains(&seconds) => std::time::Duration::from_secs(seconds),
        Some(_) => return Err(Error::invalid("seconds", format!("expected a number from 1 to {most}"))),
    };
    app.blocking_report(&filter, from, time).await.map(axum::Json)
}
