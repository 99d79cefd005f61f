//! Automatic entries of address lists: what nodes report and analysts decide. They are no part of the policy: they come and
//! expire by themselves, and nodes act on them while the control plane is away.

use super::app::App;
use super::auth::Caller;
use super::error::{Error, Result};
use super::meta::{Pool, number, text};
use super::nodes::Node;
use super::thresholds::key_parts;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::{HashMap, HashSet};
use weir_abuse::{Change, Entry, Exception, Key, Made};
use weir_protocol::code::NodeRole;
use weir_protocol::node_api::{AbuseNews, MAX_ABUSE_CHANGES};

/// Most entries kept for a group, and most exceptions.
const MAX_ENTRIES: i64 = 100_000;
/// Most entries, or exceptions, that are listed: the latest.
pub const MAX_LISTED: usize = 1_000;
/// Milliseconds for which a lifted key is not listed again.
const LIFTED: u64 = 60_000;
/// What is said of a key that no node finds.
const LOST: &str = "no node has the key of connector.auth.keys under which it was made";
/// Longest exception, in milliseconds: a year. A rule that should never apply to a source has conditions for that.
const MAX_EXCEPTION: u64 = 366 * 86_400_000;

/// An automatic entry, as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ListedEntry {
    /// Node group.
    pub group: String,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// Why it does not act; none while it does, as far as is known.
    pub inert: Option<&'static str>,
}

/// A key to which a rule does not apply, as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ListedException {
    /// Node group.
    pub group: String,
    /// The exception.
    #[serde(flatten)]
    pub exception: Exception,
    /// Why it no longer acts; none while it does, as far as is known.
    pub inert: Option<&'static str>,
}

/// What keys are found by at present.
struct Finding {
    /// Ids of the secrets of each node group, where all of its nodes report them.
    secrets: HashMap<String, HashSet<String>>,
    /// Fingerprints of the parts of keys by rule.
    parts: HashMap<u64, Option<u64>>,
}

impl Finding {
    fn of(nodes: &[Node]) -> Self {
        let mut secrets: HashMap<String, Option<HashSet<String>>> = HashMap::new();
        let in_use = |node: &&Node| node.role == NodeRole::Processing && node.enabled && node.active;
        for node in nodes.iter().filter(in_use) {
            let all = secrets.entry(node.group.clone()).or_insert_with(|| Some(HashSet::new()));
            match &node.heartbeat.behaviour.secrets[..] {
                // It does not say: it is of an earlier version.
                [] => *all = None,
                ids => all.iter_mut().for_each(|all| all.extend(ids.iter().cloned())),
            }
        }
        let secrets = secrets.into_iter().filter_map(|(group, ids)| Some((group, ids?))).collect();
        Self { secrets, parts: HashMap::new() }
    }

    /// Why nodes of a group do not find a key: none of them has its secret.
    fn lost(&self, group: &str, made: &Made) -> Option<&'static str> {
        let is_lost = self.secrets.get(group).is_some_and(|ids| !ids.contains(&made.secret));
        (!made.secret.is_empty() && is_lost).then_some(LOST)
    }
}

/// What an analyst decides about a key of a rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Node group.
    pub group: String,
    /// Rule.
    pub rule: u64,
    /// Key, as the entry has it.
    pub key: Key,
    /// Seconds for which the rule does not apply to the key; without it the entry is lifted, and nothing else.
    #[serde(default)]
    pub except_for: Option<u64>,
}

impl App {
    /// Takes the changes of a node, within the bounds of what nodes make, and returns those since number `after`.
    pub async fn exchange_abuse(&self, group: &str, changes: Vec<Change>, after: u64) -> Result<AbuseNews> {
        if changes.len() > MAX_ABUSE_CHANGES {
            return Err(Error::invalid("changes", format!("at most {MAX_ABUSE_CHANGES} at once")));
        }
        let now = self.clock.millis().unsigned_abs();
        if !changes.is_empty() {
            let mut transaction = self.store.control().write().begin().await?;
            let mut intake = Intake::begin(&mut transaction, group, now).await?;
            for change in changes {
                // What does not fit is not stored; the node keeps and acts on what it made.
                intake.store(&mut transaction, &by_own_clock(change.bounded(now), now)).await?;
            }
            transaction.commit().await?;
        }
        news(self.store.control(), group, after, now).await
    }

