//! Which exception suffices: what still makes a request an attack once a rule holds, by the weights with which policy
//! counts. The findings that are stored stand for the request; a preview judges the request itself again.

use super::propose::{By, Choice, Material, Purpose, Subject, open};
use serde::Serialize;
use std::collections::BTreeMap;
use weir_core::model::{AttackType, Confidence, PointPath, PointPattern};
use weir_protocol::hit::Hit;
use weir_protocol::hit::HitFinding;

/// Something that was found, as it counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counted {
    attack: AttackType,
    /// Signature or detector; none for an anomaly or a type with nothing else.
    rule: Option<String>,
    point: PointPath,
    weight: u32,
    decisive: bool,
}

/// An attack type at a point, which an exception does not cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Residual {
    /// Attack type.
    pub attack: AttackType,
    /// Where.
    pub point: PointPath,
}

/// What of `hit` counts: its findings, and of the other `subjects` those whose type no finding explains.
pub(super) fn counted(hit: &Hit, subjects: &[Subject]) -> Vec<Counted> {
    let finding = |found: &HitFinding| Counted {
        attack: found.attack,
        rule: Some(found.rule.clone()),
        point: found.point.clone(),
        weight: found.confidence.weight(),
        decisive: found.decisive,
    };
    let explained = |attack| hit.findings.iter().any(|found| found.decisive && found.attack == attack);
    let others = subjects.iter().filter(|subject| subject.stamp.is_none() && !explained(subject.attack));
    let other = |subject: &Subject| Counted {
        attack: subject.attack,
        rule: None,
        point: subject.found_at.clone(),
        weight: Confidence::ATTACK,
        decisive: true,
    };
    hit.findings.iter().map(finding).chain(others.map(other)).collect()
}

impl Material {
    /// The subject, by its number, and what of it is left out: as chosen, and where that is open the narrowest that
    /// suffices. Where no single rule does, the one that leaves least. A virtual patch is about the first subject.
    pub fn chosen(&self, purpose: Purpose, choice: &Choice) -> (usize, By) {
        if purpose == Purpose::VirtualPatch {
            return (choice.subject.unwrap_or_default(), By::Type);
        }
        let numbers =
            || (0..self.subjects.len()).filter(|number| choice.subject.is_none_or(|chosen| chosen == *number));
        let ways =
            [By::Stamp, By::Type, By::Any].into_iter().filter(|way| choice.by.is_none_or(|chosen| chosen == *way));
        let all = ways.flat_map(|way| numbers().map(move |number| (number, way)));
        let least = all.min_by_key(|&(number, way)| self.remaining(number, way, choice.steps).len());
        least.unwrap_or((choice.subject.unwrap_or_default(), choice.by.unwrap_or_default()))
    }

    /// What still makes the request an attack once the exception for `choice` holds.
    pub fn left(&self, choice: &Choice) -> Vec<Residual> {
        let (number, way) = self.chosen(Purpose::Exception, choice);
        let mut out: Vec<Residual> = Vec::new();
        for counted in self.remaining(number, way, choice.steps) {
            let left = Residual { attack: counted.attack, point: counted.point.clone() };
            if !out.contains(&left) {
                out.push(left);
            }
        }
        out
    }

    /// The point of the rule: where the subject was found or, for all that counts, the longest that covers it; empty for the
    /// request as a whole. `steps` of it are kept, at least one.
    pub fn point(&self, number: usize, way: By, steps: Option<usize>) -> PointPattern {
        let own = match way {
            By::Any => self.common_point(),
            By::Stamp | By::Type => {
                self.subjects.get(number).map_or_else(PointPattern::default, |subject| subject.point.clone())
            }
        };
        PointPattern(own.0.into_iter().take(steps.unwrap_or(usize::MAX).max(1)).collect())
    }

