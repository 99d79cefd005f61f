//! The test box: a request that a user typed, inspected without and with a rule.

use super::edit::NewRule;
use super::replay::{Judge, Judged};
use super::state::DEFAULT_GROUP;
use crate::app::App;
use crate::error::{Error, Result};
use serde::Serialize;
use std::sync::Arc;
use weir_core::engine::Scratch;
use weir_core::model::{AttackType, Finding};
use weir_protocol::hit::Hit;

/// Largest request, in bytes.
pub const MAX_REQUEST: usize = 256 << 10;

/// A judgement in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Whether it is an attack: blocked in mode `block`.
    pub attack: bool,
    /// Whether it is blocked in every mode, by a virtual patch.
    pub patched: bool,
    /// Attack types.
    pub attacks: Vec<AttackType>,
    /// Findings that count or were weighed.
    pub findings: Vec<Finding>,
}

/// A request without and with the rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleTest {
    /// By the policy in force.
    pub before: Judgement,
    /// With the rule; none where there was none to try.
    pub after: Option<Judgement>,
}

impl App {
    /// Judges `request`, a message as a client sends it (lines may end in LF alone), for a node of `group`.
    pub async fn try_request(
        &self,
        request: &str,
        group: Option<&str>,
        rule: Option<(&NewRule, Option<u64>)>,
    ) -> Result<RuleTest> {
        if request.len() > MAX_REQUEST {
            return Err(Error::TooLarge(MAX_REQUEST));
        }
        let raw = wire(request);
        let before = Arc::clone(&self.policy.head().state);
        let after = match rule {
            Some((new, replaces)) => {
                self.check_rule(new, replaces).await?;
                let mut after = (*before).clone();
                after.put_rule(new, replaces)?;
                Some(after)
            }
            None => None,
        };
        let (app, files, now) = (self.clone(), self.rule_files().await?, self.clock.seconds());
        let group = group.unwrap_or(DEFAULT_GROUP).to_owned();
        self.replays
            .run(move || {
                let judge = |state| {
                    let judge = Judge::new(state, &group, now, &files, &app.replays)?;
                    Ok::<_, Error>(judgement(judge.judge(&Hit::default(), &raw, false, &mut Scratch::default())))
                };
                Ok(RuleTest { before: judge(&before)?, after: after.as_ref().map(judge).transpose()? })
            })
            .await
    }
}

fn judgement(judged: Judged) -> Judgement {
    let (attack, patched) = (judged.is_attack(), judged.is_blocked());
    Judgement { attack, patched, attacks: judged.verdict.attacks, findings: judged.verdict.findings }
}

/// Bytes as they would be sent: the head with CRLF, the body as typed.
fn wire(request: &str) -> Vec<u8> {
    let text = request.replace("\r\n", "\n");
    match text.split_once("\n\n") {
        Some((head, body)) => [head.replace('\n', "\r\n").as_bytes(), b"\r\n\r\n", body.as_bytes()].concat(),
        None => [text.trim_end_matches('\n').replace('\n', "\r\n").as_bytes(), b"\r\n\r\n"].concat(),
    }
}
