//! A policy of the control plane, ready to be joined with the node's own settings.

use super::blobs::Cache;
use super::files;
use super::verify::Verified;
use std::fmt;
use std::path::PathBuf;
use weir_policy::{PolicyDoc, PolicyError};
use weir_protocol::node_api::{Blob, MAX_PACK_BYTES};

/// A policy of the control plane.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its serial.
    pub serial: u64,
    /// Modes, rules, lists.
    pub doc: PolicyDoc,
    /// Rule files.
    pub packs: Vec<Pack>,
    /// Address databases.
    pub databases: Databases,
}

/// A rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
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
pub enum Unusable {
    /// A file that it names is not in the cache.
    Missing(String),
    /// A rule pack is no text.
    NoText(String),
    /// Its document is wrong.
    Document(Vec<PolicyError>),
}

/// Mistakes of a document that are told.
const MAX_TOLD: usize = 10;

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Missing(name) => write!(f, "file `{name}` is missing"),
            Unusable::NoText(name) => write!(f, "rule pack `{name}` is no text"),
            Unusable::Document(errors) => {
                let told: Vec<String> = errors.iter().take(MAX_TOLD).map(ToString::to_string).collect();
                f.write_str(&told.join("\n"))
            }
        }
    }
}

impl Remote {
    /// Reads the document and the files of `verified`. Takes time: not for a thread that answers calls.
    pub fn read(verified: &Verified, cache: &Cache) -> Result<Self, Unusable> {
        let payload = &verified.payload;
        let name = format!("policy {} of the control plane", payload.serial);
        let doc = PolicyDoc::from_json(&name, &payload.policy).map_err(Unusable::Document)?;
        let packs = payload.rule_packs.iter().map(|blob| pack(blob, cache)).collect::<Result<_, _>>()?;
        let mut databases = Databases::default();
        for blob in &payload.databases {
            let path = cache.find(blob).ok_or_else(|| Unusable::Missing(blob.name.clone()))?;
            match blob.name.as_str() {
                "country" => databases.country = Some(path),
                "asn" => databases.asn = Some(path),
                _ => databases.source_type = Some(path),
            }
        }
        Ok(Self { serial: payload.serial, doc, packs, databases })
    }
}

fn pack(blob: &Blob, cache: &Cache) -> Result<Pack, Unusable> {
    let path = cache.find(blob).ok_or_else(|| Unusable::Missing(blob.name.clone()))?;
    let content = files::read(&path, MAX_PACK_BYTES).ok().flatten();
    let text = String::from_utf8(content.ok_or_else(|| Unusable::Missing(blob.name.clone()))?);
    Ok(Pack { name: blob.name.clone(), text: text.map_err(|_| Unusable::NoText(blob.name.clone()))? })
}
