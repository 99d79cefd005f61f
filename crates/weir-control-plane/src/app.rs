//! The services of a control plane, without HTTP. Cheap to clone.

use super::alarms::Alarms;
use super::audit::{Audit, Record};
use super::auth::oidc::{self, Oidc};
use super::auth::password::Passwords;
use super::auth::role::Role;
use super::auth::second_factor::SecondFactors;
use super::auth::secret;
use super::auth::session::Sessions;
use super::auth::throttle::Throttle;
use super::auth::token::Tokens;
use super::auth::user::{NewUser, User, Users};
use super::error::{Error, Result};
use super::metrics::ControlPlaneMetrics;
use super::nodes::Nodes;
use super::outgoing::Outgoing;
use super::packs::Packs;
use super::policy::PolicyService;
use super::policy::replay::Replays;
use super::sinks::Sinks;
use super::store::Database;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use weir_policy::client::ClientRules;
use weir_runtime::clock::Clock;

/// How often sessions that ended and nodes that went silent are removed.
const SWEEP: Duration = Duration::from_secs(60);

/// How often metrics look at nodes and policy: well within the interval of common scrapers.
const OBSERVE: Duration = Duration::from_secs(5);

/// How often alarms are looked for: with two missed heartbeats, an alarm is recorded within 15 seconds.
const WATCH: Duration = Duration::from_secs(2);

/// How often it is tried whether the store can write.
const PROBE: Duration = Duration::from_secs(10);

/// Settings of a control plane.
#[derive(Clone, Debug)]
pub struct Config {
    /// File of the key that signs policies.
    pub key_file: PathBuf,
    /// First token of usage node deployment.
    pub deploy_token: Option<String>,
    /// Token of the node in the same process.
    pub in_process_token: Option<String>,
    /// Login of the first administrator.
    pub admin_login: String,
    /// Password of the first administrator; made where there is none.
    pub admin_password: Option<String>,
    /// Whether browsers speak TLS to it: cookies are marked so.
    pub secure: bool,
    /// Where browsers reach it, without a slash at the end; as the browser asks without.
    pub public_url: Option<String>,
    /// Which proxies are trusted to report the address of a client.
    pub clients: ClientRules,
    /// Days for which hits are kept.
    pub retention_days: u32,
    /// Days for which counts of abuse rules are kept.
    pub behaviour_days: u32,
    /// Days for which requests of sessions are kept.
    pub session_days: u32,
    /// Login by OpenID Connect.
    pub oidc: Option<oidc::Config>,
    /// The mail server of alerts; none without.
    pub smtp: Option<crate::alerts::Smtp>,
    /// How it opens connections.
    pub outgoing: Outgoing,
    /// Where it counts.
    pub metrics: ControlPlaneMetrics,
}

/// How often hits past their time are removed.
const RETAIN: Duration = Duration::from_secs(60 * 60);
/// Between two rounds of summing up hours that are over, or have new hits.
const SUMMARIZE: Duration = Duration::from_secs(3 * 60);
/// After the start, until what pages need for their first opening is prepared: the start itself has more to do.
const PREPARE: Duration = Duration::from_secs(15);

/// The services.
#[derive(Debug)]
pub struct Services {
    /// Settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// Hits, attacks, traffic; and the connections of everything else.
    pub store: Database,
    /// People.
    pub users: Users,
    /// Their sessions.
    pub sessions: Sessions,
    /// Tokens of programs and nodes.
    pub tokens: Tokens,
    /// Login by OpenID Connect, where it is set up.
    pub oidc: Option<Oidc>,
    /// Their second factors.
    pub second_factors: SecondFactors,
    /// Attempts to log in.
    pub throttle: Throttle,
    /// Nodes.
    pub nodes: Nodes,
    /// Policy.
    pub policy: PolicyService,
    /// Where events go besides the Console.
    pub sinks: Sinks,
    /// Who changed what.
    pub audit: Audit,
    /// Rule packs and databases.
    pub packs: Packs,
    /// What a security team must see at once.
    pub alarms: Alarms,
    /// Requests judged again.
    pub replays: Replays,
    /// Told when hits have come in.
    pub news: Arc<Notify>,
}

/// All services of one control plane.
#[derive(Clone, Debug)]
pub struct App(Arc<Services>);

impl Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

