//! Automatic entries: a rule that brings walkers through ids on the denylist, and sources that it lists.

use crate::driver::{self, Browser};
use crate::weir::{BENIGN, Weir};
use std::time::Instant;

/// The many requests of a walk through ids.
fn step(number: usize) -> Vec<u8> {
    format!("GET /orders/{number} HTTP/1.1\r\nHost: shop.example\r\n\r\n").into_bytes()
}

/// Makes the rule, and waits until `client` was seen to come under it.
pub async fn make_rule(weir: &Weir, browser: &Browser, client: &str) {
    let query = "host=shop.example&distinct=path:1&threshold=5&reaction=denylist&duration=3600";
    browser.open(&format!("/rules/new/bola?{query}")).await;
    browser.click("form.split .row .btn.primary").await;
    browser.until("the list of rules", "location.pathname === '/rules'").await;
    let sent = Instant::now();
    while (0..10).all(|number| weir.inspect(client, &step(number)) == "pass") {
        assert!(sent.elapsed() < driver::PATIENCE, "the rule never reached the node");
    }
}

/// Sends the first of many requests until the source is denied.
pub fn walk_until_denied(weir: &Weir, client: &str) {
    let denied = (0..100).any(|number| {
        weir.inspect(client, &step(number));
        weir.inspect(client, BENIGN) == "block"
    });
    assert!(denied, "{client} was never denied");
}

/// Walks through ids that are no longer counted.
pub fn walk_freely(weir: &Weir, client: &str) {
    for number in 0..30 {
        assert_eq!(weir.inspect(client, &step(number)), "pass", "{number}");
    }
}

/// Opens the page of entries until it shows `what`.
pub async fn open_until(browser: &Browser, what: &str) {
    let sent = Instant::now();
    browser.open("/automatic").await;
    while !browser.shows(what).await {
        assert!(sent.elapsed() < driver::PATIENCE, "{what} never appeared");
        browser.open("/automatic").await;
    }
}

/// Entries of sources of several kinds, and an exception.
pub async fn fill(weir: &Weir, browser: &Browser) {
    let (first, excepted) = ("192.0.2.33", "198.51.100.7");
    make_rule(weir, browser, first).await;
    for client in [first, excepted, "203.0.113.201", "[2001:db8:1234:5678:9abc:def0:1234:5678]"] {
        walk_until_denied(weir, client);
    }
    let button = format!("//tr[contains(., '{excepted}')]//button[@value='2592000']");
    open_until(browser, &button).await;
    browser.click(&button).await;
    open_until(browser, "section[aria-label=Exceptions], [aria-label=Exceptions] tbody tr").await;
}
