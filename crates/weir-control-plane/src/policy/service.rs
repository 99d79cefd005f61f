//! The policy in force: changed in steps that are checked first, published under rising serials, signed for each group.

use super::check::check;
use super::document::{POLICY, Understands, assemble};
use super::guard;
use super::key::{self, SigningKey};
use super::state::PolicyState;
use super::version::{self, NewVersion, Version};
use crate::audit::Record;
use crate::auth::Caller;
use crate::confirm::{Confirm, Danger};
use crate::data_key::DataKey;
use crate::error::{Error, Mistake, Result};
use crate::meta::Pool;
use crate::packs::losses;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weir_protocol::node_api::{MAX_POLICY_BYTES, PolicyKey, PolicyPayload, SignedPolicy};
use weir_runtime::clock::Clock;

/// How often the database is asked for what other replicas published.
const POLL: Duration = Duration::from_millis(500);
/// Times that a change is made again because another one came first.
const RETRIES: usize = 5;
/// Signed documents kept: groups times what nodes understand. Past it all are made anew.
const MAX_CACHED: usize = 256;

/// A version in force.
#[derive(Clone, Debug)]
pub struct Head {
    /// The version.
    pub version: Version,
    /// What it holds.
    pub state: Arc<PolicyState>,
}

/// A change that was published.
#[derive(Clone, Debug)]
pub struct Change<T> {
    /// What the change answered.
    pub value: T,
    /// Serial in force.
    pub serial: u64,
    /// What was accepted but has no effect.
    pub notices: Vec<Mistake>,
}

/// What an edit made of the state: what it answers, and its line of the audit log.
#[derive(Debug)]
pub struct Edited<T> {
    /// What is answered.
    pub value: T,
    /// What is recorded.
    pub record: Record,
}

/// Who changes the policy.
#[derive(Clone, Debug, Default)]
pub struct Author {
    /// As in the audit log.
    pub name: String,
    /// From where; empty for the process itself.
    pub address: String,
    /// The confirmation of a change that needs one.
    pub confirm: Option<Confirm>,
    /// Whether it is a part of the process, such as the one that follows mirrors.
    pub process: bool,
}

impl Author {
    /// The caller of a route.
    pub fn of(caller: &Caller) -> Self {
        Self { name: caller.name(), address: caller.address.clone(), confirm: caller.confirm.clone(), process: false }
    }

    /// Part of the process. No one could confirm its changes: it changes neither rules nor modes.
    pub fn process(name: &str) -> Self {
        Self { name: name.to_owned(), process: true, ..Self::default() }
    }
}

type Cache = HashMap<(u64, String, Understands), Arc<SignedPolicy>>;

/// The policy.
#[derive(Debug)]
pub struct PolicyService {
    pool: Pool,
    clock: Clock,
    key_file: PathBuf,
    key: ArcSwap<SigningKey>,
    head: watch::Sender<Arc<Head>>,
    /// One change at a time here; the database settles it between replicas.
    changing: tokio::sync::Mutex<()>,
    signed: Mutex<Cache>,
}

impl PolicyService {
    /// Loads the newest version, or publishes the first one.
    pub async fn open(pool: Pool, clock: Clock, key_file: PathBuf) -> Result<Self> {
        let key = SigningKey::open(&key_file, &pool, clock.millis()).await?;
        if version::newest(&pool).await? == 0 {
            let version = Version {
                serial: clock.seconds().max(1),
                number: 1,
                published_at: clock.millis(),
                author: "weir".into(),
                note: "first version".into(),
            };
            // Where it was stored already another replica was first.
            version::store(&pool, NewVersion { parent: 0, version, state: &PolicyState::first(), audit: None }).await?;
        }
        let head = newest(&pool).await?;
        Ok(Self {
            pool,
            clock,
            key_file,
            key: ArcSwap::from_pointee(key),
            head: watch::Sender::new(Arc::new(head)),
            changing: tokio::sync::Mutex::default(),
            signed: Mutex::default(),
        })
    }

    /// The version in force.
    pub fn head(&self) -> Arc<Head> {
        Arc::clone(&self.head.borrow())
    }

