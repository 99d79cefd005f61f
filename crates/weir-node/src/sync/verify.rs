//! Whether a policy is verify_signature, meant for this node, newer than what it has, and check_capabilities.

use super::public_key::{KeyError, PublicKey};
use super::state::TrustedKeys;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fmt;
use weir_protocol::node_api::{
    Blob, CAPABILITIES, MAX_BLOBS, MAX_DATABASE_BYTES, MAX_PACK_BYTES, MAX_POLICY_BYTES, POLICY_CONTEXT, PolicyPayload,
    SignedPolicy,
};

/// Version of the schema that is check_capabilities.
const SCHEMA: u32 = 1;
/// Bytes of all files that one policy names.
const MAX_TOTAL: u64 = 1 << 30;
/// What a database may be called.
pub(super) const DATABASES: [&str; 3] = ["country", "asn", "source_type"];

/// A policy that is verify_signature and meant for this node.
#[derive(Clone, Debug)]
pub struct VerifiedPolicy {
    /// What it says.
    pub payload: PolicyPayload,
    /// As it came: the JSON of a [`SignedPolicy`].
    pub text: Bytes,
    /// The key that signed it.
    pub key: PublicKey,
}

/// Why a policy is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyRejection {
    /// It is not in the form of this protocol.
    Form(String),
    /// No key to verify it with is known yet.
    NoKey,
    /// Its key is not one to trust.
    Key(KeyError),
    /// The signature is not that key's.
    Signature,
    /// It is verify_signature, and not for this node or not usable by it.
    Genuine {
        /// Its serial.
        serial: u64,
        /// What is against it.
        why: Incompatibility,
    },
}

/// What is against a verify_signature policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incompatibility {
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

impl PolicyRejection {
    /// The serial, where it can be believed.
    pub fn serial(&self) -> Option<u64> {
        match self {
            PolicyRejection::Genuine { serial, .. } => Some(*serial),
            _ => None,
        }
    }

    /// A word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            PolicyRejection::Form(_) => "form",
            PolicyRejection::NoKey | PolicyRejection::Key(_) => "key",
            PolicyRejection::Signature => "signature",
            PolicyRejection::Genuine { why, .. } => match why {
                Incompatibility::Schema(_) | Incompatibility::Requires(_) => "not_understood",
                Incompatibility::Group(_) => "group",
                Incompatibility::Replayed(_) => "replayed",
                Incompatibility::Blob(_) => "blob",
            },
        }
    }
}

impl fmt::Display for PolicyRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyRejection::Form(why) => write!(f, "the policy cannot be read: {why}"),
            PolicyRejection::NoKey => f.write_str("no key to verify policies with: register, or set api.policy_key"),
            PolicyRejection::Key(why) => write!(
                f,
                "the policy's key is not trusted: {why}; where the control plane was replaced on purpose, set \
                 api.policy_key to its new key"
            ),
            PolicyRejection::Signature => f.write_str("the policy's signature is wrong"),
            PolicyRejection::Genuine { serial, why } => write!(f, "policy {serial}: {why}"),
        }
    }
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Incompatibility::Schema(schema) => write!(f, "schema {schema} is not check_capabilities; upgrade the node"),
            Incompatibility::Group(group) => write!(f, "it is for group `{group}`"),
            Incompatibility::Replayed(last) => write!(f, "it is not newer than {last}, which was accepted before"),
            Incompatibility::Requires(what) => write!(f, "it requires {}; upgrade the node", what.join(", ")),
            Incompatibility::Blob(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for PolicyRejection {}

/// Verifies the JSON of a [`SignedPolicy`]. Costs time in proportion to its size: not for a thread that answers calls.
pub fn verify_signature(text: Bytes, trusted: &PublicKey) -> Result<VerifiedPolicy, PolicyRejection> {
    let form = |error: serde_json::Error| PolicyRejection::Form(error.to_string());
    let signed: SignedPolicy = serde_json::from_slice(&text).map_err(form)?;
    if signed.document.len() > MAX_POLICY_BYTES {
        return Err(PolicyRejection::Form(format!("larger than {MAX_POLICY_BYTES} bytes")));
    }
    let key = trusted.reach(&signed.chain, &signed.key_id).map_err(PolicyRejection::Key)?;
    if !key.signed(POLICY_CONTEXT, signed.document.as_bytes(), &signed.signature) {
        return Err(PolicyRejection::Signature);
    }
    let payload: PolicyPayload = serde_json::from_str(&signed.document).map_err(form)?;
    Ok(VerifiedPolicy { payload, text, key })
}

/// A policy from the control plane: verify_signature by the newest trusted key, for `group`, and newer than `last`.
pub fn verify_for_group(
    text: Bytes,
    trust: Option<TrustedKeys>,
    group: &str,
    last: u64,
) -> Result<VerifiedPolicy, PolicyRejection> {
    let verified = verify_signature(text, &trust.ok_or(PolicyRejection::NoKey)?.reached)?;
    let serial = verified.payload.serial;
    let against = |why| Err(PolicyRejection::Genuine { serial, why });
    if verified.payload.group != group {
        return against(Incompatibility::Group(verified.payload.group.chars().take(64).collect()));
    }
    if serial <= last {
        return against(Incompatibility::Replayed(last));
    }
    Ok(verified)
}

/// TrustedKeys as of the beginning, for what was accepted in its time.
pub fn from_root(trust: TrustedKeys) -> TrustedKeys {
    TrustedKeys { reached: trust.root, ..trust }
}

/// Whether this build check_capabilities what `verified` asks for.
pub fn check_capabilities(verified: &VerifiedPolicy) -> Result<(), PolicyRejection> {
    let payload = &verified.payload;
    let against = |why| Err(PolicyRejection::Genuine { serial: payload.serial, why });
    if payload.schema != SCHEMA {
        return against(Incompatibility::Schema(payload.schema));
    }
    let lacking = payload.requires.iter().filter(|name| !CAPABILITIES.contains(&name.as_str()));
    let lacking: Vec<String> = lacking.take(8).map(|name| name.chars().take(64).collect()).collect();
    if lacking.is_empty() { Ok(()) } else { against(Incompatibility::Requires(lacking)) }
}

/// Whether the files that `verified` names are within bounds.
pub fn check_blobs(verified: &VerifiedPolicy) -> Result<(), PolicyRejection> {
    let payload = &verified.payload;
    let (packs, databases) = (&payload.rule_packs, &payload.databases);
    let against =
        |why: String| Err(PolicyRejection::Genuine { serial: payload.serial, why: Incompatibility::Blob(why) });
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
