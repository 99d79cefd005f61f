//! The Console: pages for people, rendered on the server. They work without scripts; the one script makes them quicker.
//!
//! [`routes`] leads to a handler in [`pages`], which asks the services, makes a view model of [`view`] and answers with
//! its template. Everything that changes anything goes through the same calls of [`super::App`] as the API.

pub mod abuse_types;
mod assets;
#[cfg(test)]
mod fixtures;
mod form_fields;
mod highlight;
mod notice;
mod page;
mod pages;
mod point_text;
mod point_words;
mod reply_types;
mod routes;
mod rule_form;
mod rule_parameters;
mod rule_text;
mod rule_types;
mod scope;
mod search;
#[cfg(test)]
mod tests;
mod time_range;
pub mod view;

pub use page::errors;
pub use routes::routes;
