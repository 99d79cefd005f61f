//! Pages that create an exception or a virtual patch from a hit.

mod effect;

use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{Page, html_with, mistakes, see_other};
use crate::console::rule_form::field;
use crate::console::view::form::{Control, Field};
use crate::console::view::number::grouped;
use crate::console::view::parts::AttackKind;
use crate::console::view::proposal::{BoundOption, Changed, PointOption, Preview, Proposal, Proposed, SubjectOption};
use crate::console::view::shell::{Place, Tone};
use crate::console::view::text::Text;
use crate::console::{point_text, rule_text};
use crate::error::{Error, Mistake, Result};
use crate::policy::preview::{ChangedHit, LONG, Outcome, SHORT};
use crate::policy::propose::By;
use crate::policy::{self, Choice, Material, NewRule, Purpose};
use crate::store::Replay;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use weir_policy::FindingKind;

/// Days looked back in a preview.
const DAYS: u32 = 30;
/// Value of `inspect` that has hits judged for as long as is allowed: what the button asks for, and the page itself does not.
const MORE: &str = "more";
/// Changed hits of the table.
const SHOWN: usize = 12;
/// Seconds of a day.
const DAY: u64 = 86_400;
/// Ends to choose from, in days.
const ENDS: [(&str, &str); 5] =
    [("", "Never"), ("7", "In 7 days"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year")];

/// The rule that a user is creating from a hit.
struct RuleProposal {
    purpose: Purpose,
    replay: Replay,
    material: Material,
    choice: Choice,
    days: String,
}

/// `GET /hits/{id}/exception`
pub async fn exception(page: Page, Path(id): Path<String>) -> Result<Response> {
    let given = page.query.clone();
    let asked = read(&page, &id, Purpose::Exception, &given).await?;
    show(&page, asked, StatusCode::OK, &[]).await
}

/// `POST /hits/{id}/exception`
pub async fn except(page: Page, Path(id): Path<String>, given: FormFields) -> Result<Response> {
    let asked = read(&page, &id, Purpose::Exception, &given).await?;
    apply(page, asked, "exception").await
}

/// `GET /hits/{id}/patch`
pub async fn patch(page: Page, Path(id): Path<String>) -> Result<Response> {
    let given = page.query.clone();
    let asked = read(&page, &id, Purpose::VirtualPatch, &given).await?;
    show(&page, asked, StatusCode::OK, &[]).await
}

/// `POST /hits/{id}/patch`
pub async fn apply_patch(page: Page, Path(id): Path<String>, given: FormFields) -> Result<Response> {
    let asked = read(&page, &id, Purpose::VirtualPatch, &given).await?;
    apply(page, asked, "patch").await
}

async fn read(page: &Page, id: &str, purpose: Purpose, given: &FormFields) -> Result<RuleProposal> {
    let replay = page.app.replay_of(id).await?.ok_or(Error::NotFound("hit"))?;
    let material = Material::of(&replay.hit, &replay.raw)?;
    let mut choice = Choice::default();
    let days = if given.names("expires") { given.get("expires") } else { "" }.to_owned();
    if let Some((subject, by)) = given.get("subject").split_once(':') {
        choice.subject = Some(subject.parse().map_err(|_| Error::invalid("subject", "choose an option"))?);
        choice.by = Some(match by {
            "any" => By::Any,
            "type" => By::Type,
            _ => By::Stamp,
        });
        choice.steps = given.number("point")?;
        (choice.host, choice.path, choice.method) = (given.has("host"), given.has("path"), given.has("method"));
        choice.comment = given.get("comment").to_owned();
        if !days.is_empty() {
            let days: u64 = days.parse().map_err(|_| Error::invalid("expires", "choose an option"))?;
            choice.expired_at = Some(page.app.clock.seconds().saturating_add(days.saturating_mul(DAY)));
        }
    }
    let (subject, by) = material.chosen(purpose, &choice);
    (choice.subject, choice.by) = (Some(subject), Some(by));
    Ok(RuleProposal { purpose, replay, material, choice, days })
}

impl RuleProposal {
    /// The subject's number and what of it is left out.
    fn chosen(&self) -> (usize, By) {
        self.material.chosen(self.purpose, &self.choice)
    }

    fn rule(&self) -> Result<NewRule> {
        let rule = self.material.rule(self.purpose, &self.choice, &self.replay.hit.id)?;
        Ok(NewRule { rule, groups: Vec::new(), from_hit: self.replay.hit.id.clone() })
    }
}

async fn apply(page: Page, asked: RuleProposal, code: &'static str) -> Result<Response> {
    match mistakes(page.app.create_rule(&page.caller, asked.rule()?).await)? {
        Ok(change) => Ok(see_other(&with_notice(&format!("/hits/{}", asked.replay.hit.id), code, change.value.id))),
        Err(wrong) => show(&page, asked, StatusCode::UNPROCESSABLE_ENTITY, &wrong).await,
    }
}

async fn show(page: &Page, asked: RuleProposal, status: StatusCode, wrong: &[Mistake]) -> Result<Response> {
    let new = asked.rule()?;
    let time = if page.query.get("inspect") == MORE { LONG } else { SHORT };
    let what = if asked.purpose == Purpose::Exception { Proposed::Exception } else { Proposed::Patch };
    let (preview, mut mistaken) = if wrong.is_empty() {
        match mistakes(page.app.preview(&new, None, Some(DAYS), time).await) {
            Ok(Ok(preview)) => (Some(shown(page, &preview, &asked)), Vec::new()),
            Ok(Err(wrong)) => (None, wrong),
            Err(Error::Throttled(seconds)) => {
                let text = format!("the server is busy with other previews; try again in {seconds} s");
                (None, vec![Mistake::new("", text)])
            }
            Err(error) => return Err(error),
        }
    } else {
        (None, Vec::new())
    };
    mistaken.extend(wrong.iter().cloned());
    let said = mistaken.iter().map(|one| {
        let at = field(&one.field);
        Text::new(&if at.is_empty() { one.message.clone() } else { format!("{at}: {}", one.message) })
    });
    let title = if what == Proposed::Exception { "Create exception" } else { "Create virtual patch" };
    let request = &asked.replay.hit.request;
    html_with(
        status,
        &Proposal {
            shell: page.shell(title, Place::Attacks),
            what,
            hit: asked.replay.hit.id.clone(),
            line: Text::new(&format!("{} {}{}", request.method, request.host, request.path)),
            subjects: subjects(&asked),
            points: points(&asked),
            bounds: bounds(&asked),
            fields: vec![
                Field::new("expires", "Expires", Control::Select(ENDS.map(|(a, b)| (a.into(), b.into())).into()), "")
                    .with(asked.days.clone()),
                Field::new("comment", "Comment", Control::Line, "Why this rule exists.")
                    .with(asked.choice.comment.clone()),
            ],
            mistakes: said.collect(),
            sentence: Text::new(&rule_text::sentence(&new.rule)),
            effect: effect::of(&asked),
            rule: Text::block(&rule_text::yaml(&Value::Object(new.rule))),
            preview,
        },
    )
}

/// What the rule can ignore or block: each signature with a finding, and each attack type.
fn subjects(asked: &RuleProposal) -> Vec<SubjectOption> {
    let mut out: Vec<SubjectOption> = Vec::new();
    let exception = asked.purpose == Purpose::Exception;
    let chosen = asked.chosen();
    for (number, subject) in asked.material.subjects.iter().enumerate() {
        let at = effect::at(&subject.point.0);
        let is = |by| chosen == (number, by);
        if let (Some(stamp), true) = (&subject.stamp, exception) {
            out.push(SubjectOption {
                value: format!("{number}:stamp"),
                label: Text::new(stamp),
                about: Text::new(&format!("Only this signature, {at}. {}", asked.enough(number, By::Stamp))),
                chosen: is(By::Stamp),
            });
        }
        let enough = if exception { asked.enough(number, By::Type) } else { String::new() };
        let option = SubjectOption {
            value: format!("{number}:type"),
            label: Text::new(AttackKind::of(subject.attack).name),
            about: Text::new(&format!("All attacks of this type, {at}. {enough}")),
            chosen: is(By::Type)
                || (number == chosen.0 && chosen.1 != By::Any && (!exception || subject.stamp.is_none())),
        };
        // Several findings of one type in one location lead to the same rule.
        if !out.iter().any(|known| (&known.label, &known.about) == (&option.label, &option.about)) {
            out.push(option);
        }
    }
    if exception && (chosen.1 == By::Any || asked.material.needs_any()) {
        let at = effect::at(&asked.material.point(0, By::Any, None).0);
        out.push(SubjectOption {
            value: "0:any".to_owned(),
            label: Text::new("Everything that was found"),
            about: Text::new(&format!("All attacks of every type, {at}. {}", asked.enough(0, By::Any))),
            chosen: chosen.1 == By::Any,
        });
    }
    out
}

/// The location of the chosen subject, with ever fewer steps.
fn points(asked: &RuleProposal) -> Vec<PointOption> {
    let (number, by) = asked.chosen();
    let steps = &asked.material.point(number, by, None).0;
    let chosen = asked.choice.steps.unwrap_or(steps.len()).clamp(1, steps.len().max(1));
    if steps.is_empty() {
        return vec![PointOption { value: String::new(), point: Text::new("the whole request"), chosen: true }];
    }
    let option = |kept: usize| PointOption {
        value: kept.to_string(),
        point: Text::new(&point_text::write(&json!(&steps[..kept]))),
        chosen: kept == chosen,
    };
    (1..=steps.len()).rev().map(option).collect()
}

fn bounds(asked: &RuleProposal) -> Vec<BoundOption> {
    let (material, choice) = (&asked.material, &asked.choice);
    let all = [
        ("host", "Host", material.host.as_str(), choice.host),
        ("path", "Path", material.path.as_str(), choice.path),
        ("method", "Method", material.method.as_str(), choice.method),
    ];
    let known = all.into_iter().filter(|(.., value, _)| !value.is_empty());
    known.map(|(name, label, value, bound)| BoundOption { name, label, value: Text::new(value), bound }).collect()
}

fn shown(page: &Page, preview: &policy::Preview, asked: &RuleProposal) -> Preview {
    let exception = asked.purpose == Purpose::Exception;
    let left;
    let changes = if exception { &preview.passes } else { &preview.blocked_always };
    let this = match (preview.this, exception) {
        (Some(Outcome::Passes), _) => (Tone::Good, "This hit would pass."),
        (Some(Outcome::BlockedAlways), true) => (Tone::Bad, "This hit would still be blocked by a virtual patch."),
        (Some(Outcome::BlockedAlways), false) => (Tone::Good, "This hit would be blocked in every mode except off."),
        (Some(Outcome::StillAttack), true) => {
            let why = Some(asked.left()).filter(|left| !left.is_empty());
            left = format!(
                "This hit would still be an attack: {}.",
                why.as_deref().unwrap_or("something else is still detected")
            );
            (Tone::Bad, left.as_str())
        }
        (Some(Outcome::StillAttack), false) => (Tone::Bad, "This hit would not be blocked by the patch."),
        (Some(Outcome::NotReproducible) | None, _) if is_of_traffic(asked) => (
            Tone::Note,
            "The effect on this hit is unknown: its attack shows in many requests, or in the time or size of one, and a stored copy repeats neither.",
        ),
        (Some(Outcome::NotReproducible) | None, _) => (
            Tone::Note,
            "The effect on this hit is unknown: its stored copy is masked or truncated and is no longer detected as an attack.",
        ),
    };
    Preview {
        this: (this.0, Text::new(this.1)),
        replayed: grouped(preview.replayed as u64),
        since: page.moment(preview.since),
        cut: preview.cut,
        changed: changes.shown.iter().take(SHOWN).map(|hit| changed(page, hit)).collect(),
        changed_count: grouped(changes.count as u64),
        single: changes.count == 1,
    }
}

/// Whether the chosen subject is about the traffic, and not about what a request says.
fn is_of_traffic(asked: &RuleProposal) -> bool {
    let subject = asked.material.subjects.get(asked.chosen().0);
    let findings = asked.replay.hit.findings.iter();
    let mut of_subject = findings.filter(|one| subject.is_some_and(|subject| subject.attack == one.attack));
    of_subject.any(|one| FindingKind::of(&one.rule).is_of_traffic())
}

fn changed(page: &Page, hit: &ChangedHit) -> Changed {
    Changed {
        id: hit.id.clone(),
        time: page.moment(i64::try_from(hit.time).unwrap_or(i64::MAX)),
        kinds: hit.attacks.iter().map(|&attack| AttackKind::of(attack)).collect(),
        line: Text::new(&format!("{} {}{}", hit.method, hit.host, hit.path)),
        ip: Text::new(&hit.ip),
        matched: Text::new(&hit.matched),
    }
}
