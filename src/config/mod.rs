//! Configuration: one YAML file, environment variables above it, command-line flags above both.
//!
//! [`load`] parses the file into a [`tree`] with positions; the [`reader`] reads it key by key
//! in the order of [`resolve`]. The result is [`Resolved`], plain data, or a [`Report`] of every mistake. Keys are those
//! of `go-node.yaml` version 4 wherever such a key exists. The same code writes the [`reference`] page.

pub mod defaults;
pub mod diagnostic;
mod load;
pub mod reader;
pub mod reference;
pub mod resolve;
pub mod resolved;
pub mod tree;
pub mod types;

pub use diagnostic::{Diagnostic, Origin, Report, Severity};
pub use load::{Loaded, Sources, environment, load, load_text};
pub use reader::Flag;
pub use resolved::Resolved;

#[cfg(test)]
mod tests;
