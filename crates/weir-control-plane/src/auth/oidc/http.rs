//! HTTP to the provider: bounded in time and size, no redirects followed (discovery and token endpoints have none, and a
//! redirect could lead a secret elsewhere).

use crate::outgoing::{Outgoing, OutgoingError};
use openidconnect::{HttpRequest, HttpResponse};
use reqwest::Client;
use std::time::Duration;
use weir_runtime::bounded_body;

/// Longest call.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer: key sets are some KiB.
const MAX_ANSWER: usize = 1 << 20;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The provider was not reached, or the connection broke.
    #[error("the call to the provider failed")]
    Call(#[source] reqwest::Error),
    /// The response is larger than [`MAX_ANSWER`].
    #[error("a response of more than {MAX_ANSWER} bytes")]
    TooLarge,
    /// The response has a head that cannot be represented.
    #[error("an invalid response")]
    Invalid(#[from] http::Error),
}

/// A client.
pub fn client(outgoing: &Outgoing) -> Result<Client, OutgoingError> {
    outgoing.builder().timeout(TIMEOUT).build().map_err(OutgoingError::Client)
}

/// One call.
pub async fn call(client: Client, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let wrong = |error: reqwest::Error| HttpError::Call(error.without_url());
    let (head, body) = request.into_parts();
    let sent = client.request(head.method, head.uri.to_string()).headers(head.headers).body(body);
    let mut answer = sent.send().await.map_err(wrong)?;
    let mut out = http::Response::builder().status(answer.status());
    if let Some(headers) = out.headers_mut() {
        *headers = answer.headers().clone();
    }
    let body = bounded_body::read(&mut answer, MAX_ANSWER).await.map_err(wrong)?;
    let body = body.ok_or(HttpError::TooLarge)?;
    Ok(out.body(body)?)
}
