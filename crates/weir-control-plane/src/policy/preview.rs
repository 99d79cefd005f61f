//! What a rule would have changed about stored hits, before it is applied.

use super::before_after::{BeforeAfter, replay_hits};
use super::edit::NewRule;
use super::replay::{Judge, by_build};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{DAY, Filter, Replay, Terms};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use weir_core::model::AttackType;

/// Days looked back unless asked otherwise, and at most.
pub const DEFAULT_DAYS: u32 = 7;
/// Most days.
pub const MAX_DAYS: u32 = 90;
/// Most hits judged again.
pub const MAX_HITS: usize = 5_000;
/// How long hits are judged again for a page that was just opened: it is there within a second.
pub const SHORT: Duration = by_build(Duration::from_millis(400));
/// How long they are judged again at least, however long it took to prepare that.
const LEAST: Duration = by_build(Duration::from_millis(150));
/// Longest time for it, where a person asked for a preview and waits.
pub const LONG: Duration = by_build(Duration::from_secs(15));
/// Changed hits that are listed; the rest is counted.
const MAX_SHOWN: usize = 50;

/// A stored hit that the rule would have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedHit {
    /// Id.
    pub id: String,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Attack types as stored.
    pub attacks: Vec<AttackType>,
    /// Method.
    pub method: String,
    /// Host.
    pub host: String,
    /// Path.
    pub path: String,
    /// Address.
    pub ip: String,
    /// What matched first.
    pub matched: String,
}

/// Hits that change in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The newest of them.
    pub shown: Vec<ChangedHit>,
    /// All of them.
    pub count: usize,
}

/// What becomes of the hit from which a rule is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It would pass.
    Passes,
    /// It would still be an attack.
    StillAttack,
    /// It would be blocked in every mode.
    BlockedAlways,
    /// The stored request, masked and cut, is no attack any more, with the rule or without.
    NotReproducible,
}

/// What a rule would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// First time looked at, milliseconds since 1970.
    pub since: i64,
    /// Hits judged again.
    pub replayed: usize,
    /// Whether there were more, or the time was over.
    pub cut: bool,
    /// Of these, those that are no attack by what is stored of them: masked, cut, or excepted already.
    pub not_reproducible: usize,
    /// Attacks that would pass. The hit itself is not among them.
    pub passes: Changes,
    /// Attacks that would be blocked in every mode.
    pub blocked_always: Changes,
    /// What becomes of the hit itself, where the rule comes from one.
    pub this: Option<Outcome>,
}

impl App {
    /// Judges the hits of the last `days` with and without `new`, newest first, as far as `time`, at most [`LONG`], is
    /// enough; `replaces` is the rule whose place it takes.
    pub async fn preview(
        &self,
        new: &NewRule,
        replaces: Option<u64>,
        days: Option<u32>,
        time: Duration,
    ) -> Result<Preview> {
        let until = Instant::now() + time.min(LONG);
        let before = Arc::clone(&self.policy.head().state);
        let mut after = (*before).clone();
        after.put_rule(new, replaces)?;
        self.check_rule(new, replaces).await?;
        let days = days.unwrap_or(DEFAULT_DAYS).clamp(1, MAX_DAYS);
        let since = (self.clock.millis() - i64::from(days) * DAY).max(0);
        let this = match new.from_hit.as_str() {
            "" => None,
            id => self.replay_of(id).await?,
        };
        let own = after.own_groups().into_iter().map(str::to_owned).collect();
        let judges = BeforeAfter::new(self, [before, Arc::new(after)], own, Judge::new).await?;
        let trial = Trial { judges, until, this: this.as_ref().map(|replay| replay.hit.id.clone()) };
        let (app, filter, runtime) = (self.clone(), filter(new, since), Handle::current());
        self.replays.run(move || trial.run(&app, &filter, this, since, &runtime)).await
    }

