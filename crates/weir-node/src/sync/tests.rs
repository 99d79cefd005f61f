//! Keys, chains and signatures: what is believed and what is not.

use super::public_key::{KeyError, PublicKey};
use super::state::TrustedKeys;
use super::verify::{self, Incompatibility, PolicyRejection, VerifiedPolicy};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use weir_protocol::node_api::{
    Blob, KEY_CONTEXT, MAX_CHAIN, MAX_PACK_BYTES, POLICY_CONTEXT, PolicyKey, PolicyPayload, SignedPolicy, SuccessorKey,
};

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn public(&self) -> PublicKey {
        PublicKey::parse(&STANDARD.encode(self.0.public_key())).unwrap()
    }

    fn key(&self) -> PolicyKey {
        PolicyKey { key_id: self.public().id(), public_key: STANDARD.encode(self.0.public_key()) }
    }

    fn sign(&self, context: &[u8], message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(&[context, message].concat()))
    }

    fn vouch(&self, next: &Signer) -> SuccessorKey {
        let signature = self.sign(KEY_CONTEXT, next.0.public_key().as_ref());
        SuccessorKey { key: next.key(), signed_by: self.public().id(), signature }
    }

    fn publish(&self, payload: &PolicyPayload, chain: Vec<SuccessorKey>) -> SignedPolicy {
        let document = serde_json::to_string(payload).unwrap();
        let signature = self.sign(POLICY_CONTEXT, document.as_bytes());
        SignedPolicy { document, key_id: self.public().id(), signature, chain }
    }
}

fn payload(serial: u64) -> PolicyPayload {
    PolicyPayload {
        schema: 1,
        serial,
        published_at: 0,
        group: "g".into(),
        requires: Vec::new(),
        policy: serde_json::json!({"mode": "monitoring"}),
        rule_packs: Vec::new(),
        databases: Vec::new(),
    }
}

fn verify_for_group(signed: &SignedPolicy, pinned: &Signer, last: u64) -> Result<VerifiedPolicy, PolicyRejection> {
    let trust = TrustedKeys { root: pinned.public(), reached: pinned.public() };
    verify::verify_for_group(serde_json::to_vec(signed).unwrap().into(), Some(trust), "g", last)
}

#[test]
fn a_genuine_newer_policy_is_believed() {
    let key = Signer::new(1);
    let verified = verify_for_group(&key.publish(&payload(5), Vec::new()), &key, 4).unwrap();
    assert_eq!((verified.payload.serial, verified.key), (5, key.public()));
    assert!(verify::check_capabilities(&verified).is_ok() && verify::check_blobs(&verified).is_ok());
}

#[test]
fn what_was_tampered_with_is_not() {
    let (key, other) = (Signer::new(1), Signer::new(2));
    let good = key.publish(&payload(5), Vec::new());
    let document = good.document.replace("monitoring", "off");
    assert_eq!(
        verify_for_group(&SignedPolicy { document, ..good.clone() }, &key, 0).unwrap_err(),
        PolicyRejection::Signature
    );
    let forged = SignedPolicy { key_id: key.public().id(), ..other.publish(&payload(5), Vec::new()) };
    assert_eq!(verify_for_group(&forged, &key, 0).unwrap_err(), PolicyRejection::Signature);
    let stranger = other.publish(&payload(5), Vec::new());
    assert!(matches!(verify_for_group(&stranger, &key, 0), Err(PolicyRejection::Key(KeyError::NotReached(_)))));
    // The context keeps one signature from being used for another purpose.
    let signature = key.sign(KEY_CONTEXT, good.document.as_bytes());
    assert_eq!(
        verify_for_group(&SignedPolicy { signature, ..good.clone() }, &key, 0).unwrap_err(),
        PolicyRejection::Signature
    );
    let text = serde_json::to_vec(&good).unwrap();
    assert_eq!(verify::verify_for_group(text.into(), None, "g", 0).unwrap_err(), PolicyRejection::NoKey);
    assert!(matches!(verify::verify_signature("{".into(), &key.public()), Err(PolicyRejection::Form(_))));
}

#[test]
fn serial_and_group_must_fit() {
    let key = Signer::new(1);
    let unfit = |payload: &PolicyPayload, last| match verify_for_group(&key.publish(payload, Vec::new()), &key, last) {
        Err(PolicyRejection::Genuine { why, .. }) => Some(why),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    };
    assert_eq!(unfit(&payload(5), 5), Some(Incompatibility::Replayed(5)));
    assert_eq!(unfit(&payload(4), 5), Some(Incompatibility::Replayed(5)));
    assert_eq!(unfit(&payload(u64::MAX), 5), None);
    assert_eq!(unfit(&PolicyPayload { group: "h".into(), ..payload(6) }, 5), Some(Incompatibility::Group("h".into())));
}

