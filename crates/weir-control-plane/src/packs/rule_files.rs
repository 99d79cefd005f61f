//! Rule files of nodes that use packs.

use super::repository;
use crate::error::{Error, Result};
use crate::meta::Pool;
use crate::policy::replay::RuleFiles;
use weir_core::ruleset::builtin;
use weir_protocol::node_api::Blob;

/// Name and text of a pack as a rule file.
pub(super) fn text(name: &str, content: Vec<u8>) -> Result<(String, String)> {
    let text = String::from_utf8(content).map_err(|_| Error::invalid("", "a pack is a rule file: YAML in UTF-8"))?;
    Ok((format!("rule pack {name}"), text))
}

/// Rule files of nodes that use `packs`, without the embedded files that a pack called `further` takes the place of.
pub(super) async fn files_of(pool: &Pool, packs: &[Blob], further: Option<&str>) -> Result<RuleFiles> {
    let names: Vec<&str> = packs.iter().map(|pack| pack.name.as_str()).chain(further).collect();
    let mut files = builtin::files_beside(&names);
    for pack in packs {
        files.push(text(&pack.name, repository::content(pool, &pack.sha256, pack.bytes).await?)?);
    }
    Ok(files)
}
