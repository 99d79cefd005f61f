//! Exceptions: findings that rules exclude as false positives.

use super::custom::CustomSignature;
use super::finding_name;
use super::profiles::Profile;
use super::rule::{ExceptionKind, FileType};
use std::collections::HashMap;
use std::sync::Arc;
use weir_core::model::{AnomalyKind, AttackType, Confidence, Finding, PointPath, PointPattern};

/// Where an exception applies, and when it expires.
#[derive(Debug)]
struct Scope {
    point: Option<PointPattern>,
    expires: u64,
}

/// Exceptions of one action, indexed by what they exclude, so that a finding is looked up and not compared with each.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    by_stamp: HashMap<Arc<str>, Vec<Scope>>,
    by_regex: HashMap<u64, Vec<Scope>>,
    by_attack: HashMap<Option<AttackType>, Vec<Scope>>,
    binary: Vec<Scope>,
    uploads: Vec<(FileType, Scope)>,
    profiles: Vec<(&'static Profile, Scope)>,
}

impl Exceptions {
    /// Adds one.
    pub fn add(&mut self, what: ExceptionKind, point: Option<PointPattern>, expires: u64) {
        let scope = Scope { point, expires };
        match what {
            ExceptionKind::Stamp(stamp) => self.by_stamp.entry(stamp).or_default().push(scope),
            ExceptionKind::Regex(id) => self.by_regex.entry(id).or_default().push(scope),
            ExceptionKind::Attack(attack) => self.by_attack.entry(attack).or_default().push(scope),
            ExceptionKind::Binary => self.binary.push(scope),
            ExceptionKind::Upload(file) => self.uploads.push((file, scope)),
            ExceptionKind::Profile(profile) => self.profiles.push((profile, scope)),
        }
    }

    /// Whether `finding` is excluded.
    pub fn cover(&self, finding: &Finding, now: u64) -> bool {
        // Equal bytes are inspected once, whichever decodings led to them: an exception for any of their points applies.
        let points = || std::iter::once(&finding.point).chain(&finding.also_at);
        let holds = |scope: &Scope| points().any(|point| scope.holds(point, now));
        let any = |scopes: Option<&Vec<Scope>>| scopes.is_some_and(|scopes| scopes.iter().any(holds));
        any(self.by_stamp.get(&*finding.rule))
            || any(CustomSignature::rule_of(&finding.rule).and_then(|id| self.by_regex.get(&id)))
            || points().any(|point| self.cover_attack(finding.attack, point, now))
            || (is_accidental(finding) && any(Some(&self.binary)))
            || self.uploads.iter().any(|(file, scope)| file.may_contain(finding) && holds(scope))
            || self.profiles.iter().any(|(profile, scope)| scope.is_in_profile(profile, finding, now))
    }

    /// Whether attacks of a type are excluded at `point`.
    pub fn cover_attack(&self, attack: AttackType, point: &PointPath, now: u64) -> bool {
        [Some(attack), None]
            .iter()
            .filter_map(|key| self.by_attack.get(key))
            .any(|scopes| scopes.iter().any(|scope| scope.holds(point, now)))
    }

    /// Whether an anomaly reported as `attack` is excluded at `point`.
    pub fn cover_anomaly(&self, kind: AnomalyKind, attack: AttackType, point: &PointPath, now: u64) -> bool {
        let binary = || is_binary(kind) && self.binary.iter().any(|scope| scope.holds(point, now));
        self.cover_named(&finding_name::anomaly(kind.code()), attack, point, now) || binary()
    }

    /// Whether what is reported as `name`, of an attack type, is left out at `point`.
    pub fn cover_named(&self, name: &str, attack: AttackType, point: &PointPath, now: u64) -> bool {
        let stamp = self.by_stamp.get(name);
        self.cover_attack(attack, point, now)
            || stamp.is_some_and(|scopes| scopes.iter().any(|scope| scope.holds(point, now)))
    }
}

impl Scope {
    fn holds(&self, point: &PointPath, now: u64) -> bool {
        self.expires > now && self.point.as_ref().is_none_or(|pattern| pattern.covers(point))
    }
}

impl Scope {
    /// Whether `finding` is normal content of `profile`: at the point of the rule, or in the fields of the profile. Every
    /// place of the value has to be inside.
    fn is_in_profile(&self, profile: &Profile, finding: &Finding, now: u64) -> bool {
        let mut points = std::iter::once(&finding.point).chain(&finding.also_at);
        let inside = |point: &PointPath| match &self.point {
            Some(pattern) => pattern.covers(point),
            None => profile.has_field(point),
        };
        self.expires > now && profile.ignores(finding) && points.all(inside)
    }
}

impl FileType {
    /// Whether the finding is normal content of this file type: markup in HTML; in binary formats, anything that is not of
    /// high confidence.
    fn may_contain(self, finding: &Finding) -> bool {
        match self {
            FileType::Html => matches!(finding.attack, AttackType::Xss | AttackType::Ssi),
            FileType::Docs | FileType::Images | FileType::Music | FileType::Video => is_accidental(finding),
        }
    }
}

/// Whether random bytes may match by accident.
fn is_accidental(finding: &Finding) -> bool {
    finding.confidence < Confidence::High
}

/// Anomalies that are normal in binary content.
fn is_binary(kind: AnomalyKind) -> bool {
    matches!(
        kind,
        AnomalyKind::NulByte
            | AnomalyKind::ControlByte
            | AnomalyKind::BadCharset
            | AnomalyKind::OverlongUtf8
            | AnomalyKind::BadUriByte
            | AnomalyKind::BadPercent
    )
}
