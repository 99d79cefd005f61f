//! HTTP to the provider: bounded in time and size, no redirects followed (discovery and token endpoints have none, and a
//! redirect could lead a secret elsewhere).

use crate::outgoing::Outgoing;
use openidconnect::{HttpRequest, HttpResponse};
use reqwest::Client;
use std::fmt;
use std::time::Duration;

/// Longest call.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer: key sets are some KiB.
const MAX_ANSWER: usize = 1 << 20;

/// Why a call failed.
#[derive(Debug)]
pub struct HttpError(String);

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HttpError {}

/// A client.
pub fn client(outgoing: &Outgoing) -> Result<Client, String> {
    outgoing.builder().timeout(TIMEOUT).build().map_err(|error| error.to_string())
}

/// One call.
pub async fn call(client: Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let wrong = |error: reqwest::Error| HttpError(error.without_url().to_string());
    let (head, body) = request.into_parts();
    let sent = client.request(head.method, head.uri.to_string()).headers(head.headers).body(body);
    let mut answer = sent.send().await.map_err(wrong)?;
    let mut out = http::Response::builder().status(answer.status());
    if let Some(headers) = out.headers_mut() {
        *headers = answer.headers().clone();
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(wrong)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(HttpError(format!("an answer of more than {MAX_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    out.body(body).map_err(|error| HttpError(error.to_string()))
}
