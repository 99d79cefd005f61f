//! E-mail, through a real server: `tests/mail/server.py`, which needs what `tests/install-deps.sh` installs.

use super::{Smtp, SmtpLogin, SmtpTls};
use crate::auth::Role;
use crate::outgoing::{Outgoing, Roots};
use crate::testing::Fixture;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A mail server; its process ends with it.
struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
    directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.child.kill();
        let _code = self.child.wait();
    }
}

impl Server {
    /// Starts one; none, loudly, where aiosmtpd is not installed.
    fn start(mode: &str) -> Option<Server> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("target/mail-tests/bin/python");
        if !python.exists() {
            assert!(std::env::var_os("CI").is_none(), "aiosmtpd is missing: run tests/install-deps.sh");
            eprintln!("SKIPPED: aiosmtpd is missing (tests/install-deps.sh)");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(directory.path().join("password"), "s3cret-password\n").unwrap();
        let mut command = Command::new(python);
        command.arg(root.join("tests/mail/server.py")).arg(mode).arg(&certificate).arg(&key);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        Some(Server { child, lines, port, directory })
    }

    fn message(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// A control plane that sends through it, and trusts its certificate.
    async fn fixture(&self, tls: SmtpTls, login: bool) -> Fixture {
        let password_file = self.directory.path().join("password");
        let smtp = Smtp {
            host: "localhost".into(),
            port: self.port,
            tls,
            login: login.then(|| SmtpLogin { user: "weir".into(), password_file }),
            from: "weir <weir@console.example>".into(),
        };
        let outgoing = Outgoing::new(&Roots::File(self.directory.path().join("cert.pem")), true).unwrap();
        with(smtp, outgoing).await
    }
}

async fn with(smtp: Smtp, outgoing: Outgoing) -> Fixture {
    Fixture::with(|config| (config.smtp, config.outgoing) = (Some(smtp), outgoing)).await
}

/// Makes an alert with two recipients and sends a test: whether it was delivered.
async fn send_test(fixture: &Fixture) -> bool {
    let to = ["ops@a.example", "sec@b.example"];
    let new = json!({"name": "angriffe für alle", "channel": {"kind": "email", "to": to}, "hits": 1, "minutes": 5});
    let made = fixture.as_role(Role::Administrator, "POST", "/api/v1/alerts", &new).await;
    assert_eq!((made.status, &made.json()["channel"]["to"]), (StatusCode::CREATED, &json!(to)), "{made:?}");
    let path = format!("/api/v1/alerts/{}/test", made.json()["id"].as_str().unwrap());
    let tested = fixture.as_role(Role::Administrator, "POST", &path, &Value::Null).await.json();
    assert!(!tested.to_string().contains("s3cret"), "{tested}");
    tested["delivered"].as_bool().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn e_mail_is_delivered_by_each_kind_of_encryption() {
    for (mode, tls, login) in
        [("plain", SmtpTls::None, false), ("starttls", SmtpTls::StartTls, true), ("implicit", SmtpTls::Implicit, false)]
    {
        let Some(mut server) = Server::start(mode) else { return };
        assert!(send_test(&server.fixture(tls, login).await).await, "{mode}");
        let message = server.message();
        assert_eq!(message["from"], "weir@console.example");
        assert_eq!(message["to"], json!(["ops@a.example", "sec@b.example"]));
        assert_eq!((&message["secure"], &message["login"]), (&json!(mode != "plain"), &json!(login)), "{mode}");
        let text = message["text"].as_str().unwrap();
        for part in ["\r\nSubject: weir test: ", "\r\nDate: ", "@console.example>\r\n", "This is a test of the alert"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_starttls_gets_no_message_and_no_password() {
    let Some(server) = Server::start("plain") else { return };
    assert!(!send_test(&server.fixture(SmtpTls::StartTls, true).await).await);
    // Nor does one with an untrusted certificate.
    let Some(server) = Server::start("starttls") else { return };
    let mut fixture = server.fixture(SmtpTls::StartTls, true).await;
    let smtp = fixture.app.config.smtp.clone().unwrap();
    fixture = with(smtp.clone(), Outgoing::default()).await;
    assert!(!send_test(&fixture).await);
    // Where private networks are forbidden it is not even contacted.
    let outgoing = Outgoing::new(&Roots::File(server.directory.path().join("cert.pem")), false).unwrap();
    assert!(!send_test(&with(smtp.clone(), outgoing).await).await);
    // Nor is one with a wrong password believed to have taken it.
    std::fs::write(server.directory.path().join("password"), "wrong\n").unwrap();
    let outgoing = Outgoing::new(&Roots::File(server.directory.path().join("cert.pem")), true).unwrap();
    assert!(!send_test(&with(smtp, outgoing).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_or_hangs_is_reported_and_tried_again() {
    for (mode, why) in [("refuse", "no such user"), ("hang", "took longer than 20 seconds")] {
        let Some(server) = Server::start(mode) else { return };
        let fixture = server.fixture(SmtpTls::None, false).await;
        let channel = json!({"kind": "email", "to": ["ops@a.example"]});
        let new = json!({"name": "d", "channel": channel, "hits": 0, "minutes": 60, "digest": true});
        let made = fixture.as_role(Role::Administrator, "POST", "/api/v1/alerts", &new).await.json();
        fixture.clock.advance(3_600_000);
        fixture.app.alert_round().await.unwrap();
        let shown = fixture.app.alert(made["id"].as_str().unwrap()).await.unwrap();
        assert_eq!((shown.failures, shown.sent), (1, 0), "{mode}");
        assert!(shown.last_error.contains(why), "{mode}: {}", shown.last_error);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_sent_again_has_the_same_message_id() {
    let Some(mut server) = Server::start("plain") else { return };
    let fixture = server.fixture(SmtpTls::None, false).await;
    let channel = json!({"kind": "email", "to": ["ops@a.example"]});
    let new = json!({"name": "r", "channel": channel, "report": {"every": "daily", "hour": 6}});
    let made = fixture.as_role(Role::Administrator, "POST", "/api/v1/alerts", &new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let mut sent = || {
        let message = server.message();
        let text = message["text"].as_str().unwrap();
        text.lines().find(|line| line.starts_with("Message-ID: ")).unwrap().to_owned()
    };
    fixture.clock.advance(24 * 3_600_000);
    fixture.app.alert_round().await.unwrap();
    let first = sent();
    assert!(first.contains("<report-") && first.ends_with("@console.example>"), "{first}");
    super::report_tests::forget_delivery(&fixture).await;
    fixture.app.alert_round().await.unwrap();
    assert_eq!(sent(), first);
    fixture.clock.advance(24 * 3_600_000);
    fixture.app.alert_round().await.unwrap();
    assert_ne!(sent(), first);
}

#[tokio::test]
async fn recipients_are_addresses() {
    let smtp =
        Smtp { host: "localhost".into(), port: 1, tls: SmtpTls::None, login: None, from: "weir@a.example".into() };
    let fixture = with(smtp, Outgoing::default()).await;
    for to in
        [json!([]), json!(["a.example"]), json!(["a@b.example\r\nBcc: c@d.example"]), json!(vec!["a@b.example"; 21])]
    {
        let new = json!({"name": "a", "channel": {"kind": "email", "to": to}, "hits": 1, "minutes": 1});
        let refused = fixture.as_role(Role::Administrator, "POST", "/api/v1/alerts", &new).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
        assert_eq!(refused.json()["errors"][0]["field"], "channel.to", "{refused:?}");
    }
}
