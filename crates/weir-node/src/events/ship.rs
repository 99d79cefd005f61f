//! Sends the records of a spool in batches and keeps them until the receiver has stored them: at-least-once delivery.

use super::spool::{Chunk, Reader};
use bytes::{BufMut, Bytes, BytesMut};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use weir_protocol::node_api::{Ack, MAX_BATCH, MAX_BATCH_BYTES};
use weir_runtime::backoff::Backoff;
use weir_runtime::telemetry::Telemetry;
use weir_runtime::telemetry::metrics::SpoolLoss;

/// Longest pause between attempts while the program drains.
const DRAIN_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause that the receiver may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);
/// How often the receiver may be too busy for a batch before smaller ones are tried, which it may have room for.
const MAX_BUSY: u32 = 3;
/// Time in which records are collected for one batch, so that a burst is sent in one batch.
const GATHER: Duration = Duration::from_millis(50);
/// How often gauges are set while nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// Rejected records that are logged per batch.
const MAX_LOGGED: usize = 3;

/// Content of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchContent {
    /// Records for [`weir_protocol::node_api::EVENTS`].
    Events,
    /// One [`weir_protocol::node_api::Statistics`] for [`weir_protocol::node_api::STATISTICS`].
    Statistics,
}

/// Records to be sent together. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its content, which decides the call that delivers it.
    pub content: BatchContent,
    /// One JSON text per line.
    pub lines: Bytes,
    /// Number of lines.
    pub count: usize,
}

/// Why a batch was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UploadError {
    /// The receiver did not answer, is not available, or the node is not registered yet. The batch is sent again, after
    /// this time if the receiver asked for it.
    #[error("not accepted: {0}")]
    Retry(String, Option<Duration>),
    /// The receiver cannot accept this batch: it is malformed or too large. It is sent again in halves; a single record
    /// that is rejected is dropped and counted.
    #[error("rejected: {0}")]
    Rejected(String),
}

/// Sends batches to a control plane or an aggregation.
pub trait Upload: Send + Sync + 'static {
    /// Sends `batch`. Succeeds only if the receiver has stored it: the records are then removed here.
    fn upload(&self, batch: Batch) -> impl Future<Output = Result<Ack, UploadError>> + Send;
}

impl<U: Upload> Upload for Arc<U> {
    fn upload(&self, batch: Batch) -> impl Future<Output = Result<Ack, UploadError>> + Send {
        self.as_ref().upload(batch)
    }
}

/// Ships the records of one spool.
pub struct Shipper<U> {
    reader: Option<Reader>,
    upload: U,
    content: BatchContent,
    telemetry: Arc<Telemetry>,
    /// Limit on the records of a batch: halved when batches are rejected.
    max_records: usize,
    backoff: Backoff,
}

impl<U: Upload> Shipper<U> {
    /// Ships the records of `reader`.
    pub fn new(reader: Reader, upload: U, content: BatchContent, telemetry: Arc<Telemetry>) -> Self {
        Self {
            reader: Some(reader),
            upload,
            content,
            telemetry,
            max_records: max_records(content),
            backoff: Backoff::default(),
        }
    }

