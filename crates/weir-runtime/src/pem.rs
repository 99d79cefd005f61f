//! What a PEM text holds, for those who check one that another program will use.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

/// Whether `pem` is a chain of certificates, of which the first can be parsed.
pub fn is_chain(pem: &[u8]) -> bool {
    chain(pem).is_some_and(|chain| ParsedCertificate::try_from(&chain[0]).is_ok())
}

/// Whether `pem` holds a private key that needs no passphrase.
pub fn is_key(pem: &[u8]) -> bool {
    PrivateKeyDer::from_pem_slice(pem).is_ok()
}

/// Whether the key certainly is not that of the chain. Keys of kinds unknown here are not judged.
pub fn differ(chain_pem: &[u8], key_pem: &[u8]) -> bool {
    let (Some(chain), Ok(key)) = (chain(chain_pem), PrivateKeyDer::from_pem_slice(key_pem)) else { return false };
    let Ok(key) = rustls::crypto::ring::sign::any_supported_type(&key) else { return false };
    let outcome = CertifiedKey::new(chain, key).keys_match();
    matches!(outcome, Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)))
}

/// At least one certificate.
fn chain(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|chain| !chain.is_empty())
}
