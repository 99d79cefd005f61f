//! Delivery of messages by incoming webhooks of chats.

use super::alert::Channel;
use super::message::{self, Message};
use crate::outgoing::Outgoing;
use serde_json::json;
use std::time::Duration;

/// Longest delivery.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Delivers a message. The error is for the log and for administrators; it holds no secret.
pub async fn deliver(channel: &Channel, message: &Message, outgoing: &Outgoing) -> Result<(), String> {
    let Channel::Slack { url } = channel;
    outgoing.check_url(url).map_err(|error| error.to_string())?;
    let client = outgoing.guarded().timeout(TIMEOUT).build().map_err(|error| error.to_string())?;
    let body = json!({"text": message::chat(message)}).to_string();
    let call = client.post(url).header("content-type", "application/json").body(body);
    let answer = call.send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("answered {}", answer.status())) }
}
