//! Abuse protection of the nodes of a group: their counters are added up here; their automatic entries are exchanged among
//! them, and with the control plane.

use crate::abuse::{EntryExchange, INTERVAL, MAX_ENTRIES, call};
use crate::sync::Link;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use weir_abuse::{Entries, Hub, HubError, Table};
use weir_protocol::node_api::{AbuseNews, AbuseReport, MAX_ABUSE_CHANGES};
use weir_runtime::clock::now_millis;

/// Pause after an exchange that was not all.
const MORE: Duration = Duration::from_millis(50);

/// Entries and counters of a group.
#[derive(Debug)]
pub struct GroupAbuse {
    /// Name of this run: numbers of changes begin anew with each.
    run: String,
    entries: Entries,
    hub: Hub,
}

impl GroupAbuse {
    /// Nothing yet, for the group called `name`, with its counters in `table`.
    pub fn new(table: Arc<Table>, name: &str) -> Self {
        let run = uuid::Uuid::new_v4().simple().to_string();
        Self { run, entries: Entries::new(MAX_ENTRIES), hub: Hub::new(table, name) }
    }

    /// Takes the report of a node at `now`, in milliseconds since 1970.
    pub fn exchange(&self, node_id: &str, report: AbuseReport, now: u64) -> Result<AbuseNews, HubError> {
        let counters = report.counters.map(|counters| self.hub.exchange(node_id, &counters, now)).transpose()?;
        for change in report.changes.into_iter().take(MAX_ABUSE_CHANGES) {
            self.entries.accept(change, now);
        }
        let (changes, last) = self.entries.changes(report.after, MAX_ABUSE_CHANGES, false, now);
        Ok(AbuseNews { server: self.run.clone(), changes, last, time: now, counters })
    }

    /// Announcements of counters that were given up, for lack of space.
    pub fn forgotten(&self) -> u64 {
        self.hub.forgotten()
    }

    /// Exchanges entries with the control plane over `link` until `stop`.
    pub async fn follow(self: Arc<Self>, link: Arc<Link>, stop: CancellationToken) {
        let mut exchange = EntryExchange::new();
        while !stop.is_cancelled() {
            self.entries.purge(now_millis());
            let report = exchange.report(&self.entries, now_millis());
            let news = call(&link, &report).await;
            let more = news.is_some_and(|news| exchange.learn(&self.entries, &report, news, now_millis()));
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(if more { MORE } else { INTERVAL }) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_abuse::{Change, Entry, Exception, Key};

    fn entry(subject: u128, at: u64) -> Change {
        let (subject, key) = (Key(subject), Key(subject));
        Change::Listed(Entry { subject, rule: 7, key, at, expires: at + 600_000, ..Entry::default() })
    }

    #[test]
    fn nodes_hear_of_each_other_and_of_the_control_plane() {
        let abuse = GroupAbuse::new(Arc::new(Table::new(1 << 20, false)), "default");
        let now = 1_000_000;
        let report = |changes, after| AbuseReport { changes, after, counters: None };
        let first = abuse.exchange("a", report(vec![entry(1, now), entry(2, now)], 0), now).unwrap();
        let other = abuse.exchange("b", report(Vec::new(), 0), now).unwrap();
        assert_eq!((first.changes.len(), &other.changes), (2, &first.changes));
        // The control plane hears of both, and an analyst lifts one.
        let mut upstream = EntryExchange::new();
        let told = upstream.report(&abuse.entries, now);
        assert_eq!(told.changes.len(), 2);
        let exception = Exception { rule: 7, key: Key(1), at: now + 1, until: now + 60_000, ..Exception::default() };
        let changes = vec![Change::Excepted(exception)];
        let news = AbuseNews { changes: changes.clone(), last: 5, ..AbuseNews::default() };
        assert!(!upstream.learn(&abuse.entries, &told, news, now));
        assert_eq!(abuse.exchange("b", report(Vec::new(), other.last), now).unwrap().changes, changes);
        let next = upstream.report(&abuse.entries, now);
        assert_eq!((next.changes.len(), next.after), (0, 5), "what came from there is not told there");
        assert!(
            abuse
                .exchange("b", report(vec![entry(1, now)], 0), now)
                .unwrap()
                .changes
                .iter()
                .all(|change| { !matches!(change, Change::Listed(entry) if entry.subject == Key(1)) })
        );
    }

    #[test]
    fn entries_are_lifted_on_nodes_whose_clock_is_ahead() {
        // The control plane's time is `now`; node a has it too, node b is 90 s ahead. The aggregation is beside node a.
        let (now, ahead) = (10_000_000, 90_000);
        let abuse = GroupAbuse::new(Arc::new(Table::new(1 << 20, false)), "default");
        let (a, b) = (Entries::new(10), Entries::new(10));
        let (mut of_a, mut of_b) = (EntryExchange::new(), EntryExchange::new());
        let exchange = |exchange: &mut EntryExchange, entries: &Entries, name: &str, own: u64, now: u64| {
            let report = exchange.report(entries, own);
            let news = abuse.exchange(name, report.clone(), now).unwrap();
            exchange.learn(entries, &report, news, own);
        };
        let Change::Listed(listed) = entry(1, now + ahead) else { return };
        assert!(b.list(listed.clone(), now + ahead));
        exchange(&mut of_b, &b, "b", now + ahead, now);
        exchange(&mut of_a, &a, "a", now, now);
        assert_eq!((a.len(), b.len()), (1, 1));
        // An analyst lifts it a second later; the control plane says so for a minute.
        let now = now + 1_000;
        let lifted = Exception { rule: 7, key: Key(1), at: now, until: now + 60_000, ..Exception::default() };
        let mut upstream = EntryExchange::new();
        let report = upstream.report(&abuse.entries, now);
        let news = AbuseNews { changes: vec![Change::Excepted(lifted)], last: 5, time: now, ..AbuseNews::default() };
        upstream.learn(&abuse.entries, &report, news, now);
        exchange(&mut of_b, &b, "b", now + ahead, now);
        exchange(&mut of_a, &a, "a", now, now);
        assert_eq!((a.len(), b.len()), (0, 0));
        // For that minute it is not listed again, by either clock; then it is.
        let again = |at: u64| Entry { at, expires: at + 600_000, ..listed.clone() };
        assert!(!b.list(again(now + ahead + 59_000), now + ahead + 59_000));
        assert!(!a.list(again(now + 59_000), now + 59_000));
        assert!(b.list(again(now + ahead + 61_000), now + ahead + 61_000));
    }

    #[test]
    fn a_server_that_was_started_anew_is_told_everything() {
        let entries = Entries::new(10);
        let Change::Listed(own) = entry(1, 1_000) else { return };
        entries.list(own, 1_000);
        entries.apply(entry(2, 1_000), 1_000);
        let mut exchange = EntryExchange::new();
        let answer = |server: &str| AbuseNews { server: server.into(), last: 9, ..AbuseNews::default() };
        let first = exchange.report(&entries, 1_000);
        exchange.learn(&entries, &first, answer("x"), 1_000);
        let second = exchange.report(&entries, 1_000);
        assert_eq!((first.changes.len(), second.changes.len(), second.after), (2, 0, 9));
        exchange.learn(&entries, &second, answer("y"), 1_000);
        let third = exchange.report(&entries, 1_000);
        assert_eq!((third.changes.len(), third.after), (2, 0));
    }
}