    /// Wakes when another version is in force.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Head>> {
        self.head.subscribe()
    }

    /// The key that signs.
    pub fn key(&self) -> PolicyKey {
        self.key.load().key().clone()
    }

    /// Changes the policy: `edit` is given the state in force (again, if another change came first), what it makes of it
    /// is checked, guarded, published and recorded. A state that stays the same is not published.
    ///
    /// # Errors
    /// [`Error::Unconfirmed`] where the change weakens protection or blocks everywhere and `author` has not confirmed it.
    pub async fn change<T>(
        &self,
        author: &Author,
        note: &str,
        edit: impl Fn(&mut PolicyState) -> Result<Edited<T>>,
    ) -> Result<Change<T>> {
        let _turn = self.changing.lock().await;
        for _ in 0..RETRIES {
            let head = self.head();
            let mut state = (*head.state).clone();
            let Edited { value, record } = edit(&mut state)?;
            if state == *head.state {
                return Ok(Change { value, serial: head.version.serial, notices: Vec::new() });
            }
            let state = Arc::new(state);
            let notices = off_thread(Arc::clone(&state), check).await?;
            let changes = self.dangers(&head.state, &state, author.process).await?;
            guard::confirmed(&head.state, &state, changes, author.confirm.as_ref())?;
            let audit = Some((&record, author.address.as_str()));
            if let Some(serial) = self.publish(&head.version, &author.name, note, state, audit).await? {
                return Ok(Change { value, serial, notices });
            }
            self.refresh().await?;
        }
        Err(Error::Conflict("the policy is being changed by others; try again".into()))
    }

    /// What has to be confirmed to get from `before` to `after`; `signed` for what a mirror brings.
    pub async fn dangers(&self, before: &PolicyState, after: &PolicyState, signed: bool) -> Result<Vec<Danger>> {
        let mut all = guard::dangers(before, after, self.clock.seconds());
        all.extend(losses::dangers(&self.pool, &before.rule_packs, &after.rule_packs, signed).await?);
        Ok(all)
    }

    /// What [`Self::change`] would say, without publishing.
    pub async fn try_change(&self, edit: impl Fn(&mut PolicyState) -> Result<()>) -> Result<Vec<Mistake>> {
        let mut state = (*self.head().state).clone();
        edit(&mut state)?;
        off_thread(Arc::new(state), check).await
    }

    /// Stores and puts in force; none where another version came first.
    async fn publish(
        &self,
        base: &Version,
        author: &str,
        note: &str,
        state: Arc<PolicyState>,
        audit: Option<(&Record, &str)>,
    ) -> Result<Option<u64>> {
        // At least the time: a database put back from a backup still goes on above what nodes have.
        let serial = self.clock.seconds().max(base.serial + 1);
        let (author, note) = (author.to_owned(), note.to_owned());
        let number = base.number + 1;
        let version = Version { serial, number, published_at: self.clock.millis(), author, note };
        let new = NewVersion { parent: base.serial, version: version.clone(), state: &state, audit };
        if !version::store(&self.pool, new).await? {
            return Ok(None);
        }
        self.put_in_force(Head { version, state });
        Ok(Some(serial))
    }

    fn put_in_force(&self, head: Head) {
        self.head.send_if_modified(|now| {
            let newer = head.version.serial > now.version.serial;
            if newer {
                tracing::info!(serial = head.version.serial, author = %head.version.author, "policy in force");
                *now = Arc::new(head.clone());
            }
            newer
        });
    }

    /// Versions kept, newest first.
    pub async fn versions(&self) -> Result<Vec<Version>> {
        version::list(&self.pool).await
    }

    /// One version and what it holds.
    pub async fn version(&self, serial: u64) -> Result<(Version, PolicyState)> {
        version::load(&self.pool, serial).await?.ok_or(Error::NotFound("policy version"))
    }

    /// Puts a new signing key in use and publishes the policy under it.
    pub async fn rotate_key(&self, author: &Author) -> Result<PolicyKey> {
        let _turn = self.changing.lock().await;
        let before = self.key();
        let next = self.key.load().rotate(&self.key_file, &self.pool, self.clock.millis()).await?;
        let key = next.key().clone();
        self.key.store(Arc::new(next));
        let record = Record::new("policy.rotate_key", "policy_key", &before, &key)?;
        for _ in 0..RETRIES {
            let (head, audit) = (self.head(), Some((&record, author.address.as_str())));
            let note = format!("signed by key {}", key.key_id);
            if self.publish(&head.version, &author.name, &note, Arc::clone(&head.state), audit).await?.is_some() {
                return Ok(key);
            }
            self.refresh().await?;
        }
        Err(Error::Conflict("the policy is being changed by others; try again".into()))
    }

    /// The key that encrypts secrets in the database; none where it was encrypted under another policy key.
    pub async fn data_key(&self) -> Result<Option<DataKey>> {
        let wrapping = self.key.load().wrapping_key();
        DataKey::open(&self.pool, &wrapping).await
    }

    /// The document in force for a node of `group`; none for a node that understands no policy at all.
    pub async fn signed(&self, group: &str, understands: &Understands) -> Result<Option<Arc<SignedPolicy>>> {
        if !understands.has(POLICY) {
            return Ok(None);
        }
        let head = self.head();
        let key = (head.version.serial, group.to_owned(), understands.clone());
        if let Some(known) = self.signed.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Some(Arc::clone(known)));
        }
        let signer = self.key.load_full();
        let (_, group, understands) = key.clone();
        let made = tokio::task::spawn_blocking(move || sign(&head, &group, &understands, &signer));
        let made = Arc::new(made.await.map_err(Error::internal)??);
        let mut cache = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = key.0;
        cache.retain(|(of, _, _), _| *of >= serial);
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(key, Arc::clone(&made));
        Ok(Some(made))
    }

    /// Takes over what other replicas published.
    pub async fn refresh(&self) -> Result<()> {
        if key::head(&self.pool).await?.is_some_and(|head| head != self.key.load().key().key_id) {
            let key = SigningKey::open(&self.key_file, &self.pool, self.clock.millis()).await?;
            tracing::info!(key_id = %key.key().key_id, "signing key changed");
            self.key.store(Arc::new(key));
            self.signed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        if version::newest(&self.pool).await? > self.head().version.serial {
            self.put_in_force(newest(&self.pool).await?);
        }
        Ok(())
    }

    /// Looks for what other replicas published until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        let mut failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(POLL) => {}
            }
            let failed = self.refresh().await.err();
            if let Some(error) = failed.as_ref().filter(|_| !failing) {
                tracing::warn!(%error, "the newest policy version cannot be looked up; the one in force goes on");
            }
            failing = failed.is_some();
        }
    }
}

