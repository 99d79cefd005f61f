//! The socket of the API for connectors.

use super::error::StartError;
use super::{listen, local};
use crate::config::resolved;
use crate::config::types::{ConnectorAddress, Setting as _};
use tokio::net::TcpListener;
use weir_runtime::serve::UnixSocket;

/// Where connectors call: one of the two kinds.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A socket on this host.
    Unix(UnixSocket),
}

impl Listener {
    /// Listens where the configuration says.
    pub async fn bind(key: &str, address: &ConnectorAddress, file: &resolved::UnixSocket) -> Result<Self, StartError> {
        match address {
            ConnectorAddress::Tcp(address) => listen(key, *address).await.map(Self::Tcp),
            ConnectorAddress::Unix(path) => {
                let bound = UnixSocket::bind(path, file.mode.0, file.group.as_deref());
                let what = format!("{key}: cannot listen on {}", address.show());
                StartError::system(what, bound).map(Self::Unix)
            }
        }
    }

    /// The address, as the configuration writes it; a port that the system chose is filled in.
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => local(listener),
            Listener::Unix(socket) => format!("unix:{}", socket.path().display()),
        }
    }

    /// The base of URLs on this host, for a call with curl.
    pub fn url(&self, tls: bool) -> String {
        match self {
            Listener::Tcp(listener) => {
                let port = listener.local_addr().map_or(0, |address| address.port());
                let scheme = if tls { "https" } else { "http" };
                format!("{scheme}://127.0.0.1:{port}")
            }
            Listener::Unix(socket) => format!("--unix-socket {} http://localhost", socket.path().display()),
        }
    }
}
