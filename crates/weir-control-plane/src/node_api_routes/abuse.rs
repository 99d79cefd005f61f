//! The exchange of automatic entries.

use super::identity::{Authenticated, json};
use crate::app::App;
use crate::body::WholeBody;
use crate::error::Result;
use axum::Json;
use axum::extract::State;
use weir_protocol::node_api::{AbuseNews, AbuseReport};

/// `POST /node/v1/abuse`
pub async fn exchange(
    State(app): State<App>,
    Authenticated(node): Authenticated,
    WholeBody(body): WholeBody,
) -> Result<Json<AbuseNews>> {
    let report: AbuseReport = json(&body)?;
    app.exchange_abuse(&node.group, report.changes, report.after).await.map(Json)
}
