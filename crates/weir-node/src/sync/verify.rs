//! Whether a policy is genuine, meant for this node, newer than what it has, and understood.

use super::key::{BadKey, PublicKey};
use super::state::Trust;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fmt;
use weir_protocol::node_api::{
    Blob, CAPABILITIES, MAX_BLOBS, MAX_DATABASE_BYTES, MAX_PACK_BYTES, MAX_POLICY_BYTES, POLICY_CONTEXT, PolicyPayload,
    SignedPolicy,
};

/// Version of the schema that is understood.
const SCHEMA: u32 = 1;
/// Bytes of all files that one policy names.
const MAX_TOTAL: u64 = 1 << 30;
/// What a database may be called.
pub(super) const DATABASES: [&str; 3] = ["country", "asn", "source_type"];

/// A policy that is genuine and meant for this node.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it says.
    pub payload: PolicyPayload,
    /// As it came: the JSON of a [`SignedPolicy`].
    pub text: Bytes,
    /// The key that signed it.
    pub key: PublicKey,
}

/// Why a policy is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not in the form of this protocol.
    Form(String),
    /// No key to verify it with is known yet.
    NoKey,
    /// Its key is not one to trust.
    Key(BadKey),
    /// The signature is not that key's.
    Signature,
    /// It is genuine, and not for this node or not usable by it.
    Genuine {
        /// Its serial.
        serial: u64,
        /// What is against it.
        why: Misfit,
    },
}

/// What is against a genuine policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A schema that this build does not read.
    Schema(u32),
    /// It is for another group.
    Group(String),
    /// It is not newer than the last one accepted.
    Replayed(u64),
    /// Capabilities that this build does not have.
    Requires(Vec<String>),
    /// A file that it names is not as it must be.
    Blob(String),
}

impl Unfit {
    /// The serial, where it can be believed.
    pub fn serial(&self) -> Option<u64> {
        match self {
            Unfit::Genuine { serial, .. } => Some(*serial),
            _ => None,
        }
    }

    /// A word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Unfit::Form(_) => "form",
            Unfit::NoKey | Unfit::Key(_) => "key",
            Unfit::Signature => "signature",
            Unfit::Genuine { why, .. } => match why {
                Misfit::Schema(_) | Misfit::Requires(_) => "not_understood",
                Misfit::Group(_) => "group",
                Misfit::Replayed(_) => "replayed",
                Misfit::Blob(_) => "blob",
            },
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Form(why) => write!(f, "the policy cannot be read: {why}"),
            Unfit::NoKey => f.write_str("no key to verify policies with: register, or set api.policy_key"),
            Unfit::Key(why) => write!(
                f,
                "the policy's key is not trusted: {why}; where the control plane was replaced on purpose, set \
                 api.policy_key to its new key"
            ),
            Unfit::Signature => f.write_str("the policy's signature is wrong"),
            Unfit::Genuine { serial, why } => write!(f, "policy {serial}: {why}"),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::Schema(schema) => write!(f, "schema {schema} is not understood; upgrade the node"),
            Misfit::Group(group) => write!(f, "it is for group `{group}`"),
            Misfit::Replayed(last) => write!(f, "it is not newer than {last}, which was accepted before"),
            Misfit::Requires(what) => write!(f, "it requires {}; upgrade the node", what.join(", ")),
            Misfit::Blob(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Unfit {}

/// Verifies the JSON of a [`SignedPolicy`]. Costs time in proportion to its size: not for a thread that answers calls.
pub fn genuine(text: Bytes, trusted: &PublicKey) -> Result<Verified, Unfit> {
    let form = |error: serde_json::Error| Unfit::Form(error.to_string());
    let signed: SignedPolicy = serde_json::from_slice(&text).map_err(form)?;
    if signed.document.len() > MAX_POLICY_BYTES {
        return Err(Unfit::Form(format!("larger than {MAX_POLICY_BYTES} bytes")));
    }
    let key = trusted.reach(&signed.chain, &signed.key_id).map_err(Unfit::Key)?;
    if !key.signed(POLICY_CONTEXT, signed.document.as_bytes(), &signed.signature) {
        return Err(Unfit::Signature);
    }
    let payload: PolicyPayload = serde_json::from_str(&signed.document).map_err(form)?;
    Ok(Verified { payload, text, key })
}

/// A policy from the control plane: genuine by the newest trusted key, for `group`, and newer than `last`.
pub fn fresh(text: Bytes, trust: Option<Trust>, group: &str, last: u64) -> Result<Verified, Unfit> {
    let verified = genuine(text, &trust.ok_or(Unfit::NoKey)?.reached)?;
    let serial = verified.payload.serial;
    let against = |why| Err(Unfit::Genuine { serial, why });
    if verified.payload.group != group {
        return against(Misfit::Group(verified.payload.group.chars().take(64).collect()));
    }
    if serial <= last {
        return against(Misfit::Replayed(last));
    }
    Ok(verified)
}

/// Trust as of the beginning, for what was accepted in its time.
pub fn from_root(trust: Trust) -> Trust {
    Trust { reached: trust.root, ..trust }
}

/// Whether this build understands what `verified` asks for.
pub fn understood(verified: &Verified) -> Result<(), Unfit> {
    let payload = &verified.payload;
    let against = |why| Err(Unfit::Genuine { serial: payload.serial, why });
    if payload.schema != SCHEMA {
        return against(Misfit::Schema(payload.schema));
    }
    let lacking = payload.requires.iter().filter(|name| !CAPABILITIES.contains(&name.as_str()));
    let lacking: Vec<String> = lacking.take(8).map(|name| name.chars().take(64).collect()).collect();
    if lacking.is_empty() { Ok(()) } else { against(Misfit::Requires(lacking)) }
}

/// Whether the files that `verified` names are within bounds.
pub fn blobs(verified: &Verified) -> Result<(), Unfit> {
    let payload = &verified.payload;
    let (packs, databases) = (&payload.rule_packs, &payload.databases);
    let against = |why: String| Err(Unfit::Genuine { serial: payload.serial, why: Misfit::Blob(why) });
    if packs.len() + databases.len() > MAX_BLOBS {
        return against(format!("more than {MAX_BLOBS} files"));
    }
    let all = || packs.iter().map(|b| (b, MAX_PACK_BYTES)).chain(databases.iter().map(|b| (b, MAX_DATABASE_BYTES)));
    if let Some((blob, most)) = all().find(|(blob, most)| blob.bytes > *most || !is_hash(&blob.sha256)) {
        return against(format!("file `{}`: not a hash, or larger than {most} bytes", shown(blob)));
    }
    if all().map(|(blob, _)| blob.bytes).sum::<u64>() > MAX_TOTAL {
        return against(format!("its files are larger than {MAX_TOTAL} bytes together"));
    }
    if let Some(blob) = databases.iter().find(|blob| !DATABASES.contains(&blob.name.as_str())) {
        return against(format!("database `{}`: one of {} is wanted", shown(blob), DATABASES.join(", ")));
    }
    let mut names = BTreeSet::new();
    match packs.iter().find(|b| !names.insert(&b.name)).or(databases.iter().find(|b| !names.insert(&b.name))) {
        Some(blob) => against(format!("two files are called `{}`", shown(blob))),
        None => Ok(()),
    }
}

fn shown(blob: &Blob) -> String {
    blob.name.chars().take(64).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
