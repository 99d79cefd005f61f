//! One understanding of a request among those that servers may have, and what follows from several.
//!
//! Most requests have one. Where servers disagree about the path or the host (see
//! `weir_core::model::DecodedHead::other_paths` and `other_hosts`), whoever sends the request chooses the server's reading,
//! so what weakens protection (mode `off` or `monitoring`, exceptions, bypasses, parsers switched off) must apply to every
//! reading, and what strengthens it (block, deny, virtual patches, limits, masking) to any.

use super::routes::RouteEffect;
use super::verdict::{Active, RequestContext};
use smallvec::SmallVec;
use weir_core::model::DecodedPath;

/// A request under one reading of its host and its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'r, 'h, 'a> {
    /// The request.
    pub request: &'r RequestContext<'h, 'a>,
    /// Its host.
    pub host: &'h [u8],
    /// Its path.
    pub path: &'h DecodedPath<'a>,
    /// The application that it then belongs to.
    pub application: i64,
}

/// What the policy says about one reading.
#[derive(Debug)]
pub(super) struct ReadingPlan<'p> {
    /// The route.
    pub route: &'p RouteEffect,
    /// The application.
    pub application: i64,
    /// Conditional actions that apply.
    pub active: Active,
}

/// Conditional actions that apply to a request, from general to specific.
#[derive(Clone, Debug)]
pub(super) enum ActiveActions {
    /// Under its only reading.
    One(Active),
    /// Under several readings.
    Many {
        /// Under all of them.
        in_all: Active,
        /// Under at least one.
        in_any: Active,
        /// Reading by reading.
        each: SmallVec<[Active; 2]>,
    },
}

impl ActiveActions {
    /// Combines what applies under each reading.
    pub fn combine(mut each: SmallVec<[Active; 2]>) -> Self {
        if each.windows(2).all(|pair| pair[0] == pair[1]) {
            return Self::One(each.pop().unwrap_or_default());
        }
        let mut in_any: Active = each.iter().flatten().copied().collect();
        in_any.sort_unstable();
        in_any.dedup();
        let in_all = in_any.iter().copied().filter(|action| each.iter().all(|one| one.contains(action))).collect();
        Self::Many { in_all, in_any, each }
    }

    /// Actions whose weakening effects apply.
    pub fn in_all(&self) -> &Active {
        match self {
            Self::One(active) => active,
            Self::Many { in_all, .. } => in_all,
        }
    }

    /// Actions whose strengthening effects apply.
    pub fn in_any(&self) -> &Active {
        match self {
            Self::One(active) => active,
            Self::Many { in_any, .. } => in_any,
        }
    }

    /// The actions reading by reading, for settings of which the most specific counts.
    pub fn each(&self) -> &[Active] {
        match self {
            Self::One(active) => std::slice::from_ref(active),
            Self::Many { each, .. } => each,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    #[test]
    fn equal_readings_are_one() {
        let combined = ActiveActions::combine(smallvec![smallvec![1, 3], smallvec![1, 3]]);
        assert!(matches!(&combined, ActiveActions::One(active) if active[..] == [1, 3]));
        assert_eq!(combined.each().len(), 1);
        assert!(ActiveActions::combine(SmallVec::new()).in_all().is_empty());
    }

    #[test]
    fn all_and_any_differ_where_readings_do() {
        let combined = ActiveActions::combine(smallvec![smallvec![1, 3], smallvec![3, 4], smallvec![2, 3]]);
        assert_eq!(combined.in_all()[..], [3]);
        assert_eq!(combined.in_any()[..], [1, 2, 3, 4]);
        assert_eq!(combined.each().len(), 3);
    }
}
