//! Judges requests in this process, by rules and a policy, as a node would.

use super::error::CliError;
use super::rule_loading;
use crate::app;
use crate::config::{Sources, load};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;
use weir_core::engine::{self, Scratch};
use weir_core::model::{Inspection, Message};
use weir_core::parse::message;
use weir_core::ruleset::RuleError;
use weir_core::ruleset::custom::CompiledSignature;
use weir_node::generation::Generation;
use weir_policy::{Policy, PolicyDoc, RequestContext, Settings, Verdict};

/// What requests are judged by.
#[derive(Debug)]
pub(super) struct JudgeRules {
    generation: Generation,
}

impl JudgeRules {
    /// The rules of `directories`, with the built-in signatures if `builtin`, and the policy of a file. Without a policy,
    /// everything is judged in blocking mode.
    pub fn load(directories: &[PathBuf], builtin: bool, policy_file: Option<&Path>) -> Result<Self, CliError> {
        let policy = policy(policy_file)?;
        let ruleset = rule_loading::load_with(directories, builtin, signatures(&policy)?).map_err(CliError::Rules)?;
        let (geo, clients) = (Default::default(), Default::default());
        Ok(Self { generation: Generation::new(ruleset.into(), policy, geo, clients, true) })
    }

    /// What a node with this configuration judges by, with further directories of rules, and a policy file in place of that
    /// of the configuration. What a control plane sends is not in it.
    pub fn configured(
        sources: &Sources,
        directories: &[PathBuf],
        policy_file: Option<&Path>,
    ) -> Result<Self, CliError> {
        let loaded = load(sources);
        let Some(mut resolved) = loaded.resolved else {
            return Err(CliError::Configuration(Box::new(loaded.report)));
        };
        resolved.rules.directories.extend(directories.iter().cloned());
        if let Some(file) = policy_file {
            resolved.policy_file = Some(file.to_owned());
        }
        let generation = app::local_generation(&resolved).map_err(CliError::from)?;
        Ok(Self { generation })
    }
}

/// The user's signatures in `policy`: rules of type `regex` and `experimental_regex`.
fn signatures(policy: &Policy) -> Result<Vec<CompiledSignature>, CliError> {
    let compiled = policy.custom_signatures().into_iter().map(|own| {
        own.compile().map_err(|error| RuleError {
            file: "policy".into(),
            line: 0,
            column: 0,
            message: format!("rule {}: {error}", own.rule),
        })
    });
    compiled.collect::<Result<Vec<_>, _>>().map_err(|error| CliError::Rules(vec![error]))
}

fn policy(path: Option<&Path>) -> Result<Policy, CliError> {
    let Some(path) = path else {
        return Policy::compile(&Settings::default(), None).map_err(CliError::Policy);
    };
    let text = std::fs::read_to_string(path).map_err(CliError::file(path))?;
    let doc = PolicyDoc::parse(&path.display().to_string(), &text).map_err(CliError::Policy)?;
    Policy::compile(&Settings::default(), Some(&doc)).map_err(CliError::Policy)
}

/// Judges requests.
#[derive(Debug)]
pub(super) struct Judge<'r> {
    /// What they are judged by.
    pub rules: &'r JudgeRules,
    /// Address of the client to judge as.
    pub client: IpAddr,
    /// Whether every decoding step is kept.
    pub explain: bool,
}

/// What was found out about a request.
#[derive(Debug)]
pub(super) struct Judgement<'m> {
    /// The request.
    pub message: Message<'m>,
    /// What the engine found; empty where the policy bypasses inspection.
    pub inspection: Inspection,
    /// What the policy makes of it.
    pub verdict: Verdict,
    /// How long the inspection took, in microseconds.
    pub micros: f64,
}

impl Judge<'_> {
    /// Judges the request `raw`, head and body as in HTTP/1.1. No time limit applies.
    pub fn judge<'m>(&self, raw: &'m [u8], scratch: &mut Scratch) -> Judgement<'m> {
        let generation = &self.rules.generation;
        let message = message::request(raw);
        // A trusted proxy may forward address and host of the client, as it does to a node.
        let client = generation.clients.find(self.client, &message.headers);
        let facts = client.facts(&message);
        let head = RequestContext {
            message: &message,
            facts: &facts,
            client: Some(client.address),
            source: generation.source(Some(client.address)),
            now: weir_runtime::clock::now_seconds(),
            blocking: generation.blocking,
            request_id: "inspect",
        };
        let policy = &generation.policy;
        let plan = policy.plan(&head);
        let begin = Instant::now();
        let options = engine::InspectionOptions { explain: self.explain, ..plan.options() };
        let inspection = match plan.bypass {
            None => engine::inspect(&message, &generation.ruleset, &options, scratch, &|| false),
            Some(_) => Inspection::default(),
        };
        let micros = begin.elapsed().as_secs_f64() * 1e6;
        let verdict = policy.decide(&head, &plan, plan.bypass.is_none().then_some(&inspection));
        Judgement { message, inspection, verdict, micros }
    }
}
