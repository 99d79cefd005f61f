//! Decides on a request from the findings of its inspection.

use super::Policy;
use super::abuse::{AbuseExcess, Reaction};
use super::anomalies::{AnomalyAction, attack_of};
use super::custom::CustomSignature;
use super::finding_name;
use super::list::List;
use super::mode::{Cause, Mode, RuleMode, blocks};
use super::overlimit::OverlimitAction;
use super::reasons;
use super::reply::{Blocked, Reply};
use super::rules::{UploadLimit, not_expired};
use super::verdict::{Action, Bypass, Plan, Reason, RequestContext, Verdict};
use std::collections::HashMap;
use weir_core::model::{AttackType, Confidence, Finding, Inspection, Message, PointPath};

impl Policy {
    /// Decides on a request; `inspection` is `None` if the plan bypassed inspection.
    pub fn decide(&self, request: &RequestContext<'_, '_>, plan: &Plan, inspection: Option<&Inspection>) -> Verdict {
        self.decide_with(request, plan, inspection, &[])
    }

    /// Like [`Self::decide`], with what the request takes over the limits of abuse rules.
    pub fn decide_with(
        &self,
        request: &RequestContext<'_, '_>,
        plan: &Plan,
        inspection: Option<&Inspection>,
        excesses: &[AbuseExcess],
    ) -> Verdict {
        let mut verdict = Verdict { mode: plan.mode, list: plan.list.clone(), ..Verdict::default() };
        let denied = plan.listed() == Some(List::Deny);
        let causes = match (plan.bypass, inspection) {
            (Some(Bypass::ModeOff | Bypass::Allowlisted | Bypass::InputFilter), _) => return verdict,
            (Some(Bypass::Denylisted), _) | (None, None) => Causes::default(),
            (None, Some(inspection)) => {
                VerdictBuilder { policy: self, request, plan, verdict: &mut verdict }.build(inspection)
            }
        };
        let limited = excesses.iter().find(|excess| self.limits(excess, plan, request.now));
        let causes = Causes { denied, limit: limited.is_some(), ..causes };
        let mut causes = causes;
        for excess in excesses.iter().filter(|excess| !self.is_excepted(excess, plan, request.now)) {
            add(&mut verdict.attacks, excess.rule.attack());
            verdict.rules.push(excess.rule.id);
            causes.attack |= excess.rule.is_enforced() && excess.rule.reaction != Reaction::Block;
            verdict.findings.push(reasons::abuse(excess));
        }
        if denied {
            add(&mut verdict.attacks, AttackType::BlockedSource);
            verdict.findings.extend(plan.list.as_ref().map(reasons::denylist));
        }
        // Where lists are consulted after inspection, monitoring does not block denylisted sources.
        let spared = plan.bypass.is_none() && plan.mode == Mode::Monitoring;
        verdict.reason = causes.reason(|cause| {
            !(spared && cause == Cause::Denied) && blocks(plan.mode, plan.listed(), cause, request.blocking)
        });
        if verdict.reason.is_some() {
            verdict.action = Action::Block;
            let own = limited.filter(|_| verdict.reason == Some(Reason::Limit));
            let standard = || self.standard_reply(request, plan);
            let limited = |excess: &AbuseExcess| excess.reply(&blocked(request, plan), standard);
            verdict.reply = Some(own.map_or_else(standard, limited));
        } else {
            verdict.reason = causes.reason(|cause| blocks(Mode::Block, plan.listed(), cause, true));
            verdict.would_block = verdict.reason.is_some();
        }
        verdict
    }
}

impl Policy {
    /// The reply to a blocked request: that of the most specific rule, else that of its route.
    pub(super) fn standard_reply(&self, request: &RequestContext<'_, '_>, plan: &Plan) -> Reply {
        let readings = plan.active.each().iter();
        let mut own = readings.filter_map(|active| self.rules.setting(active, request.now, |action| &action.replies));
        let template = own.next().map_or(&self.replies[plan.reply], |reply| &**reply);
        template.render(&blocked(request, plan))
    }

    /// Whether an exception covers the finding of `excess`.
    fn is_excepted(&self, excess: &AbuseExcess, plan: &Plan, now: u64) -> bool {
        let (name, attack, point) = (excess.rule.finding(), excess.rule.attack(), PointPath::default());
        let mut actions = self.rules.of_request(plan.active.in_all());
        actions.any(|action| action.exceptions.cover_named(&name, attack, &point, now))
    }

    /// Whether `excess` by itself is a reason to block.
    fn limits(&self, excess: &AbuseExcess, plan: &Plan, now: u64) -> bool {
        excess.rule.is_enforced() && excess.rule.reaction == Reaction::Block && !self.is_excepted(excess, plan, now)
    }
}

fn blocked<'b, 'a>(request: &RequestContext<'b, 'a>, plan: &Plan) -> Blocked<'b, 'a> {
    Blocked {
        message: request.message,
        host: &request.facts.host,
        request_id: request.request_id,
        application: plan.application,
    }
}

/// Reasons to block a request.
#[derive(Clone, Copy, Debug, Default)]
struct Causes {
    denied: bool,
    vpatch: bool,
    limit: bool,
    attack: bool,
}

