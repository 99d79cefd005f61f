//! Rules and address databases: those of the node, of its configuration and of the control plane.

use crate::app::error::SettingsError;
use crate::app::rule_files;
use crate::config::Resolved;
use weir_core::ruleset::{Ruleset, builtin, compile};
use weir_node::geo::{DatabaseFiles, Geo};
use weir_node::sync::{RemotePolicy, RulePack};
use weir_policy::CustomSignature;

/// Rule files, name and text: those that ship with the node or the control plane's newer ones, those of directories,
/// and further packs of the control plane.
pub fn rule_files(resolved: &Resolved, remote: Option<&RemotePolicy>) -> Result<Vec<(String, String)>, SettingsError> {
    let packs = remote.map(|remote| remote.packs.as_slice()).unwrap_or_default();
    let named = |pack: &RulePack| (format!("rule pack {}", pack.name), pack.text.clone());
    let names: Vec<&str> = packs.iter().map(|pack| pack.name.as_str()).collect();
    let mut files = if resolved.rules.builtin { builtin::files_beside(&names) } else { Vec::new() };
    // One that takes the place of the embedded files goes with them where they are not wanted.
    let (newer, further): (Vec<&RulePack>, Vec<&RulePack>) = packs.iter().partition(|pack| pack.name == builtin::PACK);
    files.extend(newer.into_iter().filter(|_| resolved.rules.builtin).map(named));
    for directory in &resolved.rules.directories {
        rule_files::read(directory, &mut files).map_err(SettingsError::RuleFiles)?;
    }
    files.extend(further.into_iter().map(named));
    Ok(files)
}

/// The signatures of `files` and of the policy. The error lists every mistake.
pub fn ruleset(files: &[(String, String)], custom: &[CustomSignature]) -> Result<Ruleset, SettingsError> {
    let custom =
        custom.iter().map(|s| s.compile().map_err(|source| SettingsError::CustomSignature { name: s.name(), source }));
    let custom = custom.collect::<Result<Vec<_>, _>>()?;
    compile::compile_with(files, custom).map_err(SettingsError::Rules)
}

/// The address databases: the configured ones, else those of the control plane. Those that did not change since `before`
/// are taken over.
pub fn geo(resolved: &Resolved, remote: Option<&RemotePolicy>, before: Option<&Geo>) -> Result<Geo, SettingsError> {
    let theirs = remote.map(|remote| remote.databases.clone()).unwrap_or_default();
    let own = resolved.geo.clone();
    let files = DatabaseFiles {
        country: own.country_database.or(theirs.country),
        asn: own.asn_database.or(theirs.asn),
        source_types: own.source_type_database.or(theirs.source_type),
    };
    let opened = before.map_or_else(|| Geo::open(&files), |geo| geo.reopen(&files));
    opened.map_err(SettingsError::Geo)
}
