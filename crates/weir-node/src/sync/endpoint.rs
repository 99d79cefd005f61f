//! Where the other side is, and how it proves who it is.

use reqwest::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// A control plane or an aggregation.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether it is called over TLS.
    pub tls: bool,
    /// Whether its certificate is verified.
    pub verify: bool,
    /// Authority that signs its certificate, instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
}

/// Why nothing can be said to the other side at all.
#[derive(Debug)]
pub enum SetupError {
    /// The host is no host.
    Host(String),
    /// Authorities or TLS settings cannot be used.
    Tls(String),
    /// The client cannot be made.
    Client(String),
    /// The directory for what is kept cannot be used.
    Directory(PathBuf, std::io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Host(host) => {
                write!(f, "api.host: `{host}` is not a host name or address; give it without scheme, port and path")
            }
            SetupError::Tls(why) | SetupError::Client(why) => f.write_str(why),
            SetupError::Directory(path, error) => write!(f, "{}: {error}; set data_dir", path.display()),
        }
    }
}

impl std::error::Error for SetupError {}

impl Endpoint {
    /// Its address, which ends with a slash. A host that the URL syntax would read as anything else than itself (a port, a
    /// path, percent signs, letters that it folds) is refused, so that what was checked is what is called.
    pub fn url(&self) -> Result<Url, SetupError> {
        let bad = || SetupError::Host(self.host.clone());
        let scheme = if self.tls { "https" } else { "http" };
        let host = match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
            Ok(IpAddr::V4(ip)) => ip.to_string(),
            Err(_) => self.host.to_ascii_lowercase(),
        };
        let url = Url::parse(&format!("{scheme}://{host}:{}/", self.port)).map_err(|_| bad())?;
        if url.host_str() == Some(host.as_str()) && url.path() == "/" { Ok(url) } else { Err(bad()) }
    }

    /// Whether it is on this very machine.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether nobody on the way can pass for it.
    pub fn is_proven(&self) -> bool {
        self.is_loopback() || (self.tls && self.verify)
    }

    /// TLS settings with which it is called.
    pub(super) fn tls_config(&self) -> Result<ClientConfig, SetupError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| SetupError::Tls(error.to_string()))?;
        if !self.verify {
            let verifier = Arc::new(Unverified(provider));
            return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
        }
        Ok(builder.with_root_certificates(self.roots()?).with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore, SetupError> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca_file else {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            return Ok(roots);
        };
        let bad = |error: &dyn fmt::Display| SetupError::Tls(format!("api.ca_file: {}: {error}", path.display()));
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| bad(&e))? {
            roots.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
        if roots.is_empty() { Err(bad(&"no certificate in it")) } else { Ok(roots) }
    }
}

/// Accepts every certificate (`api.ca_verify: false`); the handshake itself is still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str) -> Endpoint {
        Endpoint { host: host.into(), port: 8088, tls: true, verify: true, ca_file: None }
    }

    #[test]
    fn a_host_is_called_as_it_is_written_or_not_at_all() {
        for (host, url) in [
            ("control.example", "https://control.example:8088/"),
            ("Control.Example", "https://control.example:8088/"),
            ("10.0.0.7", "https://10.0.0.7:8088/"),
            ("::1", "https://[::1]:8088/"),
        ] {
            assert_eq!(at(host).url().unwrap().as_str(), url);
        }
        for host in [
            "a.example/",
            "a.example:443",
            "https://a.example",
            "user@a.example",
            "a%2eexample",
            "\u{ff41}.example",
            "a.example#",
            "a.example?",
            "a.example\\",
            "0x7f.1",
            "127.1",
            "a b",
            " a.example",
            "a.exa\tmple",
            "",
        ] {
            assert!(at(host).url().is_err(), "{host:?} is called as {:?}", at(host).url());
        }
    }

    #[test]
    fn who_is_proven() {
        assert!(at("control.example").is_proven());
        assert!(!Endpoint { verify: false, ..at("control.example") }.is_proven());
        assert!(!Endpoint { tls: false, ..at("control.example") }.is_proven());
        assert!(Endpoint { tls: false, ..at("127.0.0.1") }.is_proven());
        assert!(Endpoint { tls: false, ..at("::1") }.is_proven());
    }
}
