//! What other rule files take away of the signatures that are embedded in the program.

use super::{Ruleset, Signature, builtin};
use std::collections::HashMap;
use std::sync::Arc;

/// Embedded signatures that one ruleset has, and another has not, or not with the same reach: ids in the order of the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Those that are gone.
    pub missing: Vec<Arc<str>>,
    /// Those that find less: with less confidence, in fewer places, or not all of their own samples.
    pub weaker: Vec<Arc<str>>,
}

impl Losses {
    /// What `after` lacks of the embedded signatures in `before`.
    pub fn between(before: &Ruleset, after: &Ruleset) -> Self {
        let after: HashMap<&str, &Signature> = after.signatures.iter().map(|one| (&*one.id, one)).collect();
        let mut all = Self::default();
        for old in before.signatures.iter().filter(|one| builtin::ids().contains(&*one.id)) {
            match after.get(&*old.id) {
                None => all.missing.push(Arc::clone(&old.id)),
                Some(new) if finds_less(old, new) => all.weaker.push(Arc::clone(&old.id)),
                Some(_) => {}
            }
        }
        all
    }
}

/// How many of the embedded signatures `ruleset` does not have.
pub fn missing(ruleset: &Ruleset) -> usize {
    let all = builtin::ids();
    all.len() - ruleset.signatures.iter().filter(|one| all.contains(&*one.id)).count()
}

/// Whether `new` may miss what `old` finds, as far as its fields and the samples of `old` show it.
fn finds_less(old: &Signature, new: &Signature) -> bool {
    let (was, is) = (&old.doc, &new.doc);
    if was == is {
        return false;
    }
    let fewer_points =
        !new.points.is_empty() && (old.points.is_empty() || old.points.iter().any(|point| !new.points.contains(point)));
    new.attack != old.attack
        || new.confidence < old.confidence
        || !new.zones.contains(old.zones)
        || old.views & !new.views != 0
        || fewer_points
        || is.conditions.iter().any(|condition| !was.conditions.contains(condition))
        || (!is.literals.is_empty() && is.literals != was.literals)
        || (is.spares_documents && !was.spares_documents)
        || was.positive.iter().any(|sample| !new.matches(sample.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::compile::compile;
    use super::*;

    fn rules(text: &str) -> Ruleset {
        compile(&[("rule pack builtin".to_owned(), text.to_owned())]).unwrap_or_else(|errors| panic!("{}", errors[0]))
    }

    /// One embedded signature, with `changed` in the place of `part`.
    fn one(part: &str, changed: &str) -> Ruleset {
        let text = "- id: ptrav.etc-passwd\n  attack: ptrav\n  about: x\n  zones: [parameters, path]\n  \
                    pattern: '/etc/(?:passwd|shadow)'\n  confidence: high\n  \
                    positive: [/etc/passwd, /etc/shadow]\n  negative: [/etc/hosts]\n";
        assert!(text.contains(part), "{part}");
        rules(&text.replace(part, changed))
    }

    #[test]
    fn what_is_gone_and_what_finds_less_is_named() {
        let all = compile(&builtin::files()).unwrap_or_else(|errors| panic!("{}", errors[0]));
        assert_eq!(missing(&all), 0);
        assert_eq!(Losses::between(&all, &all), Losses::default());
        let before = one("about: x", "about: x");
        assert_eq!(missing(&before), builtin::ids().len() - 1);
        assert_eq!(Losses::between(&all, &before).missing.len(), all.signatures.len() - 1);
        let weaker = |part: &str, changed: &str| Losses::between(&before, &one(part, changed));
        for (part, changed) in [
            ("confidence: high", "confidence: low"),
            ("[parameters, path]", "[path]"),
            ("zones:", "points: [[[get, a]]]\n  zones:"),
            ("confidence: high", "confidence: high\n  where: [{method: '^PUT$'}]"),
            ("confidence: high", "confidence: high\n  literals: [/etc/passwd, shadow]"),
            ("confidence: high", "confidence: high\n  spares_documents: true"),
        ] {
            assert_eq!(weaker(part, changed).weaker.len(), 1, "{changed}");
        }
        assert_eq!(weaker("about: x", "about: other words"), Losses::default());
        assert_eq!(weaker("passwd|shadow)", "passwd|shadow|group)"), Losses::default(), "it finds more");
    }

    #[test]
    fn a_signature_that_no_longer_finds_its_samples_is_weaker() {
        let before = one("about: x", "about: x");
        let gutted = rules(
            "- id: ptrav.etc-passwd\n  attack: ptrav\n  about: x\n  zones: [parameters, path]\n  pattern: 'never-sent'\n  \
             confidence: high\n  positive: [never-sent]\n  negative: [x]\n",
        );
        let losses = Losses::between(&before, &gutted);
        assert_eq!((losses.missing.len(), losses.weaker.len()), (0, 1));
        let own = rules(
            "- id: ptrav.own-rule\n  attack: ptrav\n  about: x\n  pattern: 'own-rule'\n  confidence: high\n  \
             positive: [own-rule]\n  negative: [x]\n",
        );
        assert_eq!(Losses::between(&own, &gutted), Losses::default(), "signatures of others may come and go");
    }
}