    fn common_point(&self) -> PointPattern {
        let points = self.counted.iter().filter(|one| one.decisive).map(|one| open(&one.point));
        let shared = |a: PointPattern, b: PointPattern| {
            PointPattern(a.0.into_iter().zip(b.0).take_while(|(a, b)| a == b).map(|(a, _)| a).collect())
        };
        points.reduce(shared).unwrap_or_default()
    }

    /// Whether only an exception of every type at the common point lets the request pass: no signature and no type does.
    pub fn needs_any(&self) -> bool {
        self.chosen(Purpose::Exception, &Choice::default()).1 == By::Any
    }

    /// What is decisive once the exception holds. As in policy, what loses a finding at its point is weighed again.
    fn remaining(&self, number: usize, way: By, steps: Option<usize>) -> Vec<&Counted> {
        let Some(subject) = self.subjects.get(number) else { return self.counted.iter().collect() };
        let point = self.point(number, way, steps);
        let lost = |counted: &Counted| {
            let fits = match (way, &subject.stamp) {
                (By::Any, _) => true,
                (By::Stamp, Some(stamp)) => counted.rule.as_ref() == Some(stamp),
                _ => counted.attack == subject.attack,
            };
            fits && point.covers(&counted.point)
        };
        let key = |counted: &Counted| (counted.attack.code(), counted.point.to_string());
        let mut sums: BTreeMap<_, u32> = self.counted.iter().filter(|one| lost(one)).map(|one| (key(one), 0)).collect();
        for one in self.counted.iter().filter(|one| !lost(one)) {
            if let Some(sum) = sums.get_mut(&key(one)) {
                *sum += one.weight;
            }
        }
        let stays = |one: &&Counted| {
            one.decisive && !lost(one) && sums.get(&key(one)).is_none_or(|&sum| sum >= Confidence::ATTACK)
        };
        self.counted.iter().filter(stays).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const RAW: &[u8] = b"GET /a?q=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    const Q: &str = r#"[["get","q"]]"#;
    const DECODED: &str = r#"[["get","q"],["base64"]]"#;

    /// What a hit with these findings is made of: type, rule, point, confidence.
    fn material(findings: &[(AttackType, &str, &str, Confidence)]) -> Material {
        let finding = |&(attack, rule, point, confidence): &(AttackType, &str, &str, Confidence)| HitFinding {
            attack,
            rule: rule.into(),
            point: serde_json::from_str(point).unwrap(),
            confidence,
            decisive: true,
            matched: "x".into(),
        };
        let mut hit = Hit { findings: findings.iter().map(finding).collect(), ..Hit::default() };
        hit.attacks = hit.findings.iter().map(|found| found.attack).collect();
        hit.attacks.dedup();
        Material::of(&hit, RAW).unwrap()
    }

    /// The kind of rule that is proposed, and how many types at how many points it leaves.
    fn proposed(material: &Material, choice: &Choice) -> (String, usize) {
        let rule = material.rule(Purpose::Exception, choice, "1").unwrap();
        (rule["type"].as_str().unwrap().to_owned(), material.left(choice).len())
    }

    #[test]
    fn the_narrowest_rule_that_suffices_is_proposed() {
        use AttackType::{Sqli, Xss};
        use Confidence::{High, Low, Medium};
        let default = Choice::default();
        let one = material(&[(Sqli, "a", Q, High)]);
        assert_eq!(proposed(&one, &default), ("disable_stamp".into(), 0));
        let two = material(&[(Sqli, "a", Q, High), (Sqli, "b", Q, High)]);
        assert_eq!(proposed(&two, &default), ("disable_attack_type".into(), 0));
        let narrow = Choice { subject: Some(0), by: Some(By::Stamp), ..Choice::default() };
        assert_eq!(proposed(&two, &narrow), ("disable_stamp".into(), 1), "it can be chosen still");
        let weak = material(&[(Sqli, "a", Q, Medium), (Sqli, "b", Q, Medium)]);
        assert_eq!(proposed(&weak, &default), ("disable_stamp".into(), 0), "one alone is no attack");
        let sum = material(&[(Sqli, "a", Q, Medium), (Sqli, "b", Q, High), (Sqli, "c", Q, Low)]);
        assert_eq!(sum.chosen(Purpose::Exception, &default), (1, By::Stamp), "what is left is too weak");
        let same = material(&[(Sqli, "a", DECODED, High), (Sqli, "a", Q, High)]);
        assert_eq!(
            same.chosen(Purpose::Exception, &default),
            (1, By::Stamp),
            "the point covers what is decoded from it"
        );
        let deep = material(&[(Sqli, "a", DECODED, High), (Sqli, "b", Q, High)]);
        assert_eq!(deep.chosen(Purpose::Exception, &default), (1, By::Type));
        assert_eq!(proposed(&deep, &default).1, 0);
        let types = material(&[(Sqli, "a", Q, High), (Sqli, "b", Q, High), (Xss, "c", Q, High)]);
        let by_type = Choice { by: Some(By::Type), ..Choice::default() };
        assert_eq!(proposed(&types, &by_type), ("disable_attack_type".into(), 1));
        let left = Residual { attack: Xss, point: serde_json::from_str(Q).unwrap() };
        assert_eq!(types.left(&by_type), [left]);
        assert!(types.needs_any() && !deep.needs_any());
    }

    #[test]
    fn one_exception_covers_all_that_counts() {
        use AttackType::{Sqli, Xss};
        use Confidence::{High, Low};
        let rule = |findings: &[_]| {
            let material = material(findings);
            assert_eq!(material.left(&Choice::default()), []);
            Value::Object(material.rule(Purpose::Exception, &Choice::default(), "1").unwrap())
        };
        let types = rule(&[(Sqli, "a", Q, High), (Sqli, "b", Q, High), (Xss, "c", DECODED, High)]);
        assert_eq!((&types["attack_type"], &types["point"]), (&json!("any"), &json!([["get", "q"]])));
        // Nothing in common but the request, whose host and path bind the rule; the attack in the path does not.
        let places = rule(&[(Sqli, "a", Q, High), (Xss, "c", r#"[["action_name"]]"#, High), (Xss, "d", Q, Low)]);
        assert_eq!((&places["attack_type"], places.get("point")), (&json!("any"), None));
        let conditions: Vec<&Value> = places["action"].as_array().unwrap().iter().map(|one| &one["point"]).collect();
        assert_eq!(conditions, [&json!(["header", "HOST"]), &json!(["path", 0])]);
    }

    #[test]
    fn what_is_chosen_is_kept_and_the_rest_settled() {
        use AttackType::Sqli;
        let apart = r#"[["get","r"]]"#;
        let material = material(&[(Sqli, "a", Q, Confidence::High), (Sqli, "b", apart, Confidence::High)]);
        assert_eq!(
            material.chosen(Purpose::Exception, &Choice::default()),
            (0, By::Any),
            "no signature and no type suffices"
        );
        let stamp = Choice { by: Some(By::Stamp), ..Choice::default() };
        assert_eq!(material.chosen(Purpose::Exception, &stamp), (0, By::Stamp), "the narrowest that is allowed");
        assert_eq!(material.left(&stamp).len(), 1);
        assert_eq!(material.chosen(Purpose::Exception, &Choice { subject: Some(1), ..stamp }), (1, By::Stamp));
        let wide = Choice { steps: Some(1), by: Some(By::Type), ..Choice::default() };
        assert_eq!(material.chosen(Purpose::Exception, &wide), (0, By::Type));
        assert_eq!(
            material.chosen(Purpose::Exception, &Choice { subject: Some(9), ..Choice::default() }).0,
            9,
            "refused by the rule"
        );
    }

    #[test]
    fn an_anomaly_that_no_finding_explains_counts() {
        let hit = Hit { attacks: vec![AttackType::Xxe], ..Hit::default() };
        let material = Material::of(&hit, RAW).unwrap();
        assert_eq!(material.left(&Choice::default()), []);
        assert_eq!(material.counted.len(), 1);
    }
}
