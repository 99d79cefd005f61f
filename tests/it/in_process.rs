//! The library for gateways gives the verdicts of a node.

use crate::WEIR;
use std::io::{BufReader, Write};
use std::path::Path;
use std::time::Duration;
use weir_ffi::{Inspector, InspectorSettings, RequestInput};
use weir_testkit::http::read;
use weir_testkit::node::call;

/// Requests beside the repository, if they are there: one message a file.
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/cases");

/// Findings of a record.
const MAX_FINDINGS: usize = 32;

/// Requests that are always there: a pass, blocks, framing, a body that a parser opens.
const FEW: &[&[u8]] = &[
    b"GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /?f=/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n{\"a\":\"<script>alert(1)\"}",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
];

/// All of them, each with its name.
pub(crate) fn messages() -> Vec<(String, Vec<u8>)> {
    let few = FEW.iter().enumerate().map(|(number, message)| (format!("request {number}"), message.to_vec()));
    let mut messages: Vec<_> = few.collect();
    let Ok(folder) = std::fs::read_dir(Path::new(CASES)) else {
        eprintln!("SKIPPED: no further requests at {CASES}");
        return messages;
    };
    for file in folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension() == Some("http".as_ref())) {
        messages.push((file.display().to_string(), std::fs::read(&file).unwrap()));
    }
    messages
}

/// Names of the rules of the findings that count; a record holds the first [`MAX_FINDINGS`].
fn rules(findings: &serde_json::Value, counts: impl Fn(&&serde_json::Value) -> bool) -> Vec<String> {
    let all = findings.as_array().into_iter().flatten().filter(counts).take(MAX_FINDINGS);
    all.map(|finding| finding["rule"].to_string()).collect()
}

#[test]
fn the_library_gives_the_verdicts_of_a_node() {
    let minute = "http_inspector.wallarm_process_time_limit=60s";
    let node = WEIR.node(&[minute]);
    let settings = InspectorSettings { max_body: 1 << 20, time_limit: Duration::from_secs(1), ..Default::default() };
    let inspector = Inspector::new(&settings).unwrap();
    let mut stream = node.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let peer = [203, 0, 113, 9].into();
    let (mut blocked, mut beyond, mut wrong, messages) = (0, 0, Vec::new(), messages());
    for (name, message) in &messages {
        stream.write_all(&call("/v1/requests", &[], message)).unwrap();
        let response = read(&mut reader).unwrap_or_else(|| panic!("{name}: no response"));
        let outcome = inspector.inspect(&RequestInput { message, peer, ..RequestInput::default() }).unwrap();
        let by_node = (response.status == 200).then(|| {
            let body = response.json();
            (body["reply"]["status"].as_u64().unwrap(), rules(&body["attacks"], |_| true))
        });
        let by_library = outcome.reply.as_ref().map(|reply| {
            let hit: serde_json::Value = serde_json::from_slice(&outcome.hit).unwrap();
            (u64::from(reply.status), rules(&hit["findings"], |finding| finding["decisive"] == true))
        });
        blocked += u32::from(by_library.is_some());
        // What is beyond the cap is for the policy to judge, and the node has no such cap.
        beyond += u32::from(outcome.bytes_left > 0);
        if by_node != by_library && outcome.bytes_left == 0 {
            let reasons = &outcome.not_inspected;
            wrong.push(format!("{name}: by the node {by_node:?}, by the library {by_library:?} ({reasons:?})"));
        }
    }
    assert!(
        beyond * 100 <= u32::try_from(messages.len()).unwrap(),
        "{beyond} of {} are beyond the cap",
        messages.len()
    );
    assert!(blocked >= 4, "{blocked} of {} were blocked", messages.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
