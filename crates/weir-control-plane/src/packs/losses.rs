//! What a change of rule packs takes away of the signatures that ship with nodes. Packs called as embedded files take their
//! place, so one signature could stand in the place of all.

use super::rule_files::files_of;
use crate::confirm::Danger;
use crate::error::{Error, Result};
use crate::listing;
use crate::meta::Pool;
use crate::policy::guard::EVERYWHERE;
use std::collections::HashSet;
use std::sync::Arc;
use weir_core::ruleset::losses::Losses;
use weir_core::ruleset::{Ruleset, builtin, compile};
use weir_protocol::node_api::Blob;

/// Signatures named; of further ones, only how many.
const NAMED: usize = 5;

/// What has to be confirmed of a change of packs from `before` to `after`. Content that a mirror brings is signed by a key that
/// an administrator set: with `signed`, signatures may be changed, but none may go.
pub async fn dangers(pool: &Pool, before: &[Blob], after: &[Blob], signed: bool) -> Result<Vec<Danger>> {
    let names = |packs: &[Blob]| builtin::replaces(&packs.iter().map(|pack| pack.name.as_str()).collect::<Vec<_>>());
    // Otherwise every embedded file is in use, before and after.
    if before == after || !(names(before) || names(after)) {
        return Ok(Vec::new());
    }
    let (mut old, mut new) = (files_of(pool, before, None).await?, files_of(pool, after, None).await?);
    // What both have takes nothing away, and most of the time goes into compiling.
    let common: HashSet<(String, String)> = old.iter().filter(|file| new.contains(file)).cloned().collect();
    old.retain(|file| !common.contains(file));
    new.retain(|file| !common.contains(file));
    let losses = tokio::task::spawn_blocking(move || {
        // What was accepted by an older version of weir may not compile any more: then it is held against what is embedded.
        let old = compile::compile(&old).or_else(|_| compiled(&builtin::files()))?;
        Ok::<_, Error>(Losses::between(&old, &compiled(&new)?))
    });
    let losses = losses.await.map_err(Error::internal)??;
    let missing = says(&losses.missing, "not in force any more");
    let weaker = if signed { None } else { says(&losses.weaker, "replaced by ones that find less") };
    let danger = |says| Danger { says, weakens: true, word: EVERYWHERE.into() };
    Ok(missing.into_iter().chain(weaker).map(danger).collect())
}

fn compiled(files: &[(String, String)]) -> Result<Ruleset> {
    compile::compile(files)
        .map_err(|errors| Error::Conflict(format!("this version of weir does not accept the packs: {}", errors[0])))
}

fn says(ids: &[Arc<str>], what: &str) -> Option<String> {
    let named = listing::first(ids.iter().map(ToString::to_string), NAMED);
    let (all, are) = (builtin::ids().len(), if ids.len() == 1 { "is" } else { "are" });
    (!ids.is_empty()).then(|| format!("{} of {all} built-in signatures {are} {what} ({named})", ids.len()))
}
