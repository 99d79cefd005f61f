//! One hit, explained.

use super::catalogue::{self, confidence, page_of};
use crate::console::page::{Page, html};
use crate::console::pieces::{marks_of_steps, pieces};
use crate::console::search::term;
use crate::console::view::hit::{Belongs, Fact, FindingView, HitPage, Step};
use crate::console::view::number::{bytes, grouped};
use crate::console::view::parts::{Kind, Mark};
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::{Error, Result};
use crate::policy::explain::{self, Explained, Explanation};
use crate::store::{self, StoredHit};
use axum::extract::Path;
use axum::response::Response;
use weir_core::model::PointPath;
use weir_core::model::point::{OwnedKey, PathItem};
use weir_protocol::hit::Hit;
use weir_protocol::hit::HitLeg;

/// `GET /hits/{id}`
pub async fn hit(page: Page, Path(id): Path<String>) -> Result<Response> {
    let stored = page.app.store.hit(&id).await?.ok_or(Error::NotFound("hit"))?;
    let explanation = match page.app.explain(&id).await {
        Ok(explanation) => Some(explanation),
        // Others are being explained: the page comes without the steps.
        Err(Error::Throttled(_)) => None,
        Err(error) => return Err(error),
    };
    let node = page.app.nodes.find(&stored.hit.node).await?.map(|node| node.name);
    html(&shown(&page, &stored, explanation.as_ref(), node))
}

fn shown(page: &Page, stored: &StoredHit, explanation: Option<&Explanation>, node: Option<String>) -> HitPage {
    let hit = &stored.hit;
    let deny = [("list", "deny"), ("value", hit.client.ip.as_str()), ("reason", "attacks")];
    let explained = explanation.map(|all| all.findings.as_slice()).unwrap_or_default();
    let findings: Vec<FindingView> = explained.iter().map(finding).collect();
    HitPage {
        shell: page.shell("Hit", Place::Attacks),
        id: hit.id.clone(),
        kinds: hit.attacks.iter().map(|&attack| Kind::of(attack)).collect(),
        time: page.moment(i64::try_from(hit.time).unwrap_or(i64::MAX)),
        blocked: hit.action == "block",
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
        message: if hit.leg == HitLeg::Response { "Response" } else { "Request" },
        cut: (hit.request.cut > 0).then(|| bytes(hit.request.cut)),
        stale: explained.iter().any(|one| one.finding.decisive && !one.reproduced),
        busy: explanation.is_none(),
        findings,
        anomalies: hit
            .anomalies
            .iter()
            .map(|one| (one.kind.code(), one.kind.about(), Text::new(&one.point.to_string())))
            .collect(),
        facts: facts(page, hit, node),
        deny: (!hit.client.ip.is_empty()).then(|| href("/lists", &deny)),
        exceptable: hit.leg == HitLeg::Request && !hit.findings.is_empty(),
    }
}

fn belongs(attack: &store::Attack) -> Belongs {
    let (mark, by) = match &attack.mark {
        None => (Mark::None, ""),
        Some(marked) => (if marked.mark == store::Mark::Tp { Mark::True } else { Mark::False }, marked.author.as_str()),
    };
    let marked_by = Text::new(by.strip_prefix("user:").unwrap_or(by));
    Belongs { id: attack.id.clone(), kind: Kind::of(attack.attack_type), mark, marked_by }
}

fn why(hit: &Hit) -> String {
    let mode = super::settings::mode_name(Some(&hit.mode)).to_lowercase();
    let rules: Vec<String> = hit.rules.iter().map(ToString::to_string).collect();
    match (hit.action.as_str(), hit.reason.as_str()) {
        ("block", "denylist") => "Blocked: its source is on the denylist.".into(),
        ("block", "vpatch") => format!("Blocked by a virtual patch: rule {}.", rules.join(", ")),
        ("block", _) => format!("Blocked: the filtration mode was {mode}."),
        (_, _) if hit.would_block => format!("Passed: the filtration mode was {mode}."),
        (_, "") => String::new(),
        (_, reason) => format!("Passed; told because of: {reason}."),
    }
}

fn finding(one: &Explained) -> FindingView {
    let known = catalogue::find(&one.finding.rule);
    let about = one.rule.as_ref().map(|rule| rule.about.as_str()).or(known.map(|known| known.about.as_str()));
    let own = one.finding.rule.strip_prefix("custom.").and_then(|id| id.parse::<u64>().ok());
    FindingView {
        kind: Kind::of(one.finding.attack),
        rule: Text::new(&one.finding.rule),
        href: known.map(|_| page_of(&one.finding.rule)).or_else(|| own.map(|id| format!("/rules/{id}"))),
        about: Text::new(about.unwrap_or("A signature that is not known here.")),
        confidence: confidence(one.finding.confidence),
        decisive: one.finding.decisive,
        point: Text::new(&one.finding.point.to_string()),
        matched: Text::new(&one.finding.matched),
        steps: if one.finding.decisive { one.steps.iter().map(step).collect() } else { Vec::new() },
    }
}

