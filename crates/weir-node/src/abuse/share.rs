//! Shares counters and entries with other replicas through a server of the Redis protocol, in batches. No verdict waits for
//! it: a server that is gone costs the counts of the others, and nothing else.
//!
//! A batch that may have arrived is sent again under the same number; the server counts it once. Counts that are past half
//! of a limit are announced to all replicas, so that one that has not seen a key yet knows it.

use super::share_script::{SCRIPT, parse_counts};
use super::share_server::{ServerSettings, Servers, ShareError, in_time};
use super::{Abuse, AbuseMetrics};
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use weir_abuse::{Change, Outgoing, Spec};
use weir_runtime::clock::now_millis;

/// Time between exchanges.
const INTERVAL: Duration = Duration::from_millis(80);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);
/// Counters of one exchange; further ones wait for the next.
const MAX_COUNTERS: usize = 1_000;
/// Announcements and changes that the server keeps.
const MAX_STREAM: usize = 20_000;
/// Announcements and changes read at once, of each.
const MAX_READ: usize = 1_000;
/// Ids before the first record of each stream.
const FROM_THE_START: [&str; 2] = ["0", "0"];
/// Longest id of a record: two numbers of 64 bits.
const MAX_ID: usize = 41;
/// How often it is checked that the server still has the entries.
const CHECK: Duration = Duration::from_secs(5);

/// How the server is reached.
#[derive(Clone)]
pub struct ShareSettings {
    /// How it is found.
    pub server: ServerSettings,
    /// Begins the name of every key: nodes of one group have the same.
    pub prefix: String,
}

impl std::fmt::Debug for ShareSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShareSettings({})", self.prefix)
    }
}

/// The exchange with the other replicas.
pub struct Share {
    abuse: Arc<Abuse>,
    servers: Servers,
    prefix: String,
    node: String,
    counts: AbuseMetrics,
    /// Last announcement and last change read.
    seen: [String; 2],
    changes: Vec<Change>,
    checked: Instant,
}

/// News of each stream: its number, the id of its last record, and the records.
type StreamNews = Vec<(usize, String, Vec<Vec<u8>>)>;

/// What one exchange learnt.
struct Answer {
    time: u64,
    counts: Vec<(Vec<(u64, i32)>, u32)>,
    streams: StreamNews,
}

impl Share {
    /// Prepares it; connects later.
    pub fn new(abuse: Arc<Abuse>, settings: &ShareSettings, counts: AbuseMetrics) -> Result<Self, ShareError> {
        let servers = Servers::new(&settings.server)?;
        let node = uuid::Uuid::new_v4().simple().to_string();
        let seen = FROM_THE_START.map(str::to_owned);
        let prefix = format!("weir:{{{}}}", settings.prefix);
        Ok(Self { abuse, servers, prefix, node, counts, seen, changes: Vec::new(), checked: Instant::now() })
    }

