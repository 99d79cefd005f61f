//! The rules of a policy document, grouped by action and indexed.
//!
//! Rules with the same conditions share an action. Of the actions that match a request, the most specific has priority:
//! more conditions before fewer, then exact ones (`equal`) before case-insensitive ones (`iequal`) before regexes. Rules
//! that set something (mode, time limit, parsers without a point, limits) override those of less specific actions; rules
//! with a point apply independently of each other. With two documents, the rules of the control plane are the later ones.

use super::abuse::{self, AbuseGroup, AbuseRule, KeyPart};
use super::condition::{Condition, Test};
use super::custom::CustomSignature;
use super::doc::{FieldReader, PolicyDoc};
use super::error::PolicyError;
use super::exceptions::Exceptions;
use super::graphql::GraphqlLimits;
use super::index::Index;
use super::mode::Mode;
use super::mode::RuleMode;
use super::reading::{ActiveActions, Reading};
use super::reply::ReplyTemplate;
use super::rule::{self, Origin, Rule, RuleKind};
use super::settings::OverlimitMode;
use super::verdict::Active;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use weir_core::model::{AttackType, ParserSet, PointPattern};

/// First id given to local rules whose id the control plane uses too: above the ids that a control plane assigns, and
/// below 2^53, so that JSON parsers that only know floats preserve it.
const LOCAL_IDS: u64 = 1 << 52;

/// An item and when it expires, in seconds since 1970.
type Expiring<T> = (u64, T);

/// Rules with the same conditions.
#[derive(Debug, Default)]
pub(super) struct ActionRules {
    conditions: Vec<Condition>,
    modes: Vec<Expiring<(Origin, Option<Mode>)>>,
    overlimits: Vec<Expiring<(Option<Duration>, OverlimitMode)>>,
    graphql: Vec<Expiring<GraphqlLimits>>,
    body_limits: Vec<Expiring<UploadLimit>>,
    parsers: Vec<Expiring<(ParserSet, bool)>>,
    /// Parser switches at a point.
    pub parsers_at: Vec<Expiring<(ParserSet, bool, PointPattern)>>,
    /// Upload limits at a point.
    pub upload_limits: Vec<Expiring<(UploadLimit, PointPattern)>>,
    /// Virtual patches.
    pub vpatches: Vec<Expiring<Vpatch>>,
    /// Points to mask.
    pub sensitive: Vec<Expiring<PointPattern>>,
    /// Limits on behaviour over many requests, those with the same key together.
    pub abuse: Vec<Expiring<Arc<AbuseGroup>>>,
    /// Where the session is.
    pub sessions: Vec<Expiring<KeyPart>>,
    /// Replies to blocked clients.
    pub replies: Vec<Expiring<Box<ReplyTemplate>>>,
    /// Exceptions.
    pub exceptions: Exceptions,
}

/// A virtual patch.
#[derive(Debug)]
pub(super) struct Vpatch {
    pub rule: u64,
    pub attack: Option<AttackType>,
    pub point: Option<PointPattern>,
}

/// A `file_upload_size_limit` rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct UploadLimit {
    pub rule: u64,
    pub bytes: u64,
    pub mode: RuleMode,
}

/// A custom signature with the action and the expiry of its rule.
#[derive(Debug)]
struct CustomRule {
    action: u32,
    expires: u64,
    signature: CustomSignature,
}

/// All rules.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// By specificity; the first has no conditions.
    actions: Vec<ActionRules>,
    index: Index,
    customs: HashMap<u64, CustomRule>,
    /// Whether a limit on behaviour is for a path that ends with a slash.
    at_final_slash: bool,
}

impl Rules {
    /// Reads and indexes the rules of both documents.
    pub fn compile(
        local: &PolicyDoc,
        remote: &PolicyDoc,
        errors: &mut Vec<PolicyError>,
        notices: &mut Vec<PolicyError>,
    ) -> Self {
        let mut rules = read(local, Origin::Local, errors, notices);
        let theirs = read(remote, Origin::Remote, errors, notices);
        renumber_conflicting(&mut rules, &theirs);
        rules.extend(theirs);
        Self::of(rules)
    }

