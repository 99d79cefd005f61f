//! Signatures and detectors.

use super::rankings::hit_count;
use crate::console::page::{Page, html};
use crate::console::rule_text;
use crate::console::view::catalogue::{Catalogue, CatalogueRow, SignaturePage};
use crate::console::view::parts::{AttackKind, Choice};
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::{href, segment};
use crate::error::{Error, Result};
use crate::store::RuleCount;
use axum::extract::Path;
use axum::response::Response;
use std::collections::HashMap;
use std::sync::LazyLock;
use weir_core::detect;
use weir_core::model::{AttackType, Confidence};
use weir_core::ruleset::builtin;

/// How far back hits are counted, in milliseconds: 30 days.
const COUNTED: i64 = 30 * 86_400_000;

/// A signature or detector, as it is looked up.
pub struct CatalogueEntry {
    /// Name.
    pub name: String,
    /// Type.
    pub attack: AttackType,
    /// Meaning.
    pub about: String,
    cwe: u32,
    owasp: String,
    confidence: Option<Confidence>,
    zones: String,
    views: String,
    pattern: String,
    positive: Vec<String>,
    negative: Vec<String>,
}

/// Every signature and detector by type and name.
static ENTRIES: LazyLock<Vec<CatalogueEntry>> = LazyLock::new(|| {
    let signatures = builtin::docs().into_iter().map(|doc| {
        let joined =
            |list: &[String], otherwise: &str| if list.is_empty() { otherwise.into() } else { list.join(", ") };
        CatalogueEntry {
            name: doc.id.clone(),
            attack: doc.attack,
            about: doc.about.split_whitespace().collect::<Vec<_>>().join(" "),
            cwe: doc.cwe.unwrap_or(doc.attack.cwe()),
            owasp: doc.owasp.clone().unwrap_or_else(|| doc.attack.owasp().into()),
            confidence: Some(doc.confidence),
            zones: joined(&doc.zones, "parameters"),
            views: joined(&doc.views, "plain"),
            pattern: doc.pattern.clone(),
            positive: doc.positive.clone(),
            negative: doc.negative.clone(),
        }
    });
    let detectors = detect::TABLE.iter().map(|detector| {
        let owned = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        CatalogueEntry {
            name: detector.name.into(),
            attack: detector.attack,
            about: detector.about.into(),
            cwe: detector.attack.cwe(),
            owasp: detector.attack.owasp().into(),
            confidence: None,
            zones: String::new(),
            views: String::new(),
            pattern: String::new(),
            positive: owned(detector.samples.positive),
            negative: owned(detector.samples.negative),
        }
    });
    let mut all: Vec<CatalogueEntry> = detectors.chain(signatures).collect();
    all.sort_by(|a, b| (a.attack, &a.name).cmp(&(b.attack, &b.name)));
    all
});

/// The signature or detector called `name`.
pub fn find(name: &str) -> Option<&'static CatalogueEntry> {
    ENTRIES.iter().find(|known| known.name == name)
}

/// Confidence as a word.
pub const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

/// The address of the page of `name`.
pub fn page_of(name: &str) -> String {
    format!("/catalogue/{}", segment(name))
}

fn fits(known: &CatalogueEntry, word: &str) -> bool {
    let in_text = |text: &str| text.to_lowercase().contains(word);
    word == known.attack.code()
        || in_text(&known.name)
        || in_text(&known.about)
        || in_text(known.attack.name())
        || word.strip_prefix("cwe-").is_some_and(|cwe| cwe == known.cwe.to_string())
}

/// `GET /catalogue`
pub async fn catalogue(page: Page) -> Result<Response> {
    let query = page.query.get("q");
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let found: Vec<&CatalogueEntry> =
        ENTRIES.iter().filter(|known| words.iter().all(|word| fits(known, word))).collect();
    let of = |attack: AttackType| ENTRIES.iter().filter(|known| known.attack == attack).count();
    let kinds = AttackType::ALL.iter().filter(|&&attack| of(attack) > 0).map(|&attack| {
        let kind = AttackKind::of(attack);
        let current = query == kind.code;
        let to = if current { "" } else { kind.code };
        (kind, of(attack), Choice { label: kind.name, href: href("/catalogue", &[("q", to)]), current })
    });
    let counts = page.app.store.rule_counts((page.now - COUNTED).max(0)).await?;
    html(&Catalogue {
        shell: page.shell("Signatures", Place::Catalogue),
        query: query.into(),
        kinds: kinds.collect(),
        entries: found.into_iter().map(|known| entry(known, &counts, page.now)).collect(),
        total: ENTRIES.len(),
    })
}

fn entry(known: &CatalogueEntry, counts: &HashMap<String, RuleCount>, now: i64) -> CatalogueRow {
    let first = known.about.split_once(". ").map_or(known.about.as_str(), |(first, _)| first);
    CatalogueRow {
        name: Text::new(&known.name),
        href: page_of(&known.name),
        kind: AttackKind::of(known.attack),
        about: Text::new(first.trim_end_matches('.')),
        confidence: known.confidence.map_or("parser", confidence),
        hits: hit_count(counts.get(&known.name), now),
    }
}

/// `GET /catalogue/{name}`
pub async fn signature(page: Page, Path(name): Path<String>) -> Result<Response> {
    let known = find(&name).ok_or(Error::NotFound("signature"))?;
    let head = page.app.policy.head();
    let named = head.state.rules.iter().filter(|rule| rule.rule.get("stamp").and_then(|s| s.as_str()) == Some(&name));
    let counts = page.app.store.rule_counts((page.now - COUNTED).max(0)).await?;
    let texts = |all: &[String]| all.iter().map(|text| Text::block(text)).collect();
    html(&SignaturePage {
        shell: page.shell(known.name.clone(), Place::Catalogue),
        name: Text::new(&known.name),
        kind: AttackKind::of(known.attack),
        about: Text::new(&known.about),
        cwe: known.cwe,
        owasp: Text::new(&known.owasp),
        confidence: known.confidence.map_or("", confidence),
        weight: match known.confidence {
            Some(Confidence::High) => "one match is an attack",
            Some(Confidence::Medium) => "two matches in one value are an attack",
            Some(Confidence::Low) => "three matches in one value are an attack",
            None => "",
        },
        zones: Text::new(&known.zones),
        views: Text::new(&known.views),
        pattern: Text::block(&known.pattern),
        positive: texts(&known.positive),
        negative: texts(&known.negative),
        hits: hit_count(counts.get(&known.name), page.now),
        attacks: href("/attacks", &[("q", &format!("rule:{}", known.name)), ("range", "30d")]),
        exceptions: named.map(|rule| (rule.id, Text::new(&rule_text::summary(&rule.rule)))).collect(),
    })
}
