//! Connections to the server of shared counters. They read no more bytes than its answers may have: the library keeps an answer
//! in memory until it is complete, and a server that sends without end would fill the memory of the node within the time that
//! an answer may take.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// Bytes of an answer. The largest answer to an exchange, to 1,000 counters and with 1,000 records of each of two streams, has
/// about 2 MiB; values of the library take up to 15 times the bytes of an answer.
pub(super) const MAX_ANSWER: u64 = 8 << 20;

/// A connection that ends, with its task, when it is dropped.
pub(super) struct Connected {
    /// To send commands.
    pub connection: MultiplexedConnection,
    left: Arc<AtomicU64>,
    driver: JoinHandle<()>,
}

impl Connected {
    /// Opens a connection to `info`, by TLS with `tls` where it says so.
    pub async fn open(info: &ConnectionInfo, tls: Option<&Arc<ClientConfig>>) -> Result<Self, RedisError> {
        let left = Arc::new(AtomicU64::new(MAX_ANSWER));
        let stream = Bounded { stream: connect(info.addr(), tls).await?, left: Arc::clone(&left) };
        let config = AsyncConnectionConfig::default();
        let (connection, driver) =
            MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await?;
        Ok(Self { connection, left, driver: tokio::spawn(driver) })
    }

    /// Allows another answer.
    pub fn renew(&self) {
        self.left.store(MAX_ANSWER, Ordering::Relaxed);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn connect(at: &ConnectionAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Box<dyn Stream>, RedisError> {
    let tcp = async |host: &str, port: u16| -> io::Result<TcpStream> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    match (at, tls) {
        (ConnectionAddr::Tcp(host, port), _) => Ok(Box::new(tcp(host, *port).await?)),
        (ConnectionAddr::TcpTls { host, port, .. }, Some(config)) => {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let stream = TlsConnector::from(Arc::clone(config)).connect(name, tcp(host, *port).await?).await?;
            Ok(Box::new(stream))
        }
        (ConnectionAddr::Unix(path), _) => Ok(Box::new(UnixStream::connect(path).await?)),
        _ => Err(RedisError::from((ErrorKind::InvalidClientConfig, "this kind of address is not supported"))),
    }
}

/// A stream of which so many bytes may still be read.
struct Bounded {
    stream: Box<dyn Stream>,
    left: Arc<AtomicU64>,
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        let enough = |left: u64| left.checked_sub(read);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough) {
            Ok(_) => Poll::Ready(Ok(())),
            Err(_) => Poll::Ready(Err(io::Error::other("the answer is too long"))),
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::IntoConnectionInfo;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers each command with `answer`, over and over; how many bytes could be sent at most.
    async fn endless(begin: &'static [u8], rest: &'static [u8]) -> (ConnectionInfo, JoinHandle<u64>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut command = [0; 1024];
            // The library introduces itself first; then comes the command.
            let mut sent = begin.len() as u64;
            let _read = stream.read(&mut command).await.unwrap();
            stream.write_all(b"+OK\r\n+OK\r\n").await.unwrap();
            let _read = stream.read(&mut command).await.unwrap();
            stream.write_all(begin).await.unwrap();
            while stream.write_all(rest).await.is_ok() {
                sent += rest.len() as u64;
            }
            sent
        });
        (url.as_str().into_connection_info().unwrap(), server)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_endless_answer_ends_the_connection_before_it_fills_the_memory() {
        const CHUNK: &[u8] = &[b'1'; 64 << 10];
        const NUMBERS: &[u8] = b":1\r\n:1\r\n:1\r\n:1\r\n";
        for (begin, rest) in [
            (&b"$536870912\r\n"[..], CHUNK),
            (b"$9223372036854775807\r\n", CHUNK),
            (b"+", CHUNK),
            (b"*9223372036854775807\r\n", NUMBERS),
        ] {
            let (info, server) = endless(begin, rest).await;
            let mut connected = Connected::open(&info, None).await.unwrap();
            let asked = redis::cmd("XREAD");
            let answer = asked.query_async::<redis::Value>(&mut connected.connection);
            assert!(tokio::time::timeout(Duration::from_secs(60), answer).await.unwrap().is_err());
            drop(connected);
            let sent = server.await.unwrap();
            // What the sockets held when the connection was closed counts as sent.
            assert!(sent < 8 * MAX_ANSWER, "{sent} bytes");
        }
    }
}
