//! A policy of the control plane, ready to be joined with the node's own settings.

use super::blobs::BlobCache;
use super::files;
use super::verify::VerifiedPolicy;
use std::fmt;
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
    /// What it is called; `builtin` takes the place of the signatures that ship with the node.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Address databases, where the control plane brings them.
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
#[derive(Debug)]
pub enum RemotePolicyError {
    /// A file that it names is not in the cache.
    Missing(String),
    /// A rule pack is no text.
    NoText(String),
    /// Its document is wrong.
    Document(Vec<PolicyError>),
}

/// Mistakes of a document that are told.
const MAX_TOLD: usize = 10;

impl fmt::Display for RemotePolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RemotePolicyError::Missing(name) => write!(f, "file `{name}` is missing"),
            RemotePolicyError::NoText(name) => write!(f, "rule pack `{name}` is no text"),
            RemotePolicyError::Document(errors) => {
                let told: Vec<String> = errors.iter().take(MAX_TOLD).map(ToString::to_string).collect();
                f.write_str(&told.join("\n"))
            }
        }
    }
}

impl RemotePolicy {
    /// Reads the document and the files of `verified`. Takes time: not for a thread that answers calls.
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
