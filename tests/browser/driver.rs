//! A browser without a window, by its driver. Both end with the test.

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(120);
const FLAGS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// The driver's process; its browser runs in the same process group.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _code = self.0.wait();
    }
}

/// A browser with a fresh profile.
pub struct Browser {
    pub client: Client,
    base: String,
    _driver: Driver,
    _profile: tempfile::TempDir,
}

/// Whether this machine has a browser and its driver. In CI nothing is skipped: there a lack of one is an error.
pub fn installed() -> bool {
    let there = ["chromium", "chromedriver"].iter().all(|name| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
    });
    assert!(there || std::env::var_os("CI").is_none(), "chromium or chromedriver is missing: tests/install-deps.sh");
    if !there {
        eprintln!("SKIPPED: chromium or chromedriver is missing (tests/install-deps.sh)");
    }
    there
}

impl Browser {
    /// Starts one that shows the pages below `base`.
    pub async fn start(base: String) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = Driver(command.spawn().unwrap());
        let mut lines = BufReader::new(driver.0.stdout.take().unwrap()).lines();
        let port: u16 = loop {
            let line = lines.next().expect("the driver ended").unwrap();
            if let Some((_, rest)) = line.split_once("successfully on port ") {
                break rest.trim_end_matches('.').parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let Value::Object(wanted) = json!({"goog:chromeOptions": {"args": flags}}) else { unreachable!() };
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Browser { client, base, _driver: driver, _profile: profile }
    }

    /// Opens a page.
    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// Waits for what `css` selects, and clicks it.
    pub async fn click(&self, css: &str) {
        let wait = self.client.wait().at_most(PATIENCE);
        wait.for_element(Locator::Css(css)).await.unwrap_or_else(|e| panic!("{css}: {e}")).click().await.unwrap();
    }

    /// Writes into a field.
    pub async fn write(&self, css: &str, text: &str) {
        let wait = self.client.wait().at_most(PATIENCE);
        let field = wait.for_element(Locator::Css(css)).await.unwrap_or_else(|e| panic!("{css}: {e}"));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Waits until the JavaScript expression holds on the page that is then shown.
    pub async fn until(&self, what: &str, expression: &str) {
        let begin = Instant::now();
        loop {
            // While a page gives way to another there may be no answer.
            let seen = self.client.execute(&format!("return Boolean({expression})"), vec![]).await;
            if matches!(seen, Ok(Value::Bool(true))) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{what} did not happen: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
