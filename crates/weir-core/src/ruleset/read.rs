//! From the tree of a rule file to signatures as written, collecting every mistake with its place.

use super::cve_index::CveEntry;
use super::error::FileErrors;
use super::fields::{Fields, suggest, text_of};
use super::format::{Case, ConditionDoc, RequestPart, SignatureDoc};
use super::read_cve;
use super::yaml_tree::{Located, Location, YamlValue};
use crate::model::{AttackType, Confidence, PointPattern, Zone};
use crate::normalize::{PLAIN, VIEWS};

/// Keys of a signature.
const KEYS: &[&str] = &[
    "id",
    "attack",
    "about",
    "product",
    "cve",
    "references",
    "cwe",
    "owasp",
    "zones",
    "points",
    "where",
    "views",
    "pattern",
    "case",
    "literals",
    "unfiltered",
    "spares_documents",
    "confidence",
    "positive",
    "negative",
];

/// A signature with the places of what can be wrong with it later.
pub struct ParsedSignature {
    /// The signature.
    pub doc: SignatureDoc,
    /// Its zones.
    pub zones: Zone,
    /// Its views, as bits.
    pub views: u16,
    /// Location of the signature's id.
    pub id_at: Location,
    /// Location of the pattern.
    pub pattern_at: Location,
    /// Places of the conditions.
    pub conditions_at: Vec<Location>,
    /// Places of the positive samples.
    pub positive_at: Vec<Location>,
    /// Places of the negative samples.
    pub negative_at: Vec<Location>,
}

/// The entries of a file: signatures, and known vulnerabilities with the rules that block their exploits. Those with a
/// mistake are left out of the result, never out of the report.
pub fn entries(root: &Located<YamlValue>, errors: &mut FileErrors<'_>) -> (Vec<ParsedSignature>, Vec<CveEntry>) {
    let (mut signatures, mut cves) = (Vec::new(), Vec::new());
    match &root.value {
        YamlValue::List(items) => {
            for item in items {
                match read_cve::is_entry(item) {
                    true => cves.extend(read_cve::entry(item, errors)),
                    false => signatures.extend(signature(item, errors)),
                }
            }
        }
        YamlValue::Null => {}
        other => errors
            .add(root.location, format!("a rule file is a list of signatures (`- id: ...`), this is {}", other.kind())),
    }
    (signatures, cves)
}

fn signature(item: &Located<YamlValue>, errors: &mut FileErrors<'_>) -> Option<ParsedSignature> {
    let before = errors.found.len();
    let fields = Fields::of(item, "a signature", KEYS, errors)?;
    let id = fields.text("id", errors);
    let attack = fields.named("attack", "attack type", AttackType::ALL.iter().map(|a| (a.code(), *a)), errors);
    let about = fields.text("about", errors);
    let pattern = fields.text("pattern", errors);
    let levels = [("low", Confidence::Low), ("medium", Confidence::Medium), ("high", Confidence::High)];
    let confidence = fields.named("confidence", "confidence", levels.into_iter(), errors);
    let (positive, positive_at) = fields.samples("positive", errors);
    let (negative, negative_at) = fields.samples("negative", errors);
    let zones = zones(&fields, errors);
    let views = views(&fields, errors);
    let case = case(&fields, errors);
    let (conditions, conditions_at) = conditions(&fields, zones, errors);
    let doc = SignatureDoc {
        attack: attack.unwrap_or(AttackType::Sqli),
        product: read_cve::optional_text(&fields, "product", errors),
        cve: read_cve::numbers(&fields, errors),
        references: read_cve::addresses(&fields, "references", errors),
        cwe: cwe(&fields, errors),
        owasp: fields.get("owasp").and_then(|at| text_of(at, errors)),
        zones: fields.texts("zones", errors).into_iter().map(|t| t.value).collect(),
        points: points(&fields, errors),
        conditions,
        views: fields.texts("views", &mut FileErrors::new("")).into_iter().map(|t| t.value).collect(),
        case,
        literals: fields.texts("literals", errors).into_iter().map(|t| t.value).collect(),
        unfiltered: flag(&fields, "unfiltered", errors),
        spares_documents: flag(&fields, "spares_documents", errors),
        confidence: confidence.unwrap_or(Confidence::Low),
        about: about.map(|t| t.value).unwrap_or_default(),
        id: id.as_ref().map(|t| t.value.clone()).unwrap_or_default(),
        pattern: pattern.as_ref().map(|t| t.value.clone()).unwrap_or_default(),
        positive,
        negative,
    };
    if let (Some(id), Some(attack)) = (&id, attack) {
        check_id(id, attack, errors);
    }
    (errors.found.len() == before).then_some(())?;
    Some(ParsedSignature {
        doc,
        zones,
        views,
        id_at: id?.location,
        pattern_at: pattern?.location,
        conditions_at,
        positive_at,
        negative_at,
    })
}

fn check_id(id: &Located<String>, attack: AttackType, errors: &mut FileErrors<'_>) {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match id.value.split_once('.') {
        Some((class, name)) if !name.is_empty() && name.chars().all(fine) => {
            if class != attack.code() {
                errors
                    .add(id.location, format!("id `{}` must begin with its attack type: `{attack}.{name}`", id.value));
            }
        }
        _ => errors.add(
            id.location,
            format!("id `{}` must be `class.name` of a-z, 0-9, `-`, `_`, e.g. `{attack}.my-rule`", id.value),
        ),
    }
}

