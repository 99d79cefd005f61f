//! A headless browser, controlled through chromedriver. Both processes end with the test.

use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything. It is long because a debug build and a browser share a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Without the network flags every start contacts servers of the vendor.
const FLAGS: [&str; 10] = [
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

/// Script that runs axe-core on a page and hands over its findings as a list of lines.
const AXE: &str = include_str!("axe.js");
/// Colour schemes of the Console.
pub const SCHEMES: [&str; 2] = ["light", "dark"];
/// Widths of a phone, a tablet and a desktop.
pub const WIDTHS: [u32; 3] = [390, 1024, 1440];
/// Tallest picture of a page, in pixels.
const TALLEST: u64 = 5_000;

/// Script that returns the problems of a page as a list.
const PROBLEMS: &str = include_str!("problems.js");

/// The driver's process; its browser runs in the same process group.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ended = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _code = self.0.wait();
    }
}

/// A browser with a fresh profile.
pub struct Browser {
    client: Client,
    base: String,
    _driver: Driver,
    _profile: tempfile::TempDir,
}

/// Whether chromium and chromedriver are installed. In CI it is an error if they are not, so that no test is skipped.
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

/// The code of axe-core; none, loudly, where it is not installed. In CI it is an error if it is not.
pub fn axe() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser-tests/node_modules/axe-core/axe.min.js");
    let code = std::fs::read_to_string(path).ok();
    assert!(code.is_some() || std::env::var_os("CI").is_none(), "axe-core is missing: tests/install-deps.sh");
    if code.is_none() {
        eprintln!("SKIPPED: axe-core is missing (tests/install-deps.sh)");
    }
    code
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
        let browser = Browser { client, base, _driver: driver, _profile: profile };
        browser.size(1440, 900).await;
        let canary = json!({"source": "window.canary = () => { window.canaryCalled = true; };"});
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", canary).await;
        browser
    }

    /// Changes the size of the window.
    pub async fn size(&self, width: u32, height: u32) {
        let parameters = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", parameters).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.client.issue_cmd(Devtools { command: command.to_owned(), parameters }).await.unwrap()
    }

    /// Opens a page. `canary` is defined before any script of the page runs.
    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// Whether the page shows what `selector` (CSS, or XPath from `//` on) selects.
    pub async fn shows(&self, selector: &str) -> bool {
        self.client.find(locator(selector)).await.is_ok()
    }

    /// Waits for an element; the page has to bring it by itself.
    pub async fn wait_for(&self, selector: &str) {
        let begin = Instant::now();
        while !self.shows(selector).await {
            self.give_up_after(begin, selector).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a row of a list. An empty list does not update itself, so the page is reloaded every ten seconds.
    pub async fn wait_for_row(&self, selector: &str) {
        let (begin, mut loaded) = (Instant::now(), Instant::now());
        while !self.shows(selector).await {
            self.give_up_after(begin, selector).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            if loaded.elapsed() > Duration::from_secs(10) {
                self.client.refresh().await.unwrap();
                loaded = Instant::now();
            }
        }
    }

    async fn give_up_after(&self, begin: Instant, selector: &str) {
        if begin.elapsed() > PATIENCE {
            let url = self.client.current_url().await.unwrap();
            panic!("{selector} is not on {url}:\n{}", self.client.source().await.unwrap());
        }
    }

    /// Waits for an element and clicks it.
    pub async fn click(&self, selector: &str) {
        self.wait_for(selector).await;
        let begin = Instant::now();
        loop {
            let clicked = match self.client.find(locator(selector)).await {
                Ok(element) => element.click().await,
                Err(error) => Err(error),
            };
            match clicked {
                Ok(()) => return,
                // The element moves, or the page is being replaced.
                Err(CmdError::Standard(_)) if begin.elapsed() < PATIENCE => {}
                Err(error) => panic!("{selector}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Writes into a field.
    pub async fn write(&self, selector: &str, text: &str) {
        self.wait_for(selector).await;
        let field = self.client.find(locator(selector)).await.unwrap_or_else(|e| panic!("{selector}: {e}"));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// An attribute of an element.
    pub async fn attribute(&self, selector: &str, name: &str) -> String {
        self.wait_for(selector).await;
        let element = self.client.find(locator(selector)).await.unwrap();
        element.attr(name).await.unwrap().expect("the attribute")
    }

    /// Runs script in the page, as an attacker's would.
    pub async fn run(&self, script: &str) {
        self.client.execute(script, vec![]).await.unwrap();
    }

    /// Problems of the open page.
    pub async fn problems(&self) -> Vec<String> {
        let problems = self.client.execute(PROBLEMS, vec![]).await.unwrap();
        serde_json::from_value(problems).unwrap()
    }

    /// Findings of axe-core, whose code is `axe`, on the open page.
    pub async fn axe(&self, axe: &str) -> Vec<String> {
        self.run(axe).await;
        let found = self.client.execute_async(AXE, vec![]).await.unwrap();
        serde_json::from_value(found).unwrap()
    }

    /// Shows pages in a colour scheme from now on, without animations.
    pub async fn scheme(&self, scheme: &str) {
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Screenshots of a whole page: light and dark, in each width.
    pub async fn screenshots(&self, dir: &Path, name: &str, path: &str) {
        std::fs::create_dir_all(dir).unwrap();
        for scheme in SCHEMES {
            self.scheme(scheme).await;
            for width in WIDTHS {
                self.size(width, 900).await;
                self.open(path).await;
                let height = self.client.execute("return document.documentElement.scrollHeight", vec![]).await.unwrap();
                self.size(width, height.as_u64().map_or(900, |height| height.clamp(900, TALLEST) as u32)).await;
                let picture = self.client.screenshot().await.unwrap();
                std::fs::write(dir.join(format!("{name}-{scheme}-{width}.png")), picture).unwrap();
            }
        }
        self.size(1440, 900).await;
    }

    /// Waits until the JavaScript expression holds on the page that is then shown.
    pub async fn until(&self, what: &str, expression: &str) {
        let begin = Instant::now();
        loop {
            // Script may fail while the page is being replaced.
            let seen = self.client.execute(&format!("return Boolean({expression})"), vec![]).await;
            if matches!(seen, Ok(Value::Bool(true))) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "timed out waiting for {what}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn locator(selector: &str) -> Locator<'_> {
    if selector.starts_with("//") { Locator::XPath(selector) } else { Locator::Css(selector) }
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
