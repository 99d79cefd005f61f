//! Compiles settings and document into a [`Policy`].

use super::Policy;
use super::abuse::AbuseRules;
use super::anomalies::{AnomalyAction, AnomalyTable};
use super::doc::{FieldReader, PolicyDoc, shown};
use super::error::PolicyError;
use super::filters::Filters;
use super::ip_index::IpIndex;
use super::ip_list_reader;
use super::mode::Mode;
use super::reply::ReplyTemplate;
use super::routes::Routes;
use super::rules::Rules;
use super::settings::Settings;
use weir_core::model::AnomalyKind;

/// Newest version of the document's form that is read.
const DOC_VERSION: u64 = 1;

impl Policy {
    /// Checks and indexes settings and document; reports all mistakes of both at once.
    pub fn compile(settings: &Settings, doc: Option<&PolicyDoc>) -> Result<Policy, Vec<PolicyError>> {
        Self::join(settings, doc, None)
    }

    /// Like [`Self::compile`], with the node's own document and that of its control plane. Rules and lists of both
    /// apply; those of the control plane count as the later ones. `wallarm_mode_allow_override` combines the modes: that
    /// of the own document with that of the settings, then that of the control plane with the result.
    pub fn join(
        settings: &Settings,
        local: Option<&PolicyDoc>,
        remote: Option<&PolicyDoc>,
    ) -> Result<Policy, Vec<PolicyError>> {
        let (mut errors, mut notices) = (Vec::new(), Vec::new());
        let empty = PolicyDoc::default();
        let (local, remote) = (local.unwrap_or(&empty), remote.unwrap_or(&empty));
        let mut replies = vec![ReplyTemplate::compile(&settings.reply, "reply", &mut errors)];
        let rules = Rules::compile(local, remote, &mut errors, &mut notices);
        let policy = Policy {
            abuse: AbuseRules::new(rules.abuse()),
            application: settings.application,
            mode_allow_override: settings.mode_allow_override,
            limits: settings.limits.clone(),
            time_limit: settings.time_limit,
            overlimit: settings.overlimit,
            libdetection: settings.libdetection,
            url_normalize: settings.url_normalize,
            lists_before_inspection: settings.lists_before_inspection,
            routes: Routes::compile(settings, &mut replies, &mut errors),
            filters: Filters::compile(settings, &mut errors),
            local_mode: general_mode(local, &mut errors),
            remote_mode: general_mode(remote, &mut errors),
            anomalies: anomalies(settings, [local, remote], &mut errors),
            ip_index: ip_index(settings, [local, remote], &mut errors),
            rules,
            replies,
            notices,
        };
        if errors.is_empty() { Ok(policy) } else { Err(errors) }
    }
}

fn general_mode(doc: &PolicyDoc, errors: &mut Vec<PolicyError>) -> Option<Mode> {
    let mut top = FieldReader::top(doc, errors);
    top.number("version", 1..=DOC_VERSION);
    let codes = ["off", "monitoring", "safe_blocking", "block", "default"];
    let mode = top.choice("mode", &codes.map(|code| (code, Mode::from_code(code)))).flatten();
    top.finish();
    mode
}

/// The default table, overridden by the settings, then by the documents.
fn anomalies(settings: &Settings, docs: [&PolicyDoc; 2], errors: &mut Vec<PolicyError>) -> AnomalyTable {
    let mut table = AnomalyTable::default();
    settings.anomalies.iter().for_each(|&(kind, action)| table.set(kind, action));
    for (doc, (code, node)) in docs.into_iter().flat_map(|doc| doc.anomalies.iter().map(move |entry| (doc, entry))) {
        let kind = AnomalyKind::ALL.iter().find(|kind| kind.code() == code);
        let action = node.value.as_str().and_then(AnomalyAction::from_code);
        let message = match (kind, action) {
            (Some(&kind), Some(action)) => {
                table.set(kind, action);
                continue;
            }
            (None, _) => "there is no such anomaly".to_owned(),
            (_, None) => format!("expected `ignore`, `report` or `block`, got {}", shown(&node.value)),
        };
        let (line, column) = (node.referenced.line() as usize, node.referenced.column() as usize);
        errors.push(PolicyError { file: doc.name.clone(), line, column, at: format!("anomalies.{code}"), message });
    }
    table
}

fn ip_index(settings: &Settings, docs: [&PolicyDoc; 2], errors: &mut Vec<PolicyError>) -> IpIndex {
    let entries: Vec<_> = docs.into_iter().flat_map(|doc| ip_list_reader::read(doc, errors)).collect();
    if settings.lists { IpIndex::new(entries) } else { IpIndex::default() }
}
