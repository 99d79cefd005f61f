//! A node of its own for each test, on ports that the system chose.

use crate::http::{Response, read};
use crate::process::{Process, Program};
use crate::wait::PATIENCE;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// A running node, or an aggregation.
#[derive(Debug)]
pub struct Node {
    process: Process,
    /// Where it is called.
    pub api: SocketAddr,
    metrics: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Node {
    pub(crate) fn start(program: Program, arguments: &[&str], environment: &[(&str, &str)], sets: &[&str]) -> Node {
        let mut command = program.command();
        command.envs(environment.iter().copied()).args(arguments);
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
        let is_overridden = |fixed: &&str| sets.iter().any(|set| set.split('=').next() == fixed.split('=').next());
        for set in fixed.iter().filter(|set| !is_overridden(set)).chain(sets) {
            command.args(["--set", set]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = collect(child.stdout.take().unwrap());
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let process = Process(child);
        let mut output = String::new();
        let line = loop {
            let Some(Ok(line)) = lines.next() else { panic!("the node did not start: {output}") };
            if line.contains("listens on ") {
                break line;
            }
            output.push_str(&line);
        };
        std::thread::spawn(move || lines.for_each(drop));
        let (api, metrics) = addresses(&line);
        Node { process, api, metrics, log }
    }

    /// A connection to its API; reading from it gives up after [`PATIENCE`].
    pub fn connect(&self) -> TcpStream {
        connect(self.api)
    }

    /// Calls `path` with the usual headers, changed by `headers` (an empty value leaves one out).
    pub fn call(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut stream = self.connect();
        stream.write_all(&call(path, headers, body)).unwrap();
        read(&mut BufReader::new(stream)).expect("a response")
    }

    /// Has a raw request inspected.
    pub fn inspect(&self, raw: &[u8]) -> Response {
        self.call("/v1/requests", &[], raw)
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The value of a metric, such as `panics_total` or `x_total{a="b"}`; 0 if there is no metric of that name.
    pub fn metric(&self, name: &str) -> f64 {
        let mut stream = connect(self.metrics);
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").unwrap();
        let text = String::from_utf8(read(&mut BufReader::new(stream)).expect("metrics").body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("weir_")?.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// The id of its process.
    pub fn pid(&self) -> String {
        self.process.0.id().to_string()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.pid();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for its end. The exit code; none if a signal killed it.
    pub fn wait(&mut self) -> Option<i32> {
        self.process.0.wait().unwrap().code()
    }
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The lines of `output`, collected while the process runs.
fn collect(output: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let log = Arc::<Mutex<String>>::default();
    let sink = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut log = sink.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    log
}

/// The addresses of API and metrics from the line that a node or an aggregation prints when it listens.
fn addresses(line: &str) -> (SocketAddr, SocketAddr) {
    // `weir 0.1.0 listens on A (API), P (probes), M (metrics)`
    let words: Vec<&str> = line.split(' ').collect();
    let off = SocketAddr::from(([127, 0, 0, 1], 0));
    let before = |what: &str| {
        let at = words.iter().position(|word| word.starts_with(what))?;
        Some(words[at - 1].parse().unwrap_or(off))
    };
    // `weir 0.1.0 aggregation listens on A`
    let last = || words.last().and_then(|word| word.trim_end_matches(',').parse().ok());
    let api = before("(API)").or_else(last).unwrap_or_else(|| panic!("{line}"));
    (api, before("(metrics)").unwrap_or(off))
}

/// The bytes of a call of `path` with the usual headers, changed by `headers` (an empty value leaves one out).
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
