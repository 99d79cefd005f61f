//! Where to listen.

use super::{Bad, Setting};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use weir_runtime::serve::MAX_SOCKET_PATH;

/// An address to listen on: `:5000` is every address of the machine, IPv4 and IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// The one address; every address without.
    pub ip: Option<IpAddr>,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
}

impl ListenAddress {
    /// Every address, this port.
    pub const fn any(port: u16) -> Self {
        Self { ip: None, port }
    }

    /// The socket address; every address is `[::]`, which takes IPv4 too where the socket is dual-stack.
    pub fn socket(self) -> SocketAddr {
        SocketAddr::new(self.ip.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), self.port)
    }

    /// Whether both cannot be bound at the same time.
    pub fn collides(self, other: Self) -> bool {
        let wide = |a: Self| a.ip.is_none_or(|ip| ip.is_unspecified());
        self.port != 0 && self.port == other.port && (wide(self) || wide(other) || self.ip == other.ip)
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ip {
            Some(ip) => SocketAddr::new(ip, self.port).fmt(f),
            None => write!(f, ":{}", self.port),
        }
    }
}

impl Setting for ListenAddress {
    const TYPE: &'static str = "listen address";

    fn parse(text: &str) -> Result<Self, Bad> {
        let bad = |message: &str| Bad::with(message, "write `:5000`, `127.0.0.1:5000` or `[::1]:5000`");
        if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            return Err(Bad::with("a port without a colon", format!("write `:{text}`")));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| bad("no port"))?;
        let port = port.parse().map_err(|_| bad("not a port from 0 to 65535"))?;
        let ip = match host {
            "" => return Ok(Self { ip: None, port }),
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            v6 if v6.starts_with('[') && v6.ends_with(']') => {
                IpAddr::V6(v6[1..v6.len() - 1].parse().map_err(|_| bad("not an IPv6 address"))?)
            }
            v4 => IpAddr::V4(v4.parse().map_err(|_| bad("not an address to listen on"))?),
        };
        Ok(Self { ip: Some(ip), port })
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Where the API for connectors listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectorAddress {
    /// TCP.
    Tcp(ListenAddress),
    /// A Unix socket with this absolute path.
    Unix(PathBuf),
}

impl ConnectorAddress {
    /// The TCP address, if it is one.
    pub fn tcp(&self) -> Option<ListenAddress> {
        match self {
            ConnectorAddress::Tcp(address) => Some(*address),
            ConnectorAddress::Unix(_) => None,
        }
    }
}

impl Setting for ConnectorAddress {
    const TYPE: &'static str = "listen address or `unix:/PATH`";

    fn parse(text: &str) -> Result<Self, Bad> {
        let Some(path) = text.strip_prefix("unix:") else { return ListenAddress::parse(text).map(Self::Tcp) };
        if path.len() < 2 || !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
            return Err(Bad::with("not the absolute path of a socket", "write `unix:/run/weir/node.sock`"));
        }
        if path.len() > MAX_SOCKET_PATH {
            let message = format!("the path has {} bytes; a socket's may have {MAX_SOCKET_PATH}", path.len());
            return Err(Bad::with(message, "write a path such as `unix:/run/weir/node.sock`"));
        }
        Ok(Self::Unix(PathBuf::from(path)))
    }

    fn show(&self) -> String {
        match self {
            ConnectorAddress::Tcp(address) => address.show(),
            ConnectorAddress::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// Permission bits of a file, written in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl Setting for FileMode {
    const TYPE: &'static str = "octal file mode";

    fn parse(text: &str) -> Result<Self, Bad> {
        let digits = text.len() <= 4 && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
        mode.map(Self).ok_or_else(|| Bad::with("not a file mode", "write octal digits, such as `0660`"))
    }

    fn show(&self) -> String {
        format!("{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_show() {
        for text in [":5000", "127.0.0.1:0", "[::1]:443", "0.0.0.0:80"] {
            assert_eq!(ListenAddress::parse(text).unwrap().show(), text);
        }
        assert_eq!(ListenAddress::parse("5000").unwrap_err().help.unwrap(), "write `:5000`");
        for text in ["", "host:80", "::1:80", "1.2.3.4", "1.2.3.4:70000", "[1.2.3.4]:80", "[]:1", "[:1"] {
            assert!(ListenAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_connector_address_may_be_a_socket() {
        for text in [":5000", "[::1]:443", "unix:/run/weir/node.sock"] {
            assert_eq!(ConnectorAddress::parse(text).unwrap().show(), text);
        }
        let long = format!("unix:/{}", "p".repeat(MAX_SOCKET_PATH));
        for text in ["unix:", "unix:/", "unix:node.sock", "unix:/run/weir/", "unix:/a\0b", "/run/weir.sock", &long] {
            assert!(ConnectorAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn file_modes_are_octal() {
        assert_eq!(FileMode::parse("0660"), Ok(FileMode(0o660)));
        assert_eq!(FileMode::parse("666").unwrap().show(), "0666");
        for text in ["", "0o660", "9", "1777", "-rw-rw----", "00660"] {
            assert!(FileMode::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn collisions_see_through_wildcards() {
        let at = |text| ListenAddress::parse(text).unwrap();
        assert!(at(":5000").collides(at("127.0.0.1:5000")));
        assert!(at("[::1]:5000").collides(at("0.0.0.0:5000")));
        assert!(!at("127.0.0.1:5000").collides(at("127.0.0.2:5000")));
        assert!(!at(":0").collides(at(":0")));
    }
}
