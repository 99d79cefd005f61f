//! Attacks as runs: hits of one group (type, point, host) with no more than [`GAP`] between neighbours.
//!
//! Invariant: the runs of a group depend on the set of its hits alone, not on the order in which they came. A late hit
//! extends a run, starts a new one, or bridges two, which then become one.

use super::facets::Facets;
use super::sketch::Sketch;

/// Longest time between two hits of one attack, in milliseconds.
pub(super) const GAP: i64 = 3_600_000;

/// One attack of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttackSession {
    /// Its id; none while it is not stored.
    pub id: Option<String>,
    /// Time of the first hit.
    pub first_time: i64,
    /// Time of the last hit.
    pub last_time: i64,
    /// Id of the first hit.
    pub first_hit: String,
    /// Id of the last hit.
    pub last_hit: String,
    /// Hits.
    pub hits: u64,
    /// Of these, blocked.
    pub blocked: u64,
    /// What sampling folded into them.
    pub folded: u64,
    /// Sources.
    pub sketch: Sketch,
    /// Signatures and applications.
    pub facets: Facets,
    /// Mark, author and time; an empty mark for none.
    pub mark: (String, String, i64),
    /// Whether it differs from what is stored.
    pub changed: bool,
    /// Ids of attacks that went up in it.
    pub merged: Vec<String>,
}

impl AttackSession {
    /// Takes in `later`, which does not begin before this one.
    fn take(&mut self, later: AttackSession) {
        if later.last_hit > self.last_hit {
            self.last_time = later.last_time;
            self.last_hit = later.last_hit;
        }
        self.hits += later.hits;
        self.blocked += later.blocked;
        self.folded += later.folded;
        self.sketch.merge(&later.sketch);
        self.facets.merge(later.facets);
        // The newer word of a person counts.
        if later.mark.2 > self.mark.2 {
            self.mark = later.mark;
        }
        self.merged.extend(later.merged);
        match (&self.id, later.id) {
            (Some(_), Some(other)) => self.merged.push(other),
            (None, other) => self.id = other,
            (Some(_), None) => {}
        }
        self.changed = true;
    }
}

/// The runs that `runs`, stored ones and single new hits in any order, form together, in order of time.
pub(super) fn join(mut runs: Vec<AttackSession>) -> Vec<AttackSession> {
    runs.sort_by(|a, b| a.first_hit.cmp(&b.first_hit));
    let mut out: Vec<AttackSession> = Vec::new();
    for run in runs {
        match out.last_mut() {
            Some(last) if run.first_time - last.last_time <= GAP => last.take(run),
            _ => out.push(run),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hit(time: i64) -> AttackSession {
        let id = format!("{time:020}");
        AttackSession {
            id: None,
            first_time: time,
            last_time: time,
            first_hit: id.clone(),
            last_hit: id,
            hits: 1,
            blocked: (time % 2) as u64,
            folded: 0,
            sketch: Sketch::default(),
            facets: Facets::from_text(""),
            mark: Default::default(),
            changed: true,
            merged: Vec::new(),
        }
    }

    /// What is compared: not which id survived.
    fn shape(runs: &[AttackSession]) -> Vec<(i64, i64, u64, u64)> {
        runs.iter().map(|r| (r.first_time, r.last_time, r.hits, r.blocked)).collect()
    }

    /// Stores runs: each gets an id.
    fn stored(runs: Vec<AttackSession>, next: &mut u32) -> Vec<AttackSession> {
        let store = |mut run: AttackSession| {
            *next += 1;
            run.id.get_or_insert_with(|| format!("attack {next}"));
            run.changed = false;
            run.merged.clear();
            run
        };
        runs.into_iter().map(store).collect()
    }

    #[test]
    fn an_hour_joins_and_more_parts() {
        assert_eq!(join(vec![hit(0), hit(GAP)]).len(), 1);
        assert_eq!(join(vec![hit(0), hit(GAP + 1)]).len(), 2);
    }

    #[test]
    fn a_bridge_keeps_the_older_id_and_the_newer_mark() {
        let mut old = stored(vec![hit(0), hit(2 * GAP)], &mut 0);
        old[0].mark = ("tp".into(), "ann".into(), 5);
        old[1].mark = ("fp".into(), "ben".into(), 9);
        old.push(hit(GAP));
        let joined = join(old);
        assert_eq!(shape(&joined), [(0, 2 * GAP, 3, 0)]);
        assert_eq!(joined[0].id.as_deref(), Some("attack 1"));
        assert_eq!(joined[0].merged, ["attack 2"]);
        assert_eq!(joined[0].mark.0, "fp");
    }

    proptest! {
        #[test]
        fn order_and_batches_do_not_matter(times in prop::collection::btree_set(0i64..20 * GAP, 1..40), cut in 1usize..9,
                                           seed in any::<u64>()) {
            let sorted: Vec<i64> = times.into_iter().collect();
            let expected = shape(&join(sorted.iter().map(|&t| hit(t)).collect()));
            let mut shuffled = sorted;
            let mut state = seed;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let (mut runs, mut next) = (Vec::new(), 0);
            for batch in shuffled.chunks(cut) {
                runs.extend(batch.iter().map(|&t| hit(t)));
                runs = stored(join(runs), &mut next);
            }
            prop_assert_eq!(shape(&runs), expected);
            prop_assert!(runs.windows(2).all(|pair| pair[1].first_time - pair[0].last_time > GAP));
        }
    }
}
