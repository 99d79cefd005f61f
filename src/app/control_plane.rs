//! `weir control-plane`: Console, API and store.

use super::signals::Signals;
use super::{StartError, listen, local, probe_servers, reload, settings};
use crate::config::Resolved;
use crate::config::types::{ListenAddress, SmtpTls};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weir_control_plane::alerts;
use weir_control_plane::app::FirstAdministrator;
use weir_control_plane::auth::oidc;
use weir_control_plane::auth::role::Role;
use weir_control_plane::metrics::ControlPlaneMetrics;
use weir_control_plane::outgoing::{Outgoing, Roots};
use weir_control_plane::store::Database;
use weir_control_plane::{App, Config, server};
use weir_policy::client::{ClientRules, ProxyHeaders};
use weir_runtime::clock::Clock;
use weir_runtime::serve::{self, ServeMetrics};
use weir_runtime::telemetry::logs::{self, AccessLog};
use weir_runtime::telemetry::probes::Check;
use weir_runtime::telemetry::{Health, Metrics, Telemetry};
use weir_runtime::tls::{PemFiles, Tls};

/// Port of Console and API.
const PORT: u16 = 8088;

/// A control plane that runs.
pub struct Running {
    /// Its services.
    pub app: App,
    /// Its certificates, to be loaded again when they change; none in plain text.
    pub tls: Option<Arc<Tls>>,
    /// Ends when it has stopped.
    served: JoinHandle<()>,
    background: JoinHandle<()>,
    /// Where Console and API are, as a URL.
    url: String,
    /// The administrator who can log in with the password of this start.
    first: Option<FirstAdministrator>,
}

impl Running {
    /// Says where the Console is and the password of the first administrator, when everything has started.
    pub fn started(&mut self) -> Box<dyn FnOnce() + Send> {
        let (url, first) = (self.url.clone(), self.first.take());
        Box::new(move || announce(&url, first.as_ref()))
    }

    /// Reports why the store does not answer or cannot write, while it does not.
    pub fn store_check(&self) -> Check {
        let store = self.app.store.clone();
        Box::new(move || match store.unreachable() {
            Some(away) => Some(format!("the store does not answer: {}", away.why)),
            None => store.fault().map(|fault| format!("the store cannot write: {}", fault.why)),
        })
    }

    /// Waits until it has stopped. True if nothing failed.
    pub async fn wait(self) -> bool {
        let served = self.served.await;
        let done = served.is_ok() && self.background.await.is_ok();
        self.app.store.close().await;
        done
    }
}

/// Runs it until a signal stops it. True if nothing failed.
pub async fn run(resolved: Resolved, signals: Signals) -> Result<bool, StartError> {
    let address = resolved.control_plane.address.unwrap_or(ListenAddress::any(PORT));
    let stop = CancellationToken::new();
    let health = Arc::new(Health::default());
    let (metrics, mut registry) = Metrics::new(&resolved.metrics.namespace);
    let telemetry = Arc::new(Telemetry { metrics, access: AccessLog::Off.into() });
    logs::count_dropped_lines(Arc::clone(&telemetry));
    let counts = ServeMetrics::default();
    let own = ControlPlaneMetrics::default();
    own.enlist(&mut registry);
    probe_servers(&resolved, &health, registry, &counts, &stop).await?;
    let mut running = start(&resolved, address, None, (&counts, &own), stop.clone()).await?;
    if let Some(tls) = &running.tls {
        reload::certificates(Arc::clone(tls), telemetry)?;
    }
    health.watch(running.store_check(), true);
    health.set_ready(true);
    running.started()();
    signals.listen(stop, health)?;
    let done = running.wait().await;
    tracing::info!("stopped");
    Ok(done)
}

/// Starts it at `address`; it counts in `counts`. `in_process` is the token with which a node of the same
/// process registers.
pub async fn start(
    resolved: &Resolved,
    address: ListenAddress,
    in_process: Option<String>,
    (counts, metrics): (&ServeMetrics, &ControlPlaneMetrics),
    stop: CancellationToken,
) -> Result<Running, StartError> {
    let own = &resolved.control_plane;
    let url = database_url(resolved);
    let store = Database::open(&url).await.map_err(StartError::control_plane)?;
    let roots = Roots::parse(&own.outgoing_ca);
    let outgoing = Outgoing::new(&roots, own.private_destinations).map_err(StartError::control_plane)?;
    let config = config(resolved, in_process, metrics, outgoing);
    let (app, first) = App::start(config, store, Clock::System).await.map_err(StartError::control_plane)?;
    let tls = own.tls.as_ref().map(|files| PemFiles {
        cert: files.cert.clone(),
        key: files.key.clone(),
        client_ca: None,
        certificate_optional: false,
    });
    let tls = tls.map(Tls::load).transpose()?.map(Arc::new);
    let listener = listen("control_plane.address", address).await?;
    let at = local(&listener);
    tracing::info!(address = at, tls = tls.is_some(), "control plane");
    let url = console_url(&listener, tls.is_some());
    let settings = settings::listener(resolved, "control_plane", counts, tls.clone());
    let served = tokio::spawn(serve::serve(listener, settings, server::router(&app), stop.clone()));
    let background = tokio::spawn({
        let app = app.clone();
        async move { Box::pin(app.run(stop)).await }
    });
    Ok(Running { app, tls, served, background, url, first })
}

