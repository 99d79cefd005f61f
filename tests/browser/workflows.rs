//! Changes made in the Console change verdicts.

use crate::logged_in;
use crate::weir::{BENIGN, KEY, Weir};
use crate::{automatic, driver};

const CLIENT: &str = "203.0.113.9";
/// Two signatures match, and each match alone is an attack.
const ATTACK: &[u8] = b"GET /download?file=../../../../etc/passwd HTTP/1.1\r\nHost: shop.example\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_appears_is_filtered_marked_and_gets_an_exception() {
    if !driver::installed() {
        return;
    }
    let weir = Weir::start();
    let browser = logged_in(&weir).await;
    browser.open("/attacks").await;
    browser.until("the empty list", "document.querySelector('#try-it')").await;
    assert_eq!(weir.inspect(CLIENT, ATTACK), "block");
    let sent = std::time::Instant::now();
    loop {
        browser.open("/attacks").await;
        if browser.shows("tr[data-id]").await {
            break;
        }
        assert!(sent.elapsed() < driver::PATIENCE, "the attack never appeared");
    }
    println!("attack in the list after {:?}", sent.elapsed());
    browser.write("#q", "d:other.example").await;
    browser.click(".search .btn").await;
    browser
        .until(
            "no attack of another host",
            "location.search.includes('other') && document.querySelector('#list .empty')",
        )
        .await;
    browser.write("#q", "d:shop.example").await;
    browser.click(".search .btn").await;
    browser
        .until("the attack of this host", "location.search.includes('shop') && document.querySelector('tr[data-id]')")
        .await;
    browser.click("tr[data-id] a.kind").await;
    browser.click("a[href^='/hits/']").await;
    browser.click(".marks button[value=fp]").await;
    let marked = "[...document.querySelectorAll('.badge')].some(b => b.textContent.includes('False positive'))";
    browser.until("the mark", marked).await;
    browser.click("a[href$='/exception']").await;
    let says = |text: &str| format!("document.querySelector('#preview')?.textContent.includes('{text}')");
    browser.until("an exception that suffices", &says("This hit would pass")).await;
    browser.click("label.option:has(input[value='0:stamp'])").await;
    browser.until("that one signature is not enough", &says("would still be an attack")).await;
    browser.until("that it can be created all the same", "!document.querySelector('[formmethod=post]').disabled").await;
    browser.click("label.option:has(input[value='0:type'])").await;
    browser.until("the proposal again", &says("This hit would pass")).await;
    browser.click("button[formmethod=post]").await;
    println!("the exception took effect after {:?}", weir.wait_for_verdict("pass", CLIENT, ATTACK).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denylisted_address_is_blocked_and_a_changed_mode_takes_effect() {
    if !driver::installed() {
        return;
    }
    let weir = Weir::start();
    let browser = logged_in(&weir).await;
    assert_eq!(weir.inspect(CLIENT, BENIGN), "pass");
    browser.open("/lists?list=deny&value=203.0.113.9").await;
    browser.click("form[action='/lists/add'] .btn.primary").await;
    println!("the denylist took effect after {:?}", weir.wait_for_verdict("block", CLIENT, BENIGN).await);
    let other = "198.51.100.7";
    assert_eq!((weir.inspect(other, BENIGN), weir.inspect(other, ATTACK)), ("pass".into(), "block".into()));
    browser.open("/settings").await;
    browser.click("label.option:has(input[value=monitoring])").await;
    browser.click("#mode .btn.primary").await;
    browser.click("dialog .btn.danger").await;
    browser.until("the page that asks to confirm", "document.querySelector('#confirm-word')").await;
    browser.write("#confirm-word", "everywhere").await;
    browser.click("form.card .btn.danger").await;
    println!("the mode took effect after {:?}", weir.wait_for_verdict("pass", other, ATTACK).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_proposed_from_traffic_is_used() {
    if !driver::installed() {
        return;
    }
    let weir = Weir::start();
    let browser = logged_in(&weir).await;
    // A limit of one for each address: when the second request is blocked, the node has the rule.
    browser.open("/rules/new/rate_limit?host=shop.example&threshold=1&reaction=block").await;
    browser.click("form.split .row .btn.primary").await;
    browser.until("the list of rules", "location.pathname === '/rules'").await;
    weir.wait_for_verdict("block", CLIENT, BENIGN).await;
    let rule = browser.attribute("td a[href^='/rules/']", "href").await;
    browser.open(&rule).await;
    browser
        .until("no proposal yet", "document.querySelector('#check') && !document.querySelector('[name=set_threshold]')")
        .await;
    // Every address sends one request; of so many counts 99.9 % are one.
    for number in 0..1_100 {
        assert_eq!(weir.inspect(&format!("198.18.{}.{}", number / 250, number % 250), BENIGN), "pass");
    }
    // Minutes are shipped when they are over.
    let sent = std::time::Instant::now();
    while !browser.shows("[name=set_threshold]").await {
        assert!(sent.elapsed() < 2 * driver::PATIENCE, "nothing was proposed");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        browser.open(&rule).await;
    }
    assert_eq!(browser.attribute("[name=set_threshold]", "value").await, "1");
    browser.write("[name=threshold]", "50").await;
    browser.click("[name=set_threshold]").await;
    browser.until("the form with the proposal", "document.querySelector('[name=threshold]').value === '1'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_entry_is_lifted_and_a_key_is_excepted() {
    if !driver::installed() {
        return;
    }
    let weir = Weir::start_with(&[&format!("connector.auth.keys={KEY}")]);
    let browser = logged_in(&weir).await;
    let (lifted, excepted, entries) = (CLIENT, "198.51.100.7", "form[action='/automatic/decide']");
    automatic::make_rule(&weir, &browser, lifted).await;
    for (client, button) in [(lifted, "[value='']"), (excepted, "[value='2592000']")] {
        automatic::walk_until_denied(&weir, client);
        automatic::open_until(&browser, entries).await;
        browser.click(&format!("{entries} button[name=except]{button}")).await;
        println!("the decision took effect after {:?}", weir.wait_for_verdict("pass", client, BENIGN).await);
    }
    // The rule no longer applies to the excepted source, and still to others.
    automatic::walk_freely(&weir, excepted);
    automatic::walk_until_denied(&weir, "192.0.2.33");
}
