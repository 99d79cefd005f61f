//! Content of packs and databases: as nodes fetch it, as rule files, compared.

use super::diff::{Differences, diff};
use super::rule_files::{files_of, text};
use super::{Kind, repository};
use crate::app::App;
use crate::error::Result;
use crate::policy::replay::RuleFiles;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use weir_protocol::node_api::Blob;

/// Sets of rule files kept: before and after a change.
const KEPT: usize = 2;

impl App {
    /// The content with this hash, whole.
    pub async fn pack_content(&self, sha256: &str, bytes: u64) -> Result<Vec<u8>> {
        repository::content(self.store.control(), sha256, bytes).await
    }

    /// The rule files that nodes use by the policy in force.
    pub async fn rule_files(&self) -> Result<Arc<RuleFiles>> {
        self.rule_files_with(&self.policy.head().state.rule_packs).await
    }

    /// The rule files that nodes use with `packs`. Those asked for last are kept.
    pub(crate) async fn rule_files_with(&self, packs: &[Blob]) -> Result<Arc<RuleFiles>> {
        let lock = || self.packs.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, files)) = lock().iter().find(|(of, _)| of == packs) {
            return Ok(Arc::clone(files));
        }
        let files = Arc::new(files_of(self.store.control(), packs, None).await?);
        let mut kept = lock();
        kept.truncate(KEPT - 1);
        kept.insert(0, (packs.to_vec(), Arc::clone(&files)));
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
