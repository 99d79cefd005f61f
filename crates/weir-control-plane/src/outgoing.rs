//! Connections that the control plane opens: to webhooks, mail servers, syslog receivers, mirrors and the identity provider. One setting
//! says which certificate authorities they trust, one whether destinations may be in private networks.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use weir_core::model::vendor;

/// Longest connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Where systems keep the authorities that they trust, in one file.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Certificate authorities that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Those of Mozilla, as built in.
    #[default]
    Bundled,
    /// Those of the system.
    System,
    /// Those of a PEM file, and no others.
    File(PathBuf),
}

impl Roots {
    /// `bundled`, `system`, or the path of a file.
    pub fn parse(text: &str) -> Self {
        match text {
            "bundled" => Roots::Bundled,
            "system" => Roots::System,
            path => Roots::File(path.into()),
        }
    }

    /// The certificates of a file that can be used; none for what is built in.
    fn certificates(&self) -> Result<Option<Vec<CertificateDer<'static>>>, OutgoingError> {
        let path = match self {
            Roots::Bundled => return Ok(None),
            Roots::System => {
                let path = SYSTEM.iter().map(Path::new).find(|path| path.exists());
                path.ok_or(OutgoingError::NoSystemAuthorities)?
            }
            Roots::File(path) => path,
        };
        let unreadable = |error| OutgoingError::Authorities(path.to_owned(), error);
        let all = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
        let mut all = all.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        all.retain(|one| RootCertStore::empty().add(one.clone()).is_ok());
        if all.is_empty() { Err(OutgoingError::NoCertificate(path.to_owned())) } else { Ok(Some(all)) }
    }
}

fn store(certificates: Option<&[CertificateDer<'static>]>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    match certificates {
        None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(all) => drop(store.add_parsable_certificates(all.iter().cloned())),
    }
    store
}

/// Why a connection cannot be opened, or must not.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    /// A file with certificate authorities cannot be read.
    #[error("`control_plane.outgoing_ca`: certificate authorities in {}: {}", .0.display(), .1)]
    Authorities(PathBuf, #[source] pem::Error),
    /// A file has no certificate that can be used.
    #[error("`control_plane.outgoing_ca`: certificate authorities in {}: there is no certificate in it", .0.display())]
    NoCertificate(PathBuf),
    /// The system keeps its authorities nowhere that is known.
    #[error("`control_plane.outgoing_ca`: no file with the certificate authorities of the system was found")]
    NoSystemAuthorities,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
    /// The text is not a URL.
    #[error("not a URL: {0}")]
    Url(String),
    /// No setting allows this address.
    #[error("{0} is a link-local or special address, which is never contacted")]
    Special(IpAddr),
    /// The address is private, and the setting forbids those.
    #[error("{0} is in a private network: `control_plane.private_destinations` forbids it")]
    Private(IpAddr),
    /// The host is the vendor's.
    #[error("{0} is a host of the vendor whose node weir replaces, which is never contacted")]
    Vendor(String),
    /// The name does not resolve.
    #[error("the name has no address")]
    NoAddress,
}

/// How connections are opened. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outgoing {
    tls: Arc<ClientConfig>,
    authorities: Option<Arc<[CertificateDer<'static>]>>,
    private: bool,
}

impl Default for Outgoing {
    /// The built-in authorities, private networks included.
    fn default() -> Self {
        Self::new(&Roots::Bundled, true).expect("what is built in can be read")
    }
}

impl Outgoing {
    /// With these authorities. Without `private` no webhook, syslog receiver or mirror may be on this machine or in a
    /// private network.
    pub fn new(roots: &Roots, private: bool) -> Result<Self, OutgoingError> {
        let authorities = roots.certificates()?;
        let tls = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store(authorities.as_deref()))
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), authorities: authorities.map(Arc::from), private })
    }

    /// The TLS of clients.
    pub fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// Certificates of the authorities that are trusted; none for those that are built in.
    pub fn authorities(&self) -> Option<&[CertificateDer<'static>]> {
        self.authorities.as_deref()
    }

    /// For the identity provider, which the configuration names. Redirects are not followed, so that a payload or a secret
    /// goes nowhere but to the URL given.
    pub fn builder(&self) -> ClientBuilder {
        Client::builder()
            .tls_backend_preconfigured((*self.tls).clone())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
    }

    /// For destinations that people enter: every resolved address is held against the rules before it is connected to.
    pub fn guarded(&self) -> ClientBuilder {
        self.builder().dns_resolver(Arc::new(Guarded { private: self.private }))
    }

    /// Whether a URL may be called, as far as its host says: addresses of names are checked when they are resolved.
    pub fn check_url(&self, url: &str) -> Result<(), OutgoingError> {
        let url = Url::parse(url).map_err(|error| OutgoingError::Url(error.to_string()))?;
        self.check_host(url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']'))
    }

    /// Whether `host`, a name or an address, may be connected to. Addresses of names are checked when they are resolved.
    pub fn check_host(&self, host: &str) -> Result<(), OutgoingError> {
        if vendor::is_vendor(host) {
            return Err(OutgoingError::Vendor(host.to_owned()));
        }
        host.parse::<IpAddr>().map_or(Ok(()), |address| self.check(address))
    }

    /// Whether `address` may be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), OutgoingError> {
        allowed(address, self.private)
    }

    /// Addresses of a host that may be connected to.
    pub async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        self.check_host(host).map_err(std::io::Error::other)?;
        permitted(tokio::net::lookup_host((host, port)).await?, self.private).map_err(std::io::Error::other)
    }
}

/// First ten bits of the shared address space of providers, 100.64.0.0/10 (RFC 6598).
const SHARED_V4: u32 = 100 << 2 | 1;