impl Causes {
    /// The reason to report: that of the first cause for which `acts` is true.
    fn reason(self, acts: impl Fn(Cause) -> bool) -> Option<Reason> {
        let causes = [
            (self.denied, Cause::Denied, Reason::Denylist),
            (self.vpatch, Cause::Vpatch, Reason::Vpatch),
            (self.limit, Cause::Limit, Reason::Limit),
            (self.attack, Cause::Attack, Reason::Attack),
        ];
        causes.into_iter().find(|&(there, cause, _)| there && acts(cause)).map(|(_, _, reason)| reason)
    }
}

/// Builds the verdict on one request.
struct VerdictBuilder<'j, 'h, 'a> {
    policy: &'j Policy,
    request: &'j RequestContext<'h, 'a>,
    plan: &'j Plan,
    verdict: &'j mut Verdict,
}

impl VerdictBuilder<'_, '_, '_> {
    fn build(mut self, inspection: &Inspection) -> Causes {
        let mut causes = Causes::default();
        self.findings(inspection);
        for finding in self.verdict.findings.iter().filter(|f| f.decisive) {
            causes.attack = true;
            add(&mut self.verdict.attacks, finding.attack);
        }
        causes.vpatch = self.vpatches();
        causes.attack |= self.anomalies(inspection);
        causes.attack |= self.uploads(inspection);
        causes.attack |= self.graphql(inspection);
        causes.attack |= self.overlimit(inspection);
        causes
    }

    /// Keeps the findings that no rule excludes, and rechecks whether they are still decisive.
    fn findings(&mut self, inspection: &Inspection) {
        let (rules, plan, now) = (&self.policy.rules, self.plan, self.request.now);
        let mut lost: Vec<(AttackType, PointPath)> = Vec::new();
        for finding in &inspection.findings {
            let custom = CustomSignature::rule_of(&finding.rule).map(|id| rules.custom(id, &plan.active, now));
            let excepted = rules.of_request(plan.active.in_all()).any(|action| action.exceptions.cover(finding, now));
            if excepted || matches!(custom, Some(None)) {
                lost.push((finding.attack, finding.point.clone()));
                continue;
            }
            let mut kept = finding.clone();
            if custom.flatten().is_some_and(|signature| signature.experimental) {
                kept.decisive = false;
                lost.push((finding.attack, finding.point.clone()));
            }
            self.verdict.findings.push(kept);
        }
        if !lost.is_empty() {
            recheck_decisive(&mut self.verdict.findings, &lost, |finding| {
                let id = CustomSignature::rule_of(&finding.rule);
                let custom = id.and_then(|id| rules.custom(id, &plan.active, now));
                custom.is_some_and(|signature| signature.experimental)
            });
        }
    }

    /// Whether a virtual patch matches a finding.
    fn vpatches(&mut self) -> bool {
        let (now, verdict) = (self.request.now, &mut *self.verdict);
        let decisive = || verdict.findings.iter().filter(|f| f.decisive);
        let mut hit = decisive().any(|finding| finding.attack == AttackType::Vpatch);
        for action in self.policy.rules.of_request(self.plan.active.in_any()) {
            for vpatch in not_expired(&action.vpatches, now) {
                let fits = |f: &Finding| {
                    vpatch.attack.is_none_or(|attack| attack == f.attack)
                        && vpatch.point.as_ref().is_none_or(|point| point.covers(&f.point))
                };
                if decisive().any(fits) {
                    verdict.rules.push(vpatch.rule);
                    hit = true;
                }
            }
        }
        if hit {
            add(&mut verdict.attacks, AttackType::Vpatch);
        }
        hit
    }

    /// Reports anomalies. Returns true if one is an attack.
    fn anomalies(&mut self, inspection: &Inspection) -> bool {
        let (rules, now, mut attack) = (&self.policy.rules, self.request.now, false);
        for anomaly in &inspection.anomalies {
            let kind = attack_of(anomaly.kind);
            let action = self.policy.anomalies.action_in(anomaly.kind, self.request.message);
            let excepted = || {
                let mut actions = rules.of_request(self.plan.active.in_all());
                actions.any(|action| action.exceptions.cover_anomaly(anomaly.kind, kind, &anomaly.point, now))
            };
            if action == AnomalyAction::Ignore || excepted() {
                continue;
            }
            self.verdict.anomalies.push(anomaly.clone());
            if action == AnomalyAction::Block {
                attack = true;
                add(&mut self.verdict.attacks, kind);
                self.verdict.findings.push(reasons::anomaly(anomaly, kind));
            }
        }
        attack
    }

    /// Checks body and uploads against their limits. Returns true if one blocks.
    fn uploads(&mut self, inspection: &Inspection) -> bool {
        let (rules, active, now) = (&self.policy.rules, &self.plan.active, self.request.now);
        let mut over: Vec<(UploadLimit, PointPath, u64)> = Vec::new();
        let body = body_bytes(self.request.message);
        let limits = rules.body_limits(active, now).filter(|limit| body > limit.bytes);
        over.extend(limits.map(|limit| (limit, PointPath::default(), body)));
        for action in rules.of_request(active.in_any()) {
            for (limit, point) in not_expired(&action.upload_limits, now) {
                let large =
                    |upload: &weir_core::model::Upload| upload.bytes > limit.bytes && point.covers(&upload.point);
                if let Some(upload) = inspection.uploads.iter().find(|upload| large(upload)) {
                    over.push((*limit, upload.point.clone(), upload.bytes));
                }
            }
        }
        let name = finding_name::limit(AttackType::FileUploadViolation);
        over.retain(|(limit, point, _)| {
            let attack = AttackType::FileUploadViolation;
            let mut actions = rules.of_request(active.in_all());
            let excepted = actions.any(|action| action.exceptions.cover_named(&name, attack, point, now));
            limit.mode != RuleMode::Off && !excepted
        });
        over.sort_by_key(|(limit, ..)| limit.rule);
        over.dedup_by_key(|(limit, ..)| limit.rule);
        let blocked = over.iter().any(|(limit, ..)| limit.mode == RuleMode::Block);
        for (limit, point, bytes) in over {
            self.verdict.rules.push(limit.rule);
            add(&mut self.verdict.attacks, AttackType::FileUploadViolation);
            let mut finding = reasons::upload(point, bytes, limit.bytes, limit.rule);
            finding.decisive = limit.mode == RuleMode::Block;
            self.verdict.findings.push(finding);
        }
        blocked
    }

    /// Checks GraphQL documents against their limits. Returns true if a violation blocks.
    fn graphql(&mut self, inspection: &Inspection) -> bool {
        let (rules, active, now) = (&self.policy.rules, &self.plan.active, self.request.now);
        let Some(facts) = &inspection.graphql else { return false };
        let excepted = |attack: &AttackType| {
            let name = finding_name::limit(*attack);
            let mut actions = rules.of_request(active.in_all());
            actions.any(|action| action.exceptions.cover_named(&name, *attack, &facts.point, now))
        };
        let mut blocks = false;
        for limits in rules.graphql(active, now) {
            let over: Vec<AttackType> = limits.violations(facts).filter(|attack| !excepted(attack)).collect();
            // Several readings of the path may lead to the same rule.
            if over.is_empty() || self.verdict.rules.contains(&limits.rule) {
                continue;
            }
            for attack in over {
                add(&mut self.verdict.attacks, attack);
                let mut finding = reasons::graphql(attack, facts, &limits);
                finding.decisive = limits.mode == RuleMode::Block;
                self.verdict.findings.push(finding);
            }
            self.verdict.rules.push(limits.rule);
            blocks |= limits.mode == RuleMode::Block;
        }
        blocks
    }

    /// Reports that a part of the message was not inspected. Returns true if that is an attack.
    fn overlimit(&mut self, inspection: &Inspection) -> bool {
        let (rules, active, now) = (&self.policy.rules, &self.plan.active, self.request.now);
        let excepted = |point: &PointPath| {
            let mut actions = rules.of_request(active.in_all());
            let name = finding_name::limit(AttackType::OverlimitRes);
            actions.any(|action| action.exceptions.cover_named(&name, AttackType::OverlimitRes, point, now))
        };
        let gaps = || inspection.not_inspected.iter().filter(|gap| !excepted(&gap.point));
        let action = self.plan.overlimit.decide(gaps().map(|gap| gap.reason));
        let blocked = gaps().find(|gap| self.plan.overlimit.action(gap.reason) == OverlimitAction::Block);
        self.verdict.findings.extend(blocked.map(|gap| reasons::overlimit(gap.point.clone(), gap.reason)));
        if action != OverlimitAction::Pass {
            add(&mut self.verdict.attacks, AttackType::OverlimitRes);
        }
        action == OverlimitAction::Block
    }
}

