//! Finds the server of shared counters: at a fixed address, the primary that Sentinels name, or the node of a cluster that
//! has the keys.
//!
//! All keys share one hash tag, so one server has them all and one connection suffices. It is looked for again at each new
//! connection, which every failure brings: after a failover or a move of the slot, the next one finds the new server.

use super::share_stream::Connected;
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, Value};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Nodes of a cluster that are remembered.
const MAX_NODES: usize = 32;

/// Why the server cannot be used at all.
#[derive(Debug, Error)]
#[error("abuse.redis: {0}")]
pub struct ShareError(RedisError);

/// How the server is found.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerSettings {
    /// `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, or `rediss://` for TLS. With Sentinels the host is the name of the primary.
    pub url: String,
    /// Addresses of Sentinels, of the same form.
    pub sentinels: Vec<String>,
    /// Whether the server is a node of a cluster.
    pub cluster: bool,
    /// PEM text of the certificate authorities to trust instead of those of the system.
    pub ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerSettings(sentinels: {}, cluster: {})", self.sentinels.len(), self.cluster)
    }
}

/// The way to the server.
pub(super) struct Servers {
    info: ConnectionInfo,
    /// How TLS is spoken; none where it is not.
    tls: Option<Arc<ClientConfig>>,
    sentinels: Vec<ConnectionInfo>,
    /// Nodes of the cluster, the one that answered last first; none if it is no cluster.
    nodes: Vec<(String, u16)>,
}

/// The result of `answer`, unless it takes longer than one answer may.
pub(super) async fn in_time<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    let late = |_| RedisError::from((ErrorKind::Io, "no answer in time"));
    tokio::time::timeout(TIMEOUT, answer).await.map_err(late)?
}

fn unexpected(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, what))
}

impl Servers {
    /// Checks `settings`; connects to nothing yet.
    pub(super) fn new(settings: &ServerSettings) -> Result<Self, ShareError> {
        let info = settings.url.as_str().into_connection_info().map_err(ShareError)?;
        let sentinels = settings.sentinels.iter().map(|url| url.as_str().into_connection_info());
        let sentinels = sentinels.collect::<Result<Vec<_>, _>>().map_err(ShareError)?;
        let own = settings.ca.as_deref().map(certificates).transpose()?;
        let by_tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        // Mistakes in certificates show now, not at the first connection.
        let tls = std::iter::once(&info).chain(&sentinels).any(by_tls).then(|| tls(own)).transpose()?;
        let nodes = if settings.cluster { vec![host(&info)] } else { Vec::new() };
        Ok(Self { info, tls, sentinels, nodes })
    }

    /// Where the server at `host` and `port` is reached, with the credentials and TLS of the configured one.
    fn at(&self, host: &str, port: u16) -> ConnectionInfo {
        let host = host.to_owned();
        let address = match self.info.addr() {
            ConnectionAddr::TcpTls { .. } => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            _ => ConnectionAddr::Tcp(host, port),
        };
        self.info.clone().set_addr(address)
    }

    async fn open(&self, info: &ConnectionInfo) -> Result<Connected, RedisError> {
        in_time(Connected::open(info, self.tls.as_ref())).await
    }

    /// Connects to the server that has `key`.
    pub(super) async fn connect(&mut self, key: &str) -> Result<Connected, RedisError> {
        if !self.sentinels.is_empty() {
            let (host, port) = self.primary().await?;
            return self.open(&self.at(&host, port)).await;
        }
        if !self.nodes.is_empty() {
            let (host, port) = self.owner(key).await?;
            return self.open(&self.at(&host, port)).await;
        }
        self.open(&self.info).await
    }