#[test]
fn only_what_is_understood_is_used() {
    let key = Signer::new(1);
    let check_capabilities = |payload: PolicyPayload| {
        let verified = verify_for_group(&key.publish(&payload, Vec::new()), &key, 0).unwrap();
        verify::check_capabilities(&verified).map_err(|unfit| unfit.code())
    };
    assert_eq!(check_capabilities(PolicyPayload { schema: 2, ..payload(1) }), Err("not_understood"));
    assert_eq!(check_capabilities(PolicyPayload { requires: vec!["policy.1".into()], ..payload(1) }), Ok(()));
    let requires = vec!["policy.1".into(), "teleport.1".into()];
    assert_eq!(check_capabilities(PolicyPayload { requires, ..payload(1) }), Err("not_understood"));
}

#[test]
fn a_chain_leads_from_the_pinned_key_to_the_one_in_use() {
    let keys: Vec<_> = (1..=4).map(Signer::new).collect();
    let chain: Vec<_> = keys.windows(2).map(|pair| pair[0].vouch(&pair[1])).collect();
    let signed = keys[3].publish(&payload(1), chain.clone());
    for pinned in &keys {
        assert_eq!(verify_for_group(&signed, pinned, 0).unwrap().key, keys[3].public());
    }
    // A key that was succeeded does not sign for who has gone on.
    let old = keys[0].publish(&payload(2), chain.clone());
    assert!(matches!(verify_for_group(&old, &keys[3], 0), Err(PolicyRejection::Key(KeyError::NotReached(_)))));
    for broken in [
        vec![],
        vec![chain[0].clone(), chain[2].clone()],
        vec![chain[2].clone(), chain[1].clone(), chain[0].clone()],
        vec![
            chain[0].clone(),
            SuccessorKey { signature: chain[0].signature.clone(), ..chain[1].clone() },
            chain[2].clone(),
        ],
        vec![chain[0].clone(), keys[3].vouch(&keys[3])],
    ] {
        let signed = keys[3].publish(&payload(1), broken);
        assert!(matches!(verify_for_group(&signed, &keys[0], 0), Err(PolicyRejection::Key(KeyError::NotReached(_)))));
    }
    let named = SuccessorKey { key: PolicyKey { key_id: keys[2].public().id(), ..keys[1].key() }, ..chain[0].clone() };
    assert!(matches!(
        verify_for_group(&keys[3].publish(&payload(1), vec![named]), &keys[0], 0),
        Err(PolicyRejection::Key(KeyError::Name))
    ));
    let long = vec![chain[0].clone(); MAX_CHAIN + 1];
    assert!(matches!(
        verify_for_group(&keys[1].publish(&payload(1), long), &keys[0], 0),
        Err(PolicyRejection::Key(KeyError::TooLong))
    ));
}

#[test]
fn files_are_bounded() {
    let key = Signer::new(1);
    let blob = |name: &str| Blob { name: name.into(), version: "1".into(), sha256: "0f".repeat(32), bytes: 9 };
    let fits = |payload: PolicyPayload| {
        verify::check_blobs(&verify_for_group(&key.publish(&payload, Vec::new()), &key, 0).unwrap()).is_ok()
    };
    assert!(fits(PolicyPayload { rule_packs: vec![blob("a"), blob("b")], databases: vec![blob("asn")], ..payload(1) }));
    let packs = |packs: Vec<Blob>| PolicyPayload { rule_packs: packs, ..payload(1) };
    assert!(!fits(packs(vec![blob("a"), blob("a")])), "one name twice");
    assert!(!fits(packs(vec![Blob { bytes: MAX_PACK_BYTES + 1, ..blob("a") }])));
    assert!(!fits(packs(vec![Blob { bytes: u64::MAX, ..blob("a") }])));
    assert!(!fits(packs((0..65).map(|n| blob(&n.to_string())).collect())));
    for sha256 in ["../../etc/passwd".to_owned(), "0F".repeat(32), "0f".repeat(31), "0f".repeat(33), String::new()] {
        assert!(!fits(packs(vec![Blob { sha256, ..blob("a") }])));
    }
    assert!(!fits(PolicyPayload { databases: vec![blob("planets")], ..payload(1) }));
}