/// Clears the decisive flag of findings whose sum, without the findings `lost` at the same point, is below the threshold.
/// Takes one pass over the findings, of which there are at most `Limits::findings`.
fn recheck_decisive(findings: &mut [Finding], lost: &[(AttackType, PointPath)], weightless: impl Fn(&Finding) -> bool) {
    let mut sums: HashMap<(AttackType, PointPath), u32> = lost.iter().map(|key| (key.clone(), 0)).collect();
    let key = |finding: &Finding| (finding.attack, finding.point.clone());
    for finding in findings.iter().filter(|f| !weightless(f)) {
        if let Some(sum) = sums.get_mut(&key(finding)) {
            *sum += finding.confidence.weight();
        }
    }
    for finding in findings {
        if sums.get(&key(finding)).is_some_and(|&sum| sum < Confidence::ATTACK) {
            finding.decisive = false;
        }
    }
}

/// Bytes of the body: those sent, or those that the client declared where the connector sent fewer.
fn body_bytes(message: &Message<'_>) -> u64 {
    let declared = message.header("content-length").and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    (message.body.len() as u64).max(declared.unwrap_or(0))
}

fn add(attacks: &mut Vec<AttackType>, attack: AttackType) {
    if !attacks.contains(&attack) {
        attacks.push(attack);
    }
}
