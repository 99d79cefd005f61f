//! Takes records from a spool in batches and keeps them until the other side has them: at-least-once.

use super::spool::{Chunk, Reader};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use weir_protocol::node_api::{Ack, MAX_BATCH, MAX_BATCH_BYTES};
use weir_runtime::telemetry::Telemetry;
use weir_runtime::telemetry::metrics::SpoolLoss;

/// First wait after a failure.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait between two tries: how late records come after an outage.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Longest wait that the other side may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(120);
/// Times that the other side may be too busy for a batch before smaller ones are tried: it may have room for these.
const BUSY: u32 = 3;
/// Time in which records gather for one batch: a burst goes in one, and nobody sees the delay.
const GATHER: Duration = Duration::from_millis(50);
/// How often gauges are set while nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// Rejected records that are told in the log for each batch.
const MAX_LOGGED: usize = 3;

/// What a batch holds.
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
    /// What it holds, and so where it goes.
    pub content: BatchContent,
    /// One JSON text a line.
    pub lines: Bytes,
    /// Number of lines.
    pub count: usize,
}

/// Why a batch was not taken.
#[derive(Clone, Debug)]
pub enum UploadError {
    /// No answer, or none that says what became of the batch; no identity yet; the other side is not well. It is sent
    /// again, after this time where the other side asked for one.
    Retry(String, Option<Duration>),
    /// The other side says that this batch can never be taken as it is: malformed or too large. It is sent again in
    /// halves; a single record that is refused like that is dropped and counted.
    Rejected(String),
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UploadError::Retry(why, _) => write!(f, "not taken: {why}"),
            UploadError::Rejected(why) => write!(f, "refused: {why}"),
        }
    }
}

impl std::error::Error for UploadError {}

/// Sends batches to a control plane or an aggregation.
pub trait Upload: Send + Sync + 'static {
    /// Sends `batch`. Well only if the other side has stored it: the records are then forgotten here.
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
    /// Most records in a batch: halved where batches are refused.
    most: usize,
    failures: u32,
}

impl<U: Upload> Shipper<U> {
    /// A shipper of what `reader` reads.
    pub fn new(reader: Reader, upload: U, content: BatchContent, telemetry: Arc<Telemetry>) -> Self {
        Self { reader: Some(reader), upload, content, telemetry, most: most(content), failures: 0 }
    }

