//! Content of packs and databases: as nodes fetch it, as rule files, compared.

use super::diff::{Differences, diff};
use super::{Kind, repository};
use crate::app::App;
use crate::error::{Error, Result};
use crate::policy::replay::RuleFiles;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use weir_core::ruleset::builtin;
use weir_protocol::node_api::Blob;

/// Name and text of a pack as a rule file.
pub(super) fn text(name: &str, content: Vec<u8>) -> Result<(String, String)> {
    let text = String::from_utf8(content).map_err(|_| Error::invalid("", "a pack is a rule file: YAML in UTF-8"))?;
    Ok((format!("rule pack {name}"), text))
}

impl App {
    /// The content with this hash, whole.
    pub async fn pack_content(&self, sha256: &str, bytes: u64) -> Result<Vec<u8>> {
        let mut content = Vec::with_capacity(usize::try_from(bytes).map_err(Error::internal)?);
        while (content.len() as u64) < bytes {
            let at = (content.len() / repository::CHUNK) as u64;
            let piece = repository::chunk(self.store.control(), sha256, at).await?;
            let piece = piece.filter(|piece| !piece.is_empty());
            content.extend(piece.ok_or_else(|| Error::internal(format!("content {sha256} is not whole")))?);
        }
        Ok(content)
    }

    /// Rule files of nodes that use `packs`, without the embedded files that a pack called `further` takes the place of.
    pub(super) async fn files_of(&self, packs: &[Blob], further: Option<&str>) -> Result<RuleFiles> {
        let names: Vec<&str> = packs.iter().map(|pack| pack.name.as_str()).chain(further).collect();
        let mut files = builtin::files_beside(&names);
        for pack in packs {
            files.push(text(&pack.name, self.pack_content(&pack.sha256, pack.bytes).await?)?);
        }
        Ok(files)
    }

    /// The rule files that nodes use by the policy in force.
    pub async fn rule_files(&self) -> Result<Arc<RuleFiles>> {
        let head = self.policy.head();
        let packs = &head.state.rule_packs;
        let lock = || self.packs.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, files)) = lock().as_ref().filter(|(of, _)| of == packs) {
            return Ok(Arc::clone(files));
        }
        let files = Arc::new(self.files_of(packs, None).await?);
        *lock() = Some((packs.clone(), Arc::clone(&files)));
        Ok(files)
    }

    /// Hashes that some kept version of the policy names: it can be put in force again.
    pub(super) async fn wanted(&self) -> Result<HashSet<String>> {
        let mut all = HashSet::new();
        for version in self.policy.versions().await? {
            let (_, state) = self.policy.version(version.serial).await?;
            all.extend(state.rule_packs.into_iter().chain(state.databases).map(|blob| blob.sha256));
        }
        Ok(all)
    }

    /// What is different in `version` of a rule pack against `from`; without one, against the version before it.
    pub async fn diff_packs(&self, name: &str, version: u64, from: Option<u64>) -> Result<Differences> {
        let after = self.pack(Kind::RulePack, name, version).await?;
        let before = match from {
            Some(from) => Some(self.pack(Kind::RulePack, name, from).await?),
            None => {
                let all = repository::list(self.store.control(), Kind::RulePack).await?;
                all.into_iter().find(|one| one.name == name && one.version < version)
            }
        };
        let (_, after) = text(name, self.pack_content(&after.sha256, after.bytes).await?)?;
        let before = match before {
            Some(before) => Some(text(name, self.pack_content(&before.sha256, before.bytes).await?)?.1),
            None => None,
        };
        self.replays.run(move || diff(before.as_deref(), &after)).await
    }

    /// Length of the content with this hash, where there is some.
    pub async fn blob_length(&self, sha256: &str) -> Result<Option<u64>> {
        repository::length(self.store.control(), sha256).await
    }

    /// Piece `at` of the content with this hash.
    pub async fn blob_piece(&self, sha256: &str, at: u64) -> Result<Option<Vec<u8>>> {
        repository::chunk(self.store.control(), sha256, at).await
    }
}
