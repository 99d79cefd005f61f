//! Stored hits judged again: by the policy before and after a change, or by one that is supposed.

use super::replay::{Judge, Judged, Replays, RuleFiles};
use super::state::{DEFAULT_GROUP, PolicyState};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::{Filter, Replay};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use weir_core::engine::Scratch;

/// Makes the judge of a state for a group: [`Judge::new`] or [`Judge::in_force`].
type MakeJudge = fn(&PolicyState, &str, u64, &Arc<RuleFiles>, &Replays) -> Result<Judge>;

/// The state before a change and the one after it.
pub(super) type BeforeAfter = Judges<2>;

/// States of the policy, and their judges for each node group that a hit came from.
pub(super) struct Judges<const N: usize> {
    states: [Arc<PolicyState>; N],
    /// Groups that have anything of their own; all others share the judges of the default group.
    own: HashSet<String>,
    /// Group of each node.
    groups: HashMap<String, String>,
    /// Rule files of each state.
    files: Vec<Arc<RuleFiles>>,
    /// Seconds since 1970 at which expiry is judged.
    now: u64,
    make: MakeJudge,
    judges: HashMap<String, [Judge; N]>,
    scratch: Scratch,
}

impl<const N: usize> Judges<N> {
    /// Judges by `states`; `own` are the groups that have anything of their own in them.
    pub async fn new(app: &App, states: [Arc<PolicyState>; N], own: HashSet<String>, make: MakeJudge) -> Result<Self> {
        let mut files = Vec::with_capacity(N);
        for state in &states {
            files.push(app.rule_files_with(&state.rule_packs).await?);
        }
        Ok(Self {
            states,
            own,
            groups: app.nodes.groups().await?,
            files,
            now: app.clock.seconds(),
            make,
            judges: HashMap::new(),
            scratch: Scratch::default(),
        })
    }

    /// What becomes of a stored hit by each of the states.
    pub fn judge(&mut self, replays: &Replays, replay: &Replay) -> Result<[Judged; N]> {
        let group = self.groups.get(&replay.hit.node).filter(|group| self.own.contains(*group));
        let group = group.map_or(DEFAULT_GROUP, String::as_str).to_owned();
        if !self.judges.contains_key(&group) {
            let judge = |(state, files): (&Arc<PolicyState>, _)| (self.make)(state, &group, self.now, files, replays);
            let made = self.states.iter().zip(&self.files).map(judge).collect::<Result<Vec<_>>>()?;
            let made = made.try_into().map_err(|_| Error::internal("a judge is missing"))?;
            self.judges.insert(group.clone(), made);
        }
        let judges = self.judges.get(&group).ok_or_else(|| Error::internal("a judge is missing"))?;
        Ok(judges.each_ref().map(|judge| judge.judge(&replay.hit, &replay.raw, false, &mut self.scratch)))
    }
}

/// Shows the stored hits that fit `filter` to `look`, at most so many and until a time. Returns whether some were left
/// out. The first error of `look` ends it.
pub(super) fn replay_hits(
    app: &App,
    filter: &Filter,
    runtime: &Handle,
    (most, until): (usize, Instant),
    mut look: impl FnMut(&Replay) -> Result<()>,
) -> Result<bool> {
    let (mut failed, mut over) = (None, false);
    let more = runtime.block_on(app.store.replay(filter, most, |replay| {
        over = Instant::now() > until;
        if !over {
            failed = look(&replay).err();
        }
        !over && failed.is_none()
    }))?;
    failed.map_or(Ok(over || more), Err)
}