    /// Exchanges until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut failing, mut done) = (false, 0);
        while !stop.is_cancelled() {
            match self.connected(&stop).await {
                Ok(()) => return,
                Err(error) => {
                    self.counts.failures.inc();
                    // Once for each time that it stops answering.
                    failing &= std::mem::replace(&mut done, self.counts.exchanges.get()) == self.counts.exchanges.get();
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            error = error.category(),
                            "the server of shared counters fails; counters are local"
                        );
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Exchanges over one connection until it fails.
    async fn connected(&mut self, stop: &CancellationToken) -> Result<(), RedisError> {
        let key = self.key("hot");
        let mut connection = self.servers.connect(&key).await?;
        let sha = in_time(load_script(&mut connection.connection)).await?;
        self.republish();
        // Another server, or the same one restored, may be at other ids; what is read twice changes nothing.
        self.seen = FROM_THE_START.map(str::to_owned);
        while !stop.is_cancelled() {
            let begun = Instant::now();
            let sent = self.abuse.table().outgoing(MAX_COUNTERS);
            self.changes.extend(self.abuse.entries().take_news());
            connection.renew();
            match in_time(self.exchange(&mut connection.connection, &sha, &sent)).await {
                Ok(answer) => self.apply(&sent, answer),
                Err(error) => {
                    sent.iter().for_each(|counter| self.abuse.table().failed(counter));
                    return Err(error);
                }
            }
            self.counts.exchanges.inc();
            if self.checked.elapsed() > CHECK {
                self.checked = Instant::now();
                let asked = redis::cmd("EXISTS").arg(self.key("changes")).to_owned();
                if !in_time(asked.query_async::<bool>(&mut connection.connection)).await? {
                    self.republish();
                }
            }
            tokio::time::sleep(INTERVAL.saturating_sub(begun.elapsed())).await;
        }
        Ok(())
    }

    /// Tells all entries again: the server may have lost them.
    fn republish(&mut self) {
        self.changes = self.abuse.entries().all(now_millis());
        self.changes.truncate(MAX_STREAM / 2);
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    async fn exchange(
        &self,
        connection: &mut MultiplexedConnection,
        sha: &str,
        sent: &[Outgoing],
    ) -> Result<Answer, RedisError> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME");
        for counter in sent {
            // Replicas whose policies give a rule different windows do not share: their slots differ in length.
            let name = format!("{}:{}", self.abuse.name(counter.key), counter.window_ms);
            pipe.cmd("EVALSHA").arg(sha).arg(3);
            pipe.arg(self.key(&format!("{name}:c"))).arg(self.key(&format!("{name}:d"))).arg(self.key("hot"));
            pipe.arg(&self.node).arg(counter.batch).arg(counter.window_ms).arg(counter.limit);
            pipe.arg(format!("{:032x}", counter.key)).arg(counter.slots.len());
            for (slot, n) in &counter.slots {
                pipe.arg(*slot).arg(*n);
            }
            for value in &counter.values {
                pipe.arg(format!("{value:016x}"));
            }
        }
        for change in &self.changes {
            let text = serde_json::to_string(change).unwrap_or_default();
            pipe.cmd("XADD")
                .arg(self.key("changes"))
                .arg("MAXLEN")
                .arg("~")
                .arg(MAX_STREAM)
                .arg("*")
                .arg("c")
                .arg(text);
        }
        pipe.cmd("XREAD").arg("COUNT").arg(MAX_READ).arg("STREAMS");
        pipe.arg(self.key("hot")).arg(self.key("changes")).arg(&self.seen[0]).arg(&self.seen[1]);
        let values: Vec<Value> = pipe.query_async(connection).await?;
        let malformed = || RedisError::from((ErrorKind::UnexpectedReturnType, "unexpected answer"));
        let mut values = values.into_iter();
        let (seconds, micros): (u64, u64) = redis::from_redis_value(values.next().ok_or_else(malformed)?)?;
        let mut counts = Vec::with_capacity(sent.len());
        for value in values.by_ref().take(sent.len()) {
            let (slots, distinct): (Vec<String>, u32) = redis::from_redis_value(value)?;
            counts.push((parse_counts(&slots), distinct));
        }
        let read = values.last().ok_or_else(malformed)?;
        let streams = if read == Value::Nil { Vec::new() } else { self.read_streams(read)? };
        Ok(Answer { time: seconds.saturating_mul(1000).saturating_add(micros / 1000), counts, streams })
    }

    /// Which stream, id and fields of each message.
    fn read_streams(&self, value: Value) -> Result<StreamNews, RedisError> {
        type Messages = Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>;
        let streams: Messages = redis::from_redis_value(value)?;
        let hot = self.key("hot");
        let of = |name: &str| usize::from(name != hot);
        // An id that is not one would be sent with each exchange, and the server that comes next would refuse it.
        if !streams.iter().flat_map(|(_, messages)| messages).all(|(id, _)| is_id(id)) {
            return Err(RedisError::from((ErrorKind::UnexpectedReturnType, "unexpected id of a record")));
        }
        let flat = streams.into_iter().flat_map(|(name, messages)| {
            let stream = of(&name);
            messages.into_iter().map(move |(id, fields)| (stream, id, fields))
        });
        Ok(flat.collect())
    }

    fn apply(&mut self, sent: &[Outgoing], answer: Answer) {
        let now = now_millis();
        self.abuse.set_offset(answer.time, now);
        let shared = self.abuse.shared_time(now);
        for (counter, (slots, distinct)) in sent.iter().zip(&answer.counts) {
            self.abuse.table().arrived(counter, slots, *distinct, shared);
        }
        self.changes.clear();
        for (stream, id, fields) in answer.streams {
            match stream {
                0 => self.learn(&fields, shared),
                _ => {
                    if let Some(Ok(change)) = fields.get(1).map(|text| serde_json::from_slice::<Change>(text)) {
                        self.abuse.entries().apply(change, now);
                    }
                }
            }
            self.seen[stream] = id;
        }
    }

    /// Takes an announcement: key, window, limit, counts by slot, different values.
    fn learn(&self, fields: &[Vec<u8>], now: u64) {
        let Some(text) = fields.get(1).and_then(|text| std::str::from_utf8(text).ok()) else { return };
        let mut words = text.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(window_ms), Some(limit), Some(distinct)) = (number(), number(), number()) else { return };
        let Some(key) = words.next().and_then(|word| u128::from_str_radix(word, 16).ok()) else { return };
        let slots: Vec<String> = words.map(str::to_owned).collect();
        let spec = Spec { window_ms, limit: limit as u32, shares: 1 };
        self.abuse.table().learn(key, spec, &parse_counts(&slots), distinct as u32, now);
    }
}

/// Whether it is the id of a record, such as `1700000000000-0`.
fn is_id(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= MAX_ID
        && text.split_once('-').is_some_and(|(time, number_in_it)| number(time) && number(number_in_it))
}

async fn load_script(connection: &mut MultiplexedConnection) -> Result<String, RedisError> {
    redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(connection).await
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn ids_of_records_are_two_numbers() {
        assert!(is_id("1700000000000-0") && is_id("18446744073709551615-18446744073709551615"));
        for none in ["", "-", "1", "1-", "-1", "$", "1-1-1", "z-1", &"1".repeat(60), &format!("{}-1", "1".repeat(60))] {
            assert!(!is_id(none), "{none}");
        }
    }
}
