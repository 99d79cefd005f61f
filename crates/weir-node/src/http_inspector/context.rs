//! `Inspector-Context`: what the inspection of a response must know about its request. The node seals it, the connector
//! carries it.
//!
//! `base64url(version ‖ time ‖ application ‖ hit ‖ fields ‖ tag)`; each field is a 16-bit length and its bytes,
//! the tag the first 16 bytes of HMAC-SHA-256 over all before it. Any replica with the same key can open it.

use crate::abuse::MAX_CARRIED;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// Longest token: fits a header of any gateway.
pub const MAX_TOKEN: usize = 4096;
/// Longest field kept; longer ones are truncated, which policy conditions on responses then see.
const MAX_FIELD: usize = 700;
/// Longest method kept.
const MAX_METHOD: usize = 64;
/// Form of the token.
const VERSION: u8 = 3;
/// Bytes of the tag.
const TAG: usize = 16;
/// Bytes before the fields: version, time, application, id of the hit.
const FIXED: usize = 1 + 8 + 8 + 16;
/// Milliseconds for which a token is accepted: longer than any exchange should take.
const MAX_AGE: u64 = 3_600_000;
/// Milliseconds by which clocks of replicas may differ.
const SKEW: u64 = 60_000;
/// Separates this use of a key from any other.
const PURPOSE: &[u8] = b"weir inspector-context v2";

/// ContextKeys that seal and open contexts.
pub struct ContextKeys {
    seal: hmac::Key,
    open: Vec<hmac::Key>,
}

impl ContextKeys {
    /// ContextKeys derived from shared secrets, the first of which seals: replicas with the same secrets open each other's
    /// contexts. Without a secret, a key of this process.
    pub fn new(secrets: &[Vec<u8>]) -> Result<Self, ring::error::Unspecified> {
        let derive = |secret: &Vec<u8>| {
            let base = hmac::Key::new(hmac::HMAC_SHA256, secret);
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&base, PURPOSE).as_ref())
        };
        let mut open: Vec<_> = secrets.iter().map(derive).collect();
        if open.is_empty() {
            open.push(hmac::Key::generate(hmac::HMAC_SHA256, &ring::rand::SystemRandom::new())?);
        }
        Ok(Self { seal: open[0].clone(), open })
    }

    /// `content` and a tag under the first key. `purpose` keeps different uses of the keys apart.
    pub fn signed(&self, purpose: &[u8], content: &[u8]) -> Vec<u8> {
        let tag = hmac::sign(&self.seal, &[purpose, content].concat());
        [content, &tag.as_ref()[..TAG]].concat()
    }

    /// The content of what [`ContextKeys::signed`] made for this purpose, under any of the keys.
    pub fn verified<'s>(&self, purpose: &[u8], signed: &'s [u8]) -> Option<&'s [u8]> {
        let (content, tag) = signed.split_at_checked(signed.len().checked_sub(TAG)?)?;
        let covered = [purpose, content].concat();
        let genuine = self.open.iter().any(|key| {
            let want = hmac::sign(key, &covered);
            bool::from(subtle::ConstantTimeEq::ct_eq(&want.as_ref()[..TAG], tag))
        });
        genuine.then_some(content)
    }
}

/// An opened context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeContext {
    /// When the request was inspected, in milliseconds since 1970.
    pub time: u64,
    /// Application of the request.
    pub application: i64,
    /// Id of the record of the request, where it has one.
    pub hit: Option<[u8; 16]>,
    /// Id of the request.
    pub request_id: Vec<u8>,
    /// Method.
    pub method: Vec<u8>,
    /// Host.
    pub host: Vec<u8>,
    /// Path as sent, truncated if very long.
    pub path: Vec<u8>,
    /// What abuse rules must know of the request.
    pub carried: Vec<u8>,
}

/// Why a context is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextError {
    /// It was not sealed by any of the keys, or not a token at all.
    Forged,
    /// Too old, or from the future.
    Expired,
}

/// The content of a token, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct ContextFields<'a> {
    /// As [`ExchangeContext::time`].
    pub time: u64,
    /// As [`ExchangeContext::application`].
    pub application: i64,
    /// As [`ExchangeContext::hit`].
    pub hit: Option<[u8; 16]>,
    /// Id, method, host, path.
    pub fields: [&'a [u8]; 4],
    /// As [`ExchangeContext::carried`].
    pub carried: &'a [u8],
}

/// Seals `parts`.
pub fn seal(keys: &ContextKeys, parts: &ContextFields<'_>) -> String {
    let mut token = Vec::with_capacity(256);
    token.push(VERSION);
    token.extend_from_slice(&parts.time.to_be_bytes());
    token.extend_from_slice(&parts.application.to_be_bytes());
    token.extend_from_slice(&parts.hit.unwrap_or_default());
    let limits = [MAX_FIELD, MAX_METHOD, MAX_FIELD, MAX_FIELD, MAX_CARRIED];
    for (field, most) in parts.fields.into_iter().chain([parts.carried]).zip(limits) {
        let field = &field[..field.len().min(most)];
        token.extend_from_slice(&(field.len() as u16).to_be_bytes());
        token.extend_from_slice(field);
    }
    let tag = hmac::sign(&keys.seal, &token);
    token.extend_from_slice(&tag.as_ref()[..TAG]);
    URL_SAFE_NO_PAD.encode(token)
}

