//! Checks that a policy is genuine, for this node, newer than the current one, and supported.

use super::public_key::{KeyError, PublicKey};
use super::state::TrustedKeys;
use bytes::Bytes;
use std::collections::BTreeSet;
use weir_protocol::node_api::{
    Blob, CAPABILITIES, MAX_BLOBS, MAX_DATABASE_BYTES, MAX_PACK_BYTES, MAX_POLICY_BYTES, POLICY_CONTEXT, PolicyPayload,
    SignedPolicy,
};

/// Version of the schema that is supported.
const SCHEMA: u32 = 1;
/// Bytes of all files that one policy names.
const MAX_TOTAL: u64 = 1 << 30;
/// Names of databases.
pub(super) const DATABASES: [&str; 3] = ["country", "asn", "source_type"];

/// A policy that is genuine and for this node.
#[derive(Clone, Debug)]
pub struct VerifiedPolicy {
    /// Its content.
    pub payload: PolicyPayload,
    /// As received: the JSON of a [`SignedPolicy`].
    pub text: Bytes,
    /// The key that signed it.
    pub key: PublicKey,
}

/// Why a policy is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRejection {
    /// It does not conform to the protocol.
    #[error("the policy cannot be read: {0}")]
    Form(String),
    /// No key to verify it with is known yet.
    #[error("no key to verify policies with: register, or set api.policy_key")]
    NoKey,
    /// Its key is not trusted.
    #[error(
        "the policy's key is not trusted: {0}; where the control plane was replaced on purpose, set api.policy_key to its \
         new key"
    )]
    Key(#[source] KeyError),
    /// The signature is not valid.
    #[error("the policy's signature is wrong")]
    Signature,
    /// It is genuine, but not for this node or not usable by it.
    #[error("policy {serial}: {why}")]
    Genuine {
        /// Its serial.
        serial: u64,
        /// Why it is not usable.
        #[source]
        why: Incompatibility,
    },
}

/// Why a genuine policy is not usable by this node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incompatibility {
    /// This build does not support its schema.
    #[error("schema {0} is not understood; upgrade the node")]
    Schema(u32),
    /// It is for another group.
    #[error("it is for group `{0}`")]
    Group(String),
    /// It is not newer than the last one accepted.
    #[error("it is not newer than {0}, which was accepted before")]
    Replayed(u64),
    /// It requires capabilities that this build does not have.
    #[error("it requires {}; upgrade the node", .0.join(", "))]
    Requires(Vec<String>),
    /// A file that it names is not acceptable.
    #[error("{0}")]
    Blob(String),
}

impl PolicyRejection {
    /// The serial, if it is authenticated.
    pub fn serial(&self) -> Option<u64> {
        match self {
            PolicyRejection::Genuine { serial, .. } => Some(*serial),
            _ => None,
        }
    }

    /// Stable code, a metric label.
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

/// Verifies the JSON of a [`SignedPolicy`]. Takes time proportional to its size: not for a thread that serves calls.
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

/// Verifies a policy from the control plane: signed by the newest trusted key, for `group`, and newer than `last`.
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

/// Trust from the first key on, for policies that were accepted earlier.
pub fn from_root(trust: TrustedKeys) -> TrustedKeys {
    TrustedKeys { reached: trust.root, ..trust }
}

/// Checks that this build supports what `verified` requires.
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

/// Checks that the files which `verified` names are within limits.
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
        return against(format!("database `{}`: expected one of {}", shown(blob), DATABASES.join(", ")));
    }
    let mut names = BTreeSet::new();
    match packs.iter().find(|b| !names.insert(&b.name)).or(databases.iter().find(|b| !names.insert(&b.name))) {
        Some(blob) => against(format!("two files have the name `{}`", shown(blob))),
        None => Ok(()),
    }
}

fn shown(blob: &Blob) -> String {
    blob.name.chars().take(64).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