    /// Ships until `drain`, then the remaining records; the caller limits the time for that.
    pub async fn run(mut self, drain: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let chunk = match self.read().await {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::error!(%error, spool = self.name(), "cannot read the spool; trying again");
                    self.pause("read", None, &drain).await;
                    continue;
                }
            };
            if chunk.records.is_empty() && chunk.end == self.cursor() {
                if drain.is_cancelled() {
                    return;
                }
                let Some(reader) = &self.reader else { return };
                tokio::select! {
                    () = reader.wait() => tokio::time::sleep(GATHER).await,
                    _ = tick.tick() => reader.measure(),
                    () = drain.cancelled() => {}
                }
                continue;
            }
            self.ship(chunk, &drain).await;
        }
    }

    fn name(&self) -> &'static str {
        self.reader.as_ref().map_or("", Reader::name)
    }

    fn cursor(&self) -> super::spool::Cursor {
        self.reader.as_ref().map(Reader::cursor).unwrap_or_default()
    }

    async fn read(&mut self) -> io::Result<Chunk> {
        let limit = self.max_records;
        self.blocking(move |reader| reader.next(limit, MAX_BATCH_BYTES)).await
    }

    /// Runs `work`, which reads files, on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Reader) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let mut reader = self.reader.take().ok_or_else(|| io::Error::other("the reader of the spool is gone"))?;
        let done = tokio::task::spawn_blocking(move || (work(&mut reader), reader)).await;
        let (result, reader) = done.map_err(io::Error::other)?;
        self.reader = Some(reader);
        result
    }

    /// Sends `chunk` once, and advances the cursor if it was accepted.
    async fn ship(&mut self, chunk: Chunk, drain: &CancellationToken) {
        let count = chunk.records.len();
        if count > 0 {
            match self.upload.upload(batch(self.content, &chunk.records)).await {
                Ok(ack) => self.accepted(count, &ack),
                Err(UploadError::Rejected(why)) if count == 1 => {
                    tracing::error!(spool = self.name(), why, "the receiver rejected a record; it is dropped");
                    self.reader.iter().for_each(|reader| reader.rejected(1));
                    self.max_records = max_records(self.content);
                }
                Err(error) => return self.failed(count, &error, drain).await,
            }
        }
        let end = chunk.end;
        if let Err(error) = self.blocking(move |reader| reader.acknowledge(end)).await {
            tracing::error!(%error, spool = self.name(), "cannot store the cursor; records will be sent again");
            self.pause("acknowledge", None, drain).await;
        }
    }

    fn accepted(&mut self, count: usize, ack: &Ack) {
        for (line, why) in ack.rejected.iter().take(MAX_LOGGED) {
            tracing::error!(spool = self.name(), line, why, "a record was rejected; it is dropped");
        }
        let rejected = ack.rejected.len().min(count) as u64;
        if let Some(reader) = &self.reader {
            reader.rejected(rejected);
            reader.delivered(count as u64 - rejected);
        }
        if self.backoff.failures() > 0 {
            tracing::info!(spool = self.name(), failures = self.backoff.failures(), "records are delivered again");
        }
        self.backoff.reset();
        self.max_records = (self.max_records * 2).min(max_records(self.content));
    }

    async fn failed(&mut self, count: usize, error: &UploadError, drain: &CancellationToken) {
        // Logged when an outage begins; the metrics show how long it lasts.
        if self.backoff.failures() == 0 {
            tracing::warn!(spool = self.name(), records = count, %error, "records stay in the spool");
        }
        match error {
            UploadError::Rejected(_) => {
                self.max_records = (count / 2).max(1);
                self.pause("refused", None, drain).await;
            }
            UploadError::Retry(_, retry_after) => {
                // The receiver is available, but busy.
                if retry_after.is_some() && self.backoff.failures() >= MAX_BUSY {
                    self.max_records = (count / 2).max(1);
                }
                self.pause("retry", *retry_after, drain).await;
            }
        }
    }

    /// Counts a failure and waits before the next attempt.
    async fn pause(&mut self, reason: &'static str, retry_after: Option<Duration>, drain: &CancellationToken) {
        let label = SpoolLoss { spool: self.name(), reason };
        self.telemetry.metrics.events_ship_errors.get_or_create(&label).inc();
        let wait = match retry_after {
            Some(pause) => {
                self.backoff.count_failure();
                pause.min(MAX_RETRY_AFTER)
            }
            None => self.backoff.pause(),
        };
        if let Some(reader) = &self.reader {
            reader.measure();
        }
        if drain.is_cancelled() {
            // The drain is short: long pauses would waste it.
            tokio::time::sleep(wait.min(DRAIN_PAUSE)).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = drain.cancelled() => {}
            }
        }
    }
}

fn max_records(content: BatchContent) -> usize {
    match content {
        BatchContent::Events => MAX_BATCH,
        BatchContent::Statistics => 1,
    }
}

