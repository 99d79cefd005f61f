//! What differs between two versions of a rule pack, by signature.

use crate::error::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_core::ruleset::compile;
use weir_core::ruleset::format::SignatureDoc;

/// Changed signatures shown with both sides; of the rest, only how many.
const MAX_SHOWN: usize = 500;

/// A signature that is not as it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// Its id.
    pub id: String,
    /// How it was.
    pub before: Arc<SignatureDoc>,
    /// How it is.
    pub after: Arc<SignatureDoc>,
}

/// All differences.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Differences {
    /// Ids of new signatures.
    pub added: Vec<String>,
    /// Ids of those that are gone.
    pub removed: Vec<String>,
    /// Those that are different.
    pub changed: Vec<Changed>,
    /// Further changed ones.
    pub more: usize,
}

type Signatures = BTreeMap<String, Arc<SignatureDoc>>;

/// What is different in `after`. Both were accepted once; a version of weir that reads rules otherwise may refuse one now.
pub fn diff(before: Option<&str>, after: &str) -> Result<Differences> {
    let (old, new) = (before.map(signatures).transpose()?.unwrap_or_default(), signatures(after)?);
    let mut all = Differences::default();
    for (id, now) in &new {
        match old.get(id) {
            None => all.added.push(id.clone()),
            Some(was) if was == now => {}
            Some(_) if all.changed.len() >= MAX_SHOWN => all.more += 1,
            Some(was) => {
                all.changed.push(Changed { id: id.clone(), before: Arc::clone(was), after: Arc::clone(now) });
            }
        }
    }
    all.removed.extend(old.keys().filter(|id| !new.contains_key(*id)).cloned());
    Ok(all)
}

fn signatures(text: &str) -> Result<Signatures> {
    let file = ("rule pack".to_owned(), text.to_owned());
    let compiled = compile::compile(std::slice::from_ref(&file))
        .map_err(|errors| Error::Conflict(format!("this version of weir does not accept the pack: {}", errors[0])))?;
    Ok(compiled.signatures.iter().map(|one| (one.id.to_string(), Arc::clone(&one.doc))).collect())
}
