//! Alerts for people: a message in a chat when many hits come, or a digest of them. The feed of every hit is that of
//! [`crate::sinks`].

mod alert;
mod channel;
mod message;
mod repository;
mod service;
#[cfg(test)]
mod tests;

pub use alert::{Alert, Channel, NewAlert};
pub use service::Undelivered;