/// Opens a token that was sealed at most an hour before `now`, in milliseconds since 1970.
pub fn open(keys: &ContextKeys, token: &str, now: u64) -> Result<ExchangeContext, ContextError> {
    if token.len() > MAX_TOKEN {
        return Err(ContextError::Forged);
    }
    let token = URL_SAFE_NO_PAD.decode(token).map_err(|_| ContextError::Forged)?;
    let (sealed, tag) = token.split_at_checked(token.len().saturating_sub(TAG)).ok_or(ContextError::Forged)?;
    let genuine = keys.open.iter().any(|key| {
        let want = hmac::sign(key, sealed);
        bool::from(subtle::ConstantTimeEq::ct_eq(&want.as_ref()[..TAG], tag))
    });
    if !genuine || sealed.len() < FIXED || sealed[0] != VERSION {
        return Err(ContextError::Forged);
    }
    let number = |at: usize| u64::from_be_bytes(sealed[at..at + 8].try_into().expect("eight bytes"));
    let mut rest = &sealed[FIXED..];
    let mut field = || -> Result<Vec<u8>, ContextError> {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(ContextError::Forged)?;
        let (field, after) =
            after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(ContextError::Forged)?;
        rest = after;
        Ok(field.to_vec())
    };
    let (request_id, method, host, path, carried) = (field()?, field()?, field()?, field()?, field()?);
    let time = number(1);
    if time > now + SKEW || now.saturating_sub(time) > MAX_AGE {
        return Err(ContextError::Expired);
    }
    let application = number(9) as i64;
    let hit: [u8; 16] = sealed[17..FIXED].try_into().expect("sixteen bytes");
    Ok(ExchangeContext {
        time,
        application,
        hit: Some(hit).filter(|id| *id != [0; 16]),
        request_id,
        method,
        host,
        path,
        carried,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts<'a>(path: &'a [u8]) -> ContextFields<'a> {
        ContextFields {
            time: 1_000_000,
            application: -1,
            hit: Some([7; 16]),
            fields: [b"id-1", b"GET", b"example.com", path],
            carried: b"",
        }
    }

    #[test]
    fn replicas_with_a_common_key_open_each_others_contexts() {
        let old = ContextKeys::new(&[b"old".to_vec()]).unwrap();
        let both = ContextKeys::new(&[b"new".to_vec(), b"old".to_vec()]).unwrap();
        let token = seal(&old, &parts(b"/a"));
        let context = open(&both, &token, 1_000_001).unwrap();
        assert_eq!(
            (context.application, context.hit, context.host.as_slice()),
            (-1, Some([7; 16]), &b"example.com"[..])
        );
        assert_eq!(open(&old, &seal(&both, &parts(b"/a")), 1_000_001), Err(ContextError::Forged));
        assert_eq!(open(&ContextKeys::new(&[]).unwrap(), &token, 1_000_001), Err(ContextError::Forged));
        assert_eq!(open(&old, &token, 1_000_000 + MAX_AGE + 1), Err(ContextError::Expired));
        assert_eq!(open(&old, &token, 1_000_000 - SKEW - 1), Err(ContextError::Expired));
    }

    #[test]
    fn the_longest_token_fits() {
        let keys = ContextKeys::new(&[]).unwrap();
        let long = [b'x'; 5000];
        let carried = [1; MAX_CARRIED];
        let parts = ContextFields { fields: [&long; 4], carried: &carried, ..parts(b"") };
        let token = seal(&keys, &parts);
        assert!(token.len() <= MAX_TOKEN);
        let context = open(&keys, &token, 1_000_000).unwrap();
        assert_eq!(
            (context.path.len(), context.method.len(), context.carried.len()),
            (MAX_FIELD, MAX_METHOD, MAX_CARRIED)
        );
    }

    proptest! {
        #[test]
        fn any_change_is_seen(at in 0usize..100, bit in 0u8..8) {
            let keys = ContextKeys::new(&[b"k".to_vec()]).unwrap();
            let mut raw = URL_SAFE_NO_PAD.decode(seal(&keys, &parts(b"/path"))).unwrap();
            let at = at % raw.len();
            raw[at] ^= 1 << bit;
            prop_assert_eq!(open(&keys, &URL_SAFE_NO_PAD.encode(raw), 1_000_000), Err(ContextError::Forged));
        }

        #[test]
        fn garbage_never_panics(text in "\\PC{0,80}") {
            let keys = ContextKeys::new(&[b"k".to_vec()]).unwrap();
            prop_assert!(open(&keys, &text, 1000).is_err());
        }
    }
}
