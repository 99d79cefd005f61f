//! Rule packs and databases: brought to a running control plane, followed by its nodes, rolled back.

use crate::WEIR;
use crate::policy::database;
use crate::stub::sha256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use weir_testkit::control_plane::TOKEN;
use weir_testkit::http::read;
use weir_testkit::node::call;
use weir_testkit::{ControlPlane, Response, Session, eventually};

/// A pack of one signature that no other one makes needless.
fn pack(word: &str, about: &str) -> String {
    format!(
        "- id: rce.pack-sample\n  attack: rce\n  about: {about}\n  pattern: '{word}'\n  confidence: high\n  \
         positive: ['{word}']\n  negative: ['xyzzy']\n"
    )
}

fn upload(browser: &Session<'_>, path: &str, content: &[u8]) -> Response {
    browser.bytes("POST", path, content)
}

fn blocks(of: &ControlPlane, word: &str) -> bool {
    let mut stream = TcpStream::connect(of.node.unwrap()).unwrap();
    let request = format!("GET /?q={word} HTTP/1.1\r\nHost: a\r\n\r\n");
    stream.write_all(&call("/v1/requests", &[], request.as_bytes())).unwrap();
    read(&mut BufReader::new(stream)).unwrap().header("inspector-verdict").unwrap() == "block"
}

#[test]
fn a_pack_acts_on_the_node_until_it_is_rolled_back() {
    let both = WEIR.all_in_one(&[]);
    let browser = both.login();
    assert!(!blocks(&both, "xyzzy-plugh"));
    let first = browser.get("/api/v1/policy").json()["serial"].as_u64().unwrap();

    let made =
        upload(&browser, "/api/v1/rule-packs/own?note=first&activate=true", pack("xyzzy-plugh", "One.").as_bytes());
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    assert_eq!(
        (&made["item"]["version"], &made["item"]["items"], &made["item"]["active"]),
        (&json!(1), &json!(1), &json!(true))
    );
    eventually("the pack on the node", || blocks(&both, "xyzzy-plugh").then_some(()));

    // Content that is there already is no new version.
    let same = upload(&browser, "/api/v1/rule-packs/own", pack("xyzzy-plugh", "One.").as_bytes()).json();
    assert_eq!(same["item"]["version"], 1);
    let second = upload(&browser, "/api/v1/rule-packs/own", pack("frobozz-magic", "Two.").as_bytes()).json();
    assert_eq!((&second["item"]["version"], &second["item"]["active"]), (&json!(2), &json!(false)));
    let diff = browser.get("/api/v1/rule-packs/own/versions/2/diff").json();
    assert_eq!(
        (&diff["added"], &diff["removed"], &diff["changed"][0]["id"]),
        (&json!([]), &json!([]), &json!("rce.pack-sample"))
    );
    assert_eq!(diff["changed"][0]["before"]["pattern"], "xyzzy-plugh");
    let used = browser.send("POST", "/api/v1/rule-packs/own/versions/2/activate", &Value::Null);
    assert_eq!(used.status, 200, "{used:?}");
    eventually("the second version", || {
        (blocks(&both, "frobozz-magic") && !blocks(&both, "xyzzy-plugh")).then_some(())
    });

    let back = browser.send("POST", &format!("/api/v1/policy/versions/{first}/rollback"), &Value::Null);
    assert_eq!(back.status, 200, "{back:?}");
    eventually("the rollback", || (!blocks(&both, "frobozz-magic") && !blocks(&both, "xyzzy-plugh")).then_some(()));
    let kept = browser.send("DELETE", "/api/v1/rule-packs/own/versions/1", &Value::Null);
    assert_eq!(kept.status, 409, "a version of the policy that can be put back names it: {kept:?}");
    let content = browser.get("/api/v1/rule-packs/own/versions/1/content");
    assert_eq!(content.body, pack("xyzzy-plugh", "One.").as_bytes());
    let audit = browser.get("/api/v1/audit").json().to_string();
    assert!(audit.contains("rule_pack.upload") && audit.contains("rule_pack.activate"), "{audit}");
}

