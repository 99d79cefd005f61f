//! The Console as people use it: Debian's Chromium, driven over WebDriver, against one process with its node.
//!
//! `WEIR_SCREENSHOTS=DIR cargo test --test it console::pages -- --ignored` leaves a picture of each page in `DIR`, light
//! and dark, wide and narrow. `cargo test --test it console::times -- --ignored --nocapture` tells how long changes take.

mod driver;

use crate::control_plane::{ControlPlane, PASSWORD};
use crate::node::read;
use driver::Chrome;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Pages with a link in the navigation, and one more.
const PAGES: &[&str] = &[
    "/",
    "/attacks",
    "/lists",
    "/rules",
    "/rules/new",
    "/catalogue",
    "/settings",
    "/nodes",
    "/packs",
    "/policy",
    "/tokens",
    "/users",
    "/audit",
    "/account",
];
/// A hit whose every field would run script if a page let it.
const LOUD: &[u8] = b"GET /%3Cscript%3Ecanary()%3C/script%3E?%22%3E%3Cimg+src=x+onerror=canary()%3E=%27%22%3E%3Csvg/onload=canary()%3E \
HTTP/1.1\r\nHost: a.example\r\nUser-Agent: \"><script>canary()</script>\r\nReferer: javascript:canary()\r\n\
Cookie: a=<img src=x onerror=canary()>\r\nX-<b>: </pre><script>canary()</script>\r\n\r\n";
const TRAVERSAL: &[u8] = b"GET /files?name=../../../etc/passwd HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// The verdict on a raw request.
fn judge(of: &ControlPlane, raw: &[u8], client: &str) -> String {
    let mut stream = TcpStream::connect(of.node.unwrap()).unwrap();
    stream.write_all(&crate::node::call("/v1/requests", &[("Inspector-Client", client)], raw)).unwrap();
    read(&mut BufReader::new(stream)).unwrap().header("inspector-verdict").unwrap().to_owned()
}

