//! A PostgreSQL server in a temporary directory. It listens only on a Unix socket there, and ends with the test process,
//! however that ends: a shell waits for the end of a pipe that the process holds open.
//!
//! Root cannot run PostgreSQL, so root becomes the user `postgres` for it. Text sorts by an ICU collation, unlike
//! SQLite's: what relies on the order of bytes must say so.

use crate::wait::{PATIENCE, skip};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    tools: PathBuf,
    directory: PathBuf,
    shared: bool,
    durable: bool,
    _keep: tempfile::TempDir,
}

impl Server {
    /// Starts a server that ends with its value; none if PostgreSQL is not installed. With the environment variable
    /// `WEIR_REQUIRE_POSTGRES`, a missing PostgreSQL is a failure.
    pub fn start() -> Option<Server> {
        Self::start_with(false, false)
    }

    /// A server that lives until the end of the process: the shell removes its directory.
    pub fn start_shared() -> Option<Server> {
        Self::start_with(true, false)
    }

    /// A server with `fsync` on, as in production: for the benches.
    pub fn start_durable() -> Option<Server> {
        Self::start_with(false, true)
    }

    fn start_with(shared: bool, durable: bool) -> Option<Server> {
        let Some(tools) = tools() else {
            assert!(std::env::var_os("WEIR_REQUIRE_POSTGRES").is_none(), "PostgreSQL is not installed");
            skip("the store on PostgreSQL (no initdb; install Debian's package postgresql)");
            return None;
        };
        let keep = tempfile::Builder::new().prefix("weir-pg").tempdir().unwrap();
        let directory = keep.path().to_owned();
        let mut server = Server { child: None, tools, directory, shared, durable, _keep: keep };
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&server.directory).status().unwrap().success());
        }
        let data = server.directory.join("data");
        let mut init = server.tool("initdb");
        init.args(["-U", "weir", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        init.args(["--locale-provider=icu", "--icu-locale=en-US", "-D"]).arg(&data);
        let output = init.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server.run();
        Some(server)
    }

    /// Starts the server on its data.
    pub fn run(&mut self) {
        // `read` returns when the pipe closes.
        let script = "\"$@\" & server=$!; read -r line; kill -INT $server; wait $server; [ -z \"$REMOVE\" ] || rm -rf \"$REMOVE\"";
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        command.args(["-c", script, "sh"]).arg(self.tools.join("postgres"));
        command.arg("-D").arg(self.directory.join("data")).arg("-k").arg(&self.directory);
        let fsync = if self.durable { "fsync=on" } else { "fsync=off" };
        for setting in ["listen_addresses=", fsync, "max_connections=300", "max_locks_per_transaction=256"] {
            command.args(["-c", setting]);
        }
        command.env("REMOVE", if self.shared { self.directory.as_os_str() } else { "".as_ref() });
        let log = std::fs::File::create(self.directory.join("log")).unwrap();
        let child = command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        self.wait();
    }

    fn wait(&self) {
        let begun = Instant::now();
        while !self.tool("pg_isready").arg("-q").arg("-h").arg(&self.directory).status().unwrap().success() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{}",
                std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the server at once: connections break, transactions under way are lost.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    /// Stops the server as a crash would: nothing more is written, and the next start recovers from its log.
    pub fn crash(&mut self) {
        let data = self.directory.join("data");
        let mut stop = self.tool("pg_ctl");
        stop.args(["stop", "-s", "-m", "immediate", "-D"]).arg(&data);
        assert!(stop.status().unwrap().success());
        self.stop();
    }

    /// Creates a database. Returns its URL.
    pub fn create(&self, name: &str) -> String {
        let output = self
            .tool("psql")
            .arg("-h")
            .arg(&self.directory)
            .args(["-U", "weir", "-d", "postgres", "-qc", &format!("CREATE DATABASE {name}")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        format!("postgres://weir@localhost/{name}?host={}", self.directory.display())
    }

    /// A tool of the server, run as the user that owns it.
    fn tool(&self, name: &str) -> Command {
        let path = self.tools.join(name);
        let path = if path.exists() { path } else { PathBuf::from(name) };
        if !["initdb", "pg_ctl"].contains(&name) || !is_root() {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path).current_dir(&self.directory);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

/// Where the server's programs are: Debian keeps them out of the path.
fn tools() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = debian.chain(std::env::split_paths(&path)).collect();
    places.retain(|place: &PathBuf| Path::exists(&place.join("initdb")));
    places.into_iter().next()
}
