//! The Console: pages for people, rendered on the server. They work without scripts; the one script makes them quicker.
//!
//! [`view`] is what pages show, [`assets`] what they refer to.

pub mod assets;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
pub mod view;
