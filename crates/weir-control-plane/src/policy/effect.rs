//! What a change of the policy would have done to the hits of the last day, in numbers.

use super::before_after::{BeforeAfter, replay_hits};
use super::replay::{Judge, by_build};
use super::service::{Author, Change, Edited};
use super::state::PolicyState;
use crate::app::App;
use crate::auth::Caller;
use crate::confirm::{Effect, Unconfirmed};
use crate::error::{Error, Result};
use crate::store::{Filter, Replay};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Hits looked back at, in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// Most hits judged again.
const MAX_HITS: usize = 5_000;
/// Longest time for it: a person waits.
const TIME: Duration = by_build(Duration::from_secs(8));
/// Hits whose attacks are looked up; of more it is said that there are more attacks.
const MAX_LOOKED_UP: usize = 200;

impl App {
    /// Changes the policy on behalf of `caller`. A refusal because the confirmation is missing says what the change would have done.
    pub(crate) async fn publish<T>(
        &self,
        caller: &Caller,
        note: &str,
        edit: impl Fn(&mut PolicyState) -> Result<Edited<T>>,
    ) -> Result<Change<T>> {
        self.publish_by(&Author::of(caller), note, edit).await
    }

    /// [`Self::publish`] on behalf of `author`, who may be a part of the process.
    pub(crate) async fn publish_by<T>(
        &self,
        author: &Author,
        note: &str,
        edit: impl Fn(&mut PolicyState) -> Result<Edited<T>>,
    ) -> Result<Change<T>> {
        let refused = match self.policy.change(author, note, &edit).await {
            // The effect is for a person who confirms; a part of the process does not.
            Err(Error::Unconfirmed(refused)) if !author.process => refused,
            done => return done,
        };
        let before = (*self.policy.head().state).clone();
        let mut after = before.clone();
        edit(&mut after)?;
        let effect = self.effect(before, after).await;
        let effect = effect.inspect_err(|error| tracing::debug!(%error, "the effect of a change is not known")).ok();
        Err(Error::Unconfirmed(Box::new(Unconfirmed { effect, ..*refused })))
    }

    /// What would have to be confirmed to get from `before` to `after`, with its effect; none where nothing has.
    pub(super) async fn asked_for(&self, before: &PolicyState, after: &PolicyState) -> Result<Option<Unconfirmed>> {
        let changes = self.policy.dangers(before, after, false).await?;
        let refused = match super::guard::confirmed(before, after, changes, None) {
            Err(Error::Unconfirmed(refused)) => refused,
            done => return done.map(|()| None),
        };
        let effect = self.effect(before.clone(), after.clone()).await.ok();
        Ok(Some(Unconfirmed { effect, ..*refused }))
    }

    async fn effect(&self, before: PolicyState, after: PolicyState) -> Result<Effect> {
        let own: HashSet<String> =
            before.own_groups().into_iter().chain(after.own_groups()).map(str::to_owned).collect();
        let states = [Arc::new(before), Arc::new(after)];
        let judges = BeforeAfter::new(self, states, own, Judge::in_force).await?;
        let trial = Trial { judges, effect: Effect::default(), passed: Vec::new() };
        let filter = Filter { from: Some((self.clock.millis() - DAY_MS).max(0)), ..Filter::default() };
        let (app, runtime) = (self.clone(), Handle::current());
        self.replays.run(move || trial.run(&app, &filter, &runtime)).await
    }
}

struct Trial {
    judges: BeforeAfter,
    effect: Effect,
    /// Ids of hits that would pass.
    passed: Vec<String>,
}

impl Trial {
    fn run(mut self, app: &App, filter: &Filter, runtime: &Handle) -> Result<Effect> {
        let until = Instant::now() + TIME;
        self.effect.cut = replay_hits(app, filter, runtime, (MAX_HITS, until), |replay| self.look(app, replay))?;
        let mut attacks = HashSet::new();
        for id in self.passed.iter().take(MAX_LOOKED_UP) {
            let stored = runtime.block_on(app.store.hit(id))?;
            attacks.extend(stored.into_iter().flat_map(|hit| hit.attacks).map(|attack| attack.id));
        }
        self.effect.attacks = attacks.len();
        self.effect.more_attacks = self.passed.len() > MAX_LOOKED_UP;
        Ok(self.effect)
    }

    fn look(&mut self, app: &App, replay: &Replay) -> Result<()> {
        self.effect.replayed += 1;
        let [old, new] = self.judges.judge(&app.replays, replay)?;
        if (old.is_attack() && !new.is_attack()) || (old.is_blocked() && !new.is_blocked()) {
            self.effect.let_through += 1;
            self.passed.push(replay.hit.id.clone());
        }
        if new.is_blocked() && !old.is_blocked() {
            self.effect.blocked += 1;
        }
        Ok(())
    }
}