/// The administrator that a first start made.
#[derive(Clone)]
pub struct FirstAdministrator {
    /// Login.
    pub login: String,
    /// Password, where it was made here: to be shown once.
    pub made_password: Option<String>,
}

impl App {
    /// Puts the services on `store`: makes what a first start needs.
    pub async fn start(config: Config, store: Database, clock: Clock) -> Result<(App, Option<FirstAdministrator>)> {
        store.set_retention(config.retention_days);
        store.set_behaviour_retention(config.behaviour_days);
        store.set_session_retention(config.session_days);
        let pool = || store.control().clone();
        let users = Users::new(pool(), Passwords::new()?, clock.clone());
        let tokens = Tokens::new(pool(), clock.clone(), config.in_process_token.as_deref());
        tokens.configure(config.deploy_token.as_deref()).await?;
        let policy = PolicyService::open(pool(), clock.clone(), config.key_file.clone()).await?;
        let data_key = policy.data_key().await?;
        if data_key.is_none() {
            tracing::warn!(
                "second factors cannot be read: they were encrypted under another policy key. Bring back its file, or run \
                 `weir admin reset-totp`"
            );
        }
        let outgoing = config.outgoing.clone();
        let oidc = config.oidc.clone().map(|config| Oidc::new(config, pool(), clock.clone(), &outgoing)).transpose()?;
        let app = App(Arc::new(Services {
            oidc,
            sinks: Sinks::open(&store, clock.clone(), config.metrics.sinks.clone(), outgoing).await?,
            sessions: Sessions::new(pool(), users.clone(), clock.clone()),
            second_factors: SecondFactors::new(pool(), data_key, clock.clone()),
            throttle: Throttle::default(),
            nodes: Nodes::new(pool(), clock.clone()),
            audit: Audit::new(pool(), clock.clone()),
            packs: Packs::default(),
            alarms: Alarms::new(clock.millis()),
            replays: Replays::default(),
            news: Arc::default(),
            users,
            tokens,
            policy,
            clock,
            store,
            config,
        }));
        let first = app.first_administrator().await?;
        Ok((app, first))
    }

