//! Batches of nodes into the spool.
//!
//! A record is passed on as it came: what a newer node says and this build does not know is not lost. Looked at is only
//! what must be: that it is a JSON object of a kind, and whose it is.

use super::problem::Problem;
use crate::events::Spool;
use crate::events::spool::MAX_PAYLOAD;
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;
use std::io::Read as _;
use weir_protocol::node_api::{Ack, MAX_BATCH, MAX_BATCH_BYTES};

/// Rejected lines that are told one by one.
const MAX_TOLD: usize = 100;

/// What is looked at.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    record: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    node: std::borrow::Cow<'a, str>,
}

/// A batch, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Records, as they are spooled.
    pub records: Vec<Vec<u8>>,
    /// Lines that are none: number and why.
    pub rejected: Vec<(u64, String)>,
}

/// Reads the batch that the node `node_id` sent. Takes time in proportion to its size.
pub fn read(body: &[u8], packed: bool, node_id: &str) -> Result<Batch, Problem> {
    let mut unpacked = Vec::new();
    let lines = if packed {
        let done = GzDecoder::new(body).take(MAX_BATCH_BYTES as u64 + 1).read_to_end(&mut unpacked);
        done.map_err(|error| Problem::Invalid(format!("gzip: {error}")))?;
        &unpacked
    } else {
        body
    };
    if lines.len() > MAX_BATCH_BYTES {
        return Err(Problem::TooLarge(MAX_BATCH_BYTES));
    }
    let mut batch = Batch::default();
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    for (number, line) in lines.enumerate() {
        if number >= MAX_BATCH {
            return Err(Problem::Invalid(format!("more than {MAX_BATCH} records in a batch")));
        }
        match record(line.trim_ascii(), node_id) {
            Ok(record) => batch.records.push(record),
            Err(why) => batch.rejected.push((number as u64, why)),
        }
    }
    Ok(batch)
}

/// The record on a line, with the node that it came from: nobody speaks for another.
fn record(line: &[u8], node_id: &str) -> Result<Vec<u8>, String> {
    if line.len() > MAX_PAYLOAD {
        return Err(format!("larger than {MAX_PAYLOAD} bytes"));
    }
    let head: Head<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if head.record != "hit" || head.node == node_id {
        return Ok(line.to_vec());
    }
    let mut whole: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    whole["node"] = node_id.into();
    let line = whole.to_string().into_bytes();
    if line.len() > MAX_PAYLOAD { Err(format!("larger than {MAX_PAYLOAD} bytes")) } else { Ok(line) }
}

/// Puts a batch on the disk and answers for it.
pub async fn store(spool: &Spool, body: Bytes, packed: bool, node_id: String) -> Result<Ack, Problem> {
    let read = tokio::task::spawn_blocking(move || read(&body, packed, &node_id)).await;
    let Batch { records, mut rejected } = read.map_err(|_| Problem::Busy("the batch could not be read", 5))??;
    let stored = records.len() as u64;
    if let Err(why) = spool.offer(records).await {
        tracing::debug!(%why, "a batch is not taken");
        return Err(Problem::Busy("the spool takes nothing at the moment", 5));
    }
    for (line, why) in rejected.iter().take(MAX_TOLD) {
        tracing::warn!(line, why, "a record of a node is none");
    }
    rejected.iter_mut().skip(MAX_TOLD).for_each(|(_, why)| why.clear());
    Ok(Ack { stored, duplicates: 0, rejected })
}

/// The counts of a node, under its id, as they are spooled.
pub fn statistics(body: &[u8], node_id: &str) -> Result<Vec<u8>, Problem> {
    let wrong = |error: &dyn std::fmt::Display| Problem::Invalid(error.to_string());
    let mut whole: Value = serde_json::from_slice(body).map_err(|error| wrong(&error))?;
    let counts = whole.as_object_mut().ok_or_else(|| wrong(&"an object is wanted"))?;
    if counts.get("id").and_then(Value::as_str).is_none_or(|id| uuid::Uuid::parse_str(id).is_err()) {
        return Err(wrong(&"`id`: a UUID is wanted"));
    }
    counts.insert("node".into(), node_id.into());
    let line = whole.to_string().into_bytes();
    if line.len() > MAX_PAYLOAD { Err(Problem::TooLarge(MAX_PAYLOAD)) } else { Ok(line) }
}
