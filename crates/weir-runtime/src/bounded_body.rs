//! Reads the body of another server's response, up to a size.

use reqwest::{Error, Response};

/// The body; `None` if it is larger than `most` bytes. Of such a body at most `most` bytes and one piece are held.
pub async fn read(response: &mut Response, most: usize) -> Result<Option<Vec<u8>>, Error> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if piece.len() > most - body.len() {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    /// Reads what a server sends after the head of its response.
    async fn bounded(most: usize, sent: &'static [u8]) -> Result<Option<Vec<u8>>, Error> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            assert!(stream.read(&mut head).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n").unwrap();
            // A reader that has seen enough goes away.
            drop(stream.write_all(sent));
        });
        // An error says that a provider is installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = read(&mut client.get(url).send().await.unwrap(), most).await;
        server.join().unwrap();
        body
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read_and_no_more() {
        let whole = Some(b"abcd".to_vec());
        let chunked = b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
        assert_eq!(bounded(4, chunked).await.unwrap(), whole);
        assert_eq!(bounded(3, chunked).await.unwrap(), None);
        assert_eq!(bounded(4, b"Content-Length: 4\r\n\r\nabcd").await.unwrap(), whole);
        assert_eq!(bounded(0, b"Content-Length: 0\r\n\r\n").await.unwrap(), Some(Vec::new()));
        assert_eq!(bounded(4, b"Content-Length: 5\r\n\r\n").await.unwrap(), None, "known before anything comes");
        assert!(bounded(9, b"Content-Length: 4\r\n\r\nab").await.is_err(), "a body that breaks off");
    }
}
