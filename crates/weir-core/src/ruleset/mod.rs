//! Rule files become a compiled, immutable [`Ruleset`]: one literal prefilter over all signatures, then a `regex` each.
//!
//! **Safety of the prefilter.** For each signature the compiler derives from its pattern a set of literals of which at
//! least one occurs, without regard to case, in every text that the pattern matches ([`literal`]). A signature is
//! confirmed by its regex only on values in which the prefilter saw one of them, so the prefilter never changes an
//! answer; `tests` hold that against the slow path. A pattern without such literals is an error unless it says
//! `unfiltered: true`.

mod beside;
pub mod builtin;
mod candidate_set;
pub mod compile;
pub mod conditions;
pub mod custom;
pub mod cve_index;
mod error;
mod fields;
pub mod format;
pub mod literal;
mod literal_matcher;
pub mod losses;
pub mod neighbours;
pub mod pattern;
mod prefilter;
mod read;
mod read_cve;
mod required_classes;
mod similar_name;
mod texts;
mod yaml_tree;

pub use candidate_set::{CandidateSet, Window};
pub use conditions::Condition;
pub use cve_index::CveEntry;
pub use error::RuleError;
pub use pattern::Pattern;
pub use prefilter::READ_AROUND;
pub use required_classes::RequiredClasses;
pub use similar_name::similar_name;
pub use yaml_tree::MAX_FILE;

use crate::model::{AttackType, ByteClasses, Confidence, PointPattern, Span, Zone};
use crate::normalize::{PLAIN, VIEWS};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A compiled signature.
#[derive(Debug)]
pub struct Signature {
    /// Name, e.g. `ptrav.etc-passwd`.
    pub id: Arc<str>,
    /// Attack class.
    pub attack: AttackType,
    /// How sure it is on its own.
    pub confidence: Confidence,
    /// Zones in which it applies.
    pub zones: Zone,
    /// Points to which it is confined; empty for any in its zones.
    pub points: Vec<PointPattern>,
    /// What else must be true of the request; empty for nothing.
    pub conditions: Vec<Condition>,
    /// Views it looks at, as bits of [`crate::normalize::VIEWS`] and [`crate::normalize::PLAIN`].
    pub views: u16,
    /// Kinds of bytes without which it cannot match.
    pub needs: RequiredClasses,
    /// The confirmation.
    pub pattern: Pattern,
    /// Where it comes from.
    pub origin: Origin,
    /// What people and tests know about it.
    pub doc: Arc<format::SignatureDoc>,
}

/// Where a signature comes from. Those of one origin take nothing from the work that those of the other may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file that is embedded in the program, or a pack that takes its place under the same name.
    Embedded,
    /// A user's file, another pack, or the policy.
    User,
}

/// All signatures, compiled. Cheap to share, never changed.
#[derive(Debug)]
pub struct Ruleset {
    /// Differs from the id of every other ruleset of this process.
    pub id: u64,
    /// Signatures by number.
    pub signatures: Vec<Signature>,
    /// Known vulnerabilities whose exploits the rules block, in the order of the files.
    pub cve_index: Vec<CveEntry>,
    /// That of the embedded signatures.
    prefilter: prefilter::Prefilter,
    /// That of the user's, if there are any.
    users: Option<prefilter::Prefilter>,
    /// Zones in which some signature looks at each view.
    viewed: Vec<Zone>,
    /// Views at which some signature looks that does not look at the value itself, as bits.
    only_viewed: u16,
    /// Zones at which some signature looks.
    pub zones: Zone,
}

impl Signature {
    /// The forms of `text` that it looks at: the text itself and the views that change it.
    pub fn forms<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = Cow<'t, [u8]>> {
        let plain = (self.views & PLAIN != 0).then_some(Cow::Borrowed(text));
        let views = self.views;
        let changed = VIEWS.iter().enumerate().filter(move |(number, _)| views & (1 << number) != 0);
        plain.into_iter().chain(changed.map(|(_, kind)| (kind.run)(text)).filter(|form| matches!(form, Cow::Owned(_))))
    }

    /// Whether it matches `text` in one of the forms that it looks at: what its samples are judged by.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.forms(text).any(|form| self.pattern.is_match(&form))
    }
}

impl Ruleset {
    /// The signature called `id`.
    pub fn get(&self, id: &str) -> Option<&Signature> {
        self.signatures.iter().find(|s| &*s.id == id)
    }

    fn assemble(
        signatures: Vec<Signature>,
        required: Vec<literal::RequiredLiterals>,
        cve_index: Vec<CveEntry>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefilter_of = |origin| prefilter::Prefilter::new(&signatures, &required, origin);
        let prefilter = prefilter_of(Origin::Embedded);
        let users = signatures.iter().any(|s| s.origin == Origin::User).then(|| prefilter_of(Origin::User));
        let views = (0..VIEWS.len()).map(|number| 1u16 << number);
        let looking = |view| signatures.iter().filter(move |s: &&Signature| s.views & view != 0);
        let viewed = views.map(|view| looking(view).fold(Zone::NONE, |all, s| all.with(s.zones))).collect();
        let zones = signatures.iter().fold(Zone::NONE, |all, s| all.with(s.zones));
        let only_viewed = signatures.iter().filter(|s| s.views & PLAIN == 0).fold(0, |all, s| all | s.views);
        Self { id, signatures, cve_index, prefilter, users, viewed, only_viewed, zones }
    }

    /// Whether some signature looks at view `number` of values in `zone`; otherwise there is no need to make it.
    pub fn views(&self, number: usize, zone: Zone) -> bool {
        self.viewed[number].intersects(zone)
    }

    /// Whether every signature that looks at view `number` looks at the value itself too: then what both have in common needs
    /// to be scanned once.
    pub fn looks_at_plain(&self, number: usize) -> bool {
        self.only_viewed & 1 << number == 0
    }

    /// Whether there are signatures of this origin.
    pub fn has(&self, origin: Origin) -> bool {
        origin == Origin::Embedded || self.users.is_some()
    }

    /// Fills `set` with the signatures of `origin` that may match `text`, and the windows of it in which they may. `classes`
    /// are the kinds of bytes in `text`, `zone` is where it comes from. With `changes`, only what may match in these parts
    /// of it.
    pub fn candidates(
        &self,
        origin: Origin,
        text: &[u8],
        classes: ByteClasses,
        zone: Zone,
        changes: Option<&[Span]>,
        set: &mut CandidateSet,
    ) {
        set.clear(self.signatures.len(), text.len(), changes);
        let prefilter = match origin {
            Origin::Embedded => Some(&self.prefilter),
            Origin::User => self.users.as_ref(),
        };
        if let Some(prefilter) = prefilter {
            prefilter.candidates(text, classes, zone, set);
        }
    }
}