    /// Makes the first administrator where there is no user at all. Until the first login each start gives them the
    /// password of the configuration, or a new one: what a failed start made, or no one wrote down, is not lost.
    async fn first_administrator(&self) -> Result<Option<FirstAdministrator>> {
        if let Some(user) = self.users.unused().await? {
            return self.first_password(user).await;
        }
        if self.users.any().await? {
            self.check_configured_password().await?;
            return Ok(None);
        }
        let login = self.config.admin_login.clone();
        let (password, made) = self.new_password()?;
        let (name, role) = ("Administrator".to_owned(), Role::Administrator);
        let new = NewUser { login: login.clone(), name, role, password: Some(password), subject: None };
        let ready = self.users.prepare(new).await?;
        let mut change = self.audit.begin().await?;
        match ready.insert(change.on()).await {
            Ok(user) => {
                let record = Record::new("user.create", format!("user/{}", user.id), (), &user)?;
                change.commit_record("weir", "", &record).await?;
                Ok(Some(FirstAdministrator { login: user.login, made_password: made }))
            }
            // Another replica made it meanwhile.
            Err(Error::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The password of the configuration, or one that is made: then twice, since it is to be shown.
    fn new_password(&self) -> Result<(String, Option<String>)> {
        Ok(match &self.config.admin_password {
            Some(given) => (given.clone(), None),
            None => {
                let made = secret::random()?;
                (made.clone(), Some(made))
            }
        })
    }

    /// Gives the first administrator, who never logged in, the password of this start.
    async fn first_password(&self, user: User) -> Result<Option<FirstAdministrator>> {
        let (password, made) = self.new_password()?;
        // Of replicas that start at the same time one wins, and shows what it made.
        let hash = self.users.hash(&user, password).await?;
        let mut change = self.audit.begin().await?;
        let won = self.users.give_first_password(change.on(), &user, hash).await?;
        if won {
            let record = Record::new("user.password", format!("user/{}", user.id), (), ())?;
            change.commit_record("weir", "", &record).await?;
        }
        Ok(won.then_some(FirstAdministrator { login: user.login, made_password: made }))
    }

    /// A password in the configuration sets no password any more after the first login.
    async fn check_configured_password(&self) -> Result<()> {
        let Some(given) = self.config.admin_password.clone() else { return Ok(()) };
        if self.users.verify(&self.config.admin_login, given).await?.is_none() {
            tracing::warn!(
                login = self.config.admin_login,
                "control_plane.admin_password is ignored: it counts until the first login. \
                 To set a new password run `weir admin reset-password` on this machine"
            );
        }
        Ok(())
    }

    /// Sets the metrics that show the state of nodes and policy, rather than count events.
    pub(super) async fn refresh_metrics(&self) -> Result<()> {
        self.config.metrics.set_serial(self.policy.head().version.serial);
        for (state, nodes) in self.nodes.states().await? {
            self.config.metrics.set_nodes(state, nodes);
        }
        Ok(())
    }

    /// Does what is to be done in the background, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let sweep = each(SWEEP, &stop, || async {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "ended sessions and silent nodes were not removed; tried again in a minute");
            }
        });
        let observe = async {
            self.observe().await;
            each(OBSERVE, &stop, || self.observe()).await;
        };
        let watch = each(WATCH, &stop, || async {
            if let Err(error) = self.watch_alarms().await {
                tracing::warn!(%error, "alarms were not looked for; tried again in seconds");
            }
        });
        let watch_server = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.store.watch_server() => {}
            }
        };
        let probe = each(PROBE, &stop, || self.store.probe());
        let retain = each(RETAIN, &stop, || self.retain());
        // Begins at once: a database of an older build has months to sum up. It can be ended at any time.
        let summarize = async {
            let all = async {
                self.summarize().await;
                each(SUMMARIZE, &stop, || self.summarize()).await;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = all => {}
            }
        };
        let prepare = async {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PREPARE) => {}
            }
            if let Err(error) = self.prepare_preview().await {
                tracing::debug!(%error, "the first blocking preview compiles its signatures itself");
            }
        };
        tokio::join!(
            prepare,
            self.policy.follow(stop.clone()),
            sweep,
            observe,
            watch,
            retain,
            summarize,
            probe,
            watch_server,
            self.sinks.run(stop.clone()),
            self.follow_mirrors(stop.clone()),
            self.send_alerts(stop.clone())
        );
    }

    async fn summarize(&self) {
        match self.store.count_group_hours().await {
            Ok(0) => {}
            Ok(hours) => tracing::info!(hours, "hours of stored hits counted by group"),
            Err(error) => {
                tracing::warn!(%error, "hits of some hours were not counted by group; tried again in minutes")
            }
        }
        match self.store.index_sources().await {
            Ok(0) => {}
            Ok(days) => tracing::info!(days, "sources of stored hits indexed"),
            Err(error) => tracing::warn!(%error, "sources of stored hits were not indexed; tried again in minutes"),
        }
        match self.store.summarize_hours().await {
            Ok(0) => {}
            Ok(hours) => tracing::debug!(hours, "hits summed up"),
            Err(error) => tracing::warn!(%error, "hits of some hours were not summed up; tried again in minutes"),
        }
        match self.store.summarize_days().await {
            Ok(0) => {}
            Ok(days) => tracing::debug!(days, "hours added up"),
            Err(error) => tracing::warn!(%error, "hours of some days were not added up; tried again in minutes"),
        }
    }

    pub(super) async fn retain(&self) {
        let done = self.store.retain().await;
        self.config.metrics.retained(done.is_ok());
        match done {
            Ok(done) => tracing::debug!(?done, "old hits removed"),
            Err(error) => tracing::warn!(%error, "old hits were not removed; tried again in an hour"),
        }
    }

    async fn observe(&self) {
        if let Err(error) = self.refresh_metrics().await {
            tracing::warn!(%error, "nodes were not counted; tried again in seconds");
        }
    }

    async fn sweep(&self) -> Result<()> {
        self.sessions.sweep().await?;
        if !self.nodes.any_expired().await? {
            return Ok(());
        }
        let mut change = self.audit.begin().await?;
        let removed = self.nodes.sweep(change.on()).await?;
        let record = Record::new("node.expire", format!("{removed} nodes"), (), ())?;
        change.commit_record("weir", "", &record).await
    }
}

/// Does `work` after each `period`, until `stop`.
async fn each<F: Future<Output = ()>>(period: Duration, stop: &CancellationToken, work: impl Fn() -> F) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period) => {}
        }
        work().await;
    }
}
