//! Calls to a collector, by OTLP over HTTP.

use super::exporter::{Config, ExporterError};
use crate::sync::Endpoint;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use std::path::{Path, PathBuf};
use std::time::Duration;
use weir_runtime::bounded_body;

/// Longest call.
const CALL: Duration = Duration::from_secs(10);
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// Largest file with headers, in bytes.
const MAX_HEADERS: usize = 16 << 10;

/// Why a collector did not take what was sent. No text holds a header.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the collector cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the collector answers {0}")]
    Status(StatusCode),
    #[error("the headers cannot be read from {}", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    #[error("{}, line {line}: expected a header as `name: value`", path.display())]
    Header { path: PathBuf, line: usize },
}

/// A collector, and one of its URLs.
#[derive(Debug)]
pub(super) struct Collector {
    http: Client,
    url: Url,
    headers: HeaderMap,
    headers_file: Option<PathBuf>,
}

impl Collector {
    /// The collector of `config`, at `url`. Fails if the certificate authority cannot be used.
    pub fn new(config: &Config, url: Url) -> Result<Self, ExporterError> {
        let endpoint = Endpoint {
            section: "traces",
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
            tls: url.scheme() == "https",
            verify: true,
            ca_file: config.ca_file.clone(),
        };
        let builder = endpoint.client().map_err(ExporterError::Setup)?;
        let http = builder.timeout(CALL).build().map_err(ExporterError::Client)?;
        Ok(Self { http, url, headers: config.headers.clone(), headers_file: config.headers_file.clone() })
    }

    /// Posts a message and returns the answer, as far as it is read.
    pub async fn post(&self, body: Vec<u8>) -> Result<Vec<u8>, SendError> {
        let mut call = self.http.post(self.url.clone()).headers(self.headers.clone());
        if let Some(path) = &self.headers_file {
            // Read for each call, so that a new token needs no restart.
            let text = tokio::fs::read_to_string(path).await.map_err(|error| SendError::File(path.clone(), error))?;
            call = call.headers(headers(&text, path)?);
        }
        let call = call.header("content-type", "application/x-protobuf").body(body);
        let unreachable = |error: reqwest::Error| SendError::Unreachable(error.without_url());
        let mut answer = call.send().await.map_err(unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(SendError::Status(answer.status()));
        }
        let body = bounded_body::read(&mut answer, MAX_ANSWER).await.map_err(unreachable)?;
        // The answer is of use only for what it says of rejected spans: one that is too long says nothing.
        Ok(body.unwrap_or_default())
    }
}

/// Headers of a file: one a line, as `name: value`.
fn headers(text: &str, path: &Path) -> Result<HeaderMap, SendError> {
    let mut out = HeaderMap::new();
    if text.len() > MAX_HEADERS {
        let error = std::io::Error::other(format!("it is longer than {MAX_HEADERS} bytes"));
        return Err(SendError::File(path.to_owned(), error));
    }
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let header = line.split_once(':').and_then(|(name, value)| header(name, value));
        let (name, value) = header.ok_or_else(|| SendError::Header { path: path.to_owned(), line: number + 1 })?;
        out.append(name, value);
    }
    Ok(out)
}

/// A header whose value is not shown; none if it is not one.
pub fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::try_from(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::try_from(name.trim()).ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_header_a_line() {
        let path = Path::new("/run/secrets/otlp");
        let read = headers("Authorization: Bearer a:b=\n\n x-scope-orgid : shop \n", path).unwrap();
        assert_eq!(
            (&read["authorization"], &read["x-scope-orgid"]),
            (&"Bearer a:b=".parse().unwrap(), &"shop".parse().unwrap())
        );
        assert!(!format!("{read:?}").contains("Bearer"));
        let wrong = headers("a: b\ns3cret\n", path).unwrap_err();
        assert_eq!(wrong.to_string(), "/run/secrets/otlp, line 2: expected a header as `name: value`");
        assert!(headers("a b: c", path).is_err());
        assert!(headers(&"a: b\n".repeat(4_000), path).is_err());
    }
}