    /// The primary that the first Sentinel to answer names.
    async fn primary(&self) -> Result<(String, u16), RedisError> {
        let name = host(&self.info).0;
        let mut last = unexpected("no Sentinel knows the primary");
        for sentinel in &self.sentinels {
            match self.ask_sentinel(sentinel, &name).await {
                Ok(Some(address)) => return Ok(address),
                Ok(None) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask_sentinel(&self, at: &ConnectionInfo, name: &str) -> Result<Option<(String, u16)>, RedisError> {
        let mut connection = self.open(at).await?;
        let asked = redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).to_owned();
        in_time(asked.query_async(&mut connection.connection)).await
    }

    /// The node of the cluster that has the slot of `key`. All nodes that it names are remembered.
    async fn owner(&mut self, key: &str) -> Result<(String, u16), RedisError> {
        let mut last = unexpected("no node of the cluster has the slot");
        for number in 0..self.nodes.len() {
            let node = self.nodes[number].clone();
            match self.ask_node(&node, key).await {
                Ok((owner, mut nodes)) => {
                    nodes.retain(|one| *one != node);
                    nodes.insert(0, node);
                    nodes.truncate(MAX_NODES);
                    self.nodes = nodes;
                    match owner {
                        Some(owner) => return Ok(owner),
                        None => return Err(last),
                    }
                }
                Err(error) => last = error,
            }
        }
        // The configured one may be reachable by another address now.
        self.nodes.push(host(&self.info));
        self.nodes.dedup();
        Err(last)
    }

    async fn ask_node(&self, node: &(String, u16), key: &str) -> Result<ClusterView, RedisError> {
        let mut connection = self.open(&self.at(&node.0, node.1)).await?;
        let mut pipe = redis::pipe();
        pipe.cmd("CLUSTER").arg("KEYSLOT").arg(key).cmd("CLUSTER").arg("SLOTS");
        let (slot, ranges): (u16, Vec<Vec<Value>>) = in_time(pipe.query_async(&mut connection.connection)).await?;
        view(slot, ranges, node)
    }
}

fn wrong(what: &'static str) -> ShareError {
    ShareError(RedisError::from((ErrorKind::InvalidClientConfig, what)))
}

/// The authorities of a PEM file. One without certificates would trust no server: each connection would fail.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ShareError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|_| wrong("ca_file: not a PEM file of certificates"))?;
    if all.is_empty() { Err(wrong("ca_file: no certificate in it")) } else { Ok(all) }
}

/// TLS that trusts `own` authorities or, without any, those of the system.
fn tls(own: Option<Vec<CertificateDer<'static>>>) -> Result<Arc<ClientConfig>, ShareError> {
    let mut roots = RootCertStore::empty();
    let (usable, _) =
        roots.add_parsable_certificates(own.unwrap_or_else(|| rustls_native_certs::load_native_certs().certs));
    if usable == 0 {
        return Err(wrong("no certificate of an authority can be used: the system has none, or ca_file has none"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| wrong("TLS is not available"))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Owner of a slot, and all nodes.
type ClusterView = (Option<(String, u16)>, Vec<(String, u16)>);

/// Reads the answer of `asked` to `CLUSTER SLOTS`: of each range its ends, then the primary and the replicas.
fn view(slot: u16, ranges: Vec<Vec<Value>>, asked: &(String, u16)) -> Result<ClusterView, RedisError> {
    let (mut owner, mut nodes) = (None, Vec::new());
    for range in ranges {
        let mut members = range.into_iter();
        let mut number = || -> Result<u16, RedisError> {
            Ok(redis::from_redis_value(members.next().ok_or_else(|| unexpected("a range without ends"))?)?)
        };
        let ends = number()?..=number()?;
        for (place, member) in members.enumerate() {
            let member: Vec<Value> = redis::from_redis_value(member)?;
            let mut fields = member.into_iter();
            let (Some(name), Some(port)) = (fields.next(), fields.next()) else { continue };
            let (name, port): (Option<String>, u16) = (redis::from_redis_value(name)?, redis::from_redis_value(port)?);
            // A node that does not know its own name is the one that was asked.
            let name = name.filter(|name| !name.is_empty() && name != "?").unwrap_or_else(|| asked.0.clone());
            if place == 0 && ends.contains(&slot) {
                owner = Some((name.clone(), port));
            }
            if nodes.len() < MAX_NODES && !nodes.contains(&(name.clone(), port)) {
                nodes.push((name, port));
            }
        }
    }
    Ok((owner, nodes))
}

/// Host and port of an address; for a Unix socket, which has none, an empty name.
fn host(info: &ConnectionInfo) -> (String, u16) {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), *port),
        _ => (String::new(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> ServerSettings {
        ServerSettings { url: url.into(), ..ServerSettings::default() }
    }

    #[test]
    fn addresses_and_certificates_are_checked_and_secrets_not_shown() {
        for url in ["redis://h", "rediss://u:p@h:7000/2", "redis+unix:///run/redis"] {
            assert!(Servers::new(&settings(url)).is_ok(), "{url}");
        }
        assert!(Servers::new(&settings("http://h")).is_err());
        assert!(Servers::new(&ServerSettings { sentinels: vec!["x".into()], ..settings("redis://h") }).is_err());
        assert!(Servers::new(&ServerSettings { ca: Some(b"no PEM".to_vec()), ..settings("rediss://h") }).is_err());
        assert!(!format!("{:?}", settings("redis://u:secret@h")).contains("secret"));
        let servers = Servers::new(&settings("rediss://u:p@h:7000/2")).unwrap();
        let other = servers.at("i", 5);
        assert!(matches!(other.addr(), ConnectionAddr::TcpTls { host, port: 5, .. } if host == "i"));
        assert_eq!((other.redis_settings().username(), other.redis_settings().db()), (Some("u"), 2));
    }

    #[test]
    fn the_owner_of_a_slot_is_found() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let node = |name: Value, port| Value::Array(vec![name, Value::Int(port), text("id")]);
        let ranges = vec![
            vec![Value::Int(0), Value::Int(8_191), node(text("10.0.0.1"), 1), node(text("10.0.0.3"), 3)],
            vec![Value::Int(8_192), Value::Int(16_383), node(Value::Nil, 2), node(text("10.0.0.1"), 1)],
        ];
        let asked = ("10.0.0.2".to_owned(), 2);
        let (owner, nodes) = view(8_192, ranges.clone(), &asked).unwrap();
        assert_eq!((owner, nodes.len()), (Some(asked.clone()), 3));
        assert_eq!(view(5, ranges, &asked).unwrap().0, Some(("10.0.0.1".into(), 1)));
        assert_eq!(view(5, Vec::new(), &asked).unwrap().0, None);
        assert!(view(5, vec![vec![Value::Int(0)]], &asked).is_err());
    }
}
