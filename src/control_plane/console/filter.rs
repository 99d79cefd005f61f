//! A search becomes a filter of the store.

use super::page::Page;
use crate::control_plane::error::{Error, Result};
use crate::control_plane::store::Filter;
use crate::control_plane::store::search::{SearchContext, parse};

/// Reads `query`; applications may stand in it by their names.
pub fn read(page: &Page, query: &str) -> Result<Filter> {
    let head = page.app.policy.head();
    let named = head.state.applications.iter().map(|(id, one)| (*id, one.name.clone()));
    let applications: Vec<(i64, String)> = named.collect();
    let context = SearchContext { now: page.now, applications: &applications };
    parse(query, context).map_err(|error| Error::invalid("q", error.to_string()))
}
