//! One look at a mirror: bounded in time and size, to one host, and nothing is believed that is not signed.

use crate::outgoing::{Outgoing, OutgoingError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Response, StatusCode, Url, header};
use ring::signature::{ED25519, UnparsedPublicKey};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;
use weir_core::model::vendor;
use weir_runtime::bounded_body;

/// Longest time for content or signature.
const TIME: Duration = Duration::from_secs(300);
/// Longest wait for the next bytes.
const IDLE: Duration = Duration::from_secs(30);
/// Longest URL, in bytes.
const MAX_URL: usize = 2_000;
/// Longest ETag that is kept, in bytes.
const MAX_ETAG: usize = 256;
/// Largest signature file: base64 of 64 bytes and space around it.
const MAX_SIGNATURE: usize = 1 << 10;
/// Bytes of an Ed25519 key.
const KEY: usize = 32;

/// What a look brought.
pub enum Fetched {
    /// It is as it was.
    Same,
    /// Content whose signature is right.
    New { content: Vec<u8>, etag: String },
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The destination must not be contacted.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The URL or the key of the mirror is not valid.
    #[error("{0}")]
    Setting(#[from] MirrorError),
    /// The server was not reached, or the connection broke.
    #[error("the call failed")]
    Call(#[from] reqwest::Error),
    /// The server did not answer with content.
    #[error("answered {0}")]
    Status(StatusCode),
    /// The content is larger than what is accepted, in bytes.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
    /// The signature could not be fetched.
    #[error("signature (`.sig`): {0}")]
    NoSignature(#[source] Box<FetchError>),
    /// The signature is not in base64.
    #[error("the signature (`.sig`) is not base64")]
    Encoding(#[source] base64::DecodeError),
    /// The signature does not belong to this content and key.
    #[error("the signature does not fit content and key; nothing was taken over")]
    Signature,
}

/// A client: redirects are not followed.
pub fn client(outgoing: &Outgoing) -> Result<Client, OutgoingError> {
    let builder = outgoing.guarded().timeout(TIME).read_timeout(IDLE);
    builder.build().map_err(OutgoingError::Client)
}

/// Why a mirror's URL or key is not taken.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The URL cannot be parsed.
    #[error("no URL: {0}")]
    Url(#[source] <Url as FromStr>::Err),
    /// The URL has no host, or is too long.
    #[error("expected a URL with a host, of at most {MAX_URL} bytes")]
    Host,
    /// The URL is not encrypted.
    #[error("write a URL that begins with `https://`; `http://` is for this machine alone")]
    Scheme,
    /// The URL has credentials or a fragment.
    #[error("user, password and fragment are not taken: put the files where no login is needed")]
    Credentials,
    /// The URL is on a host of the vendor.
    #[error("hosts of the vendor are never contacted")]
    Vendor,
    /// The key is no Ed25519 key.
    #[error("expected the base64 of the 32 bytes of an Ed25519 public key")]
    Key,
}

/// The URL of a mirror, if it is one: https, or http to this machine; no credentials; not a host of the vendor.
pub fn url(text: &str) -> Result<Url, MirrorError> {
    let url = Url::parse(text.trim()).map_err(MirrorError::Url)?;
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    if text.len() > MAX_URL || host.is_empty() {
        return Err(MirrorError::Host);
    }
    if !(url.scheme() == "https" || (url.scheme() == "http" && local)) {
        return Err(MirrorError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(MirrorError::Credentials);
    }
    if vendor::is_vendor(&host) {
        return Err(MirrorError::Vendor);
    }
    Ok(url)
}

/// Host of a URL, for people.
pub fn host(text: &str) -> String {
    url(text).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// The key in base64.
pub fn key(text: &str) -> Result<Vec<u8>, MirrorError> {
    let bytes = STANDARD.decode(text.trim()).ok().filter(|bytes| bytes.len() == KEY);
    bytes.ok_or(MirrorError::Key)
}

/// Looks at `from`, if it changed since `etag`.
pub async fn fetch(client: &Client, from: &str, by: &str, etag: &str, most: usize) -> Result<Fetched, FetchError> {
    let (at, by) = (url(from)?, key(by)?);
    let mut request = client.get(at.clone());
    if !etag.is_empty() {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    let answer = request.send().await?;
    if answer.status() == StatusCode::NOT_MODIFIED && !etag.is_empty() {
        return Ok(Fetched::Same);
    }
    let fresh = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let fresh = fresh.filter(|tag| tag.len() <= MAX_ETAG).unwrap_or_default().to_owned();
    let content = body(answer, most).await?;
    let mut signed = at;
    signed.set_path(&format!("{}.sig", signed.path()));
    let signature = client.get(signed).send().await?;
    let signature = body(signature, MAX_SIGNATURE).await.map_err(|why| FetchError::NoSignature(Box::new(why)))?;
    let signature = STANDARD.decode(signature.trim_ascii()).map_err(FetchError::Encoding)?;
    let right = UnparsedPublicKey::new(&ED25519, by).verify(&content, &signature);
    right.map_err(|_| FetchError::Signature)?;
    Ok(Fetched::New { content, etag: fresh })
}

async fn body(mut answer: Response, most: usize) -> Result<Vec<u8>, FetchError> {
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    bounded_body::read(&mut answer, most).await?.ok_or(FetchError::TooLarge(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_or_of_this_machine_and_never_of_the_vendor() {
        for good in ["https://rules.example/a.yaml", "http://127.0.0.1:9/a", "http://[::1]/a", "https://10.0.0.1/x?y=z"]
        {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "rules.example/a",
            "http://rules.example/a",
            "http://127.0.0.1.rules.example/a",
            "ftp://127.0.0.1/a",
            "file:///etc/passwd",
            "https://user:secret@rules.example/a",
            "https://api.wallarm.com/a",
            "https://API.Wallarm.com./a",
            "https://us1.api.wall%61rm.com/a",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert!(url(&format!("https://a.example/{}", "x".repeat(MAX_URL))).is_err());
        assert!(key("AAAA").is_err() && key(&STANDARD.encode([7; KEY])).is_ok());
    }

    /// A server that has `content` under the ETag `"1"`, and a signature of it.
    async fn serve(content: &'static [u8], signature: String) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let (status, body) = match &head {
                    head if head.starts_with("get /a.sig?x ") => ("200 OK", signature.as_bytes()),
                    head if head.starts_with("get /moved ") => ("302 Found", &b"elsewhere"[..]),
                    head if head.contains("if-none-match: \"1\"") => ("304 Not Modified", &b""[..]),
                    _ => ("200 OK", content),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nETag: \"1\"\r\nLocation: /a\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn what_is_the_same_too_large_elsewhere_or_not_signed_is_not_taken() {
        use ring::signature::{Ed25519KeyPair, KeyPair};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[3; KEY]).unwrap();
        let (by, other) = (STANDARD.encode(pair.public_key().as_ref()), STANDARD.encode([7; KEY]));
        let at = serve(b"content", STANDARD.encode(pair.sign(b"content"))).await;
        let (client, from) = (client(&Outgoing::default()).unwrap(), format!("{at}/a?x"));
        let Ok(Fetched::New { content, etag }) = fetch(&client, &from, &by, "", 7).await else { panic!("not fetched") };
        assert_eq!((content.as_slice(), etag.as_str()), (&b"content"[..], "\"1\""));
        assert!(matches!(fetch(&client, &from, &by, &etag, 7).await, Ok(Fetched::Same)));
        assert!(matches!(fetch(&client, &from, &by, "\"0\"", 7).await, Ok(Fetched::New { .. })));
        for (from, by, most, why) in [
            (&from, &by, 6, "larger than 6"),
            (&from, &other, 7, "signature does not fit"),
            (&format!("{at}/moved"), &by, 99, "answered 302"),
            (&format!("{at}/b"), &by, 99, "not base64"),
        ] {
            let told = fetch(&client, from, by, "", most).await.err().expect("it is refused").to_string();
            assert!(told.contains(why), "{told}");
        }
    }
}