    /// Automatic entries of every group, the latest first.
    pub async fn abuse_entries(&self) -> Result<Vec<ListedEntry>> {
        let now = self.clock.millis();
        let sql = "SELECT node_group, body FROM abuse_changes WHERE kind = 'listed' AND until > $1 \
                   ORDER BY number DESC LIMIT $2";
        let rows = sqlx::query(sql).bind(now).bind(MAX_LISTED as i64).fetch_all(self.store.control().read()).await?;
        let finding = Finding::of(&self.nodes.list().await?);
        let listed = |(group, change): (String, _)| match change {
            Change::Listed(entry) => {
                let inert = finding.lost(&group, &entry.made);
                Some(ListedEntry { group, entry, inert })
            }
            _ => None,
        };
        Ok(changes_by_group(&rows)?.into_iter().filter_map(listed).collect())
    }

    /// Keys that analysts excepted from rules, the latest first; those that were only lifted are left out.
    pub async fn abuse_exceptions(&self) -> Result<Vec<ListedException>> {
        let sql = "SELECT node_group, body FROM abuse_changes WHERE kind = 'excepted' ORDER BY number DESC LIMIT $1";
        let rows = sqlx::query(sql).bind(MAX_LISTED as i64).fetch_all(self.store.control().read()).await?;
        let mut finding = Finding::of(&self.nodes.list().await?);
        let mut excepted = |(group, change): (String, _)| match change {
            Change::Excepted(exception) if exception.until.saturating_sub(exception.at) > LIFTED => {
                let inert = self.inert(&group, &exception, &mut finding);
                Some(ListedException { group, exception, inert })
            }
            _ => None,
        };
        Ok(changes_by_group(&rows)?.into_iter().filter_map(&mut excepted).collect())
    }

    /// Why an exception does not act.
    fn inert(&self, group: &str, exception: &Exception, finding: &mut Finding) -> Option<&'static str> {
        let head = self.policy.head();
        let parts = exception.made.parts;
        let rule = match head.state.rule(exception.rule) {
            _ if exception.until <= self.clock.millis().unsigned_abs() => return Some("expired"),
            None => return Some("its rule was deleted"),
            Some(rule) if !rule.is_enabled() => return Some("its rule is disabled"),
            Some(rule) => rule,
        };
        let now = *finding.parts.entry(exception.rule).or_insert_with(|| key_parts(&rule.rule));
        if parts != 0 && now != Some(parts) {
            return Some("its rule counts by another key now");
        }
        finding.lost(group, &exception.made)
    }

    /// Lifts an entry, or excepts its key.
    pub async fn decide_abuse(&self, caller: &Caller, decision: &Decision) -> Result<()> {
        let now = self.clock.millis().unsigned_abs();
        let length = decision.except_for.map_or(LIFTED, |seconds| seconds.saturating_mul(1_000));
        if length == 0 || length > MAX_EXCEPTION {
            return Err(Error::invalid("except_for", "from one second to a year"));
        }
        let mut change = self.audit.begin().await?;
        let (made, source) = known(change.on(), decision).await?;
        let exception =
            Exception { rule: decision.rule, key: decision.key, made, source, at: now, until: now + length };
        let mut intake = Intake::begin(change.on(), &decision.group, now).await?;
        if !intake.store(change.on(), &Change::Excepted(exception)).await? {
            return Err(Error::Conflict(format!(
                "the node group has {MAX_ENTRIES} exceptions: end some, or change the rule"
            )));
        }
        let action = if decision.except_for.is_some() { "abuse.except" } else { "abuse.lift" };
        change.commit(caller, action, &format!("rule/{}", decision.rule), (), decision).await
    }
}

/// How the key was made that a decision is about, and whose it is: as its entry says, or the exception that it replaces.
async fn known(on: &mut AnyConnection, decision: &Decision) -> Result<(Made, String)> {
    let sql = "SELECT body FROM abuse_changes WHERE node_group = $1 AND rule_key = $2 ORDER BY number DESC LIMIT 1";
    let rule_key = format!("{}/{}", decision.rule, decision.key);
    let row = sqlx::query(sql).bind(&decision.group).bind(rule_key).fetch_optional(&mut *on).await?;
    Ok(match row.map(|row| parse(&text(&row, "body")?)).transpose()? {
        Some(Change::Listed(entry)) => (entry.made, entry.source),
        Some(Change::Excepted(exception)) => (exception.made, exception.source),
        None => Default::default(),
    })
}