/// Waits until `raw` gets the verdict; how long it took.
async fn until_judged(of: &ControlPlane, raw: &[u8], client: &str, verdict: &str) -> Duration {
    let begin = Instant::now();
    while judge(of, raw, client) != verdict {
        assert!(begin.elapsed() < driver::PATIENCE, "the verdict did not become {verdict}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    begin.elapsed()
}

async fn log_in(chrome: &Chrome, of: &ControlPlane) {
    chrome.open(of, "/").await;
    chrome.fill("#login", "admin").await;
    chrome.fill("#password", PASSWORD).await;
    chrome.click("form[action='/login'] button").await;
    chrome.wait_for("form[action='/logout']").await;
}

/// Presses the button of `form` and says yes to its question.
async fn submit_surely(chrome: &Chrome, form: &str) {
    chrome.click(&format!("{form} button.primary")).await;
    chrome.click("dialog button.danger").await;
}

#[tokio::test]
async fn no_page_runs_what_attackers_send_and_each_is_accessible() {
    let Some(chrome) = Chrome::start().await else { return };
    let both = ControlPlane::start_all(&[]);
    log_in(&chrome, &both).await;
    assert_eq!(judge(&both, LOUD, "203.0.113.9:1"), "block");
    chrome.open(&both, "/attacks").await;
    chrome.wait_for("table.attacks tbody tr").await;
    let attack = chrome.attribute("table.attacks a[href^='/attacks/']", "href").await;
    chrome.open(&both, &attack).await;
    let hit = chrome.attribute("a[href^='/hits/']", "href").await;
    let hit = hit.split('/').take(3).collect::<Vec<_>>().join("/");
    let loud = "/attacks?q=%22%3E%3Cscript%3Ecanary()%3C/script%3E";
    let more = [attack, hit.clone(), format!("{hit}/exception"), format!("{hit}/patch"), loud.to_owned()];
    for page in PAGES.iter().map(|page| (*page).to_owned()).chain(more) {
        chrome.open(&both, &page).await;
        let wrong = chrome.problems().await;
        assert!(wrong.is_empty(), "{page}: {wrong:?}");
    }
    // The canary sings if it is touched.
    chrome.run("canary()").await;
    assert_eq!(chrome.problems().await, ["script of an attacker ran"]);
    chrome.stop().await;
}

#[tokio::test]
#[ignore = "pictures for people"]
async fn pages() {
    let dir = std::env::var_os("WEIR_SCREENSHOTS").expect("WEIR_SCREENSHOTS names a directory");
    let chrome = Chrome::start().await.expect("chromium and chromedriver");
    let both = ControlPlane::start_all(&[]);
    chrome.picture_all(&both, std::path::Path::new(&dir), "login", "/login").await;
    log_in(&chrome, &both).await;
    chrome.picture_all(&both, std::path::Path::new(&dir), "attacks-empty", "/attacks").await;
    for at in 0..60u8 {
        let raw = match at % 5 {
            0 => TRAVERSAL.to_vec(),
            1 => LOUD.to_vec(),
            2 => b"GET /items?id=1'+union+select+password+from+users-- HTTP/1.1\r\nHost: api.example\r\n\r\n".to_vec(),
            3 => format!("POST /run HTTP/1.1\r\nHost: api{}.example\r\nContent-Type: application/json\r\n\r\n{{\"cmd\":\";cat /etc/shadow\"}}", at % 7).into_bytes(),
            _ => b"GET /?u=http://169.254.169.254/latest/meta-data/ HTTP/1.1\r\nHost: shop.example\r\n\r\n".to_vec(),
        };
        judge(&both, &raw, &format!("203.0.113.{}:1", at % 13));
    }
    chrome.open(&both, "/attacks").await;
    chrome.wait_for("table.attacks tbody tr").await;
    let attack = chrome.attribute("table.attacks a[href^='/attacks/']", "href").await;
    chrome.open(&both, &attack).await;
    let hit = chrome.attribute("a[href^='/hits/']", "href").await;
    let hit = hit.split('/').take(3).collect::<Vec<_>>().join("/");
    let more = [attack, hit.clone(), format!("{hit}/exception"), format!("{hit}/patch")];
    let names = ["attack", "hit", "exception", "patch"];
    for (page, name) in more.iter().zip(names) {
        chrome.picture_all(&both, std::path::Path::new(&dir), name, page).await;
    }
    for page in PAGES {
        let name = if *page == "/" { "dashboard".to_owned() } else { page[1..].replace('/', "-") };
        chrome.picture_all(&both, std::path::Path::new(&dir), &name, page).await;
    }
    chrome.stop().await;
}

#[tokio::test]
#[ignore = "times for people"]
async fn times() {
    let chrome = Chrome::start().await.expect("chromium and chromedriver");
    let both = ControlPlane::start_all(&[]);
    log_in(&chrome, &both).await;
    for round in 0..5 {
        for (mode, verdict) in [("monitoring", "pass"), ("block", "block")] {
            chrome.open(&both, "/settings").await;
            chrome.click(&format!("//label[.//input[@name='mode' and @value='{mode}']]")).await;
            submit_surely(&chrome, "form[action='/settings/mode']").await;
            let took = until_judged(&both, TRAVERSAL, "203.0.113.9:1", verdict).await;
            println!("round {round}: {mode} acted {} ms after the click", took.as_millis());
        }
        chrome.open(&both, "/attacks").await;
        let host = format!("h{round}.example");
        let raw = format!("GET /etc/passwd HTTP/1.1\r\nHost: {host}\r\n\r\n");
        judge(&both, raw.as_bytes(), "203.0.113.9:1");
        let begin = Instant::now();
        chrome.wait_for(&format!("//table[contains(@class,'attacks')]//tr[contains(.,'{host}')]")).await;
        println!(
            "round {round}: the attack stood in the open list {} ms after the answer",
            begin.elapsed().as_millis()
        );
    }
    chrome.stop().await;
}
