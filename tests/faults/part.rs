//! One process of weir that can be killed and started again, at the same addresses and on the same directory.

use crate::http;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// Bytes of a log that are shown when something went wrong.
const SHOWN: usize = 6_000;

pub struct Part {
    role: &'static str,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    log: PathBuf,
    /// Whether it is started again where it ended by itself, as a supervisor does: its database was not there.
    pub supervised: bool,
    /// Where it is called.
    pub api: SocketAddr,
    metrics: SocketAddr,
    /// What was counted by processes that are gone, as far as it could be read.
    before: BTreeMap<String, f64>,
}

impl Part {
    /// `weir ROLE` with `sets`, not started yet. `address` is the key of its address.
    pub fn new(home: &Path, role: &'static str, address: &str, sets: &[String]) -> Part {
        let (api, metrics) = (free_address(), free_address());
        let data = home.join(role);
        std::fs::create_dir_all(&data).unwrap();
        let fixed = [
            format!("{address}={api}"),
            format!("metrics.listen_address={metrics}"),
            format!("data_dir={}", data.display()),
            "health_check.enabled=false".into(),
        ];
        let sets = fixed.iter().chain(sets).flat_map(|set| ["--set".to_owned(), set.clone()]);
        let arguments = std::iter::once(role.to_owned()).chain(sets).collect();
        let log = home.join(format!("{role}.log"));
        Part {
            role,
            arguments,
            environment: Vec::new(),
            child: None,
            log,
            supervised: false,
            api,
            metrics,
            before: BTreeMap::new(),
        }
    }

    /// Adds a configuration file.
    pub fn with_file(mut self, path: &Path) -> Part {
        self.arguments.extend(["--config".to_owned(), path.display().to_string()]);
        self
    }

    /// Adds variables of its environment.
    pub fn with_environment(&mut self, variables: &[(&str, String)]) {
        self.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }

    /// Starts it, without waiting for it.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.role);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.env_clear().envs(self.environment.iter().cloned()).args(&self.arguments);
        let error_log: File = log.try_clone().unwrap();
        self.child = Some(command.stdin(Stdio::null()).stdout(log).stderr(error_log).spawn().unwrap());
    }

    /// Waits until it answers calls.
    pub fn ready(&mut self) {
        let begun = std::time::Instant::now();
        while http::Connection::open(self.api).is_err() {
            let mut ended = self.child.as_mut().expect("it was started").try_wait().unwrap();
            if ended.take_if(|_| self.supervised).is_some() {
                self.child = None;
                self.start();
            }
            assert!(ended.is_none(), "{} ended: {ended:?}\n{}", self.role, self.told());
            assert!(begun.elapsed() < http::PATIENCE, "{} does not answer\n{}", self.role, self.told());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// SIGKILL: nothing of it runs any more when this returns.
    pub fn kill(&mut self) {
        self.note();
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Adds what this process has counted to the sums: it is about to be gone. A process that does not answer yet has
    /// counted nothing.
    fn note(&mut self) {
        for (name, value) in self.scrape().unwrap_or_default() {
            *self.before.entry(name).or_default() += value;
        }
    }

    fn scrape(&self) -> Option<BTreeMap<String, f64>> {
        let answer = http::call(self.metrics, "GET /metrics", &[("Connection", "close")], b"").ok()?;
        let text = String::from_utf8(answer.body).ok()?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Some(lines.filter_map(|line| line.rsplit_once(' ')).map(|(n, v)| (n.to_owned(), v.parse().unwrap())).collect())
    }

    /// A gauge of the process that runs; none where it does not answer.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.scrape()?.get(name).copied()
    }

    /// The sum of counters whose name begins with `name` and holds `label`, over all processes that there were.
    pub fn counted(&self, name: &str, label: &str) -> u64 {
        let now = self.scrape().unwrap_or_default();
        let all = self.before.iter().chain(&now);
        all.filter(|(n, _)| n.starts_with(name) && n.contains(label)).map(|(_, value)| *value).sum::<f64>() as u64
    }

    /// The end of its log.
    pub fn told(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        format!("--- {}\n{}", self.role, String::from_utf8_lossy(&log[log.len().saturating_sub(SHOWN)..]))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ended = child.kill();
            let _code = child.wait();
        }
    }
}

/// An address that is free and stays so while its process is away: below the ports that connections get by themselves.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin at different places.
    let start = (std::process::id() % 900) as u16 * 20;
    loop {
        let port = 12_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 18_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
