//! Every default, with its reason.

use super::types::{ByteSize, ConnectorAddress, FileMode, ListenAddress, LogLevel, Mode};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The port that connectors of such nodes are documented to call.
pub const ADDRESS: ConnectorAddress = ConnectorAddress::Tcp(ListenAddress::any(5000));
/// The user of the node and a group that it shares with the gateway; no other user of the host.
pub const SOCKET_MODE: FileMode = FileMode(0o660);
/// One port for metrics and probes: one less to open; they can be set apart.
pub const METRICS_ADDRESS: ListenAddress = ListenAddress::any(9090);
/// See [`METRICS_ADDRESS`].
pub const HEALTH_ADDRESS: ListenAddress = METRICS_ADDRESS;
/// A node that is started without configuration protects.
pub const MODE: Mode = Mode::Block;
/// "No application", as connectors of such nodes write it.
pub const APPLICATION: i64 = -1;
/// Room for the 8 MiB of a body that connectors send by default, and for its head.
pub const MAX_CALL_BYTES: ByteSize = ByteSize(9 << 20);
/// Largest settable call: sizes and offsets within a message are kept in 32 bits.
pub const MAX_CALL_BYTES_BOUND: ByteSize = ByteSize(1 << 30);
/// An answer that comes too late is the node's failure, so that the connector's failure mode applies.
pub const REPLY_TIMEOUT_CODE: u16 = 500;
/// A thousand times what an ordinary request needs; documented for such nodes.
pub const PROCESS_TIME_LIMIT: Duration = Duration::from_secs(1);
/// Path documented for such nodes.
pub const EXTERNAL_HEALTH_ENDPOINT: &str = "/wallarm-external-health";
/// Status of a blocked request.
pub const BLOCK_STATUS: u16 = 403;
/// Body of a blocked request, byte for byte what clients of such nodes know.
pub const BLOCK_JSON: &str = r#"{"error": {"code": 403, "message": "request blocked"}}"#;
/// Family prefix: the program's name.
pub const METRICS_NAMESPACE: &str = "weir";
/// One call in a thousand: enough to see where time goes, and next to no load.
pub const TRACES_PER_MILLION: u32 = 1_000;
/// What an operator wants to know and no more.
pub const LOG_LEVEL: LogLevel = LogLevel::Info;

/// A gateway keeps some dozens of connections a worker; a hundred gateways fit, and so do the file descriptors.
pub const MAX_CONNECTIONS: usize = 10_000;
/// At 10 µs a call this is a queue of some milliseconds: what waits behind it would only time out at the gateway.
pub const MAX_CONCURRENT_CALLS: usize = 1_000;
/// An eighth of a small container's memory.
pub const MAX_BUFFERED_BYTES: ByteSize = ByteSize(128 << 20);
/// About a millisecond of inspection: longer would hold up the other calls of the runtime's worker.
pub const INLINE_BYTES: ByteSize = ByteSize(64 << 10);
/// Some seconds of work for the pool at worst.
pub const POOL_QUEUE: usize = 256;
/// A connector waits a second in all; what waited half of it is better refused.
pub const QUEUE_TIMEOUT: Duration = Duration::from_millis(500);
/// Copies need no answer, so more may wait.
pub const BACKGROUND_QUEUE: usize = 4_096;
/// The smallest step that `Retry-After` can express.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A gateway on the same network sends a head at once; who needs longer holds a connection on purpose.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// 8 MiB on a slow link between zones.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the 60 s for which common gateways keep idle connections, so that the gateway closes first and no call
/// meets a closing connection.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Below the 30 s after which container platforms kill.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Loopback, private and link-local networks: the peers that are trusted if none are configured.
pub fn private_networks() -> Vec<IpNet> {
    let v4 = |a, b, prefix| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix));
    let v6 = |first, prefix| IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), prefix));
    vec![
        v4(127, 0, 8),
        v4(10, 0, 8),
        v4(172, 16, 12),
        v4(192, 168, 16),
        v4(169, 254, 16),
        v4(100, 64, 10),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
        v6(0xfc00, 7),
        v6(0xfe80, 10),
    ]
}

/// Everyone.
pub fn all_networks() -> Vec<IpNet> {
    vec![
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
    ]
}

/// Under the working directory: a run without configuration leaves its data where it was started. Images set another.
pub const DATA_DIR: &str = "weir-data";
