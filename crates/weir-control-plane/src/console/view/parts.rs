//! Small things that several pages show.

use super::time::Moment;
use weir_core::model::AttackType;

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// An attack type as shown: a colour that is the same on every page, a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttackKind {
    /// Code, as in searches.
    pub code: &'static str,
    /// Name.
    pub name: &'static str,
    /// Colour: 1 to 7 for the types seen most, 8 to 12 for attacks on behaviour, 0 for the others.
    pub slot: u8,
}

/// Types with a colour of their own, in the order of the palette.
const COLOURED: [AttackType; 12] = [
    AttackType::Sqli,
    AttackType::Xss,
    AttackType::Rce,
    AttackType::Ptrav,
    AttackType::Ssrf,
    AttackType::Nosqli,
    AttackType::Scanner,
    AttackType::Brute,
    AttackType::CredentialStuffing,
    AttackType::ForcedBrowsing,
    AttackType::Bola,
    AttackType::RateLimit,
];

impl AttackKind {
    /// How `attack` is shown.
    pub fn of(attack: AttackType) -> Self {
        let slot = COLOURED.iter().position(|&known| known == attack).map_or(0, |at| at as u8 + 1);
        Self { code: attack.code(), name: attack.name(), slot }
    }

    /// The colour of a plot's series for `code`; 0 for what is unknown.
    pub fn slot_of(code: &str) -> u8 {
        AttackType::from_code(code).map_or(0, |attack| AttackKind::of(attack).slot)
    }

    /// Every type, by name, for filters.
    pub fn all() -> Vec<AttackKind> {
        let mut all: Vec<AttackKind> = AttackType::ALL.iter().map(|&attack| AttackKind::of(attack)).collect();
        all.sort_by_key(|kind| kind.name);
        all
    }
}

/// Hits of a signature or rule.
#[derive(Clone, Debug)]
pub struct HitCount {
    /// Hits, written.
    pub hits: String,
    /// The hour of the last one; none without hits.
    pub last: Option<Moment>,
}

impl HitCount {
    /// `hits`, the last of which was in the hour that begins at `hour`, seen from `now`.
    pub fn new(hits: u64, hour: i64, now: i64) -> Self {
        Self { hits: super::number::grouped(hits), last: (hits > 0).then(|| Moment::new(hour, now)) }
    }

    /// When the last hit was, as precise as it is known.
    pub fn when(&self) -> String {
        match self.last {
            None => String::new(),
            Some(last) if last.now - last.at < HOUR => "this hour".into(),
            Some(last) => last.relative(),
        }
    }
}

/// What became of the hits of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All were blocked.
    Blocked,
    /// Some were.
    Partial,
    /// None was.
    Monitoring,
}

impl Status {
    /// From counts.
    pub const fn of(blocked: u64, hits: u64) -> Self {
        match blocked {
            0 => Status::Monitoring,
            b if b >= hits => Status::Blocked,
            _ => Status::Partial,
        }
    }

    /// Code, as in searches and classes.
    pub const fn code(self) -> &'static str {
        match self {
            Status::Blocked => "blocked",
            Status::Partial => "partial",
            Status::Monitoring => "monitoring",
        }
    }

    /// Label.
    pub const fn label(self) -> &'static str {
        match self {
            Status::Blocked => "Blocked",
            Status::Partial => "Partially blocked",
            Status::Monitoring => "Monitoring",
        }
    }

    /// Icon.
    pub const fn icon(self) -> &'static str {
        match self {
            Status::Blocked => "shield-check",
            Status::Partial => "shield-half",
            Status::Monitoring => "eye",
        }
    }
}

/// Mark set by a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing yet.
    #[default]
    None,
    /// A true positive.
    True,
    /// A false positive.
    False,
}

impl Mark {
    /// Code, as in forms.
    pub const fn code(self) -> &'static str {
        match self {
            Mark::None => "",
            Mark::True => "tp",
            Mark::False => "fp",
        }
    }

    /// Whether it is a true positive.
    pub const fn is_true(&self) -> bool {
        matches!(self, Mark::True)
    }

    /// Whether it is a false positive.
    pub const fn is_false(&self) -> bool {
        matches!(self, Mark::False)
    }
}

/// A link in a row of choices.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Label.
    pub label: &'static str,
    /// Where it leads.
    pub href: String,
    /// Whether it is the present one.
    pub current: bool,
}

/// Links to the pages before and after.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// The first page, where this is another.
    pub first: Option<String>,
    /// The next page.
    pub next: Option<String>,
    /// What is shown: `50 attacks`.
    pub shown: String,
}