fn zones(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Zone {
    let names = fields.texts("zones", &mut FileErrors::new(""));
    if names.is_empty() {
        return Zone::PARAMETERS;
    }
    names.iter().fold(Zone::NONE, |all, name| match name.value.as_str() {
        "parameters" => all.with(Zone::PARAMETERS),
        code => match Zone::from_code(code) {
            Some(zone) => all.with(zone),
            None => {
                let known = Zone::NAMED.iter().map(|(name, _)| *name).chain(["parameters"]);
                errors.add(name.location, format!("unknown zone `{code}`{}", suggest(code, known)));
                all
            }
        },
    })
}

fn views(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> u16 {
    let names = fields.texts("views", errors);
    if names.is_empty() {
        return PLAIN;
    }
    names.iter().fold(0, |all, name| {
        if name.value == "plain" {
            return all | PLAIN;
        }
        match VIEWS.iter().position(|view| view.name == name.value) {
            Some(number) => all | 1 << number,
            None => {
                let known = VIEWS.iter().map(|view| view.name).chain(["plain"]);
                errors.add(name.location, format!("unknown view `{}`{}", name.value, suggest(&name.value, known)));
                all
            }
        }
    })
}

fn case(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Case {
    if fields.get("case").is_none() {
        return Case::Insensitive;
    }
    let names = [("insensitive", Case::Insensitive), ("sensitive", Case::Sensitive)];
    fields.named("case", "case", names.into_iter(), errors).unwrap_or_default()
}

fn cwe(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Option<u32> {
    let at = fields.get("cwe")?;
    let number = match &at.value {
        YamlValue::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        _ => None,
    };
    if number.is_none() {
        errors.add(at.location, "`cwe` is a number, e.g. `cwe: 89`");
    }
    number
}

/// The value of a key that is true or false; false where it is not given.
fn flag(fields: &Fields<'_>, key: &str, errors: &mut FileErrors<'_>) -> bool {
    match fields.get(key) {
        None => false,
        Some(Located { value: YamlValue::Bool(value), .. }) => *value,
        Some(at) => {
            errors.add(at.location, format!("`{key}` is true or false"));
            false
        }
    }
}

/// The conditions of a signature and their places.
fn conditions(fields: &Fields<'_>, zones: Zone, errors: &mut FileErrors<'_>) -> (Vec<ConditionDoc>, Vec<Location>) {
    let Some(at) = fields.get("where") else { return Default::default() };
    let YamlValue::List(items) = &at.value else {
        errors.add(at.location, "`where` is a list of conditions, e.g. `- path: '^/admin/'`");
        return Default::default();
    };
    if zones.intersects(Zone::RESPONSE_HEADER.with(Zone::RESPONSE_BODY)) {
        errors.add(at.location, "`where` reads the request, but one of the zones is part of a response");
    }
    let docs = items.iter().filter_map(|item| Some((condition(item, errors)?, item.location)));
    docs.unzip()
}

/// One condition: a part of the request and the pattern that must match in it.
fn condition(item: &Located<YamlValue>, errors: &mut FileErrors<'_>) -> Option<ConditionDoc> {
    const PARTS: &[&str] =
        &["method", "path", "query", "parameter", "body", "credential", "foreign_referer", "header", "pattern", "not"];
    let before = errors.found.len();
    let fields = Fields::of(item, "a condition", PARTS, errors)?;
    if errors.found.len() > before {
        return None;
    }
    let mut parts = fields.members.iter().filter(|(key, _)| key.value != "pattern" && key.value != "not");
    let (Some((key, _)), None) = (parts.next(), parts.next()) else {
        errors.add(
            item.location,
            "a condition has exactly one of `method`, `path`, `query`, `parameter`, `body`, `credential`, `foreign_referer` and \
             `header`",
        );
        return None;
    };
    let text = if key.value == "credential" {
        // An empty pattern matches every one, as it does for headers.
        fields.get("credential").and_then(|at| text_of(at, errors))?
    } else {
        fields.text(&key.value, errors)?.value
    };
    let negated = flag(&fields, "not", errors);
    if key.value == "header" {
        // An empty pattern matches every header of the name: it asks whether there is one.
        let pattern = fields.get("pattern").and_then(|at| text_of(at, errors));
        if pattern.is_none() && fields.get("pattern").is_none() {
            errors.add(item.location, "`pattern` is missing");
        }
        return Some(ConditionDoc { part: RequestPart::Header(text), pattern: pattern?, negated });
    }
    if let Some(pattern) = fields.get("pattern") {
        errors.add(pattern.location, format!("only `header` has a `pattern`; `{}` is a pattern itself", key.value));
    }
    let part = match key.value.as_str() {
        "method" => RequestPart::Method,
        "path" => RequestPart::Path,
        "body" => RequestPart::Body,
        "credential" => RequestPart::Credential,
        "foreign_referer" => RequestPart::ForeignReferer,
        "parameter" => RequestPart::Parameter,
        _ => RequestPart::Query,
    };
    Some(ConditionDoc { part, pattern: text, negated })
}

fn points(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Vec<PointPattern> {
    let Some(at) = fields.get("points") else { return Vec::new() };
    let YamlValue::List(items) = &at.value else {
        errors.add(at.location, "`points` is a list of points, e.g. `[[[\"header\", \"HOST\"]]]`");
        return Vec::new();
    };
    let mut point = |item: &Located<YamlValue>| match serde_json::from_value(item.value.to_json()) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            errors.add(item.location, format!("not a point: {error}"));
            None
        }
    };
    items.iter().filter_map(&mut point).collect()
}