async fn newest(pool: &Pool) -> Result<Head> {
    // Versions are removed only below the newest, so a few looks find one.
    for _ in 0..RETRIES {
        let serial = version::newest(pool).await?;
        if let Some((version, state)) = version::load(pool, serial).await? {
            return Ok(Head { version, state: Arc::new(state) });
        }
    }
    Err(Error::internal("there is no policy version"))
}

async fn off_thread<T: Send + 'static>(
    state: Arc<PolicyState>,
    work: impl FnOnce(&PolicyState) -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(move || work(&state)).await.map_err(Error::internal)?
}

fn sign(head: &Head, group: &str, understands: &Understands, signer: &SigningKey) -> Result<SignedPolicy> {
    let published = u64::try_from(head.version.published_at / 1000).unwrap_or(0);
    let assembled = assemble(&head.state, group, understands, published);
    let named = |capability: &str| assembled.requires.iter().any(|one| one == capability);
    let (packs, databases) = (named("rule_packs.1"), named("databases.1"));
    let payload = PolicyPayload {
        schema: 1,
        serial: head.version.serial,
        published_at: published,
        group: group.to_owned(),
        policy: assembled.policy,
        rule_packs: if packs { head.state.rule_packs.clone() } else { Vec::new() },
        databases: if databases { head.state.databases.clone() } else { Vec::new() },
        requires: assembled.requires,
    };
    let document = serde_json::to_string(&payload).map_err(Error::internal)?;
    if document.len() > MAX_POLICY_BYTES {
        return Err(Error::internal(format!("a policy document of {} bytes", document.len())));
    }
    let signature = signer.sign(&document);
    Ok(SignedPolicy { signature, document, key_id: signer.key().key_id.clone(), chain: signer.chain().to_vec() })
}
