//! Delivery by syslog (RFC 5424): one message a record, its JSON as the message's text.

use super::delivery::DeliveryError;
use super::feed::FeedName;
use super::sink::{Facility, Transport};
use crate::outgoing::Outgoing;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

/// Longest delivery of a batch, connect included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest UDP payload over IPv4.
const MAX_DATAGRAM: usize = 65_507;
/// Severity of a record (RFC 5424 §6.2.1): a hit warns, a system event is a notice.
const WARNING: u8 = 4;
const NOTICE: u8 = 5;

/// One delivery.
pub struct Call<'a> {
    /// Host name or address.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Transport.
    pub transport: Transport,
    /// Facility.
    pub facility: Facility,
}

/// `record` as a syslog message.
pub fn message(facility: Facility, feed: FeedName, record: &Value) -> String {
    let severity = if feed == FeedName::NewHits { WARNING } else { NOTICE };
    let priority = facility.number() * 8 + severity;
    let millis = record.get("time").and_then(Value::as_i64).unwrap_or_default();
    let time = jiff::Timestamp::from_millisecond(millis).map_or_else(|_| "-".into(), |time| time.to_string());
    // Host, process: a relay fills in what is absent. The BOM says that the text is UTF-8 (RFC 5424 §6.4).
    format!("<{priority}>1 {time} - weir - {} - \u{feff}{record}", feed.code())
}

/// Delivers `records`.
pub async fn deliver(
    call: &Call<'_>,
    outgoing: &Outgoing,
    feed: FeedName,
    records: &[Value],
) -> Result<(), DeliveryError> {
    let sent = tokio::time::timeout(TIMEOUT, send(call, outgoing, feed, records)).await;
    Ok(sent.map_err(|_| DeliveryError::Timeout(TIMEOUT))??)
}

async fn send(call: &Call<'_>, outgoing: &Outgoing, feed: FeedName, records: &[Value]) -> io::Result<()> {
    let messages = records.iter().map(|record| message(call.facility, feed, record));
    let to = outgoing.resolve(call.host, call.port).await?;
    match call.transport {
        Transport::Udp => {
            let any = if to.iter().all(SocketAddr::is_ipv6) { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(&*to).await?;
            for text in messages {
                socket.send(&text.as_bytes()[..text.len().min(MAX_DATAGRAM)]).await?;
            }
            Ok(())
        }
        Transport::Tcp => stream(TcpStream::connect(&*to).await?, messages).await,
        Transport::Tls => {
            let name = rustls::pki_types::ServerName::try_from(call.host.to_owned()).map_err(io::Error::other)?;
            let connection = TcpStream::connect(&*to).await?;
            stream(TlsConnector::from(outgoing.tls()).connect(name, connection).await?, messages).await
        }
    }
}

/// Byte counting (RFC 6587 §3.4.1): a line break within a message ends nothing.
async fn stream(mut to: impl AsyncWrite + Unpin, messages: impl Iterator<Item = String>) -> io::Result<()> {
    for text in messages {
        to.write_all(format!("{} {text}", text.len()).as_bytes()).await?;
    }
    to.shutdown().await
}
