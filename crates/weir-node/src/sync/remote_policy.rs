//! A policy of the control plane, parsed, to be combined with the node's own settings.

use super::blobs::BlobCache;
use super::files;
use super::verify::VerifiedPolicy;
use std::path::PathBuf;
use weir_policy::{PolicyDoc, PolicyError};
use weir_protocol::node_api::{Blob, MAX_PACK_BYTES};

/// A policy of the control plane.
#[derive(Clone, Debug)]
pub struct RemotePolicy {
    /// Its serial.
    pub serial: u64,
    /// Modes, rules, lists.
    pub doc: PolicyDoc,
    /// Rule files.
    pub packs: Vec<RulePack>,
    /// Address databases.
    pub databases: Databases,
}

/// A rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePack {
    /// Its name; `builtin` replaces the built-in signatures.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Address databases distributed by the control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Databases {
    /// Countries.
    pub country: Option<PathBuf>,
    /// Autonomous systems.
    pub asn: Option<PathBuf>,
    /// Source types.
    pub source_type: Option<PathBuf>,
}

/// Why a verified policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RemotePolicyError {
    /// A file that it names is not in the cache.
    #[error("file `{0}` is missing")]
    Missing(String),
    /// A rule pack is not UTF-8 text.
    #[error("rule pack `{0}` is not UTF-8 text")]
    NoText(String),
    /// Its document has mistakes.
    #[error("{}", listed(.0))]
    Document(Vec<PolicyError>),
}

/// The first mistakes, one per line.
fn listed(errors: &[PolicyError]) -> String {
    errors.iter().take(MAX_LISTED).map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Mistakes of a document that are listed.
const MAX_LISTED: usize = 10;

impl RemotePolicy {
    /// Reads the document and the files of `verified`. Takes time: not for a thread that serves calls.
    pub fn read(verified: &VerifiedPolicy, cache: &BlobCache) -> Result<Self, RemotePolicyError> {
        let payload = &verified.payload;
        let name = format!("policy {} of the control plane", payload.serial);
        let doc = PolicyDoc::from_json(&name, &payload.policy).map_err(RemotePolicyError::Document)?;
        let packs = payload.rule_packs.iter().map(|blob| pack(blob, cache)).collect::<Result<_, _>>()?;
        let mut databases = Databases::default();
        for blob in &payload.databases {
            let path = cache.find(blob).ok_or_else(|| RemotePolicyError::Missing(blob.name.clone()))?;
            match blob.name.as_str() {
                "country" => databases.country = Some(path),
                "asn" => databases.asn = Some(path),
                _ => databases.source_type = Some(path),
            }
        }
        Ok(Self { serial: payload.serial, doc, packs, databases })
    }
}

fn pack(blob: &Blob, cache: &BlobCache) -> Result<RulePack, RemotePolicyError> {
    let path = cache.find(blob).ok_or_else(|| RemotePolicyError::Missing(blob.name.clone()))?;
    let content = files::read(&path, MAX_PACK_BYTES).ok().flatten();
    let text = String::from_utf8(content.ok_or_else(|| RemotePolicyError::Missing(blob.name.clone()))?);
    Ok(RulePack { name: blob.name.clone(), text: text.map_err(|_| RemotePolicyError::NoText(blob.name.clone()))? })
}
