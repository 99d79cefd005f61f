//! What people and programs do with packs and databases.

use super::check::{self, Checked};
use super::rule_files::{files_of, text};
use super::{Kind, MAX_NAMES, Version, repository};
use crate::app::App;
use crate::audit::Record;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::policy::service::{Author, Edited};
use crate::policy::{Change, PolicyState};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use std::collections::HashSet;

use weir_protocol::node_api::Blob;

/// A version, and whether it is the one in use.
#[derive(Clone, Debug, Serialize)]
pub struct Stored {
    /// The version.
    #[serde(flatten)]
    pub version: Version,
    /// Whether the policy in force names it.
    pub active: bool,
}

/// Where the policy names files of a kind.
fn named(state: &mut PolicyState, kind: Kind) -> &mut Vec<Blob> {
    match kind {
        Kind::RulePack => &mut state.rule_packs,
        Kind::Database => &mut state.databases,
    }
}

fn in_use(state: &PolicyState, kind: Kind) -> &[Blob] {
    match kind {
        Kind::RulePack => &state.rule_packs,
        Kind::Database => &state.databases,
    }
}

fn object(kind: Kind, version: &Version) -> String {
    format!("{}/{}/{}", kind.code(), version.name, version.version)
}

impl App {
    /// Every version of a kind, by name, newest first.
    pub async fn packs(&self, kind: Kind) -> Result<Vec<Stored>> {
        let head = self.policy.head();
        let active = |version: &Version| in_use(&head.state, kind).contains(&version.blob());
        let all = repository::list(self.store.control(), kind).await?;
        Ok(all.into_iter().map(|version| Stored { active: active(&version), version }).collect())
    }

    /// One version.
    pub async fn pack(&self, kind: Kind, name: &str, version: u64) -> Result<Version> {
        let found = repository::get(self.store.control(), kind, name, version).await?;
        found.ok_or(Error::NotFound("version"))
    }

    /// Checks and stores a new version on behalf of `author`, with its line of the audit log. Content that is that of the
    /// newest version already is not stored again.
    pub async fn store_pack(
        &self,
        kind: Kind,
        name: &str,
        content: Vec<u8>,
        note: &str,
        author: &Author,
    ) -> Result<(Version, bool)> {
        check::named(kind, name, note)?;
        if content.len() > kind.most() {
            return Err(Error::TooLarge(kind.most()));
        }
        let _turn = self.packs.turn.lock().await;
        let (checked, content) = self.check_pack(kind, name, content).await?;
        let sha256 = weir_runtime::hex::encode(digest(&SHA256, &content).as_ref());
        let all = repository::list(self.store.control(), kind).await?;
        let newest = all.iter().find(|one| one.name == name);
        if let Some(same) = newest.filter(|newest| newest.sha256 == sha256) {
            return Ok((same.clone(), false));
        }
        let names: HashSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
        if newest.is_none() && names.len() >= MAX_NAMES {
            return Err(Error::Conflict(format!("there are {MAX_NAMES} already; remove the versions of one first")));
        }
        let version = Version {
            name: name.to_owned(),
            version: newest.map_or(1, |newest| newest.version + 1),
            sha256,
            bytes: content.len() as u64,
            items: checked.items,
            about: checked.about,
            note: note.to_owned(),
            author: author.name.clone(),
            created: self.clock.millis(),
        };
        let wanted = self.wanted().await?;
        let old: Vec<Version> = all.iter().filter(|one| one.name == name).skip(kind.kept() - 1).cloned().collect();
        let old: Vec<Version> = old.into_iter().filter(|one| !wanted.contains(&one.sha256)).collect();
        let record = Record::new(format!("{}.upload", kind.code()), object(kind, &version), (), &version)?;
        let mut change = self.audit.begin().await?;
        repository::store(change.on(), kind, &version, &content, &old).await?;
        change.commit_record(&author.name, &author.address, &record).await?;
        Ok((version, true))
    }

