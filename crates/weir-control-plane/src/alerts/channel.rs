//! Delivery of messages by e-mail and by incoming webhooks of chats.

use super::alert::Channel;
use super::mail::{MailError, Smtp};
use super::message::{self, Message};
use crate::outgoing::{Outgoing, OutgoingError};
use reqwest::StatusCode;
use serde_json::json;
use std::time::Duration;

/// Longest delivery.
const TIMEOUT: Duration = Duration::from_secs(20);

/// By this header a receiver recognises a repetition.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Why a message was not delivered. The text is for the log and for administrators; it holds neither the URL, which is a
/// secret, nor anything of the answer's body.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The destination must not be contacted, or no client could be set up.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// No client could be set up.
    #[error("no client could be set up")]
    Client(#[source] reqwest::Error),
    /// The destination was not reached, or the connection broke.
    #[error("the call failed")]
    Call(#[source] reqwest::Error),
    /// The e-mail was not delivered.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The destination refused.
    #[error("answered {0}")]
    Status(StatusCode),
}

/// Delivers a message; e-mail goes through `smtp`.
pub async fn deliver(
    channel: &Channel,
    message: &Message,
    smtp: Option<&Smtp>,
    outgoing: &Outgoing,
) -> Result<(), ChannelError> {
    match channel {
        Channel::Slack { url } => post(url, message, outgoing).await,
        Channel::Email { to } => Ok(smtp.ok_or(MailError::NotConfigured)?.send(outgoing, to, message).await?),
    }
}

async fn post(url: &str, message: &Message, outgoing: &Outgoing) -> Result<(), ChannelError> {
    outgoing.check_url(url)?;
    let client = outgoing.guarded().timeout(TIMEOUT).build().map_err(ChannelError::Client)?;
    let body = json!({"text": message::chat(message)}).to_string();
    let call = client.post(url).header("content-type", "application/json").header(IDEMPOTENCY_KEY, &message.id);
    let call = call.body(body);
    let answer = call.send().await.map_err(|error| ChannelError::Call(error.without_url()))?;
    if answer.status().is_success() { Ok(()) } else { Err(ChannelError::Status(answer.status())) }
}
