//! Events and traffic counts of nodes, on their way into the store.

use super::identity::{Authenticated, json};
use crate::app::App;
use crate::error::{Error, Result};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::GzDecoder;
use std::io::Read as _;
use std::time::Instant;
use weir_protocol::node_api::{Ack, MAX_BATCH, MAX_BATCH_BYTES, Record, Statistics};

/// `POST /node/v1/events`
pub async fn events(
    State(app): State<App>,
    Authenticated(node): Authenticated,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Ack>> {
    let packed = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() == b"gzip");
    let read = tokio::task::spawn_blocking(move || read(&body, packed)).await.map_err(Error::internal)?;
    let (numbers, mut records, mut rejected) = read?;
    if node.role != "aggregation" {
        // An aggregation speaks for its nodes; everybody else for themselves.
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

/// Line numbers and records of a batch, and the lines that are none: number and why.
type Batch = (Vec<u64>, Vec<Record>, Vec<(u64, String)>);

fn read(body: &[u8], packed: bool) -> Result<Batch> {
    let mut unpacked = Vec::new();
    let lines = if packed {
        let most = MAX_BATCH_BYTES as u64 + 1;
        let done = GzDecoder::new(body).take(most).read_to_end(&mut unpacked);
        done.map_err(|error| Error::invalid("", format!("gzip: {error}")))?;
        &unpacked
    } else {
        body
    };
    if lines.len() > MAX_BATCH_BYTES {
        return Err(Error::TooLarge(MAX_BATCH_BYTES));
    }
    let (mut numbers, mut records, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    for (number, line) in lines.enumerate() {
        if number >= MAX_BATCH {
            return Err(Error::invalid("", format!("more than {MAX_BATCH} records in a batch")));
        }
        match serde_json::from_slice(line) {
            Ok(record) => {
                numbers.push(number as u64);
                records.push(record);
            }
            Err(error) => rejected.push((number as u64, error.to_string())),
        }
    }
    Ok((numbers, records, rejected))
}

/// `POST /node/v1/statistics`
pub async fn statistics(State(app): State<App>, Authenticated(node): Authenticated, body: Bytes) -> Result<StatusCode> {
    let mut counts: Statistics = json(&body)?;
    if node.role != "aggregation" || counts.node.is_empty() {
        counts.node = node.id;
    }
    // Counted once; that it was there already is no news to the sender.
    app.store.record_statistics(&counts).await?;
    Ok(StatusCode::NO_CONTENT)
}
