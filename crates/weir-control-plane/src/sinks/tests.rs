use super::feed::Answer;
use super::*;
use crate::outgoing::Outgoing;
use crate::store::{Database, Pools};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A feed of numbered records.
#[derive(Default)]
struct Numbers(Mutex<u64>);

impl Feed for Numbers {
    fn after<'a>(&'a self, place: &'a str, limit: u32) -> Answer<'a, Batch> {
        Box::pin(async move {
            let (from, to) = (place.parse::<u64>().unwrap(), *self.0.lock().unwrap());
            let to = to.min(from + u64::from(limit));
            let records = (from..to).map(|n| json!({"id": n, "time": 1_700_000_000_000_u64 + n})).collect();
            Ok(Batch { records, next: to.to_string() })
        })
    }

    fn end(&self) -> Answer<'_, String> {
        Box::pin(async move { Ok(self.0.lock().unwrap().to_string()) })
    }
}

type Calls = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

struct World {
    _directory: tempfile::TempDir,
    pools: Pools,
    repository: Repository,
    numbers: Arc<Numbers>,
    feeds: Feeds,
    worker: Worker,
    metrics: Metrics,
}

impl World {
    /// The value of a metric.
    fn counted(&self, name: &str) -> String {
        let (mut registry, mut text) = (prometheus_client::registry::Registry::default(), String::new());
        self.metrics.enlist(&mut registry);
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let value =
            text.lines().find_map(|line| line.strip_prefix("control_plane_")?.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    }
}

async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite:{}", directory.path().display())).await.unwrap();
    let pools = database.control().clone();
    let repository = Repository::new(pools.clone());
    let numbers = Arc::new(Numbers::default());
    let feeds = Feeds { hits: numbers.clone(), system: Arc::new(Numbers::default()) };
    let metrics = Metrics::default();
    let worker =
        Worker::new(repository.clone(), feeds.clone(), metrics.clone(), Arc::new(Notify::new()), Outgoing::default())
            .unwrap();
    World { _directory: directory, pools, repository, numbers, feeds, worker, metrics }
}

