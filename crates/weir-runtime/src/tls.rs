//! TLS and client certificates from PEM files, replaced as a whole when the files change: new connections use the new
//! certificate and authority, and sessions of the old ones are not resumed.

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Authority of client certificates, if they are verified.
    pub client_ca: Option<PathBuf>,
    /// Whether connections without client certificate are accepted, because a key authenticates them as well.
    pub certificate_optional: bool,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or does not contain PEM of the right kind.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// A file contains no certificate.
    #[error("{}: no certificate in it", .0.display())]
    Empty(PathBuf),
    /// Certificate and key do not match, or a certificate is not valid.
    #[error("{0}")]
    Bad(String),
}

/// The TLS settings in use.
pub struct Tls {
    files: PemFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Loads `files`.
    pub fn load(files: PemFiles) -> Result<Self, TlsError> {
        let config = ArcSwap::from(build(&files)?);
        Ok(Self { files, config })
    }

    /// Loads the files again. On an error, the current settings stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.config.store(build(&self.files)?);
        Ok(())
    }

    /// The settings for a new connection.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// The files, to be watched.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = &self.files;
        [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()].into_iter().flatten().cloned().collect()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |error| TlsError::File(path.into(), error);
    let chain = CertificateDer::pem_file_iter(path).map_err(file)?.collect::<Result<Vec<_>, _>>().map_err(file)?;
    if chain.is_empty() { Err(TlsError::Empty(path.into())) } else { Ok(chain) }
}

fn build(files: &PemFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let bad = |at: &Path, error: &dyn fmt::Display| TlsError::Bad(format!("{}: {error}", at.display()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::Bad(e.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| bad(path, &e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if files.certificate_optional { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|e| bad(path, &e))?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| TlsError::File(files.key.clone(), e))?;
    let mut config = builder.with_single_cert(certificates(&files.cert)?, key).map_err(|e| bad(&files.cert, &e))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
