//! Servers of the Redis protocol as operators run them: with TLS and an ACL, watched by a Sentinel, in a cluster.

use crate::abuse::{exchanged, nodes_with, passes};
use crate::pki::Authority;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use weir_testkit::{free_port, skip, until};

/// What a user of the server may do, as docs/abuse.md says.
const RULES: &str = "on >secret-of-weir ~weir:* resetchannels -@all +@connection +eval +evalsha +script|load +time +exists \
                     +pexpire +hget +hset +hincrby +hgetall +hdel +zadd +zcard +zremrangebyscore +zremrangebyrank +xadd +xread";

/// A Redis server of the test.
pub struct Redis {
    pub port: u16,
    process: Option<Child>,
    /// Where it writes what replicas need.
    home: tempfile::TempDir,
}

/// A port that is free, and so is the one that a cluster takes besides.
fn free_ports() -> u16 {
    loop {
        let port = free_port();
        if TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

impl Redis {
    /// One that does not run yet.
    fn new() -> Self {
        Self { port: free_ports(), process: None, home: tempfile::tempdir().unwrap() }
    }

    /// None where it is not installed.
    pub fn start(more: &[&str]) -> Option<Self> {
        let mut redis = Self::new();
        redis.run(more).then_some(redis)
    }

    /// Runs it with these options on its port.
    pub fn run(&mut self, more: &[&str]) -> bool {
        let (port, home) = (self.port.to_string(), self.home.path().display().to_string());
        let common = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir", &home];
        self.spawn(&[&common[..], more].concat())
    }

    fn spawn(&mut self, arguments: &[&str]) -> bool {
        let Ok(child) = Command::new("redis-server").args(arguments).stdout(Stdio::null()).spawn() else {
            skip("redis-server is not installed");
            return false;
        };
        self.process = Some(child);
        until("redis-server listens", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        true
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a command; the first line of the answer.
    pub fn command(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    /// Whether the answer to a command contains a text.
    ///
    /// A lost connection is an answer without it: a Sentinel closes the connections of ordinary clients while it
    /// makes a replica the primary.
    fn says(&self, line: &str, text: &str) -> bool {
        let answer = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        answer().is_ok_and(|answer| answer.contains(text))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Two nodes count together.
fn count_together(directory: &Path, settings: &[&str]) {
    let [a, b] = nodes_with(directory, settings);
    exchanged([&a, &b]);
    assert!((0..5).all(|_| passes(&a, "x") && passes(&b, "x")));
    exchanged([&a, &b]);
    assert!(!passes(&a, "x") && !passes(&b, "x"));
}

#[test]
fn tls_with_an_own_authority_and_a_user_of_few_rights() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new("redis"), Authority::new("other"));
    let (certificate, key) = authority.issue(directory.path(), "redis", "127.0.0.1");
    let [ca, wrong] = [(&authority, "ca"), (&other, "wrong")].map(|(one, name)| one.write(directory.path(), name));
    let acl = directory.path().join("users.acl");
    std::fs::write(&acl, format!("user default off\nuser weir {RULES}\n")).unwrap();
    let mut redis = Redis::new();
    let (port, paths) =
        (redis.port.to_string(), [&certificate, &key, &ca, &acl].map(|path| path.display().to_string()));
    let arguments = [
        ["--port", "0"],
        ["--tls-port", &port],
        ["--bind", "127.0.0.1"],
        ["--save", ""],
        ["--tls-cert-file", &paths[0]],
        ["--tls-key-file", &paths[1]],
        ["--tls-ca-cert-file", &paths[2]],
        ["--tls-auth-clients", "no"],
        ["--aclfile", &paths[3]],
    ];
    if !redis.spawn(&arguments.concat()) {
        return;
    }
    let url = |password: &str| format!("abuse.redis.url=rediss://weir:{password}@127.0.0.1:{port}/");
    let trust = |path: &Path| format!("abuse.redis.ca_file={}", path.display());
    count_together(&directory.path().join("good"), &[&url("secret-of-weir"), &trust(&ca)]);
    for (name, settings) in
        [("authority", [url("secret-of-weir"), trust(&wrong)]), ("password", [url("another-secret"), trust(&ca)])]
    {
        let [a, b] = nodes_with(&directory.path().join(name), &settings.each_ref().map(String::as_str));
        until("failures are counted", || a.metric("abuse_share_failures_total") > 1.0);
        assert_eq!(a.metric("abuse_share_exchanges_total"), 0.0, "{name}");
        assert!((0..10).all(|_| passes(&a, "x")) && !passes(&a, "x") && passes(&b, "x"), "{name}: limits are local");
    }
}

#[test]
fn the_primary_that_a_sentinel_names_also_after_a_failover() {
    let Some(mut primary) = Redis::start(&[]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let old = primary.port.to_string();
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &old]).unwrap();
    until("the replica follows", || replica.says("INFO replication", "master_link_status:up"));
    let mut sentinel = Redis::new();
    let file = directory.path().join("sentinel.conf");
    let text = format!(
        "port {}\nbind 127.0.0.1\nsentinel monitor weir-primary 127.0.0.1 {old} 1\n\
         sentinel down-after-milliseconds weir-primary 500\nsentinel failover-timeout weir-primary 5000\n",
        sentinel.port
    );
    std::fs::write(&file, text).unwrap();
    assert!(sentinel.spawn(&[&file.display().to_string(), "--sentinel"]));
    // The first line of the answer says how many there are.
    until("the Sentinel knows the replica", || sentinel.command("SENTINEL REPLICAS weir-primary") == "*1");
    // The first one is gone; the next one answers.
    let sentinels = format!("abuse.redis.sentinels=redis://127.0.0.1:1/,redis://127.0.0.1:{}/", sentinel.port);
    let [a, b] = nodes_with(directory.path(), &["abuse.redis.url=redis://weir-primary/", &sentinels]);
    exchanged([&a, &b]);
    assert!((0..5).all(|_| passes(&a, "x") && passes(&b, "x")));
    exchanged([&a, &b]);
    assert!(!passes(&a, "x") && !passes(&b, "x"));
    primary.kill();
    until("the replica is primary", || replica.says("INFO replication", "role:master"));
    assert!((0..10).all(|_| passes(&a, "after")));
    until("they count together again", || !passes(&b, "after"));
}

#[test]
fn the_node_of_a_cluster_that_has_the_keys() {
    let directory = tempfile::tempdir().unwrap();
    let start = || Redis::start(&["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]);
    let (Some(first), Some(second)) = (start(), start()) else { return };
    let slot: u16 = first.command("CLUSTER KEYSLOT weir:{default}:hot").trim_start_matches(':').parse().unwrap();
    // The configured node of the cluster does not have the keys.
    let (low, high) = if slot < 8_192 { (&second, &first) } else { (&first, &second) };
    assert_eq!(low.command("CLUSTER ADDSLOTSRANGE 0 8191"), "+OK");
    assert_eq!(high.command("CLUSTER ADDSLOTSRANGE 8192 16383"), "+OK");
    assert_eq!(first.command(&format!("CLUSTER MEET 127.0.0.1 {}", second.port)), "+OK");
    for redis in [&first, &second] {
        until("the cluster is complete", || redis.says("CLUSTER INFO", "cluster_state:ok"));
    }
    let told = if slot < 8_192 { high } else { low };
    assert!(told.command("EXISTS weir:{default}:hot").starts_with("-MOVED"));
    let url = format!("abuse.redis.url=redis://127.0.0.1:{}/", told.port);
    count_together(directory.path(), &[&url, "abuse.redis.cluster=true"]);
}
