//! Screenshots of the Console, and timings of changes made in it. Both run on demand only.

use crate::driver::{self, Browser};
use crate::pages::{PAGES, SCRIPT_EVERYWHERE, pages_of_an_attack};
use crate::weir::{KEY, Weir};
use crate::{automatic, browser_of, log_in, logged_in};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const TRAVERSAL: &[u8] = b"GET /files?name=../../../etc/passwd HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// One of a few attacks on a few hosts.
fn attack(at: u8) -> Vec<u8> {
    match at % 5 {
        0 => TRAVERSAL.to_vec(),
        1 => SCRIPT_EVERYWHERE.to_vec(),
        2 => b"GET /items?id=1'+union+select+password+from+users-- HTTP/1.1\r\nHost: api.example\r\n\r\n".to_vec(),
        3 => format!(
            "POST /run HTTP/1.1\r\nHost: api{}.example\r\nContent-Type: application/json\r\n\r\n\
             {{\"cmd\":\";cat /etc/shadow\"}}",
            at % 7
        )
        .into_bytes(),
        _ => b"GET /?u=http://169.254.169.254/latest/meta-data/ HTTP/1.1\r\nHost: shop.example\r\n\r\n".to_vec(),
    }
}

/// A rule on behaviour, so that there are sessions; a report; and the pages of both with something on them.
async fn sessions_and_alerts(weir: &Weir, browser: &Browser, dir: &Path) {
    browser.open("/rules/new/rate_limit?host=shop.example").await;
    browser.click("form[action='/rules/new/rate_limit'] .btn.primary").await;
    browser.wait_for("table tbody tr").await;
    browser.open("/alerts").await;
    browser.write("#f-name", "What happened").await;
    browser.write("#f-url", "https://chat.example.com/services/T0/B0/secret").await;
    browser.run("document.querySelector('#f-when').value = 'weekly'").await;
    browser.click("form[action='/alerts'] .btn.primary").await;
    browser.wait_for("table tbody tr").await;
    let begin = Instant::now();
    while !browser.shows("a[href^='/sessions/']").await {
        assert!(begin.elapsed() < driver::PATIENCE, "no session");
        weir.inspect("203.0.113.1", TRAVERSAL);
        tokio::time::sleep(Duration::from_secs(1)).await;
        browser.open("/sessions").await;
    }
    let session = browser.attribute("a[href^='/sessions/']", "href").await;
    browser.screenshots(dir, "session", &session).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "screenshots, on demand"]
async fn pages() {
    assert!(driver::installed());
    let dir = PathBuf::from(std::env::var_os("WEIR_SCREENSHOTS").expect("WEIR_SCREENSHOTS names a directory"));
    let weir = Weir::start_with(&[&format!("connector.auth.keys={KEY}")]);
    let browser = browser_of(&weir).await;
    browser.screenshots(&dir, "login", "/login").await;
    log_in(&browser).await;
    browser.screenshots(&dir, "attacks-empty", "/attacks").await;
    for at in 0..60u8 {
        weir.inspect(&format!("203.0.113.{}", at % 13), &attack(at));
    }
    sessions_and_alerts(&weir, &browser, &dir).await;
    // Before the denylist has hits: no rule is made from these.
    let more = pages_of_an_attack(&browser).await;
    browser.screenshots(&dir, "automatic-empty", "/automatic").await;
    automatic::fill(&weir, &browser).await;
    for (page, name) in more.iter().zip(["attack", "hit", "exception", "patch"]) {
        browser.screenshots(&dir, name, page).await;
    }
    for page in PAGES {
        let name = if *page == "/" { "dashboard".to_owned() } else { page[1..].replace('/', "-") };
        browser.screenshots(&dir, &name, page).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "timings, on demand"]
async fn times() {
    assert!(driver::installed());
    let weir = Weir::start();
    let (browser, client) = (logged_in(&weir).await, "203.0.113.9");
    for round in 0..5 {
        for (mode, verdict) in [("monitoring", "pass"), ("block", "block")] {
            browser.open("/settings").await;
            browser.click(&format!("//label[.//input[@name='mode' and @value='{mode}']]")).await;
            browser.click("form[action='/settings/mode'] button.primary").await;
            browser.click("dialog button.danger").await;
            let took = weir.wait_for_verdict(verdict, client, TRAVERSAL).await;
            println!("round {round}: {mode} took effect {} ms after the click", took.as_millis());
        }
        browser.open("/attacks").await;
        let host = format!("h{round}.example");
        weir.inspect(client, format!("GET /etc/passwd HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        let begin = Instant::now();
        browser.wait_for_row(&format!("//table[contains(@class,'attacks')]//tr[contains(.,'{host}')]")).await;
        println!(
            "round {round}: the attack appeared in the open list {} ms after the verdict",
            begin.elapsed().as_millis()
        );
    }
}