/// First ten bits of site-local addresses, fec0::/10, which some networks still use (RFC 3879).
const SITE_LOCAL: u16 = 0xfec0;
/// Which bits these are.
const SITE_LOCAL_MASK: u16 = 0xffc0;

/// Link-local addresses, where clouds keep credentials of the machine, are never a receiver. Those of this machine and of
/// private networks are by setting.
fn allowed(address: IpAddr, private: bool) -> Result<(), OutgoingError> {
    let address = match address.to_canonical() {
        IpAddr::V6(v6) => embedded(v6).map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 => v4,
    };
    let (never, inside) = match address {
        IpAddr::V4(v4) => (
            v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
                || METADATA_V4.contains(&v4),
            v4.is_loopback() || v4.is_private() || v4.to_bits() >> 22 == SHARED_V4,
        ),
        IpAddr::V6(v6) => (
            v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast() || v6 == METADATA_V6,
            v6.is_loopback() || v6.is_unique_local() || v6.segments()[0] & SITE_LOCAL_MASK == SITE_LOCAL,
        ),
    };
    if never {
        return Err(OutgoingError::Special(address));
    }
    if inside && !private {
        return Err(OutgoingError::Private(address));
    }
    Ok(())
}

/// The IPv4 address to which an address of IPv6 leads by translation or a tunnel.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // NAT64, by the well-known prefix (RFC 6052) and the one for local use (RFC 8215), and stateless translation (RFC 2765).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => v4(high, low),
        // Teredo (RFC 4380): the client's address, each bit inverted.
        [0x2001, 0, .., high, low] => v4(!high, !low),
        // ISATAP (RFC 5214), by the identifier of the interface.
        [.., 0x0 | 0x200, 0x5efe, high, low] => v4(high, low),
        // IPv4-compatible addresses (RFC 4291), which `::` and `::1` are not.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        _ => None,
    }
}

/// Addresses of metadata services that are not link-local: of Alibaba, Azure and Oracle.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// Address of a metadata service that is not link-local.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Those that may be connected to; without any, the reason.
fn permitted(all: impl Iterator<Item = SocketAddr>, private: bool) -> Result<Vec<SocketAddr>, OutgoingError> {
    let (mut fine, mut why) = (Vec::new(), OutgoingError::NoAddress);
    for address in all {
        match allowed(address.ip(), private) {
            Ok(()) => fine.push(address),
            Err(refused) => why = refused,
        }
    }
    if fine.is_empty() { Err(why) } else { Ok(fine) }
}

/// Resolves names to what may be connected to.
struct Guarded {
    private: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let all = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(permitted(all, private)?.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_is_never_contacted_and_private_networks_by_setting() {
        for (address, with, without) in [
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("64:ff9b::a9fe:a9fe", false, false),
            ("64:ff9b:1::a9fe:a9fe", false, false),
            ("::ffff:0:a9fe:a9fe", false, false),
            ("2002:a9fe:a9fe::1", false, false),
            ("2002:a00:1::1", true, false),
            ("2002:cb00:7109::1", true, true),
            ("2001:0:cb00:7109::5601:5601", false, false),
            ("2001:0:cb00:7109::f5ff:fffe", true, false),
            ("2001:db8::5efe:a9fe:a9fe", false, false),
            ("2001:db8::200:5efe:a00:1", true, false),
            ("::a9fe:a9fe", false, false),
            ("::7f00:1", true, false),
            ("fec0::1", true, false),
            ("100.100.100.200", false, false),
            ("168.63.129.16", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
            ("0.0.0.0", false, false),
            ("224.0.0.1", false, false),
            ("127.0.0.1", true, false),
            ("::1", true, false),
            ("10.1.2.3", true, false),
            ("100.64.0.1", true, false),
            ("fd12::1", true, false),
            ("203.0.113.9", true, true),
            ("2001:db8::1", true, true),
        ] {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!((allowed(ip, true).is_ok(), allowed(ip, false).is_ok()), (with, without), "{address}");
        }
        let strict = Outgoing::new(&Roots::Bundled, false).unwrap();
        assert!(
            strict.check_url("http://[::ffff:127.0.0.1]:80/").is_err() && strict.check_url("http://127.1/").is_err()
        );
        assert!(strict.check_url("https://receiver.example/").is_ok());
        for url in ["https://api.wallarm.com/hook", "https://US1.api.Wallarm.com./", "https://api%2ewallarm.com/"] {
            let refused = strict.check_url(url).unwrap_err();
            assert!(matches!(refused, OutgoingError::Vendor(_)), "{url}: {refused}");
        }
        assert!(strict.check_url("https://notwallarm.com/").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_forbidden_address_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let strict = Outgoing::new(&Roots::Bundled, false).unwrap();
        let client = strict.guarded().build().unwrap();
        let refused = client.get(format!("http://localhost:{port}/")).send().await.unwrap_err();
        assert!(refused.is_connect(), "{refused:?}");
        assert!(strict.resolve("localhost", port).await.is_err());
        assert!(Outgoing::default().resolve("localhost", port).await.is_ok());
    }

    #[test]
    fn authorities_come_from_a_file_too() {
        let made = rcgen::generate_simple_self_signed(vec!["ca.example".into()]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, made.cert.pem()).unwrap();
        assert_eq!(Roots::parse(&path.display().to_string()).certificates().unwrap().unwrap().len(), 1);
        std::fs::write(&path, "nothing").unwrap();
        for file in [path, directory.path().join("ca.pem.missing")] {
            let error = Outgoing::new(&Roots::File(file), true).unwrap_err().to_string();
            assert!(error.contains("ca.pem") && error.starts_with("`control_plane.outgoing_ca`"), "{error}");
        }
        assert!(Roots::parse("bundled").certificates().unwrap().is_none() && store(None).len() > 50);
    }
}
