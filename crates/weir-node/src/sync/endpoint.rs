//! Address of a control plane or an aggregation, and how its identity is verified.

use reqwest::{ClientBuilder, Url, redirect};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest time to connect, TLS handshake included.
const CONNECT: Duration = Duration::from_secs(5);

/// A control plane or an aggregation.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Section of the configuration that names it, for error messages.
    pub section: &'static str,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether to use TLS.
    pub tls: bool,
    /// Whether its certificate is verified.
    pub verify: bool,
    /// Certificate authority to trust instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
}

/// Why the connection to a control plane or an aggregation cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The host is not valid.
    #[error("api.host: `{0}` is not a host name or address; give it without scheme, port and path")]
    Host(String),
    /// Certificate authorities or TLS settings cannot be used.
    #[error("{0}")]
    Tls(String),
    /// The client cannot be created.
    #[error("{0}")]
    Client(String),
    /// The state directory cannot be used.
    #[error("{}: {}; set data_dir", .0.display(), .1)]
    Directory(PathBuf, #[source] std::io::Error),
}

impl Endpoint {
    /// Its base URL, which ends with a slash. A host that a URL parser would change (a port, a path, percent signs, folded
    /// letters) is rejected, so that the host that was checked is the one that is called.
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

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether its identity is verified, so that it cannot be impersonated on the network path.
    pub fn is_authenticated(&self) -> bool {
        self.is_loopback() || (self.tls && self.verify)
    }

    /// A client that calls it: no redirect is followed, and the proxy of the environment is used, except towards this
    /// machine.
    pub(crate) fn client(&self) -> Result<ClientBuilder, SetupError> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls_config()?)
            .http1_only()
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
        Ok(if self.is_loopback() { builder.no_proxy() } else { builder })
    }

    /// TLS settings of the client.
    fn tls_config(&self) -> Result<ClientConfig, SetupError> {
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
        let bad = |error: &dyn fmt::Display| {
            SetupError::Tls(format!("{}.ca_file: {}: {error}", self.section, path.display()))
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| bad(&e))? {
            roots.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
        if roots.is_empty() { Err(bad(&"no certificate in it")) } else { Ok(roots) }
    }
}

/// Accepts every certificate (`api.ca_verify: false`); handshake signatures are still verified.
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
        Endpoint { section: "api", host: host.into(), port: 8088, tls: true, verify: true, ca_file: None }
    }

    #[test]
    fn a_host_is_used_as_written_or_rejected() {
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
    fn which_endpoints_are_authenticated() {
        assert!(at("control.example").is_authenticated());
        assert!(!Endpoint { verify: false, ..at("control.example") }.is_authenticated());
        assert!(!Endpoint { tls: false, ..at("control.example") }.is_authenticated());
        assert!(Endpoint { tls: false, ..at("127.0.0.1") }.is_authenticated());
        assert!(Endpoint { tls: false, ..at("::1") }.is_authenticated());
    }
}