/// A listener on loopback for the node in the same process, in plain text; answers its port.
pub async fn join(
    resolved: &Resolved,
    running: &Running,
    counts: &ServeMetrics,
    stop: CancellationToken,
) -> Result<u16, StartError> {
    let listener = StartError::system("listen on loopback", TcpListener::bind(("127.0.0.1", 0)).await)?;
    let port = StartError::system("loopback", listener.local_addr())?.port();
    let router = server::nodes_only(&running.app);
    let settings = settings::listener(resolved, "in_process", counts, None);
    tokio::spawn(serve::serve(listener, settings, router, stop));
    Ok(port)
}

/// Where the store is.
pub(super) fn database_url(resolved: &Resolved) -> String {
    let url = resolved.control_plane.database.as_ref().map(|url| url.expose().to_owned());
    url.unwrap_or_else(|| format!("sqlite:{}", resolved.data_dir.display()))
}

/// The file of the key that signs policies.
pub(super) fn key_file(resolved: &Resolved) -> PathBuf {
    resolved.control_plane.key_file.clone().unwrap_or_else(|| resolved.data_dir.join("policy-key.pem"))
}

fn config(
    resolved: &Resolved,
    in_process: Option<String>,
    metrics: &ControlPlaneMetrics,
    outgoing: Outgoing,
) -> Config {
    let settings = &resolved.control_plane;
    let public_url = settings.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    Config {
        key_file: key_file(resolved),
        deploy_token: settings.deploy_token.as_ref().map(|token| token.expose().to_owned()),
        in_process_token: in_process,
        admin_login: settings.admin_login.clone(),
        admin_password: settings.admin_password.as_ref().map(|password| password.expose().to_owned()),
        secure: settings.tls.is_some() || public_url.as_ref().is_some_and(|url| url.starts_with("https://")),
        public_url,
        clients: ClientRules::new(vec![ProxyHeaders {
            trusted: settings.trusted_proxies.clone(),
            real_ip: vec![settings.real_ip_header.0.clone()],
            original_host: Vec::new(),
        }]),
        retention_days: settings.retention_days,
        behaviour_days: settings.behaviour_days,
        session_days: settings.session_days,
        oidc: oidc(resolved),
        smtp: smtp(resolved),
        outgoing,
        metrics: metrics.clone(),
    }
}

/// The mail server of alerts; the configuration made sure that what it needs is there.
fn smtp(resolved: &Resolved) -> Option<alerts::Smtp> {
    let from = &resolved.control_plane.smtp;
    let (tls, port) = match from.tls {
        SmtpTls::StartTls => (alerts::SmtpTls::StartTls, 587),
        SmtpTls::Implicit => (alerts::SmtpTls::Implicit, 465),
        SmtpTls::None => (alerts::SmtpTls::None, 25),
    };
    let login = from.user.clone().zip(from.password_file.clone());
    Some(alerts::Smtp {
        host: from.host.clone()?,
        port: from.port.unwrap_or(port),
        tls,
        login: login.map(|(user, password_file)| alerts::SmtpLogin { user, password_file }),
        from: from.from.clone()?,
    })
}

/// Login by OpenID Connect; the configuration made sure that what it needs is there.
fn oidc(resolved: &Resolved) -> Option<oidc::Config> {
    let (settings, from) = (&resolved.control_plane, &resolved.control_plane.oidc);
    let public = settings.public_url.as_ref()?.trim_end_matches('/');
    Some(oidc::Config {
        issuer: from.issuer.clone()?,
        client_id: from.client_id.clone()?,
        client_secret: from.client_secret.as_ref().map(|secret| secret.expose().to_owned()),
        role_claim: from.role_claim.clone(),
        default_role: from.default_role.as_deref().and_then(Role::from_code),
        redirect_url: format!("{public}{}", oidc::CALLBACK),
    })
}

/// Where a browser finds the Console: for every address of this machine, on this machine.
fn console_url(listener: &TcpListener, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let address = match listener.local_addr() {
        Ok(address) if address.ip().is_unspecified() => format!("127.0.0.1:{}", address.port()),
        _ => local(listener),
    };
    format!("{scheme}://{address}")
}

/// Says on standard error where the Console is, and with what password the first administrator logs in, once everything
/// has started: the password goes to no log.
fn announce(url: &str, first: Option<&FirstAdministrator>) {
    logs::flush();
    eprintln!("weir Console and API are at {url}");
    if let Some(first) = first {
        match &first.made_password {
            Some(password) => eprintln!(
                "first administrator: login {}  password {password}\n(each start makes a new one until the first login; \
                 change it in the Console)\n",
                first.login
            ),
            None => eprintln!("first administrator: login {}, with the password given", first.login),
        }
    }
}
