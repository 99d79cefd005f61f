//! What the GraphQL documents of a request ask for, in numbers.

use super::point::PointPath;
use serde::Serialize;

/// Measures of the GraphQL documents in one request: the largest of each where there are several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GraphqlStats {
    /// Where the first document sits.
    pub point: PointPath,
    /// Documents sent together in one batch.
    pub documents: usize,
    /// Nesting of selections; 1 for `{a}`. A document nested deeper than the parser follows counts as one more than
    /// that limit.
    pub depth: usize,
    /// Aliases in one document.
    pub aliases: usize,
    /// Bytes of one document.
    pub document_bytes: usize,
    /// Bytes of one argument value or variable.
    pub value_bytes: usize,
    /// Whether the schema is asked for (`__schema`, `__type`).
    pub introspection: bool,
    /// Whether a debug or tracing switch is set.
    pub debug: bool,
}
