//! A browser of its own for each test.

use crate::control_plane::ControlPlane;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything: a debug build and a browser share a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Without the network flags every start tries to reach hosts of the maker.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
];
/// What each page must have, told as a list of what it has not. `canary` is called by script that got through.
const PROBLEMS: &str = r#"
const wrong = [];
if (window.canaryCalled) wrong.push("script of an attacker ran");
if (document.querySelectorAll("h1").length !== 1) wrong.push(`${document.querySelectorAll("h1").length} h1`);
if (!document.documentElement.lang) wrong.push("no lang");
if (!document.title.trim()) wrong.push("no title");
for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  if (!field.labels?.length && !field.ariaLabel && !field.getAttribute("aria-labelledby")) wrong.push(`no label: ${field.outerHTML.slice(0, 90)}`);
}
for (const button of document.querySelectorAll("button, a[href]")) {
  if (!(button.textContent.trim() || button.ariaLabel)) wrong.push(`no name: ${button.outerHTML.slice(0, 90)}`);
}
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) wrong.push(`id twice: ${id}`);
if (document.querySelector("script:not([src])")) wrong.push("inline script");
if (document.documentElement.scrollWidth > document.documentElement.clientWidth + 1) wrong.push("wider than the window");
return wrong;
"#;

/// A driver and its one window.
pub struct Chrome {
    driver: Child,
    client: Client,
    _profile: tempfile::TempDir,
}

impl Drop for Chrome {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.driver.kill();
        let _code = self.driver.wait();
    }
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

impl Chrome {
    /// None, said loudly, where the machine has no browser.
    pub async fn start() -> Option<Chrome> {
        if !is_there("chromedriver") || !is_there("chromium") {
            assert!(
                std::env::var_os("CI").is_none(),
                "in CI nothing is skipped: tests/install-deps.sh installs a browser"
            );
            eprintln!("SKIPPED: no chromium with chromedriver here; tests/install-deps.sh installs them");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver says its port").unwrap();
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        let profile_flag = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<&str> = FLAGS.iter().copied().chain([profile_flag.as_str()]).collect();
        let options = json!({"args": flags, "binary": "/usr/bin/chromium"});
        let wanted = json!({"goog:chromeOptions": options}).as_object().unwrap().clone();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(wanted).connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
        let chrome = Chrome { driver, client, _profile: profile };
        chrome.size(1440, 900).await;
        let canary = json!({"source": "window.canary = () => { window.canaryCalled = true; };"});
        chrome.devtools("Page.addScriptToEvaluateOnNewDocument", canary).await;
        Some(chrome)
    }

    /// Ends the window.
    pub async fn stop(self) {
        self.client.clone().close().await.unwrap();
    }

    async fn size(&self, width: u32, height: u32) {
        let parameters = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", parameters).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.client.issue_cmd(Devtools { command: command.to_owned(), parameters }).await.unwrap()
    }

    /// Opens a page of the Console; script that gets through may call `canary` from its first moment.
    pub async fn open(&self, of: &ControlPlane, path: &str) {
        self.client.goto(&format!("http://{}{path}", of.api)).await.unwrap();
    }

    fn locator(selector: &str) -> Locator<'_> {
        if selector.starts_with("//") { Locator::XPath(selector) } else { Locator::Css(selector) }
    }

    /// Waits for an element, reloading nothing: live pages must bring it themselves, others are opened anew by the caller.
    pub async fn wait_for(&self, selector: &str) {
        let begin = Instant::now();
        while self.client.find(Self::locator(selector)).await.is_err() {
            if begin.elapsed() > PATIENCE {
                let url = self.client.current_url().await.unwrap();
                panic!("{selector} is not on {url}:\n{}", self.client.source().await.unwrap());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            // Lists are live only where something was there to be listed.
            if begin.elapsed().as_secs() % 10 == 9 {
                let _reloaded = self.client.refresh().await;
            }
        }
    }

    /// Clicks what a person would see, waiting for it.
    pub async fn click(&self, selector: &str) {
        self.wait_for(selector).await;
        let begin = Instant::now();
        loop {
            let clicked = match self.client.find(Self::locator(selector)).await {
                Ok(element) => element.click().await,
                Err(error) => Err(error),
            };
            match clicked {
                Ok(()) => return,
                Err(CmdError::Standard(_)) if begin.elapsed() < PATIENCE => {}
                Err(error) => panic!("{selector}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Types into a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        self.wait_for(selector).await;
        self.client.find(Self::locator(selector)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// An attribute of an element.
    pub async fn attribute(&self, selector: &str, name: &str) -> String {
        self.wait_for(selector).await;
        self.client.find(Self::locator(selector)).await.unwrap().attr(name).await.unwrap().expect("the attribute")
    }

    /// Runs script in the page, as an attacker's would.
    pub async fn run(&self, script: &str) {
        self.client.execute(script, vec![]).await.unwrap();
    }

    /// What is wrong with the page that is open.
    pub async fn problems(&self) -> Vec<String> {
        let told = self.client.execute(PROBLEMS, vec![]).await.unwrap();
        serde_json::from_value(told).unwrap()
    }

    /// Pictures of a page: light and dark, wide and narrow.
    pub async fn picture_all(&self, of: &ControlPlane, dir: &Path, name: &str, path: &str) {
        std::fs::create_dir_all(dir).unwrap();
        for scheme in ["light", "dark"] {
            let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            self.devtools("Emulation.setEmulatedMedia", features).await;
            for (shape, width) in [("wide", 1440), ("narrow", 390)] {
                self.size(width, 900).await;
                self.open(of, path).await;
                let picture = self.client.screenshot().await.unwrap();
                std::fs::write(dir.join(format!("{name}-{scheme}-{shape}.png")), picture).unwrap();
            }
        }
        self.size(1440, 900).await;
    }
}

/// A command of Chromium's own, over the driver.
#[derive(Debug)]
struct Devtools {
    command: String,
    parameters: Value,
}

impl fantoccini::wd::WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.command, "params": self.parameters}).to_string()))
    }
}
