//! Secrets of a hundred kinds in every place of a request: none is readable on disk, in the log, in the API, in an export, on a page, in
//! what a webhook and a syslog receiver get, or in a backup.

use crate::WEIR;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use weir_testkit::eventually;

mod more;
mod samples;

/// Files below `directory` that hold one of `secrets`.
fn found(directory: &Path, secrets: &[(String, String)]) -> Vec<String> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(found(&path, secrets));
        } else {
            let mut bytes = Vec::new();
            std::fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            out.extend(leaks(&path.display().to_string(), &bytes, secrets));
        }
    }
    out
}

/// Each secret that `bytes` hold, as it is or with `%` and `\u` escapes of the ASCII letters left alone.
fn leaks(place: &str, bytes: &[u8], secrets: &[(String, String)]) -> Vec<String> {
    let holds = |secret: &str| bytes.windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret.as_bytes()));
    let found = secrets.iter().filter(|(_, secret)| holds(secret));
    found.map(|(name, _)| format!("{name} in {place}")).collect()
}

/// The texts of `value`, with base64 of requests decoded.
fn texts(value: &Value, out: &mut Vec<u8>) {
    use base64::Engine as _;
    match value {
        Value::String(text) => {
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
            if let Ok(decoded) = base64::engine::general_purpose::STANDARD.decode(text) {
                out.extend_from_slice(&decoded);
                out.push(b'\n');
            }
        }
        Value::Array(all) => all.iter().for_each(|one| texts(one, out)),
        Value::Object(all) => all.iter().for_each(|(name, one)| {
            out.extend_from_slice(name.as_bytes());
            texts(one, out);
        }),
        other => out.extend_from_slice(format!("{other}\n").as_bytes()),
    }
}

/// A server that keeps what it gets on every connection; as HTTP it answers 200.
fn receiver(http: bool) -> (u16, std::sync::Arc<std::sync::Mutex<Vec<u8>>>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let kept = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let into = std::sync::Arc::clone(&kept);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, into) = (stream.unwrap(), std::sync::Arc::clone(&into));
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = Vec::new();
                let mut length = 0;
                while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                    let text = String::from_utf8_lossy(&line).to_ascii_lowercase();
                    if let Some(given) = text.strip_prefix("content-length:") {
                        length = given.trim().parse().unwrap_or(0);
                    }
                    let end_of_head = http && line == b"\r\n";
                    into.lock().unwrap().append(&mut line);
                    if end_of_head {
                        let mut body = vec![0; length];
                        reader.read_exact(&mut body).unwrap();
                        into.lock().unwrap().append(&mut body);
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
                    }
                }
                into.lock().unwrap().append(&mut line);
            });
        }
    });
    (port, kept)
}

#[test]
fn no_secret_is_readable_anywhere() {
    let samples = samples::all();
    assert!(samples.len() >= 100, "{}", samples.len());
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let log = directory.path().join("log");
    let sets = [
        format!("data_dir={}", data.display()),
        format!("log.log_file={}", log.display()),
        format!("log.access_log.log_file={}", log.display()),
        "log.access_log.verbose=true".to_owned(),
        "http_inspector.wallarm_process_time_limit=60s".to_owned(),
    ];
    let weir = WEIR.all_in_one(&sets.iter().map(String::as_str).collect::<Vec<_>>());
    let browser = weir.login();
    let ((hook, hooked), (syslog, logged)) = (receiver(true), receiver(false));
    for target in [
        json!({"kind": "webhook", "url": format!("http://127.0.0.1:{hook}/"), "format": "ndjson"}),
        json!({"kind": "syslog", "host": "127.0.0.1", "port": syslog, "transport": "tcp", "facility": "local0"}),
    ] {
        let sink = json!({"name": target["kind"], "target": target, "feeds": ["new_hits"], "enabled": true});
        let made = browser.send("POST", "/api/v1/sinks", &sink);
        assert_eq!(made.status, 201, "{made:?}");
    }
    for sample in &samples {
        let call = weir_testkit::node::call(
            "/v1/requests",
            &[("Inspector-Request-Id", &sample.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))],
            &sample.raw,
        );
        let mut stream = std::net::TcpStream::connect(weir.node.unwrap()).unwrap();
        std::io::Write::write_all(&mut stream, &call).unwrap();
        let answer = weir_testkit::http::read(&mut std::io::BufReader::new(stream)).unwrap();
        assert_eq!(answer.status, 200, "{}: {answer:?}", sample.name);
    }
    let secrets: Vec<(String, String)> = samples.iter().map(|one| (one.name.clone(), one.secret.clone())).collect();
    let mut ids = Vec::new();
    eventually("all hits", || {
        ids.clear();
        let mut after = String::new();
        loop {
            let page = browser.get(&format!("/api/v1/hits?limit=100{after}")).json();
            ids.extend(page["items"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        (ids.len() == samples.len()).then_some(())
    });
    let mut all = Vec::new();
    for id in &ids {
        let mut text = Vec::new();
        texts(&browser.get(&format!("/api/v1/hits/{id}")).json(), &mut text);
        all.extend(leaks(&format!("API, {id}"), &text, &secrets));
        all.extend(leaks("Console", &browser.get(&format!("/hits/{id}")).body, &secrets));
    }
    for path in ["/api/v1/hits?limit=100", "/api/v1/attacks?limit=100", "/attacks", "/"] {
        all.extend(leaks(path, &browser.get(path).body, &secrets));
    }
    for path in ["/api/v1/hits/export?form=csv", "/api/v1/hits/export?form=json", "/api/v1/attacks/export?form=csv"] {
        let export = browser.get(path);
        assert_eq!(export.status, 200, "{export:?}");
        let mut text = export.body.clone();
        if let Ok(rows) = serde_json::from_slice(&export.body) {
            texts(&rows, &mut text);
        }
        all.extend(leaks(path, &text, &secrets));
    }
    let count = |kept: &std::sync::Mutex<Vec<u8>>| {
        let kept = kept.lock().unwrap();
        memchr_count(&kept, b"\"request_id\"")
    };
    eventually("all deliveries", || (count(&hooked) >= ids.len() && count(&logged) >= ids.len()).then_some(()));
    all.extend(leaks("webhook", &hooked.lock().unwrap(), &secrets));
    all.extend(leaks("syslog", &logged.lock().unwrap(), &secrets));
    let backup = directory.path().join("backup");
    let store = format!("data_dir={}", data.display());
    let made = WEIR.command().args(["backup", backup.to_str().unwrap(), "--set", &store]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    // Also what is stored compressed or in base64 has been read above, through the API.
    all.extend(found(directory.path(), &secrets));
    all.sort();
    all.dedup_by(|a, b| a.split(" in ").next() == b.split(" in ").next());
    assert!(all.is_empty(), "{} leaks:\n{}", all.len(), all.join("\n"));
}

fn memchr_count(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len()).filter(|part| *part == what).count()
}
