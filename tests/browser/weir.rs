//! The real program: node and control plane in one process, in its own directory.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::driver::PATIENCE;
use weir_testkit::Response;

/// The administrator's password.
pub const PASSWORD: &str = "a-password-for-tests";

/// The key of the connector, where one is asked for.
pub const KEY: &str = "a-connector-key-for-tests";

/// A request that no signature finds.
pub const BENIGN: &[u8] = b"GET /products?id=7 HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// A running program.
pub struct Weir {
    child: Child,
    pub console: SocketAddr,
    node: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Weir {
    /// Starts it and waits until both ends listen.
    pub fn start() -> Weir {
        Self::start_with(&[])
    }

    /// Starts it with further settings.
    pub fn start_with(more: &[&str]) -> Weir {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.env_clear().current_dir(dir.path());
        let password = format!("control_plane.admin_password={PASSWORD}");
        // A debug build on a busy machine inspects slowly: its time limits must not decide verdicts.
        let sets = [
            "connector.address=127.0.0.1:0",
            "control_plane.address=127.0.0.1:0",
            "metrics.enabled=false",
            "health_check.enabled=false",
            "http_inspector.wallarm_process_time_limit=60s",
            "load.queue_timeout=60s",
            &password,
        ];
        for set in sets.iter().chain(more) {
            command.args(["--set", set]);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut log, mut console, mut node) = (String::new(), None, None);
        while console.is_none() || node.is_none() {
            let Some(Ok(line)) = lines.next() else { panic!("weir did not start: {log}") };
            log.push_str(&line);
            log.push('\n');
            if let Some((_, rest)) = line.split_once("Console and API are at ") {
                console = rest.rsplit('/').next().unwrap().parse().ok();
            } else if let Some((_, rest)) = line.split_once("listens on ") {
                node = rest.split(' ').next().unwrap().parse().ok();
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Weir { child, console: console.unwrap(), node: node.unwrap(), _dir: dir }
    }

    /// The verdict on a raw request of `client`.
    pub fn inspect(&self, client: &str, raw: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.node).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /v1/requests HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Type: message/http\r\n\
             Inspector-Request-Id: test-1\r\nInspector-Client: {client}:1234\r\nInspector-Connector: test/1\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Length: {}\r\n\r\n",
            raw.len()
        );
        stream.write_all(&[head.as_bytes(), raw].concat()).unwrap();
        let answer = Response::read(&mut BufReader::new(stream)).unwrap();
        answer.header("inspector-verdict").unwrap_or_else(|| panic!("no verdict: {answer:?}")).to_owned()
    }

    /// Waits for the verdict `wanted`; returns how long it took.
    pub async fn wait_for_verdict(&self, wanted: &str, client: &str, raw: &[u8]) -> Duration {
        let begin = Instant::now();
        while self.inspect(client, raw) != wanted {
            let raw = String::from_utf8_lossy(raw);
            assert!(begin.elapsed() < PATIENCE, "no verdict {wanted} for {raw}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        begin.elapsed()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ended = self.child.kill();
        let _code = self.child.wait();
    }
}