    /// What nodes would say of it, beside the other packs in use.
    async fn check_pack(&self, kind: Kind, name: &str, content: Vec<u8>) -> Result<(Checked, Vec<u8>)> {
        if kind == Kind::Database {
            let checked = self.replays.run(move || check::database(&content).map(|checked| (checked, content)));
            return checked.await;
        }
        let head = self.policy.head();
        let others: Vec<Blob> = head.state.rule_packs.iter().filter(|pack| pack.name != name).cloned().collect();
        let mut files = files_of(self.store.control(), &others, Some(name)).await?;
        files.push(text(name, content)?);
        let app = self.clone();
        let checked = self.replays.run(move || {
            let items = app.packs.compiled.check(&files, |files| check::pack(files))?;
            let checked = Checked { items, about: String::new() };
            Ok((checked, files.pop().map(|(_, text)| text.into_bytes()).unwrap_or_default()))
        });
        checked.await
    }

    /// Brings a version; with `activate` it is put in use at once.
    pub async fn upload_pack(
        &self,
        caller: &Caller,
        kind: Kind,
        name: &str,
        content: Vec<u8>,
        note: &str,
        activate: bool,
    ) -> Result<(Stored, Option<u64>)> {
        let (version, _) = self.store_pack(kind, name, content, note, &Author::of(caller)).await?;
        let serial = match activate {
            true => Some(self.activate_pack(caller, kind, name, version.version).await?.serial),
            false => None,
        };
        let active = in_use(&self.policy.head().state, kind).contains(&version.blob());
        Ok((Stored { version, active }, serial))
    }

    /// Puts a version in use, in the place of the one before.
    pub async fn activate_pack(&self, caller: &Caller, kind: Kind, name: &str, version: u64) -> Result<Change<()>> {
        let action = format!("{}.activate", kind.code());
        Ok(self.use_pack(kind, name, version, &Author::of(caller), &action).await?.0)
    }

    /// Puts a version in use on behalf of `author`; answers the version.
    pub async fn use_pack(
        &self,
        kind: Kind,
        name: &str,
        version: u64,
        author: &Author,
        action: &str,
    ) -> Result<(Change<()>, Version)> {
        let _turn = self.packs.turn.lock().await;
        let version = self.pack(kind, name, version).await?;
        if kind == Kind::RulePack {
            // Other packs may have come since it was stored.
            let content = self.pack_content(&version.sha256, version.bytes).await?;
            self.check_pack(kind, name, content).await?;
        }
        let head = self.policy.head();
        let before = in_use(&head.state, kind).iter().find(|one| one.name == name).cloned();
        let note = format!("{} {name}: version {}", kind.code().replace('_', " "), version.version);
        let change = self.publish_by(author, &note, |state| {
            let all = named(state, kind);
            all.retain(|one| one.name != name);
            all.push(version.blob());
            all.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(Edited { value: (), record: Record::new(action, object(kind, &version), &before, version.blob())? })
        });
        Ok((change.await?, version))
    }

    /// Takes a pack or database out of use.
    pub async fn deactivate_pack(&self, caller: &Caller, kind: Kind, name: &str) -> Result<Change<()>> {
        let note = format!("{} {name}: not in use", kind.code().replace('_', " "));
        let before = in_use(&self.policy.head().state, kind).iter().find(|one| one.name == name).cloned();
        let before = before.ok_or(Error::NotFound("pack or database in use"))?;
        let (action, object) = (format!("{}.deactivate", kind.code()), format!("{}/{name}", kind.code()));
        let change = self.publish(caller, &note, |state| {
            named(state, kind).retain(|one| one.name != name);
            Ok(Edited { value: (), record: Record::new(&action, &object, &before, ())? })
        });
        change.await
    }

    /// Removes a version that no kept version of the policy names.
    pub async fn remove_pack(&self, caller: &Caller, kind: Kind, name: &str, version: u64) -> Result<()> {
        let _turn = self.packs.turn.lock().await;
        let version = self.pack(kind, name, version).await?;
        if self.wanted().await?.contains(&version.sha256) {
            let text =
                "a kept version of the policy names it: it is in use, or could be put in use again by a rollback";
            return Err(Error::Conflict(text.into()));
        }
        let mut change = self.audit.begin().await?;
        repository::remove(change.on(), kind, std::slice::from_ref(&version)).await?;
        let action = format!("{}.remove", kind.code());
        change.commit(caller, &action, &object(kind, &version), &version, ()).await
    }
}