#[test]
fn a_bad_pack_is_refused_with_every_mistake_and_changes_nothing() {
    let cp = WEIR.control_plane(&[]);
    let browser = cp.login();
    let serial = browser.get("/api/v1/policy").json()["serial"].clone();
    let first = pack("abc", "One.").replace("attack: rce", "attack: nonsense");
    let bad = first + &pack("(", "Two.").replace("rce.pack-sample", "rce.other");
    let refused = upload(&browser, "/api/v1/rule-packs/own?activate=true", bad.as_bytes());
    assert_eq!(refused.status, 422, "{refused:?}");
    let errors = refused.json()["errors"].as_array().unwrap().clone();
    let at = |line: &str| {
        errors.iter().any(|error| error["field"].as_str().unwrap().starts_with(&format!("rule pack own:{line}:")))
    };
    assert!(errors.len() >= 2 && at("2") && at("11"), "{errors:?}");
    // A name that the built-in signatures have is one, too.
    let taken = pack("abc", "x").replace("rce.pack-sample", "ptrav.etc-passwd").replace("attack: rce", "attack: ptrav");
    let taken = upload(&browser, "/api/v1/rule-packs/own", taken.as_bytes());
    assert!(taken.status == 422 && String::from_utf8_lossy(&taken.body).contains("is taken"), "{taken:?}");
    for (path, content) in [
        ("/api/v1/rule-packs/own", &b"\xff\xfe"[..]),
        ("/api/v1/rule-packs/own", b"[]"),
        ("/api/v1/rule-packs/Own%2f..", b"[]"),
        ("/api/v1/databases/planets", b"x"),
        ("/api/v1/databases/country", b"no database"),
    ] {
        let refused = upload(&browser, path, content);
        assert_eq!(refused.status, 422, "{path}: {refused:?}");
    }
    assert_eq!(browser.get("/api/v1/rule-packs").json()["items"], json!([]));
    assert_eq!(browser.get("/api/v1/policy").json()["serial"], serial);
}

#[test]
fn nodes_alone_fetch_files_by_their_hash_and_old_nodes_are_not_told_of_them() {
    let cp = WEIR.control_plane(&[]);
    let browser = cp.login();
    let content = pack("xyzzy-plugh", "One.");
    assert_eq!(upload(&browser, "/api/v1/rule-packs/own?activate=true", content.as_bytes()).status, 201);
    let register = |capabilities: Value| {
        let body = json!({"group": "default", "name": "n", "role": "processing", "version": "1", "capabilities": capabilities});
        let identity = cp.json("POST", "/node/v1/register", TOKEN, &body).json()["identity"].clone();
        format!("{}.{}", identity["node_id"].as_str().unwrap(), identity["secret"].as_str().unwrap())
    };
    let packs = |bearer: &str| {
        let signed = cp.json("GET", "/node/v1/policy?after=0&wait=0", bearer, &Value::Null).json();
        let payload: Value = serde_json::from_str(signed["document"].as_str().unwrap()).unwrap();
        payload["rule_packs"].clone()
    };
    let (new, old) = (register(json!(weir_protocol::node_api::CAPABILITIES)), register(json!(["policy.1"])));
    let hash = sha256(content.as_bytes());
    assert_eq!(packs(&new)[0], json!({"name": "own", "version": "1", "sha256": hash, "bytes": content.len()}));
    assert_eq!(packs(&old), json!([]));
    let path = format!("/node/v1/blobs/{hash}");
    assert_eq!(cp.json("GET", &path, &new, &Value::Null).body, content.as_bytes());
    assert_eq!(cp.json("GET", &path, "unknown.secret", &Value::Null).status, 401);
    assert_eq!(browser.get(&path).status, 401, "people have the API");
    for other in [sha256(b"other"), "..%2fcontrol.db".into(), hash.to_uppercase()] {
        assert_eq!(cp.json("GET", &format!("/node/v1/blobs/{other}"), &new, &Value::Null).status, 404, "{other}");
    }
}

/// What a server of files answers: content and signature by their paths, under one ETag.
#[derive(Default)]
struct Files {
    content: Vec<u8>,
    signature: String,
    etag: String,
}

/// A server of files on loopback; answers its address.
fn serve(files: &Arc<Mutex<Files>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let files = Arc::clone(files);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
            let files = files.lock().unwrap();
            let (status, body) = if head[0].starts_with("get /own.yaml.sig ") {
                ("200 OK", files.signature.clone().into_bytes())
            } else if head.contains(&format!("if-none-match: {}", files.etag)) {
                ("304 Not Modified", Vec::new())
            } else {
                ("200 OK", files.content.clone())
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                files.etag,
                body.len()
            );
            // The client may be gone.
            let _sent = (&stream).write_all(&[head.as_bytes(), &body].concat());
        }
    });
    format!("http://{address}/own.yaml")
}

