//! Alerts for people: a message by e-mail or in a chat when many hits come, or a digest of them. The feed of every hit is that of
//! [`crate::sinks`].

mod alert;
mod channel;
mod mail;
#[cfg(test)]
mod mail_tests;
mod message;
mod report;
#[cfg(test)]
mod report_tests;
mod repository;
mod schedule;
mod service;
#[cfg(test)]
mod tests;

pub use alert::{Alert, Channel, NewAlert};
pub use mail::{MailError, Smtp, SmtpLogin, SmtpTls, check_sender};
pub use schedule::{Every, Schedule};
pub use service::Undelivered;