fn batch(content: BatchContent, records: &[Vec<u8>]) -> Batch {
    let bytes = records.iter().map(|record| record.len() + 1).sum();
    let mut lines = BytesMut::with_capacity(bytes);
    for record in records {
        lines.put_slice(record);
        lines.put_u8(b'\n');
    }
    Batch { content, lines: lines.freeze(), count: records.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::spool::{Config, Spool};
    use std::sync::Mutex;
    use weir_runtime::telemetry::Metrics;
    use weir_runtime::telemetry::logs::AccessLog;

    /// Answers batches according to its script, then accepts all.
    #[derive(Default)]
    struct Stub {
        script: Mutex<Vec<Result<Ack, UploadError>>>,
        taken: Mutex<Vec<String>>,
        calls: Mutex<Vec<usize>>,
    }

    impl Upload for Stub {
        async fn upload(&self, batch: Batch) -> Result<Ack, UploadError> {
            self.calls.lock().unwrap().push(batch.count);
            let scripted = self.script.lock().unwrap().pop();
            let text = std::str::from_utf8(&batch.lines).unwrap();
            assert_eq!(text.lines().count(), batch.count);
            if text.contains("poison") && scripted.is_none() {
                return Err(UploadError::Rejected("poison".into()));
            }
            let ack = scripted.unwrap_or_else(|| Ok(Ack::default()))?;
            self.taken.lock().unwrap().extend(text.lines().map(str::to_owned));
            Ok(ack)
        }
    }

    /// Ships `records` to a stub with `script`, played from its end. Returns the stub, the telemetry and the records left.
    async fn ship(records: &[&str], script: Vec<Result<Ack, UploadError>>) -> (Arc<Stub>, Arc<Telemetry>, u64) {
        let dir = tempfile::tempdir().unwrap();
        let telemetry = Arc::new(Telemetry { metrics: Metrics::unregistered(), access: AccessLog::Off.into() });
        let config = Config {
            directory: dir.path().to_owned(),
            name: "test",
            size: 1 << 20,
            fsync_interval: Duration::from_millis(10),
        };
        let (spool, reader) = Spool::open(config, Arc::clone(&telemetry)).unwrap();
        spool.append(records.iter().map(|r| r.as_bytes().to_vec()).collect()).await.unwrap();
        let stub = Arc::new(Stub { script: Mutex::new(script), ..Stub::default() });
        let drain = CancellationToken::new();
        drain.cancel();
        let shipper = Shipper::new(reader, Arc::clone(&stub), BatchContent::Events, Arc::clone(&telemetry));
        tokio::time::timeout(Duration::from_secs(60), shipper.run(drain)).await.expect("drained");
        let left = spool.status().records;
        (stub, telemetry, left)
    }

    fn retry() -> Result<Ack, UploadError> {
        Err(UploadError::Retry("away".into(), Some(Duration::from_millis(1))))
    }

    #[tokio::test]
    async fn batches_are_sent_until_they_are_accepted() {
        let (stub, telemetry, left) = ship(&["1", "2", "3"], vec![retry(), retry()]).await;
        assert_eq!(*stub.taken.lock().unwrap(), ["1", "2", "3"]);
        assert_eq!((stub.calls.lock().unwrap().len(), left), (3, 0));
        let errors = SpoolLoss { spool: "test", reason: "retry" };
        assert_eq!(telemetry.metrics.events_ship_errors.get_or_create(&errors).get(), 2);
    }

    #[tokio::test]
    async fn a_busy_receiver_gets_smaller_batches() {
        let script = (0..6).map(|_| retry()).collect();
        let (stub, _, left) = ship(&["1", "2", "3", "4", "5", "6", "7", "8"], script).await;
        assert_eq!(stub.calls.lock().unwrap()[..7], [8, 8, 8, 8, 4, 2, 1]);
        assert_eq!((stub.taken.lock().unwrap().len(), left), (8, 0));
    }

    #[tokio::test]
    async fn a_rejected_record_does_not_delay_the_others() {
        let (stub, telemetry, left) = ship(&["1", "2", "poison", "4", "5"], Vec::new()).await;
        assert_eq!(*stub.taken.lock().unwrap(), ["1", "2", "4", "5"]);
        assert_eq!(left, 0);
        let rejected = SpoolLoss { spool: "test", reason: "rejected" };
        assert_eq!(telemetry.metrics.events_dropped.get_or_create(&rejected).get(), 1);
    }

    #[tokio::test]
    async fn rejected_records_are_counted() {
        let ack = Ack { stored: 1, rejected: vec![(0, "no id".into())], ..Ack::default() };
        let (_, telemetry, left) = ship(&["1", "2"], vec![Ok(ack)]).await;
        let (metrics, spool) = (&telemetry.metrics, "test");
        let rejected = SpoolLoss { spool, reason: "rejected" };
        let delivered = weir_runtime::telemetry::metrics::Spool { spool };
        assert_eq!(metrics.events_dropped.get_or_create(&rejected).get(), 1);
        assert_eq!((metrics.events_delivered.get_or_create(&delivered).get(), left), (1, 0));
    }
}