fn step(step: &explain::Step) -> Step {
    let label = match step.view {
        Some(view) => format!("Normalised: {view}"),
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
        "hash" if in_json => "JSON member",
        "array" if in_json => "JSON element",
        "post" => "Body",
        "json_doc" => "JSON",
        "hash" => "member",
        "array" => "element",
        "get" => "Query parameter",
        "header" => "Header",
        "cookie" => "Cookie",
        "form_urlencoded" => "Form field",
        "multipart" => "Part",
        "path" => "Path segment",
        "uri" => "URI",
        "percent" => "Percent-decoded",
        "base64" => "Base64-decoded",
        "hex" => "Hex-decoded",
        "gzip" => "Inflated",
        "htmljs" => "HTML and JS unescaped",
        "xml_tag" => "Element",
        "xml_attr" => "Attribute",
        "gql_arg" => "GraphQL argument",
        "jwt_payload" => "JWT payload",
        code => return format!("{code}{name}"),
    };
    format!("{word}{name}")
}

fn facts(page: &Page, hit: &Hit, node: Option<String>) -> Vec<(&'static str, Vec<Fact>)> {
    let mut groups = Vec::new();
    let mut group = |heading, facts: Vec<(&'static str, String, Option<String>)>| {
        let kept = facts.into_iter().filter(|(_, value, _)| !value.is_empty());
        let kept: Vec<Fact> = kept.map(|(name, value, href)| (name, Text::new(&value), href)).collect();
        if !kept.is_empty() {
            groups.push((heading, kept));
        }
    };
    let search =
        |attribute: &str, value: &str| Some(href("/attacks", &[("q", &term(attribute, value)), ("range", "30d")]));
    let time = page.moment(i64::try_from(hit.time).unwrap_or(i64::MAX));
    let answer = hit.response.map(|answer| format!("{} after {} ms", answer.status, grouped(answer.after_ms)));
    group(
        "Request",
        vec![
            ("Time", format!("{time} UTC"), None),
            ("Request id", hit.request_id.clone(), search("request_id", &hit.request_id)),
            ("Protocol", hit.request.protocol.clone(), None),
            ("Size", bytes(hit.request.bytes), None),
            ("Answer", answer.unwrap_or_default(), None),
            (
                "Alike",
                if hit.folded > 0 { format!("{} more, counted only", grouped(hit.folded)) } else { String::new() },
                None,
            ),
        ],
    );
    let client = &hit.client;
    let system = if client.asn == 0 { String::new() } else { format!("AS{}", client.asn) };
    group(
        "Source",
        vec![
            ("Address", client.ip.clone(), search("ip", &client.ip)),
            ("Peer", client.peer.clone(), None),
            (
                "Country",
                [client.country.as_str(), client.region.as_str()].join(" ").trim().to_owned(),
                search("country", &client.country),
            ),
            ("System", system, None),
            ("Kind", client.source_types.join(", "), None),
            ("List", hit.list.clone(), None),
        ],
    );
    let head = page.app.policy.head();
    let application = match (hit.application, head.state.applications.get(&hit.application)) {
        (-1, _) => String::new(),
        (id, None) => id.to_string(),
        (id, Some(one)) => format!("{id}, {}", one.name),
    };
    group(
        "Gateway",
        vec![
            ("Service", hit.gateway.service.clone(), None),
            ("Route", hit.gateway.route.clone(), None),
            ("Consumer", hit.gateway.consumer.clone(), None),
            ("Application", application, search("app", &hit.application.to_string())),
            ("Connector", hit.connector.clone(), None),
        ],
    );
    let rules: Vec<String> = hit.rules.iter().map(ToString::to_string).collect();
    let rule = hit.rules.first().filter(|id| head.state.rule(**id).is_some()).map(|id| format!("/rules/{id}"));
    let policy =
        if hit.policy_serial == 0 { "the node's own".into() } else { format!("version {}", hit.policy_serial) };
    group(
        "Judgement",
        vec![
            ("Node", node.unwrap_or_else(|| hit.node.clone()), search("node_uuid", &hit.node)),
            ("Mode", super::settings::mode_name(Some(&hit.mode)).to_owned(), None),
            ("Action", hit.action.clone(), None),
            ("Rules", rules.join(", "), rule),
            ("Policy", policy, None),
        ],
    );
    groups
}