    fn of(rules: Vec<Rule>) -> Self {
        let mut by_text: HashMap<String, usize> = HashMap::new();
        let mut groups: Vec<(Vec<Condition>, Vec<Rule>)> = vec![(Vec::new(), Vec::new())];
        by_text.insert(String::new(), 0);
        for mut rule in rules {
            let group = *by_text.entry(std::mem::take(&mut rule.action)).or_insert_with(|| {
                groups.push((std::mem::take(&mut rule.conditions), Vec::new()));
                groups.len() - 1
            });
            groups[group].1.push(rule);
        }
        groups.sort_by_key(|(conditions, _)| specificity(conditions));
        abuse::number(groups.iter_mut().flat_map(|(_, rules)| rules.iter_mut().filter_map(Rule::abuse_mut)));
        let mut all = Self::default();
        for (conditions, rules) in groups {
            let number = all.actions.len() as u32;
            let mut action = ActionRules { conditions, ..ActionRules::default() };
            let mut limits = Vec::new();
            rules.into_iter().for_each(|rule| action.add(rule, number, &mut all.customs, &mut limits));
            action.abuse = abuse::grouped(limits);
            all.at_final_slash |=
                !action.abuse.is_empty() && action.conditions.iter().any(Condition::is_at_final_slash);
            all.actions.push(action);
        }
        let filed = all.actions.iter().enumerate().skip(1);
        all.index = Index::new(filed.map(|(number, action)| (number as u32, action.conditions.as_slice())));
        all
    }

    /// Conditional actions that match a request, from general to specific.
    pub fn matching(&self, reading: &Reading<'_, '_, '_>) -> Active {
        let holds =
            |number: u32| self.actions[number as usize].conditions.iter().all(|condition| condition.holds(reading));
        self.index.find(reading, holds)
    }

    /// The unconditional action and those in `active`, from general to specific.
    pub fn of_request<'r>(&'r self, active: &'r Active) -> impl DoubleEndedIterator<Item = &'r ActionRules> {
        let first = self.actions.first().into_iter();
        first.chain(active.iter().map(|&number| &self.actions[number as usize]))
    }

    /// The setting of the most specific action that has one, at `now`.
    pub fn setting<'r, T>(
        &'r self,
        active: &'r Active,
        now: u64,
        of: impl Fn(&'r ActionRules) -> &'r Vec<Expiring<T>>,
    ) -> Option<&'r T> {
        self.of_request(active).rev().find_map(|action| not_expired(of(action), now).next_back())
    }

    /// The mode set by the rules of one document; an inner `None` means the mode that applies without the document.
    pub fn mode(&self, active: &Active, now: u64, origin: Origin) -> Option<Option<Mode>> {
        let of = |action: &ActionRules| {
            let (_, mode) = not_expired(&action.modes, now).rev().find(|(from, _)| *from == origin)?;
            Some(*mode)
        };
        self.of_request(active).rev().find_map(of)
    }

    /// Time limit, and what to do when it is exceeded.
    pub fn overlimit(&self, active: &Active, now: u64) -> Option<(Option<Duration>, OverlimitMode)> {
        self.setting(active, now, |action| &action.overlimits).copied()
    }

    /// Limits of GraphQL requests, for each reading that has some.
    pub fn graphql(&self, active: &ActiveActions, now: u64) -> impl Iterator<Item = GraphqlLimits> {
        active.each().iter().filter_map(move |active| self.setting(active, now, |action| &action.graphql).copied())
    }

    /// Largest body, one for each reading that has one.
    pub fn body_limits(&self, active: &ActiveActions, now: u64) -> impl Iterator<Item = UploadLimit> {
        active.each().iter().filter_map(move |active| self.setting(active, now, |action| &action.body_limits).copied())
    }

    /// Switches parsers, everywhere and at points.
    pub fn parsers(&self, active: &Active, now: u64, off: &mut ParserSet, at: &mut Vec<(ParserSet, PointPattern)>) {
        for action in self.of_request(active) {
            for &(parser, is_off) in not_expired(&action.parsers, now) {
                *off = if is_off { off.with(parser) } else { off.without(parser) };
            }
            for (parser, is_off, point) in not_expired(&action.parsers_at, now) {
                let entry = (*parser, point.clone());
                match (at.iter().position(|known| *known == entry), is_off) {
                    (None, true) => at.push(entry),
                    (Some(known), false) => drop(at.remove(known)),
                    _ => {}
                }
            }
        }
    }

    /// The custom signature of rule `id`, if its conditions hold and it has not expired.
    pub fn custom(&self, id: u64, active: &ActiveActions, now: u64) -> Option<&CustomSignature> {
        let custom = self.customs.get(&id)?;
        let holds = custom.action == 0 || active.in_any().contains(&custom.action);
        (holds && custom.expires > now).then_some(&custom.signature)
    }

    /// Whether a limit on behaviour is for a path that ends with a slash.
    pub fn counts_at_final_slash(&self) -> bool {
        self.at_final_slash
    }

    /// Abuse rules, whatever their conditions.
    pub fn abuse(&self) -> impl Iterator<Item = &Arc<AbuseRule>> {
        self.actions.iter().flat_map(|action| action.abuse.iter().flat_map(|(_, group)| group.rules()))
    }

    /// Every custom signature, by rule id.
    pub fn custom_signatures(&self) -> Vec<&CustomSignature> {
        let mut all: Vec<_> = self.customs.values().map(|custom| &custom.signature).collect();
        all.sort_by_key(|signature| signature.rule);
        all
    }
}

