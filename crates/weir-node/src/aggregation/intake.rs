//! Batches of nodes on their way into the spool.
//!
//! Records are passed on unchanged, so that members which a newer node sends and this build does not know are preserved.
//! Only what is necessary is checked: that a record is a JSON object of a known form, and which node it comes from.

use super::problem::Problem;
use crate::events::Spool;
use crate::events::spool::MAX_PAYLOAD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use weir_protocol::batch::{self, Batch, BatchError};
use weir_protocol::node_api::{Ack, MAX_BATCH_BYTES};

/// Rejected lines whose reason is logged and returned.
const MAX_REPORTED: usize = 100;

/// The members of a record that are checked.
#[derive(Deserialize)]
struct RecordHead<'a> {
    #[serde(borrow)]
    record: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    node: std::borrow::Cow<'a, str>,
}

/// Reads the batch that the node `node_id` sent. Takes time proportional to its size.
pub fn read(body: &[u8], gzip: bool, node_id: &str) -> Result<Batch<Vec<u8>>, Problem> {
    batch::read(body, gzip, |line| record(line, node_id)).map_err(|error| match error {
        BatchError::TooLarge => Problem::TooLarge(MAX_BATCH_BYTES),
        BatchError::Gzip(_) | BatchError::TooManyRecords => Problem::Invalid(error.to_string()),
    })
}

/// The record on a line, with the id of the node that sent it: a node cannot report hits of another.
fn record(line: &[u8], node_id: &str) -> Result<Vec<u8>, String> {
    if line.len() > MAX_PAYLOAD {
        return Err(format!("larger than {MAX_PAYLOAD} bytes"));
    }
    let head: RecordHead<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if head.record != "hit" || head.node == node_id {
        return Ok(line.to_vec());
    }
    let mut whole: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    whole["node"] = node_id.into();
    let line = whole.to_string().into_bytes();
    if line.len() > MAX_PAYLOAD { Err(format!("larger than {MAX_PAYLOAD} bytes")) } else { Ok(line) }
}

/// Appends a batch to the spool and acknowledges it.
pub async fn store(spool: &Spool, body: Bytes, gzip: bool, node_id: String) -> Result<Ack, Problem> {
    let read = tokio::task::spawn_blocking(move || read(&body, gzip, &node_id)).await;
    let Batch { records, mut rejected } = read.map_err(|_| Problem::Busy("the batch could not be read", 5))??;
    let stored = records.len() as u64;
    let records = records.into_iter().map(|numbered| numbered.record).collect();
    if let Err(error) = spool.offer(records).await {
        tracing::debug!(%error, "the spool rejected a batch");
        return Err(Problem::Busy("the spool does not accept records at the moment", 5));
    }
    for (line, reason) in rejected.iter().take(MAX_REPORTED) {
        tracing::warn!(line, reason, "rejected malformed record");
    }
    rejected.iter_mut().skip(MAX_REPORTED).for_each(|(_, reason)| reason.clear());
    Ok(Ack { stored, duplicates: 0, rejected })
}

/// The statistics of a node, with its id, in the form in which they are spooled.
pub fn statistics(body: &[u8], node_id: &str) -> Result<Vec<u8>, Problem> {
    let wrong = |error: &dyn std::fmt::Display| Problem::Invalid(error.to_string());
    let mut whole: Value = serde_json::from_slice(body).map_err(|error| wrong(&error))?;
    let counts = whole.as_object_mut().ok_or_else(|| wrong(&"expected an object"))?;
    if counts.get("id").and_then(Value::as_str).is_none_or(|id| uuid::Uuid::parse_str(id).is_err()) {
        return Err(wrong(&"`id`: expected a UUID"));
    }
    counts.insert("node".into(), node_id.into());
    let line = whole.to_string().into_bytes();
    if line.len() > MAX_PAYLOAD { Err(Problem::TooLarge(MAX_PAYLOAD)) } else { Ok(line) }
}
