//! One hit, explained.

use super::catalogue::{self, confidence, page_of};
use super::rankings;
use crate::console::highlight::{marks_of_steps, pieces};
use crate::console::page::{Page, html};
use crate::console::point_words;
use crate::console::search::term;
use crate::console::view::hit::{Fact, FindingView, HitPage, ParentAttack, Step};
use crate::console::view::number::{bytes, grouped};
use crate::console::view::parts::{AttackKind, Mark};
use crate::console::view::settings::mode_label;
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Error, Result};
use crate::policy::explain::{self, Explained, Explanation};
use crate::policy::propose::is_exceptable;
use crate::policy::version::{Version, number_of};
use crate::store::{self, StoredHit};
use axum::extract::Path;
use axum::response::Response;
use weir_core::model::point::{OwnedKey, PathItem};
use weir_core::model::{AttackType, PointPath};
use weir_policy::FindingKind;
use weir_protocol::code::{HitAction, HitMode, HitReason};
use weir_protocol::hit::Hit;
use weir_protocol::hit::HitDirection;

/// Facts under their heading.
type Facts = (&'static str, Vec<Fact>);

/// `GET /hits/{id}`
pub async fn hit(page: Page, Path(id): Path<String>) -> Result<Response> {
    let stored = page.app.store.hit(&id).await?.ok_or(Error::NotFound("hit"))?;
    let explanation = match page.app.explain(&id).await {
        Ok(explanation) => Some(explanation),
        // The server is busy with other explanations: show the page without the decoding steps.
        Err(Error::Throttled(_)) => None,
        Err(error) => return Err(error),
    };
    let node = page.app.nodes.find(&stored.hit.node).await?.map(|node| node.name);
    let facts = facts(&page, &stored.hit, node, &page.app.policy.versions().await?);
    html(&shown(&page, &stored, explanation.as_ref(), facts))
}

fn shown(page: &Page, stored: &StoredHit, explanation: Option<&Explanation>, facts: Vec<Facts>) -> HitPage {
    let hit = &stored.hit;
    let deny = [("list", "deny"), ("value", hit.client.ip.as_str()), ("reason", "attacks")];
    let explained = explanation.map(|all| all.findings.as_slice()).unwrap_or_default();
    let findings: Vec<FindingView> = explained.iter().map(finding).collect();
    HitPage {
        shell: page.shell("Hit", Place::Attacks),
        id: hit.id.clone(),
        kinds: hit.attacks.iter().map(|&attack| AttackKind::of(attack)).collect(),
        time: page.moment(i64::try_from(hit.time).unwrap_or(i64::MAX)),
        blocked: hit.action == HitAction::Block,
        would_block: hit.would_block,
        why: Text::new(&why(hit)),
        line: Text::new(&format!("{} {}{}", hit.request.method, hit.request.host, hit.request.path)),
        attacks: stored.attacks.iter().map(belongs).collect(),
        request: explanation
            .map(|all| {
                let mut marks = all.marks.clone();
                marks.extend(marks_of_steps(all));
                pieces(&all.request, &marks)
            })
            .unwrap_or_default(),
        message: if hit.leg == HitDirection::Response { "Response" } else { "Request" },
        cut: (hit.request.cut > 0).then(|| bytes(hit.request.cut)),
        // Lists, limits and rules on behaviour find nothing in a request alone.
        stale: explained
            .iter()
            .any(|one| one.finding.decisive && !one.reproduced && !FindingKind::of(&one.finding.rule).is_of_traffic()),
        busy: explanation.is_none(),
        no_findings: Text::new(&no_findings(hit)),
        findings,
        anomalies: hit
            .anomalies
            .iter()
            .map(|one| (one.kind.code(), one.kind.about(), Text::new(&one.point.to_string())))
            .collect(),
        facts,
        deny: (!hit.client.ip.is_empty()).then(|| href("/lists", &deny)),
        exceptable: is_exceptable(hit),
        listed: listed(page, hit),
    }
}

/// Link to the entry that denylists the source of a hit: under IP lists, or among the automatic entries.
fn listed(page: &Page, hit: &Hit) -> Option<String> {
    let found = hit.findings.iter().find(|finding| finding.attack == AttackType::BlockedSource)?;
    let value = found.matched.split_once(" is on the denylist").map_or(hit.client.ip.as_str(), |(value, _)| value);
    let state = &page.app.policy.head().state;
    let is_entry = state.ip_lists.iter().any(|entry| entry.list == "deny" && entry.value.eq_ignore_ascii_case(value));
    Some(if is_entry { href("/lists", &[("list", "deny"), ("q", value)]) } else { "/automatic".into() })
}

fn belongs(attack: &store::Attack) -> ParentAttack {
    let (mark, by) = match &attack.mark {
        None => (Mark::None, ""),
        Some(marked) => (if marked.mark == store::Mark::Tp { Mark::True } else { Mark::False }, marked.author.as_str()),
    };
    let marked_by = Text::new(by.strip_prefix("user:").unwrap_or(by));
    ParentAttack { id: attack.id.clone(), kind: AttackKind::of(attack.attack_type), mark, marked_by }
}

/// Why the request was blocked, or why it was reported and passed.
fn why(hit: &Hit) -> String {
    let mode = mode_label(Some(hit.mode.as_str())).to_lowercase();
    let rules: Vec<String> = hit.rules.iter().map(ToString::to_string).collect();
    match (&hit.action, &hit.reason) {
        (HitAction::Block, HitReason::Denylist) => "Blocked because its source is on the denylist.".into(),
        (HitAction::Block, HitReason::Vpatch) => format!("Blocked by a virtual patch (rule {}).", rules.join(", ")),
        (HitAction::Block, HitReason::Limit) => format!("Blocked by a limit on behaviour (rule {}).", rules.join(", ")),
        (HitAction::Block, _) if is_above_limit(hit) => {
            format!(
                "Blocked because it went over the limit of rule {}. The filtration mode was {mode}.",
                rules.join(", ")
            )
        }
        (HitAction::Block, _) if hit.mode == HitMode::SafeBlocking => {
            "Blocked because its source is on the graylist and the filtration mode was safe blocking.".into()
        }
        (HitAction::Block, _) => format!("Blocked because the filtration mode was {mode}."),
        (_, _) if hit.would_block => format!("Passed because the filtration mode was {mode}."),
        (_, HitReason::Unset) => String::new(),
        (_, reason) => format!("Passed, and reported for this reason: {reason}."),
    }
}

/// Whether all that was found are limits on behaviour that the request went over.
fn is_above_limit(hit: &Hit) -> bool {
    let is_limit = |rule: &str| matches!(FindingKind::of(rule), FindingKind::Behaviour(_));
    !hit.rules.is_empty() && !hit.findings.is_empty() && hit.findings.iter().all(|finding| is_limit(&finding.rule))
}

/// Why a hit has no findings.
fn no_findings(hit: &Hit) -> String {
    if hit.reason == HitReason::Denylist {
        return "No signature matched: the source is on the denylist.".into();
    }
    let anomalies: Vec<&str> = hit.anomalies.iter().map(|one| one.kind.code()).collect();
    let kinds: Vec<&str> = hit.attacks.iter().map(|&attack| attack.name()).collect();
    if anomalies.is_empty() {
        "No signature matched.".into()
    } else {
        format!(
            "No signature matched. Reported as {} because of protocol anomalies: {}.",
            kinds.join(", "),
            anomalies.join(", ")
        )
    }
}

fn finding(one: &Explained) -> FindingView {
    let about = one.rule.as_ref().map(|rule| rule.about.as_str());
    let listed = one.rule.is_some() && catalogue::lists(&one.finding.rule);
    let kind = FindingKind::of(&one.finding.rule);
    let own = if let FindingKind::Custom(id) | FindingKind::Behaviour(id) = kind { id } else { None };
    let unknown = match kind {
        FindingKind::Behaviour(_) => "More than a rule on behaviour allows.",
        _ => "No description: this signature is not known to the control plane.",
    };
    FindingView {
        kind: AttackKind::of(one.finding.attack),
        rule: Text::new(&one.finding.rule),
        href: own.map(|id| format!("/rules/{id}")).or_else(|| listed.then(|| page_of(&one.finding.rule))),
        about: Text::new(&one_line(about.unwrap_or(unknown))),
        confidence: confidence(one.finding.confidence),
        decisive: one.finding.decisive,
        words: Text::new(&point_words::words(&one.finding.point)),
        point: Text::new(&one.finding.point.to_string()),
        matched: Text::new(&one.finding.matched),
        steps: if one.finding.decisive { one.steps.iter().map(step).collect() } else { Vec::new() },
    }
}

fn step(step: &explain::Step) -> Step {
    let label = match step.view {
        Some(view) => format!("Normalized: {view}"),
        None => label(&step.point),
    };
    let found: Vec<explain::Stretch> = step.found.into_iter().collect();
    Step { label: Text::new(&label), value: pieces(&step.value, &found), length: bytes(step.length as u64) }
}

/// The last element of a point, in words.
fn label(point: &PointPath) -> String {
    let Some(PathItem { tag, key }) = point.0.last() else { return "Message".into() };
    let name = match key {
        OwnedKey::None => String::new(),
        OwnedKey::Name(name) => format!(" {name}"),
        OwnedKey::Index(at) => format!(" {at}"),
    };
    let in_json = point.0.len() > 1 && point.0[point.0.len() - 2].tag.code() == "json_doc";
    let word = match tag.code() {
        "hash" if in_json => "JSON field",
        "array" if in_json => "JSON array item",
        "post" => "Body",
        "json_doc" => "JSON",
        "hash" => "Field",
        "array" => "Array item",
        "get" => "Query parameter",
        "header" => "Header",
        "cookie" => "Cookie",
        "form_urlencoded" => "Form field",
        "multipart" => "Multipart part",
        "path" => "Path segment",
        "uri" => "URI",
        "percent" => "Percent-decoded",
        "base64" => "Base64-decoded",
        "hex" => "Hex-decoded",
        "gzip" => "Gzip-decompressed",
        "htmljs" => "HTML and JS unescaped",
        "xml_tag" => "XML element",
        "xml_attr" => "XML attribute",
        "gql_arg" => "GraphQL argument",
        "jwt_payload" => "JWT payload",
        code => return format!("{code}{name}"),
    };
    format!("{word}{name}")
}

/// A fact without a link.
fn fact(name: &'static str, value: impl AsRef<str>) -> Fact {
    Fact { name, value: Text::new(value.as_ref()), href: None }
}

/// A fact that links to the attacks with this value of a search attribute.
fn searchable(name: &'static str, shown: &str, attribute: &str, value: &str) -> Fact {
    let search = href("/attacks", &[("q", &term(attribute, value)), ("range", "30d")]);
    Fact { href: Some(search), ..fact(name, shown) }
}

/// The facts beside the request; empty ones are left out.
fn facts(page: &Page, hit: &Hit, node: Option<String>, versions: &[Version]) -> Vec<Facts> {
    let groups = [
        ("Request", request_facts(page, hit)),
        ("Source", source_facts(hit)),
        ("Gateway", gateway_facts(page, hit)),
        ("Decision", decision_facts(page, hit, node, versions)),
    ];
    let known = |facts: Vec<Fact>| facts.into_iter().filter(|fact| !fact.value.is_empty()).collect::<Vec<_>>();
    let groups = groups.into_iter().map(|(heading, facts)| (heading, known(facts)));
    groups.filter(|(_, facts)| !facts.is_empty()).collect()
}

fn request_facts(page: &Page, hit: &Hit) -> Vec<Fact> {
    let time = page.moment(i64::try_from(hit.time).unwrap_or(i64::MAX));
    let response = hit.response.map(|one| format!("{} after {} ms", one.status, grouped(one.after_ms)));
    let host = (!hit.request.host.is_empty()).then(|| rankings::host_page(&hit.request.host, ""));
    let similar = if hit.folded > 0 { format!("{} (counted, not stored)", grouped(hit.folded)) } else { String::new() };
    vec![
        fact("Time", format!("{time} UTC")),
        searchable("Request ID", &hit.request_id, "request_id", &hit.request_id),
        Fact { href: host, ..fact("Host", &hit.request.host) },
        fact("Protocol", &hit.request.protocol),
        fact("Size", bytes(hit.request.bytes)),
        fact("Response", response.unwrap_or_default()),
        fact("Similar hits", similar),
    ]
}

fn source_facts(hit: &Hit) -> Vec<Fact> {
    let client = &hit.client;
    let source = client.ip.parse::<std::net::IpAddr>().is_ok().then(|| rankings::source_page(&client.ip, ""));
    let country = [client.country.as_str(), client.region.as_str()].join(" ");
    vec![
        Fact { href: source, ..fact("Address", &client.ip) },
        fact("Peer", &client.peer),
        searchable("Country", country.trim(), "country", &client.country),
        fact("ASN", if client.asn == 0 { String::new() } else { format!("AS{}", client.asn) }),
        fact("Source type", client.source_types.join(", ")),
        fact("IP list", hit.list.as_str()),
    ]
}

fn gateway_facts(page: &Page, hit: &Hit) -> Vec<Fact> {
    let head = page.app.policy.head();
    let application = match (hit.application, head.state.applications.get(&hit.application)) {
        (-1, _) => String::new(),
        (id, None) => id.to_string(),
        (id, Some(one)) => format!("{id}, {}", one.name),
    };
    vec![
        fact("Service", &hit.gateway.service),
        fact("Route", &hit.gateway.route),
        fact("Consumer", &hit.gateway.consumer),
        Fact { href: Some(format!("/applications/{}", hit.application)), ..fact("Application", &application) },
        fact("Connector", &hit.connector),
    ]
}

fn decision_facts(page: &Page, hit: &Hit, node: Option<String>, versions: &[Version]) -> Vec<Fact> {
    let head = page.app.policy.head();
    let rules: Vec<String> = hit.rules.iter().map(ToString::to_string).collect();
    let rule = hit.rules.first().filter(|id| head.state.rule(**id).is_some()).map(|id| format!("/rules/{id}"));
    let policy = match hit.policy_serial {
        0 => fact("Policy", "local configuration"),
        serial => {
            let version = format!("version {}", number_of(versions, serial));
            let kept = versions.iter().any(|version| version.serial == serial);
            Fact { href: kept.then(|| format!("/policy/{serial}")), ..fact("Policy", version) }
        }
    };
    vec![
        searchable("Node", node.as_ref().unwrap_or(&hit.node), "node_uuid", &hit.node),
        fact("Mode", mode_label(Some(hit.mode.as_str()))),
        fact("Action", hit.action.as_str()),
        Fact { href: rule, ..fact("Rules", rules.join(", ")) },
        policy,
    ]
}

/// A description that a rule file wraps over lines, on one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::model::{AnomalyKind, Confidence};
    use weir_protocol::hit::{HitAnomaly, HitFinding};

    #[test]
    fn what_blocked_a_request_is_said() {
        let finding = |rule: &str| HitFinding {
            attack: AttackType::Bola,
            rule: rule.into(),
            point: PointPath(Vec::new()),
            confidence: Confidence::High,
            decisive: true,
            matched: String::new(),
        };
        let hit = |mode: &str, rules: &[u64], findings: &[&str]| Hit {
            action: HitAction::Block,
            reason: "attack".into(),
            mode: mode.into(),
            rules: rules.to_vec(),
            findings: findings.iter().map(|rule| finding(rule)).collect(),
            ..Hit::default()
        };
        for (hit, part) in [
            (hit("block", &[4], &["abuse.4"]), "over the limit of rule 4. The filtration mode was blocking"),
            (hit("safe_blocking", &[], &["sqli.union"]), "its source is on the graylist"),
            (hit("block", &[4], &["abuse.4", "sqli.union"]), "because the filtration mode was blocking"),
        ] {
            assert!(why(&hit).contains(part), "{}", why(&hit));
        }
    }

    #[test]
    fn a_hit_without_findings_says_why_it_was_reported() {
        let anomaly = HitAnomaly { kind: AnomalyKind::ClTeConflict, point: PointPath(Vec::new()) };
        let smuggled = Hit { attacks: vec![AttackType::Xxe], anomalies: vec![anomaly], ..Hit::default() };
        let kind = AttackType::Xxe.name();
        assert_eq!(
            no_findings(&smuggled),
            format!("No signature matched. Reported as {kind} because of protocol anomalies: cl_te_conflict.")
        );
        let denied = Hit { reason: "denylist".into(), ..Hit::default() };
        assert_eq!(no_findings(&denied), "No signature matched: the source is on the denylist.");
    }
}