fn read(doc: &PolicyDoc, origin: Origin, errors: &mut Vec<PolicyError>, notices: &mut Vec<PolicyError>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut ids: HashMap<u64, usize> = HashMap::new();
    for (number, map) in doc.rules.iter().enumerate() {
        let fields = FieldReader::new(doc, format!("rules[{number}]"), map, errors);
        let Some(rule) = rule::read(fields, number, origin, notices) else { continue };
        if let Some(other) = ids.insert(rule.id, number) {
            let mut fields = FieldReader::new(doc, format!("rules[{number}]"), map, errors);
            fields.error("id", format!("rules[{other}] has the id {} too", rule.id));
        }
        rules.push(rule);
    }
    rules
}

/// Assigns ids from [`LOCAL_IDS`] up to local rules whose id the control plane uses too: it does not know the local
/// document.
fn renumber_conflicting(local: &mut [Rule], remote: &[Rule]) {
    let mut used: HashSet<u64> = remote.iter().map(|rule| rule.id).collect();
    let both: Vec<u64> = local.iter().map(|rule| rule.id).filter(|id| used.contains(id)).collect();
    used.extend(local.iter().map(|rule| rule.id));
    let free = (LOCAL_IDS..).filter(|id| !used.contains(id));
    let moved: HashMap<u64, u64> = both.into_iter().zip(free).collect();
    if !moved.is_empty() {
        local.iter_mut().for_each(|rule| rule.renumber(&moved));
    }
}

/// Items that have not expired at `now`.
pub(super) fn not_expired<T>(items: &[Expiring<T>], now: u64) -> impl DoubleEndedIterator<Item = &T> {
    items.iter().filter(move |(expires, _)| *expires > now).map(|(_, item)| item)
}

/// Sorts general before specific.
fn specificity(conditions: &[Condition]) -> (usize, usize, usize) {
    let equal = conditions.iter().filter(|c| matches!(c.test, Test::Equal(_))).count();
    let iequal = conditions.iter().filter(|c| matches!(c.test, Test::Iequal(_))).count();
    (conditions.len(), equal, iequal)
}

impl ActionRules {
    fn add(
        &mut self,
        rule: Rule,
        number: u32,
        customs: &mut HashMap<u64, CustomRule>,
        limits: &mut Vec<Expiring<Arc<AbuseRule>>>,
    ) {
        let Rule { origin, id, expires, kind, .. } = rule;
        match kind {
            RuleKind::Mode(mode) => self.modes.push((expires, (origin, mode))),
            RuleKind::Overlimit { time, mode } => self.overlimits.push((expires, (time, mode))),
            RuleKind::Graphql(limits) => self.graphql.push((expires, limits)),
            RuleKind::Upload { bytes, mode, point } => {
                let limit = UploadLimit { rule: id, bytes, mode };
                match point {
                    None => self.body_limits.push((expires, limit)),
                    Some(point) => self.upload_limits.push((expires, (limit, point))),
                }
            }
            RuleKind::Parser { parser, off, point: None } => self.parsers.push((expires, (parser, off))),
            RuleKind::Parser { parser, off, point: Some(point) } => {
                self.parsers_at.push((expires, (parser, off, point)))
            }
            RuleKind::Vpatch(attack, point) => self.vpatches.push((expires, Vpatch { rule: id, attack, point })),
            RuleKind::Exception(what, point) => self.exceptions.add(what, point, expires),
            RuleKind::Ignored => {}
            RuleKind::Reply(reply) => self.replies.push((expires, reply)),
            RuleKind::Session(part) => self.sessions.push((expires, part)),
            RuleKind::Abuse(rule) => limits.push((expires, Arc::from(rule))),
            RuleKind::Sensitive(point) => self.sensitive.push((expires, point)),
            RuleKind::Custom(signature) => {
                customs.insert(id, CustomRule { action: number, expires, signature });
            }
        }
    }
}