    /// Ships until `drain`, then what is left; the caller bounds how long that may take.
    pub async fn run(mut self, drain: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let chunk = match self.read().await {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::error!(%error, spool = self.name(), "the spool cannot be read; it is tried again");
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
        let most = self.most;
        self.blocking(move |reader| reader.next(most, MAX_BATCH_BYTES)).await
    }

    /// Runs `work` on files where a thread may block.
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

    /// Sends `chunk` once, and moves the cursor if it was taken.
    async fn ship(&mut self, chunk: Chunk, drain: &CancellationToken) {
        let count = chunk.records.len();
        if count > 0 {
            match self.upload.upload(batch(self.content, &chunk.records)).await {
                Ok(ack) => self.taken(count, &ack),
                Err(UploadError::Rejected(why)) if count == 1 => {
                    tracing::error!(spool = self.name(), why, "a record was refused for good; it is dropped");
                    self.reader.iter().for_each(|reader| reader.rejected(1));
                    self.most = most(self.content);
                }
                Err(error) => return self.not_taken(count, &error, drain).await,
            }
        }
        let end = chunk.end;
        if let Err(error) = self.blocking(move |reader| reader.acknowledge(end)).await {
            tracing::error!(%error, spool = self.name(), "the cursor cannot be stored; records will be sent again");
            self.pause("acknowledge", None, drain).await;
        }
    }

    fn taken(&mut self, count: usize, ack: &Ack) {
        for (line, why) in ack.rejected.iter().take(MAX_LOGGED) {
            tracing::error!(spool = self.name(), line, why, "a record was rejected; it is dropped");
        }
        let rejected = ack.rejected.len().min(count) as u64;
        if let Some(reader) = &self.reader {
            reader.rejected(rejected);
            reader.delivered(count as u64 - rejected);
        }
        if self.failures > 0 {
            tracing::info!(spool = self.name(), failures = self.failures, "records are delivered again");
        }
        self.failures = 0;
        self.most = (self.most * 2).min(most(self.content));
    }

    async fn not_taken(&mut self, count: usize, error: &UploadError, drain: &CancellationToken) {
        // Told when an outage begins; after that the metrics tell.
        if self.failures == 0 {
            tracing::warn!(spool = self.name(), records = count, %error, "records stay in the spool");
        }
        match error {
            UploadError::Rejected(_) => {
                self.most = (count / 2).max(1);
                self.pause("refused", None, drain).await;
            }
            UploadError::Retry(_, asked) => {
                // It was there to ask for time.
                if asked.is_some() && self.failures >= BUSY {
                    self.most = (count / 2).max(1);
                }
                self.pause("retry", *asked, drain).await;
            }
        }
    }

    /// Waits before the next try.
    async fn pause(&mut self, reason: &'static str, asked: Option<Duration>, drain: &CancellationToken) {
        let label = SpoolLoss { spool: self.name(), reason };
        self.telemetry.metrics.events_ship_errors.get_or_create(&label).inc();
        let wait = asked.map_or_else(|| backoff(self.failures), |asked| asked.min(LONGEST_ASKED));
        self.failures = self.failures.saturating_add(1);
        if let Some(reader) = &self.reader {
            reader.measure();
        }
        if drain.is_cancelled() {
            // The rest of the drain is short: long waits would waste it.
            tokio::time::sleep(wait.min(FIRST_WAIT)).await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = drain.cancelled() => {}
            }
        }
    }
}

fn most(content: BatchContent) -> usize {
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

/// The wait after so many failures in a row: doubling, half of it random, so that nodes do not come back in step.
fn backoff(failures: u32) -> Duration {
    let full = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    let random = u32::from_le_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().expect("16 bytes"));
    full / 2 + (full / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::spool::{Config, Spool};
    use std::sync::Mutex;
    use weir_runtime::telemetry::Metrics;
    use weir_runtime::telemetry::logs::AccessLog;

    /// Takes batches as its script says, then all.
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

    /// Ships `records` to a stub with `script`, played from its end; what was taken, and the telemetry.
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
    async fn batches_are_sent_until_they_are_taken() {
        let (stub, telemetry, left) = ship(&["1", "2", "3"], vec![retry(), retry()]).await;
        assert_eq!(*stub.taken.lock().unwrap(), ["1", "2", "3"]);
        assert_eq!((stub.calls.lock().unwrap().len(), left), (3, 0));
        let errors = SpoolLoss { spool: "test", reason: "retry" };
        assert_eq!(telemetry.metrics.events_ship_errors.get_or_create(&errors).get(), 2);
    }

    #[tokio::test]
    async fn who_stays_busy_gets_smaller_batches() {
        let script = (0..6).map(|_| retry()).collect();
        let (stub, _, left) = ship(&["1", "2", "3", "4", "5", "6", "7", "8"], script).await;
        assert_eq!(stub.calls.lock().unwrap()[..7], [8, 8, 8, 8, 4, 2, 1]);
        assert_eq!((stub.taken.lock().unwrap().len(), left), (8, 0));
    }

    #[tokio::test]
    async fn a_poisonous_record_does_not_hold_up_the_others() {
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

    #[test]
    fn waits_grow_and_stay_bounded() {
        for failures in [0, 1, 5, 100, u32::MAX] {
            let wait = backoff(failures);
            assert!(wait >= FIRST_WAIT / 2 && wait <= LONGEST_WAIT, "{failures}: {wait:?}");
        }
        assert!(backoff(10) > FIRST_WAIT);
    }
}
