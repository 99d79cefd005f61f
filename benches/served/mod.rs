//! Servers under load, in processes of their own on core 0, and the calls that are made to them.

use crate::sets::{Random, json, post};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(60);

/// A server under measurement, on core 0.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts `command`, which is made of the address to listen on, and waits until it listens.
    pub fn start(name: &'static str, command: impl Fn(&str) -> Vec<String>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
        let command = command(&address.to_string());
        // What it was pinned to before it starts decides how many threads it makes.
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .args(&command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("taskset (util-linux) runs the server");
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < START, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, address }
    }

    /// User and system time, in clock ticks.
    pub fn cpu_ticks(&self) -> [u64; 2] {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the server lives");
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
        [(); 2].map(|()| fields.next().and_then(|n| n.parse().ok()).expect("two numbers"))
    }

    /// Processor time of its threads, in nanoseconds: exact where clock ticks are coarse.
    pub fn cpu_ns(&self) -> u64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the server lives");
        let time = |path: std::path::PathBuf| {
            let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default()
        };
        threads.flatten().map(|thread| time(thread.path())).sum()
    }

    /// Memory resident now, in MiB.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command of a node without health check, metrics and events, with `more` settings.
pub fn weir(address: &str, more: &[&str]) -> Vec<String> {
    let set = [
        &format!("connector.address={address}")[..],
        "health_check.enabled=false",
        "metrics.enabled=false",
        "events.enabled=false",
    ];
    let options = set.iter().chain(more).flat_map(|s| ["--set".to_owned(), (*s).to_owned()]);
    [env!("CARGO_BIN_EXE_weir").to_owned(), "processing".to_owned()].into_iter().chain(options).collect()
}

/// Calls with distinct bodies of about `bytes` bytes of JSON, ready to be written.
pub fn calls_of(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    let mut random = Random(11);
    let mut call = |at| {
        let body = json(&mut random, bytes);
        let inner = post(&mut random, "application/json", body.as_bytes());
        let mut raw = format!(
            "POST /v1/requests HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: message/http; msgtype=request\r\n\
             Inspector-Request-Id: r{at}\r\nInspector-Client: 203.0.113.{}:51234\r\nInspector-Connector: bench/1\r\n\
             Content-Length: {}\r\n\r\n",
            at % 250,
            inner.len()
        )
        .into_bytes();
        raw.extend_from_slice(&inner);
        raw
    };
    (0..count).map(&mut call).collect()
}

/// Confines this process, and the threads it starts from now on, to core 1.
pub fn pin_load() {
    let me = std::process::id().to_string();
    let done = Command::new("taskset").args(["-cp", "1", &me]).stdout(Stdio::null()).status();
    assert!(done.is_ok_and(|status| status.success()), "taskset (util-linux) pins the load to core 1");
}