#[test]
fn a_mirror_takes_over_what_is_signed_and_keeps_the_last_good_otherwise() {
    let both = WEIR.all_in_one(&[]);
    let browser = both.login();
    let [key, other] = [[1u8; 32], [2; 32]].map(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).unwrap());
    let files = Arc::<Mutex<Files>>::default();
    let publish = |by: &Ed25519KeyPair, content: String, etag: &str| {
        let signature = format!("{}\n", STANDARD.encode(by.sign(content.as_bytes())));
        *files.lock().unwrap() = Files { content: content.into(), signature, etag: format!("\"{etag}\"") };
    };
    publish(&key, pack("xyzzy-plugh", "One."), "a");
    let url = serve(&files);
    let public_key = STANDARD.encode(key.public_key().as_ref());
    let set = |url: &str| {
        let body = json!({"url": url, "public_key": public_key, "period": 60});
        browser.send("PUT", "/api/v1/rule-packs/own/mirror", &body)
    };
    for bad in ["http://rules.example/own.yaml", "https://api.wallarm.com/own.yaml", "file:///etc/passwd"] {
        assert_eq!(set(bad).status, 422, "{bad}");
    }
    let mirror = || browser.get("/api/v1/mirrors").json()["items"][0].clone();
    assert_eq!(set(&url).status, 200);
    eventually("the mirrored pack on the node", || blocks(&both, "xyzzy-plugh").then_some(()));
    eventually("the first look", || (mirror()["succeeded"].as_i64() > Some(0)).then_some(()));
    assert_eq!(mirror()["last_error"], "");

    // A pack with another signer's signature is refused and reported. A mirror that is configured anew is read soon.
    publish(&other, pack("frobozz-magic", "Two."), "b");
    assert_eq!(set(&url).status, 200);
    eventually("the error", || mirror()["last_error"].as_str().unwrap().contains("signature").then_some(()));
    assert_eq!(browser.get("/api/v1/rule-packs").json()["items"].as_array().unwrap().len(), 1);
    assert!(blocks(&both, "xyzzy-plugh"), "the last good one stays");

    // Signed, but no pack.
    publish(&key, "- id: nothing".into(), "c");
    assert_eq!(set(&url).status, 200);
    eventually("the mistakes", || mirror()["last_error"].as_str().unwrap().contains("rule pack own:1:").then_some(()));
    assert!(blocks(&both, "xyzzy-plugh"));

    publish(&key, pack("frobozz-magic", "Two."), "d");
    assert_eq!(set(&url).status, 200);
    eventually("the second version", || {
        (blocks(&both, "frobozz-magic") && !blocks(&both, "xyzzy-plugh")).then_some(())
    });
    let versions = browser.get("/api/v1/rule-packs").json();
    assert_eq!((&versions["items"][0]["version"], &versions["items"][0]["author"]), (&json!(2), &json!("mirror")));
    assert_eq!(browser.send("DELETE", "/api/v1/rule-packs/own/mirror", &Value::Null).status, 204);
    assert_eq!(browser.get("/api/v1/mirrors").json()["items"], json!([]));
}

#[test]
fn a_database_and_a_pack_reach_a_node_behind_an_aggregation() {
    let cp = WEIR.control_plane(&[]);
    let browser = cp.login();
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let joins = |to: std::net::SocketAddr, data: &tempfile::TempDir| {
        [
            "api.host=127.0.0.1".to_owned(),
            format!("api.port={}", to.port()),
            "api.use_ssl=false".into(),
            format!("api.token={TOKEN}"),
            format!("data_dir={}", data.path().display()),
            "aggregation.service_address=127.0.0.1:0".into(),
        ]
    };
    let start =
        |role: &str, sets: &[String]| WEIR.node_as(&[role], &[], &sets.iter().map(String::as_str).collect::<Vec<_>>());
    let aggregation = start("aggregation", &joins(cp.api, &data[0]));
    let node = start("processing", &joins(aggregation.api, &data[1])[..5]);
    let from = |client: &str, query: &str| {
        let raw = format!("GET /?q={query} HTTP/1.1\r\nHost: a\r\n\r\n");
        node.call("/v1/requests", &[("Inspector-Client", client)], raw.as_bytes()).status == 200
    };
    let file = data[0].path().join("test.mmdb");
    database(&file, "Test-Country", json!({"country": {"iso_code": "AQ"}}));
    let mmdb = std::fs::read(&file).unwrap();
    let cut = upload(&browser, "/api/v1/databases/country", &mmdb[..mmdb.len() / 2]);
    assert_eq!(cut.status, 422, "{cut:?}");
    let made = upload(&browser, "/api/v1/databases/country?activate=true", &mmdb);
    assert_eq!(made.status, 201, "{made:?}");
    assert!(made.json()["item"]["about"].as_str().unwrap().starts_with("Test-Country"), "{made:?}");
    let listed = json!([{"list": "deny", "rule_type": "country", "value": "AQ"}]);
    let listed = browser.send("POST", "/api/v1/ip-lists", &listed);
    assert!(listed.status < 300, "{listed:?}");
    eventually("the country on the node", || from("198.51.100.9", "hello").then_some(()));
    assert!(!from("203.0.113.9", "hello"), "elsewhere it passes");
    let made = upload(&browser, "/api/v1/rule-packs/own?activate=true", pack("xyzzy-plugh", "One.").as_bytes());
    assert_eq!(made.status, 201, "{made:?}");
    eventually("the pack on the node", || from("203.0.113.9", "xyzzy-plugh").then_some(()));
    assert_eq!(browser.send("POST", "/api/v1/rule-packs/own/deactivate", &Value::Null).status, 200);
    eventually("the node without the pack", || (!from("203.0.113.9", "xyzzy-plugh")).then_some(()));
    assert_eq!(browser.send("POST", "/api/v1/databases/country/deactivate", &Value::Null).status, 200);
    eventually("the node without the database", || (!from("198.51.100.9", "hello")).then_some(()));
}