    /// A stored hit with the bytes of its request.
    pub async fn replay_of(&self, id: &str) -> Result<Option<Replay>> {
        use base64::Engine as _;
        let Some(stored) = self.store.hit(id).await? else { return Ok(None) };
        let raw = base64::engine::general_purpose::STANDARD.decode(&stored.hit.request.raw).map_err(Error::internal)?;
        Ok(Some(Replay { hit: stored.hit, raw, groups: Vec::new() }))
    }
}

/// Hits that the rule can be about: its own conditions say which host, its type which attacks.
fn filter(new: &NewRule, since: i64) -> Filter {
    let mut filter = Filter { from: Some(since), ..Filter::default() };
    let conditions = new.rule.get("action").and_then(Value::as_array);
    let host = conditions.into_iter().flatten().find(|one| {
        one["type"] == "equal" && one["point"][0] == "header" && one["point"][1].as_str().is_some_and(is_host)
    });
    if let Some(host) = host.and_then(|one| one["value"].as_str())
        && !host.contains(['*', '?', ':'])
    {
        filter.hosts = Terms::only(host.to_lowercase());
    }
    let about = ["disable_attack_type", "vpatch"].contains(&new.rule.get("type").and_then(Value::as_str).unwrap_or(""));
    let attack = new.rule.get("attack_type").and_then(Value::as_str).and_then(AttackType::from_code);
    if let Some(attack) = attack.filter(|_| about) {
        filter.attack_types = Terms::only(attack);
    }
    filter
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host")
}

struct Trial {
    judges: BeforeAfter,
    until: Instant,
    this: Option<String>,
}

impl Trial {
    fn run(
        mut self,
        app: &App,
        filter: &Filter,
        this: Option<Replay>,
        since: i64,
        runtime: &Handle,
    ) -> Result<Preview> {
        let mut preview = Preview {
            since,
            replayed: 0,
            cut: false,
            not_reproducible: 0,
            passes: Changes::default(),
            blocked_always: Changes::default(),
            this: None,
        };
        if let Some(this) = &this {
            preview.this = Some(self.outcome(app, this)?);
        }
        let until = self.until.max(Instant::now() + LEAST);
        preview.cut =
            replay_hits(app, filter, runtime, (MAX_HITS, until), |replay| self.look(app, replay, &mut preview))?;
        Ok(preview)
    }

    fn outcome(&mut self, app: &App, replay: &Replay) -> Result<Outcome> {
        let [old, new] = self.judges.judge(&app.replays, replay)?;
        Ok(if new.is_blocked() {
            Outcome::BlockedAlways
        } else if !old.is_attack() {
            Outcome::NotReproducible
        } else if new.is_attack() {
            Outcome::StillAttack
        } else {
            Outcome::Passes
        })
    }

    fn look(&mut self, app: &App, replay: &Replay, preview: &mut Preview) -> Result<()> {
        preview.replayed += 1;
        if self.this.as_ref() == Some(&replay.hit.id) {
            return Ok(());
        }
        let [old, new] = self.judges.judge(&app.replays, replay)?;
        if !old.is_attack() {
            preview.not_reproducible += 1;
        } else if !new.is_attack() {
            add(&mut preview.passes, replay);
        }
        if new.is_blocked() && !old.is_blocked() {
            add(&mut preview.blocked_always, replay);
        }
        Ok(())
    }
}

fn add(changes: &mut Changes, replay: &Replay) {
    changes.count += 1;
    if changes.shown.len() >= MAX_SHOWN {
        return;
    }
    let hit = &replay.hit;
    changes.shown.push(ChangedHit {
        id: hit.id.clone(),
        time: hit.time,
        attacks: hit.attacks.clone(),
        method: hit.request.method.clone(),
        host: hit.request.host.clone(),
        path: hit.request.path.clone(),
        ip: hit.client.ip.clone(),
        matched: hit.findings.first().map(|finding| finding.matched.clone()).unwrap_or_default(),
    });
}
