//! Exchanges automatic entries with the control plane: those made here go there, those of other nodes and the decisions of
//! analysts come back. While it is away, entries act as they are. With an aggregation in its place, counters are shared too.

use super::{Abuse, AbuseMetrics};
use crate::sync::Link;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use weir_abuse::{Change, CounterNews, CounterReport, Entries, MAX_REPORTED, Outgoing, Spec};
use weir_protocol::node_api::{AbuseNews, AbuseReport, MAX_ABUSE_CHANGES};
use weir_runtime::clock::now_millis;

/// Time between exchanges.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// Time between exchanges while counters have something to tell or to hear.
const BUSY_INTERVAL: Duration = Duration::from_millis(250);
/// Counters are exchanged often for so long after there was something to tell or to hear.
const BUSY: Duration = Duration::from_secs(5);
/// Pause after an exchange that was not all.
const MORE: Duration = Duration::from_millis(10);
/// Clocks that differ by no more than this count as alike, in milliseconds: an exchange takes its time.
const ALIKE_MS: u64 = 2_000;
/// Everything is exchanged again after this time.
const ANEW: Duration = Duration::from_secs(60);

/// How far the exchange of entries with a server is.
#[derive(Debug)]
pub(crate) struct EntryExchange {
    /// Name of the server's run.
    server: Option<String>,
    /// Number of the last change of the server that is known here.
    seen: u64,
    /// Number of the last change here that the server has acknowledged.
    acknowledged: u64,
    /// Number of the last change in the report under way.
    sending: u64,
    /// Whether the report has the changes of others too: at the beginning and every [`ANEW`], for a server that lost them.
    whole: bool,
    begun: Instant,
}

impl EntryExchange {
    pub(crate) fn new() -> Self {
        Self { server: None, seen: 0, acknowledged: 0, sending: 0, whole: true, begun: Instant::now() }
    }

    fn begin_anew(&mut self) {
        *self = Self { server: self.server.take(), ..Self::new() };
    }

    /// The next report.
    pub(crate) fn report(&mut self, entries: &Entries, now: u64) -> AbuseReport {
        if self.begun.elapsed() > ANEW {
            self.begin_anew();
        }
        let (changes, last) = entries.changes(self.acknowledged, MAX_ABUSE_CHANGES, !self.whole, now);
        self.sending = last;
        AbuseReport { changes, after: self.seen, counters: None }
    }

    /// Takes the answer to `report`. True if more waits on either side.
    pub(crate) fn learn(&mut self, entries: &Entries, report: &AbuseReport, news: AbuseNews, now: u64) -> bool {
        if self.server.as_ref().is_some_and(|server| *server != news.server) {
            // Another server, or it was started anew: it may know nothing, and its numbers are others.
            self.begin_anew();
        } else {
            (self.acknowledged, self.seen) = (self.sending, news.last);
            self.whole &= report.changes.len() == MAX_ABUSE_CHANGES;
        }
        self.server = Some(news.server);
        let more = report.changes.len() == MAX_ABUSE_CHANGES || news.changes.len() == MAX_ABUSE_CHANGES;
        for change in news.changes {
            entries.apply(by_own_clock(change, news.time, now), now);
        }
        more
    }
}

/// A change of a server whose time is `theirs`, by the clock of this node: an exception holds here as long as it does there,
/// so that an entry is lifted on a node whose clock is ahead, too. What differs by little is left as it is.
fn by_own_clock(mut change: Change, theirs: u64, own: u64) -> Change {
    if let Change::Excepted(exception) = &mut change
        && theirs != 0
        && theirs.abs_diff(own) > ALIKE_MS
    {
        exception.until = exception.until.saturating_add(own).saturating_sub(theirs);
    }
    change
}

/// Sends `report` over `link`; none if there is no answer, which is logged.
pub(crate) async fn call(link: &Link, report: &AbuseReport) -> Option<AbuseNews> {
    let call = link.call(|client, identity| {
        let report = report.clone();
        async move { client.abuse(&identity, &report).await }
    });
    call.await.inspect_err(|error| tracing::debug!(%error, "exchange of automatic entries")).ok()
}

/// The counters of a node, as far as they are exchanged with an aggregation.
struct CounterExchange {
    abuse: Arc<Abuse>,
    run: String,
    number: u64,
    /// Counters of the report under way, which may or may not have arrived.
    sent: Option<Vec<Outgoing>>,
    server: String,
    heard: u64,
    busy: Instant,
}

impl CounterExchange {
    fn new(abuse: Arc<Abuse>) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string();
        Self { abuse, run, number: 0, sent: None, server: String::new(), heard: 0, busy: Instant::now() }
    }

    /// The report under way again, or a new one.
    fn report(&mut self) -> CounterReport {
        if self.sent.is_none() {
            self.number += 1;
        }
        let table = self.abuse.table();
        let counters = self.sent.get_or_insert_with(|| table.outgoing(MAX_REPORTED)).clone();
        CounterReport { run: self.run.clone(), number: self.number, counters, heard: self.heard }
    }

    /// Takes the answer of a server. True if more waits.
    fn learn(&mut self, server: &str, news: Option<&CounterNews>) -> bool {
        let table = self.abuse.table();
        table.set_shared(news.is_some());
        let sent = self.sent.take().unwrap_or_default();
        let Some(news) = news else {
            // The server does not add up: what was to be sent waits for one that does.
            sent.iter().for_each(|counter| table.failed(counter));
            return false;
        };
        let now = now_millis();
        self.abuse.set_offset(news.time, now);
        let shared = self.abuse.shared_time(now);
        for (counter, counts) in sent.iter().zip(&news.counts) {
            table.arrived(counter, &counts.slots, counts.distinct, shared);
        }
        for one in &news.announced {
            let spec = Spec { window_ms: one.window_ms, limit: one.limit, shares: 1 };
            table.learn(one.key, spec, &one.counts.slots, one.counts.distinct, shared);
        }
        // The numbers of a server that was started anew are others.
        self.heard = if self.server == server { news.last } else { 0 };
        self.server = server.to_owned();
        if !sent.is_empty() || !news.announced.is_empty() {
            self.busy = Instant::now();
        }
        sent.len() == MAX_REPORTED
    }

    fn interval(&self) -> Duration {
        let is_busy = self.abuse.table().is_shared() && self.busy.elapsed() < BUSY;
        if is_busy { BUSY_INTERVAL } else { INTERVAL }
    }
}

/// Exchanges entries over `link` until `stop`; with `counts` also counters, if the server adds them up.
pub async fn exchange(abuse: Arc<Abuse>, link: Arc<Link>, counts: Option<AbuseMetrics>, stop: CancellationToken) {
    let mut entries = EntryExchange::new();
    let mut counters = counts.is_some().then(|| CounterExchange::new(Arc::clone(&abuse)));
    let counts = counts.unwrap_or_default();
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let mut report = entries.report(abuse.entries(), now_millis());
        report.counters = counters.as_mut().map(CounterExchange::report);
        let mut more = false;
        match call(&link, &report).await {
            Some(news) => {
                if let Some(counters) = &mut counters {
                    more |= counters.learn(&news.server, news.counters.as_ref());
                    counts.exchanges.inc_by(u64::from(news.counters.is_some()));
                }
                more |= entries.learn(abuse.entries(), &report, news, now_millis());
            }
            None => drop(counts.failures.inc_by(u64::from(abuse.table().is_shared()))),
        }
        let interval = counters.as_ref().map_or(INTERVAL, CounterExchange::interval);
        let pause = if more { MORE } else { interval.saturating_sub(begun.elapsed()).max(MORE) };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