fn parse(body: &str) -> Result<Change> {
    serde_json::from_str(body).map_err(Error::internal)
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The changes in `rows`, each with its node group.
fn changes_by_group(rows: &[AnyRow]) -> Result<Vec<(String, Change)>> {
    rows.iter().map(|row| Ok((text(row, "node_group")?, parse(&text(row, "body")?)?))).collect()
}

/// A change that a node sent. A decision that is still to come would stand against every decision of an analyst.
fn by_own_clock(change: Change, now: u64) -> Change {
    match change {
        Change::Excepted(exception) => Change::Excepted(Exception { at: exception.at.min(now), ..exception }),
        listed => listed,
    }
}

/// Changes of a group that are stored one after the other.
struct Intake {
    group: String,
    now: u64,
    /// Number of the last change of the group.
    newest: i64,
    entries: Room,
    exceptions: Room,
}

/// How many entries, or exceptions, of a group there are: at most, while some are replaced.
struct Room {
    kind: &'static str,
    stored: i64,
    /// Whether they were counted when there was no room: then they are as many as may be.
    is_full: bool,
}

impl Room {
    /// Of a kind. Until one is to be stored they are not counted, and taken for as many as may be.
    fn of(kind: &'static str) -> Self {
        Self { kind, stored: MAX_ENTRIES, is_full: false }
    }

    /// Whether one more can be stored under `id`; what is there already can always be changed.
    async fn has(&mut self, on: &mut AnyConnection, group: &str, id: &str) -> Result<bool> {
        if self.stored >= MAX_ENTRIES && !self.is_full {
            self.stored = stored(on, group, self.kind).await?;
            self.is_full = self.stored >= MAX_ENTRIES;
        }
        if !self.is_full {
            return Ok(true);
        }
        let known = sqlx::query("SELECT 1 FROM abuse_changes WHERE id = $1").bind(id).fetch_optional(on).await?;
        Ok(known.is_some())
    }
}

/// How many changes of a kind a group has.
async fn stored(on: &mut AnyConnection, group: &str, kind: &str) -> Result<i64> {
    let count = sqlx::query("SELECT COUNT(*) AS n FROM abuse_changes WHERE node_group = $1 AND kind = $2");
    number(&count.bind(group).bind(kind).fetch_one(on).await?, "n")
}

impl Intake {
    /// Begins to store changes of `group`; expired ones are removed.
    async fn begin(on: &mut AnyConnection, group: &str, now: u64) -> Result<Self> {
        sqlx::query("DELETE FROM abuse_changes WHERE until <= $1").bind(signed(now)).execute(&mut *on).await?;
        let newest = "SELECT COALESCE(MAX(number), 0) AS newest FROM abuse_changes WHERE node_group = $1";
        let newest = number(&sqlx::query(newest).bind(group).fetch_one(&mut *on).await?, "newest")?;
        Ok(Self { group: group.to_owned(), now, newest, entries: Room::of("listed"), exceptions: Room::of("excepted") })
    }

    /// Stores a change under the next number of its group. An exception removes the entries that its key brought. False if
    /// there is no room for it.
    async fn store(&mut self, on: &mut AnyConnection, change: &Change) -> Result<bool> {
        let (group, now) = (self.group.as_str(), self.now);
        let (room, rule, key, subject, until) = match change {
            Change::Listed(entry) => (&mut self.entries, entry.rule, entry.key, entry.subject, entry.expires),
            Change::Excepted(exception) => {
                (&mut self.exceptions, exception.rule, exception.key, Key(0), exception.until)
            }
        };
        let rule_key = format!("{rule}/{key}");
        let find = "SELECT body FROM abuse_changes WHERE node_group = $1 AND rule_key = $2 AND kind = 'excepted'";
        let excepted = sqlx::query(find).bind(group).bind(&rule_key).fetch_optional(&mut *on).await?;
        let excepted = excepted.map(|row| parse(&text(&row, "body")?)).transpose()?;
        let is_void = match (change, &excepted) {
            // A node whose clock is ahead says a time that is still to come.
            (Change::Listed(entry), Some(Change::Excepted(known))) => entry.at.min(now) < known.until,
            (Change::Excepted(new), Some(Change::Excepted(known))) => new.at <= known.at,
            _ => false,
        };
        if is_void || until <= now {
            return Ok(true);
        }
        let id = format!("{group}/{}/{rule_key}/{subject}", room.kind);
        if !room.has(on, group, &id).await? {
            return Ok(false);
        }
        room.stored += 1;
        // Nodes hear of the early end of an exception as long as the exception itself would hold.
        let kept = match (change, &excepted) {
            (Change::Excepted(_), Some(Change::Excepted(known))) => until.max(known.until),
            _ => until,
        };
        if matches!(change, Change::Excepted(_)) {
            let lift = "DELETE FROM abuse_changes WHERE node_group = $1 AND rule_key = $2 AND kind = 'listed'";
            sqlx::query(lift).bind(group).bind(&rule_key).execute(&mut *on).await?;
        }
        // Numbers follow the clock, so that those of removed rows are not given again.
        self.newest = (self.newest + 1).max(signed(now));
        let body = serde_json::to_string(change).map_err(Error::internal)?;
        let insert = "INSERT INTO abuse_changes (id, node_group, number, kind, rule_key, until, body) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET number = excluded.number, \
                      until = excluded.until, body = excluded.body \
                      WHERE excluded.kind = 'excepted' OR excluded.until > abuse_changes.until";
        let insert = sqlx::query(insert).bind(id).bind(group).bind(self.newest).bind(room.kind).bind(&rule_key);
        insert.bind(signed(kept)).bind(body).execute(on).await?;
        Ok(true)
    }
}

async fn news(pool: &Pool, group: &str, after: u64, now: u64) -> Result<AbuseNews> {
    let sql = "SELECT number, body FROM abuse_changes WHERE node_group = $1 AND number > $2 AND until > $3 \
               ORDER BY number LIMIT $4";
    let rows = sqlx::query(sql).bind(group).bind(signed(after)).bind(signed(now)).bind(MAX_ABUSE_CHANGES as i64);
    let rows = rows.fetch_all(pool.read()).await?;
    let changes = Vec::with_capacity(rows.len());
    let mut news = AbuseNews { changes, last: after, time: now, ..AbuseNews::default() };
    for row in &rows {
        news.last = number(row, "number")?.unsigned_abs();
        news.changes.push(parse(&row.try_get::<String, _>("body")?)?);
    }
    Ok(news)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;
    use crate::testing::Fixture;

    fn entry(subject: u128, at: u64) -> Change {
        let source = "198.51.100.9".to_owned();
        Change::Listed(Entry {
            subject: Key(subject),
            rule: 7,
            key: Key(subject),
            source,
            at,
            expires: at + 600_000,
            ..Entry::default()
        })
    }

    #[tokio::test]
    async fn nodes_learn_of_each_other_and_of_analysts() {
        let test = Fixture::new().await;
        let app = &test.app;
        let now = app.clock.millis().unsigned_abs();
        let first = app.exchange_abuse("default", vec![entry(1, now), entry(2, now)], 0).await.unwrap();
        assert_eq!(first.changes.len(), 2);
        assert!(app.exchange_abuse("default", Vec::new(), first.last).await.unwrap().changes.is_empty());
        assert!(app.exchange_abuse("other", Vec::new(), 0).await.unwrap().changes.is_empty(), "another group");
        assert_eq!(app.abuse_entries().await.unwrap().len(), 2);
        let decision = Decision { group: "default".into(), rule: 7, key: Key(1), except_for: Some(3_600) };
        app.decide_abuse(&test.caller(Role::Analyst).await, &decision).await.unwrap();
        let second = app.exchange_abuse("default", vec![entry(1, now + 1)], first.last).await.unwrap();
        assert!(matches!(&second.changes[..], [Change::Excepted(one)] if one.key == Key(1)), "{second:?}");
        let left: Vec<Key> = app.abuse_entries().await.unwrap().iter().map(|one| one.entry.key).collect();
        assert_eq!(left, [Key(2)]);
    }

    #[tokio::test]
    async fn what_a_node_sends_is_bounded() {
        let test = Fixture::new().await;
        let (app, caller) = (&test.app, test.caller(Role::Analyst).await);
        let now = app.clock.millis().unsigned_abs();
        let Change::Listed(usual) = entry(1, now) else { panic!("an entry") };
        let made = Made { secret: "s".repeat(100_000), parts: 1 };
        let huge = Entry {
            source: "\u{e9}".repeat(100_000),
            reason: "r".repeat(100_000),
            made: made.clone(),
            at: u64::MAX,
            expires: u64::MAX,
            ..usual
        };
        let until = u64::MAX;
        let forever = Exception { rule: 7, key: Key(2), made, at: u64::MAX, until, ..Exception::default() };
        let sent = vec![Change::Listed(huge), Change::Excepted(forever)];
        let news = app.exchange_abuse("default", sent, 0).await.unwrap();
        let [Change::Listed(entry), Change::Excepted(exception)] = &news.changes[..] else { panic!("{news:?}") };
        let day = 86_400_000;
        assert!(entry.source.len() <= 200 && entry.reason.len() <= 2_000 && entry.made.secret.len() <= 200);
        assert!(entry.at <= now && entry.expires <= now + 31 * day, "{} {}", entry.at, entry.expires);
        assert!(exception.made.secret.len() <= 200 && exception.until <= now + 367 * day);
        // The decision of an analyst is a later one.
        test.clock.advance(1_000);
        let decision = Decision { group: "default".into(), rule: 7, key: Key(2), except_for: None };
        app.decide_abuse(&caller, &decision).await.unwrap();
        assert!(app.abuse_exceptions().await.unwrap().is_empty());
        let many = vec![self::entry(1, now); MAX_ABUSE_CHANGES + 1];
        let refused = app.exchange_abuse("default", many, 0).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }

    #[tokio::test]
    async fn a_full_group_takes_changes_of_its_entries_and_decisions() {
        let test = Fixture::new().await;
        let (app, caller) = (&test.app, test.caller(Role::Analyst).await);
        let now = app.clock.millis().unsigned_abs();
        app.exchange_abuse("default", vec![entry(1, now)], 0).await.unwrap();
        let others = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
                      INSERT INTO abuse_changes (id, node_group, number, kind, rule_key, until, body) \
                      SELECT 'other/' || i, node_group, number, kind, 'other', until, body FROM n, abuse_changes";
        sqlx::query(others).bind(MAX_ENTRIES).execute(app.store.control().write()).await.unwrap();
        let found = async |key: u128| {
            let find = "SELECT body FROM abuse_changes WHERE kind = 'listed' AND rule_key = $1";
            let row = sqlx::query(find).bind(format!("7/{}", Key(key)));
            let row = row.fetch_optional(app.store.control().read()).await.unwrap();
            row.map(|row| parse(&text(&row, "body").unwrap()).unwrap())
        };
        let renewed = entry(1, now + 1_000);
        test.clock.advance(1_000);
        app.exchange_abuse("default", vec![entry(2, now), renewed.clone()], 0).await.unwrap();
        assert_eq!((found(2).await, found(1).await), (None, Some(renewed)));
        let decision = Decision { group: "default".into(), rule: 7, key: Key(1), except_for: Some(3_600) };
        app.decide_abuse(&caller, &decision).await.unwrap();
        assert_eq!(found(1).await, None);
        app.exchange_abuse("default", vec![entry(2, now)], 0).await.unwrap();
        assert_eq!(found(2).await, Some(entry(2, now)), "one was lifted");
    }

    #[tokio::test]
    async fn what_no_node_finds_any_more_is_marked() {
        let test = Fixture::new().await;
        let (app, caller) = (&test.app, test.caller(Role::Analyst).await);
        let rule = |key: &str| serde_json::json!({"rule": {"type": "brute", "key": key, "threshold": 5}});
        let made = test.as_role(Role::Analyst, "POST", "/api/v1/rules", &rule("client")).await;
        assert_eq!(made.status, 201, "{made:?}");
        let id = app.policy.head().state.rules[0].id;
        let parts = key_parts(&app.policy.head().state.rules[0].rule).unwrap();
        let now = app.clock.millis().unsigned_abs();
        let listed = |subject: u128, secret: &str| {
            let Change::Listed(entry) = entry(subject, now) else { panic!("an entry") };
            Change::Listed(Entry { rule: id, made: Made { secret: secret.into(), parts }, ..entry })
        };
        let changes = vec![listed(1, "old"), listed(2, "new"), listed(3, "old"), listed(4, "")];
        app.exchange_abuse("default", changes, 0).await.unwrap();
        for key in [1, 2] {
            let decision = Decision { group: "default".into(), rule: id, key: Key(key), except_for: Some(3_600) };
            app.decide_abuse(&caller, &decision).await.unwrap();
        }
        let inert = || async {
            let mut all: Vec<(u128, Option<&str>)> =
                app.abuse_exceptions().await.unwrap().iter().map(|one| (one.exception.key.0, one.inert)).collect();
            all.extend(app.abuse_entries().await.unwrap().iter().map(|one| (one.entry.key.0, one.inert)));
            all.sort_unstable();
            all
        };
        let unknown = [(1, None), (2, None), (3, None), (4, None)];
        assert_eq!(inert().await, unknown, "no node says which secrets it has");
        let node = test.node(weir_protocol::node_api::CAPABILITIES).await;
        let beat = |secrets: &[&str]| serde_json::json!({"version": "1", "behaviour": {"secrets": secrets}});
        let path = weir_protocol::node_api::HEARTBEAT;
        for (secrets, lost) in [(&["new", "old"][..], None), (&["new"], Some(LOST)), (&[], None)] {
            assert_eq!(test.bearer(&node, "POST", path, &beat(secrets)).await.status, 204);
            assert_eq!(inert().await, [(1, lost), (2, None), (3, lost), (4, None)], "{secrets:?}");
        }
        let changed = test.as_role(Role::Analyst, "PUT", &format!("/api/v1/rules/{id}"), &rule("client, host")).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let other = Some("its rule counts by another key now");
        assert_eq!(inert().await, [(1, other), (2, other), (3, None), (4, None)]);
    }

    #[tokio::test]
    async fn an_exception_names_the_source_of_the_entry_that_it_is_for() {
        let test = Fixture::new().await;
        let (app, caller) = (&test.app, test.caller(Role::Analyst).await);
        let now = app.clock.millis().unsigned_abs();
        let source = "198.51.100.9".to_owned();
        let entry =
            Entry { rule: 7, key: Key(1), source: source.clone(), at: now, expires: now + 60_000, ..Entry::default() };
        app.exchange_abuse("default", vec![Change::Listed(entry)], 0).await.unwrap();
        for days in [30, 60] {
            let decision = Decision { group: "default".into(), rule: 7, key: Key(1), except_for: Some(days * 86_400) };
            app.decide_abuse(&caller, &decision).await.unwrap();
            let listed = app.abuse_exceptions().await.unwrap();
            assert_eq!(listed[0].exception.source, source, "also after it was changed");
            test.clock.advance(1_000);
        }
    }

    #[tokio::test]
    async fn exceptions_are_listed_marked_and_ended_early_also_for_nodes_that_were_away() {
        let test = Fixture::new().await;
        let (app, caller) = (&test.app, test.caller(Role::Analyst).await);
        let mut decision = Decision { group: "default".into(), rule: 7, key: Key(1), except_for: Some(3_600) };
        app.decide_abuse(&caller, &decision).await.unwrap();
        let listed = app.abuse_exceptions().await.unwrap();
        assert_eq!((listed[0].exception.key, listed[0].inert), (Key(1), Some("its rule was deleted")));
        let node = weir_abuse::Entries::new(10);
        let hear = |news: AbuseNews, now| news.changes.into_iter().filter(|one| node.apply(one.clone(), now)).count();
        let now = || app.clock.millis().unsigned_abs();
        let news = app.exchange_abuse("default", Vec::new(), 0).await.unwrap();
        let last = news.last;
        assert_eq!(hear(news, now()), 1);
        test.clock.advance(1_000);
        decision.except_for = None;
        app.decide_abuse(&caller, &decision).await.unwrap();
        assert!(app.abuse_exceptions().await.unwrap().is_empty());
        test.clock.advance(600_000);
        let news = app.exchange_abuse("default", Vec::new(), last).await.unwrap();
        assert_eq!(hear(news, now()), 1, "ten minutes later");
        assert!(node.exceptions().is_none_or(|all| !all.cover(7, Key(1), now())));
    }
}
