//! Events and traffic counts of nodes, on their way into the store.

use super::identity::{Authenticated, json};
use crate::app::App;
use crate::body::WholeBody;
use crate::error::{Error, Result};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use std::time::Instant;
use weir_protocol::batch::{self, Batch, BatchError};
use weir_protocol::code::NodeRole;
use weir_protocol::node_api::{Ack, MAX_BATCH_BYTES, Record, Statistics};

/// `POST /node/v1/events`
pub async fn events(
    State(app): State<App>,
    Authenticated(node): Authenticated,
    headers: HeaderMap,
    WholeBody(body): WholeBody,
) -> Result<Json<Ack>> {
    let gzip = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() == b"gzip");
    let read = tokio::task::spawn_blocking(move || read(&body, gzip)).await.map_err(Error::internal)?;
    let Batch { records, mut rejected } = read?;
    let (numbers, mut records): (Vec<u64>, Vec<Record>) =
        records.into_iter().map(|numbered| (numbered.line, numbered.record)).unzip();
    if node.role != NodeRole::Aggregation {
        // Only an aggregation may report hits of other nodes.
        for record in &mut records {
            if let Record::Hit(hit) = record {
                hit.node.clone_from(&node.id);
            }
        }
    }
    let begun = Instant::now();
    let stored = store(&app, &node.id, records).await;
    let ack = stored.map(|ack| {
        // The store numbers what it was given: back to the lines of the batch.
        let line = |at: u64| usize::try_from(at).ok().and_then(|at| numbers.get(at)).copied().unwrap_or(at);
        rejected.extend(ack.rejected.into_iter().map(|(at, why)| (line(at), why)));
        rejected.sort();
        Ack { rejected, ..ack }
    });
    app.config.metrics.batch(begun.elapsed(), ack.as_ref().ok());
    let ack = ack?;
    if let Some((_, why)) = ack.rejected.first() {
        tracing::warn!(node = node.id, rejected = ack.rejected.len(), why, "records cannot be stored");
    }
    app.news.notify_waiters();
    app.sinks.wake();
    Ok(Json(ack))
}

/// Stores records of the node `node`.
async fn store(app: &App, node: &str, records: Vec<Record>) -> Result<Ack> {
    let redated = app.store.redate(records).await?;
    if redated.misdated > 0 {
        app.config.metrics.misdated(redated.misdated);
        tracing::warn!(node, hits = redated.misdated, "hits get the time of their arrival: check the node's clock");
    }
    let ids = redated.records.iter().filter_map(|record| match record {
        Record::Hit(hit) => Some(hit.id.as_str()),
        Record::Update(_) => None,
    });
    app.sinks.before(ids.collect::<Vec<_>>().into_iter()).await?;
    Ok(app.store.insert_redated(redated, node).await?)
}

fn read(body: &[u8], gzip: bool) -> Result<Batch<Record>> {
    let parse = |line: &[u8]| serde_json::from_slice(line).map_err(|error| error.to_string());
    batch::read(body, gzip, parse).map_err(|error| match error {
        BatchError::TooLarge => Error::TooLarge(MAX_BATCH_BYTES),
        BatchError::Gzip(_) | BatchError::TooManyRecords => Error::invalid("", error.to_string()),
    })
}

/// `POST /node/v1/statistics`
pub async fn statistics(
    State(app): State<App>,
    Authenticated(node): Authenticated,
    WholeBody(body): WholeBody,
) -> Result<StatusCode> {
    let mut counts: Statistics = json(&body)?;
    if node.role != NodeRole::Aggregation || counts.node.is_empty() {
        counts.node = node.id;
    }
    // Counted once; that it was there already is no news to the sender.
    app.store.record_statistics(&counts).await?;
    Ok(StatusCode::NO_CONTENT)
}
