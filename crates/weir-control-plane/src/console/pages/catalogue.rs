//! Signatures and detectors.

use super::rankings::hit_count;
use crate::app::App;
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
use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use weir_core::detect::{self, Detector};
use weir_core::model::{AttackType, Confidence};
use weir_core::ruleset::builtin;
use weir_core::ruleset::format::SignatureDoc;
use weir_policy::FindingKind;

/// How far back hits are counted, in milliseconds: 30 days.
const COUNTED: i64 = 30 * 86_400_000;

/// A signature or detector, as it is looked up.
struct CatalogueEntry {
    name: String,
    attack: AttackType,
    about: String,
    cwe: u32,
    owasp: String,
    confidence: Option<Confidence>,
    zones: String,
    views: String,
    pattern: String,
    positive: Vec<String>,
    negative: Vec<String>,
    /// Whether only a rule pack has it.
    added: bool,
}

/// The signatures that ship with nodes, and detectors, by type and name.
static SHIPPED: LazyLock<Arc<Vec<CatalogueEntry>>> = LazyLock::new(|| Arc::new(sorted(&builtin::docs())));

/// Every signature and detector in use, by type and name: those that ship with nodes, and those of rule packs.
async fn entries(app: &App) -> Result<Arc<Vec<CatalogueEntry>>> {
    if app.policy.head().state.rule_packs.is_empty() {
        return Ok(Arc::clone(&SHIPPED));
    }
    Ok(Arc::new(sorted(&app.signature_docs().await?)))
}

/// `signatures` and all detectors.
fn sorted(signatures: &[impl Borrow<SignatureDoc>]) -> Vec<CatalogueEntry> {
    let signatures = signatures.iter().map(|doc| of_signature(doc.borrow()));
    let mut all: Vec<CatalogueEntry> = detect::TABLE.iter().map(of_detector).chain(signatures).collect();
    all.sort_by(|a, b| (a.attack, &a.name).cmp(&(b.attack, &b.name)));
    all
}

fn of_signature(doc: &SignatureDoc) -> CatalogueEntry {
    let joined = |list: &[String], otherwise: &str| if list.is_empty() { otherwise.into() } else { list.join(", ") };
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
        added: !builtin::ids().contains(&doc.id),
    }
}

fn of_detector(detector: &Detector) -> CatalogueEntry {
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
        added: false,
    }
}

/// Confidence as a word.
pub const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

/// Whether `name`, which is in use, is that of a signature or detector: anomalies and limits have no page.
pub fn lists(name: &str) -> bool {
    matches!(FindingKind::of(name), FindingKind::Signature | FindingKind::Custom(_))
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
    let all = entries(&page.app).await?;
    let found: Vec<&CatalogueEntry> = all.iter().filter(|known| words.iter().all(|word| fits(known, word))).collect();
    let of = |attack: AttackType| all.iter().filter(|known| known.attack == attack).count();
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
        total: all.len(),
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
        added: known.added,
    }
}

/// `GET /catalogue/{name}`
pub async fn signature(page: Page, Path(name): Path<String>) -> Result<Response> {
    let all = entries(&page.app).await?;
    let known = all.iter().find(|known| known.name == name).ok_or(Error::NotFound("signature"))?;
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
        added: known.added,
        attacks: href("/attacks", &[("q", &format!("rule:{}", known.name)), ("range", "30d")]),
        exceptions: named.map(|rule| (rule.id, Text::new(&rule_text::summary(&rule.rule)))).collect(),
    })
}