/// An endpoint that answers with `status` and keeps what it gets.
async fn receiver(status: Arc<AtomicU16>) -> (String, Calls) {
    let calls = Calls::default();
    let kept = Arc::clone(&calls);
    let app = Router::new().fallback(move |headers: HeaderMap, body: Bytes| async move {
        kept.lock().unwrap().push((headers, body));
        StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?key=s3cr3t", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, calls)
}

fn webhook_to(url: &str, format: &str) -> NewSink {
    let target = json!({"kind": "webhook", "url": url, "format": format, "headers": {"X-Team": "blue"}});
    let secret = Some("0123456789abcdef0123".to_owned());
    NewSink {
        name: "SIEM".into(),
        target: serde_json::from_value(target).unwrap(),
        secret,
        feeds: vec![FeedName::NewHits],
        enabled: true,
    }
}

async fn create(world: &World, new: &NewSink) -> Sink {
    let mut on = world.pools.write().acquire().await.unwrap();
    world.repository.create(&mut on, new, &world.feeds, 0).await.unwrap()
}

#[tokio::test]
async fn a_webhook_gets_every_record_once_in_order_and_signed() {
    let world = world().await;
    *world.numbers.0.lock().unwrap() = 7;
    let (url, calls) = receiver(Arc::new(AtomicU16::new(200))).await;
    let sink = create(&world, &webhook_to(&url, "ndjson")).await;
    let stop = CancellationToken::new();
    world.worker.round(&stop).await.unwrap();
    assert!(calls.lock().unwrap().is_empty(), "a new sink begins with what comes from now on");
    *world.numbers.0.lock().unwrap() = 257;
    world.worker.round(&stop).await.unwrap();
    world.worker.round(&stop).await.unwrap();
    let now = world.repository.get(&sink.id).await.unwrap();
    assert_eq!((now.delivered, now.failures, now.last_error.as_str()), (250, 0, ""));
    let calls = calls.lock().unwrap();
    let text: String = calls.iter().map(|(_, body)| String::from_utf8_lossy(body).into_owned()).collect();
    let ids: Vec<u64> =
        text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (7..257).collect::<Vec<_>>());
    for (headers, body) in calls.iter() {
        let signature = headers[SIGNATURE_HEADER].to_str().unwrap();
        let seconds = signature.strip_prefix("t=").unwrap().split(',').next().unwrap().parse().unwrap();
        assert_eq!(signature, sign("0123456789abcdef0123", seconds, body));
        assert_eq!(headers["x-team"], "blue");
    }
}

#[tokio::test]
async fn what_failed_is_delivered_later_and_errors_hold_no_secret() {
    let world = world().await;
    let status = Arc::new(AtomicU16::new(503));
    let (url, calls) = receiver(Arc::clone(&status)).await;
    let sink = create(&world, &webhook_to(&url, "json")).await;
    *world.numbers.0.lock().unwrap() = 3;
    let stop = CancellationToken::new();
    world.worker.round(&stop).await.unwrap();
    let failed = world.repository.get(&sink.id).await.unwrap();
    assert_eq!((failed.failures, failed.delivered), (1, 0));
    assert!(failed.due > 0 && failed.last_error.contains("503") && !failed.last_error.contains("s3cr3t"));
    status.store(204, Ordering::SeqCst);
    // A change makes it due at once, and leaves the secret.
    let mut change = webhook_to(&url, "json");
    change.secret = None;
    let mut on = world.pools.write().acquire().await.unwrap();
    assert!(world.repository.update(&mut on, &sink.id, &change).await.unwrap().signed);
    drop(on);
    world.worker.round(&stop).await.unwrap();
    assert_eq!(world.repository.get(&sink.id).await.unwrap().delivered, 3);
    assert_eq!(world.counted("sink_failures_total{kind=\"webhook\"}"), "1");
    assert_eq!(world.counted("sink_records_total{kind=\"webhook\"}"), "3");
    assert_eq!(world.counted("sink_records_dropped_total"), "0");
    let calls = calls.lock().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&calls.last().unwrap().1).unwrap();
    assert_eq!((body["feed"].as_str(), body["records"].as_array().unwrap().len()), (Some("new_hits"), 3));
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_told_without_its_url() {
    let world = world().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{gone}/hook?key=s3cr3t");
    let sink = create(&world, &webhook_to(&url, "json")).await;
    *world.numbers.0.lock().unwrap() = 1;
    world.worker.round(&CancellationToken::new()).await.unwrap();
    let failed = world.repository.get(&sink.id).await.unwrap();
    assert!(!failed.last_error.is_empty() && !failed.last_error.contains("s3cr3t"), "{}", failed.last_error);
}

#[tokio::test]
async fn one_replica_delivers() {
    let world = world().await;
    let (url, _) = receiver(Arc::new(AtomicU16::new(200))).await;
    let sink = create(&world, &webhook_to(&url, "json")).await;
    assert!(world.repository.lease(&sink.id, "a", 1, 100).await.unwrap());
    assert!(!world.repository.lease(&sink.id, "b", 50, 150).await.unwrap());
    assert!(world.repository.lease(&sink.id, "a", 60, 160).await.unwrap());
    assert!(world.repository.lease(&sink.id, "b", 161, 260).await.unwrap());
}

#[tokio::test]
async fn syslog_messages_are_counted_and_well_formed() {
    let world = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = tokio::spawn(async move {
        let mut text = String::new();
        listener.accept().await.unwrap().0.read_to_string(&mut text).await.unwrap();
        text
    });
    let target = json!({"kind": "syslog", "host": "127.0.0.1", "port": port, "transport": "tcp", "facility": "local0"});
    let new =
        NewSink { target: serde_json::from_value(target).unwrap(), secret: None, ..webhook_to("http://x", "json") };
    create(&world, &new).await;
    *world.numbers.0.lock().unwrap() = 2;
    world.worker.round(&CancellationToken::new()).await.unwrap();
    let mut rest = received.await.unwrap();
    for id in 0..2 {
        let (length, after) = rest.split_once(' ').unwrap();
        let message = after[..length.parse::<usize>().unwrap()].to_owned();
        rest = after[message.len()..].to_owned();
        let want = format!("<132>1 2023-11-14T22:13:20{} - weir - new_hits - ", if id == 0 { "Z" } else { ".001Z" });
        assert!(message.starts_with(&want) && message.contains(&format!("\"id\":{id}")), "{message}");
    }
    assert!(rest.is_empty());
}

#[test]
fn credentials_of_a_target_are_masked_and_survive_being_sent_back() {
    let old = webhook_to("https://user:pass@siem.example/in?token=s3cr3t", "json").target;
    let shown = old.clone().masked();
    let text = serde_json::to_string(&shown).unwrap();
    assert!(!text.contains("s3cr3t") && !text.contains("pass@") && !text.contains("blue"), "{text}");
    assert_eq!(shown.unmasked(&old), old);
}

#[tokio::test]
async fn hits_are_delivered_in_order_of_arrival_and_a_missing_one_is_waited_for() {
    use weir_protocol::hit::Hit;
    use weir_protocol::node_api::Record;
    use weir_runtime::clock::Clock;
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite:{}", directory.path().display())).await.unwrap();
    let sinks = Sinks::open(&database, Clock::System, Metrics::default(), Outgoing::default()).await.unwrap();
    let (url, calls) = receiver(Arc::new(AtomicU16::new(200))).await;
    let hit = || {
        let now = jiff::Timestamp::now().as_millisecond();
        let id = uuid::Uuid::now_v7().to_string();
        Hit { version: 1, id, time: now as u64, action: "block".into(), ..Hit::default() }
    };
    let (early, first, late, second) = (hit(), hit(), hit(), hit());
    sinks.before([early.id.as_str()].into_iter()).await.unwrap();
    database.insert(vec![Record::Hit(Box::new(early))], "n").await.unwrap();
    let mut on = database.control().write().acquire().await.unwrap();
    sinks.create(&mut on, &webhook_to(&url, "ndjson")).await.unwrap();
    drop(on);
    sinks.changed().await;
    // The batch of the second one is under way: it is noted, and not stored yet.
    for hit in [&first, &late, &second] {
        sinks.before([hit.id.as_str()].into_iter()).await.unwrap();
    }
    for hit in [&first, &second] {
        database.insert(vec![Record::Hit(Box::new(hit.clone()))], "n").await.unwrap();
    }
    let delivered = || {
        let text: String =
            calls.lock().unwrap().iter().map(|(_, body)| String::from_utf8_lossy(body).into_owned()).collect();
        let id =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
        text.lines().map(id).collect::<Vec<_>>()
    };
    let stop = CancellationToken::new();
    let worker = sinks.worker_for_tests();
    worker.round(&stop).await.unwrap();
    assert_eq!(delivered(), std::slice::from_ref(&first.id));
    database.insert(vec![Record::Hit(Box::new(late.clone()))], "n").await.unwrap();
    worker.round(&stop).await.unwrap();
    assert_eq!(delivered(), [first.id, late.id, second.id]);
}

#[test]
fn mistakes_are_told_all_at_once() {
    let target = json!({"kind": "webhook", "url": "ftp://x", "method": "GET", "headers": {"Host": "a", "b\n": "c"}});
    let new = NewSink {
        name: " ".into(),
        target: serde_json::from_value(target).unwrap(),
        secret: Some("short".into()),
        feeds: vec![],
        enabled: true,
    };
    let members: Vec<_> = new.mistakes().into_iter().map(|(member, _)| member).collect();
    let want = ["name", "feeds", "secret", "target.url", "target.method", "target.headers", "target.headers"];
    assert_eq!(members, want);
    assert!(!format!("{new:?}").contains("short"));
}
