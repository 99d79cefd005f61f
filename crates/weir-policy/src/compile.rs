//! Settings and document become a [`Policy`].

use super::Policy;
use super::addresses::Addresses;
use super::anomalies::{AnomalyAction, AnomalyTable};
use super::doc::{Fields, PolicyDoc, shown};
use super::error::PolicyError;
use super::filters::Filters;
use super::listing;
use super::mode::Mode;
use super::reply::ReplyTemplate;
use super::routes::Routes;
use super::rules::Rules;
use super::settings::Settings;
use weir_core::model::AnomalyKind;

/// Newest version of the document's form that is read.
const DOC_VERSION: u64 = 1;

impl Policy {
    /// Checks and indexes settings and document; every mistake in both is told at once.
    pub fn compile(settings: &Settings, doc: Option<&PolicyDoc>) -> Result<Policy, Vec<PolicyError>> {
        Self::join(settings, doc, None)
    }

    /// Like [`Self::compile`], with the node's own document and that of its control plane. Rules and lists of both
    /// apply; the control plane's count as the later ones. Modes are joined by `wallarm_mode_allow_override`: the own
    /// document's with the settings', then the control plane's with that.
    pub fn join(
        settings: &Settings,
        local: Option<&PolicyDoc>,
        remote: Option<&PolicyDoc>,
    ) -> Result<Policy, Vec<PolicyError>> {
        let (mut errors, mut notices) = (Vec::new(), Vec::new());
        let empty = PolicyDoc::default();
        let (local, remote) = (local.unwrap_or(&empty), remote.unwrap_or(&empty));
        let mut replies = vec![ReplyTemplate::compile(&settings.reply, "reply", &mut errors)];
        let policy = Policy {
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
            addresses: addresses(settings, [local, remote], &mut errors),
            rules: Rules::compile(local, remote, &mut errors, &mut notices),
            replies,
            notices,
        };
        if errors.is_empty() { Ok(policy) } else { Err(errors) }
    }
}

fn general_mode(doc: &PolicyDoc, errors: &mut Vec<PolicyError>) -> Option<Mode> {
    let mut top = Fields::top(doc, errors);
    top.number("version", 1..=DOC_VERSION);
    let codes = ["off", "monitoring", "safe_blocking", "block", "default"];
    let mode = top.choice("mode", &codes.map(|code| (code, Mode::from_code(code)))).flatten();
    top.finish();
    mode
}

/// The default table, changed by the settings, then by the documents.
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
            (_, None) => format!("ignore, report or block is wanted, not {}", shown(&node.value)),
        };
        let (line, column) = (node.referenced.line() as usize, node.referenced.column() as usize);
        errors.push(PolicyError { file: doc.name.clone(), line, column, at: format!("anomalies.{code}"), message });
    }
    table
}

fn addresses(settings: &Settings, docs: [&PolicyDoc; 2], errors: &mut Vec<PolicyError>) -> Addresses {
    let entries: Vec<_> = docs.into_iter().flat_map(|doc| listing::read(doc, errors)).collect();
    if settings.lists { Addresses::new(entries) } else { Addresses::default() }
}
