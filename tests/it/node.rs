//! A node of its own for each test, on ports that the system chose.

use crate::answer::Answer;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running node.
pub struct Node {
    child: Child,
    pub api: SocketAddr,
    metrics: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Node {
    /// Starts a node with `sets` (`key=value`).
    pub fn start(sets: &[&str]) -> Node {
        Self::start_with(&[], sets)
    }

    /// Starts a node with further arguments.
    pub fn start_with(arguments: &[&str], sets: &[&str]) -> Node {
        Self::start_as(&[&["run"], arguments].concat(), &[], sets)
    }

    /// Starts the program with all `arguments`, in `environment`.
    pub fn start_as(arguments: &[&str], environment: &[(&str, &str)], sets: &[&str]) -> Node {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.env_clear().envs(environment.iter().copied()).args(arguments);
        let data = std::env::temp_dir().join("weir-no-such-directory");
        let data = format!("data_dir={}", data.display());
        // A debug build on a busy machine inspects slowly: its time limit must not decide verdicts.
        let fixed = [
            "control_plane.enabled=false",
            "connector.address=127.0.0.1:0",
            "metrics.listen_address=127.0.0.1:0",
            "health_check.enabled=false",
            "events.enabled=false",
            "http_inspector.wallarm_process_time_limit=60s",
            "load.queue_timeout=60s",
            &data,
        ];
        // The last of two settings counts, so those of the test come after.
        let own = |fixed: &&str| !sets.iter().any(|set| set.split('=').next() == fixed.split('=').next());
        for set in fixed.iter().filter(|set| own(set)).chain(sets) {
            command.args(["--set", set]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (sink, stdout) = (Arc::clone(&log), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut log = sink.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        let line = loop {
            let Some(Ok(line)) = lines.next() else { panic!("the node did not start: {told}") };
            if line.contains("listens on ") {
                break line;
            }
            told.push_str(&line);
        };
        std::thread::spawn(move || lines.for_each(drop));
        // `weir 0.1.0 listens on A (API), P (probes), M (metrics)`
        let words: Vec<&str> = line.split(' ').collect();
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        let before = |what: &str| {
            let at = words.iter().position(|word| word.starts_with(what))?;
            Some(words[at - 1].parse().unwrap_or(none))
        };
        // `weir 0.1.0 aggregation listens on A`
        let last = || words.last().and_then(|word| word.trim_end_matches(',').parse().ok());
        let api = before("(API)").or_else(last).unwrap_or_else(|| panic!("{line}"));
        let metrics = before("(metrics)").unwrap_or(none);
        Node { child, api, metrics, log }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.api).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Calls `path` with the usual headers, changed by `headers` (an empty value leaves one out).
    pub fn call(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(&call(path, headers, body)).unwrap();
        read(&mut BufReader::new(stream)).expect("an answer")
    }

    /// Judges a raw request.
    pub fn judge(&self, raw: &[u8]) -> Answer {
        self.call("/v1/requests", &[], raw)
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The value of a metric, such as `panics_total` or `x_total{a="b"}`; 0 where it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").unwrap();
        let answer = read(&mut BufReader::new(stream)).expect("metrics");
        let text = String::from_utf8(answer.body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("weir_")?.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _code = self.child.wait();
    }
}

/// The bytes of a call.
pub fn call(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut all = vec![
        ("Content-Type", "message/http"),
        ("Inspector-Request-Id", "test-1"),
        ("Inspector-Client", "203.0.113.9:1234"),
        ("Inspector-Connector", "test/1"),
    ];
    for &(name, value) in headers {
        all.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            all.push((name, value));
        }
    }
    let mut out = format!("POST {path} HTTP/1.1\r\nHost: node\r\nContent-Length: {}\r\n", body.len());
    all.iter().for_each(|(name, value)| out.push_str(&format!("{name}: {value}\r\n")));
    out.push_str("\r\n");
    [out.as_bytes(), body].concat()
}

/// The next answer; none at the end of the connection.
pub fn read(stream: &mut impl BufRead) -> Option<Answer> {
    Answer::read(stream).ok()
}
