//! Certificates made for a test, and a client that verifies them.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weir_testkit::http::read;
use weir_testkit::{PATIENCE, Response};

/// A certificate authority.
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn sign(&self, host: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Writes a certificate for `host` and its key; answers both paths.
    pub fn issue(&self, directory: &Path, name: &str, host: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.sign(host);
        let paths = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
        std::fs::write(&paths.0, certificate.pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }

    pub fn issue_key(&self, name: &str) -> Identity {
        let (certificate, key) = self.sign(name);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }

    /// Writes the authority's own certificate.
    pub fn write(&self, directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(format!("{name}.pem"));
        std::fs::write(&path, &self.pem).unwrap();
        path
    }
}

/// A client that trusts one authority and expects `node.test`.
pub struct Client {
    config: ClientConfig,
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Client {
    pub fn new(trusted: &Authority, identity: Option<Identity>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match identity {
            Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        Self { config }
    }

    /// Its settings, with protocols to be offered.
    pub fn config(&self, protocols: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Arc::new(config)
    }

    pub fn connect(&self, to: SocketAddr) -> io::Result<Stream> {
        let tcp = TcpStream::connect(to)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let name = "node.test".try_into().unwrap();
        let session = ClientConnection::new(self.config(&[]), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    /// Sends one call; none where the connection ended without an answer.
    pub fn call(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<Option<Response>> {
        let mut stream = self.connect(to)?;
        stream.write_all(bytes)?;
        Ok(read(&mut BufReader::new(stream)))
    }
}
