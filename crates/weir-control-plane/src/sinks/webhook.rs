//! Delivery by HTTP.
//!
//! A call carries `Weir-Signature: t=SECONDS,v1=HEX`: HMAC-SHA-256 under the sink's secret over the seconds, a dot and
//! the body. A receiver recomputes it, compares in constant time and refuses calls that are too old.

use super::delivery::DeliveryError;
use super::feed::FeedName;
use super::sink::Format;
use crate::outgoing::{Outgoing, OutgoingError};
use reqwest::{Client, Method, header};
use ring::hmac;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Header of the signature.
pub const SIGNATURE_HEADER: &str = "weir-signature";
/// Longest call.
const TIMEOUT: Duration = Duration::from_secs(15);

/// One delivery.
pub struct Call<'a> {
    /// URL.
    pub url: &'a str,
    /// Method.
    pub method: &'a str,
    /// Form of the body.
    pub format: Format,
    /// Headers of the sink.
    pub headers: &'a BTreeMap<String, String>,
    /// Key of the signature; empty signs nothing.
    pub secret: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

/// A client for all deliveries.
pub fn client(outgoing: &Outgoing) -> Result<Client, OutgoingError> {
    outgoing.guarded().timeout(TIMEOUT).build().map_err(OutgoingError::Client)
}

/// The value of [`SIGNATURE_HEADER`].
pub fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(seconds.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let hex = weir_runtime::hex::encode(context.sign().as_ref());
    format!("t={seconds},v1={hex}")
}

/// The body for `records`.
pub fn body(format: Format, feed: FeedName, records: &[Value]) -> Vec<u8> {
    match format {
        Format::Json => json!({"version": 1, "feed": feed, "records": records}).to_string().into_bytes(),
        Format::Ndjson => records.iter().map(|record| format!("{record}\n")).collect::<String>().into_bytes(),
    }
}

/// Delivers `records`.
pub async fn deliver(client: &Client, call: &Call<'_>, feed: FeedName, records: &[Value]) -> Result<(), DeliveryError> {
    let body = body(call.format, feed, records);
    let method = Method::from_bytes(call.method.as_bytes())?;
    let kind = match call.format {
        Format::Json => "application/json",
        Format::Ndjson => "application/x-ndjson",
    };
    let mut request =
        client.request(method, call.url).header(header::CONTENT_TYPE, kind).header("weir-feed", feed.code());
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    if !call.secret.is_empty() {
        request = request.header(SIGNATURE_HEADER, sign(call.secret, call.now, &body));
    }
    // The URL may hold a secret: errors are reported without it.
    let answer = request.body(body).send().await.map_err(|error| DeliveryError::Call(error.without_url()))?;
    if answer.status().is_success() { Ok(()) } else { Err(DeliveryError::Status(answer.status())) }
}
