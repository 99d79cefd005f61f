//! No page runs script from attackers, and every page is accessible.

use crate::driver::{self, Browser, SCHEMES, WIDTHS};
use crate::weir::{KEY, Weir};
use crate::{automatic, logged_in};

/// Pages with a link in the navigation, those of a source, a host and an application, and forms of rules.
pub const PAGES: &[&str] = &[
    "/",
    "/attacks",
    "/blocking",
    "/sources/203.0.113.9",
    "/sources/2001:db8::1",
    "/hosts/a.example",
    "/applications/-1",
    "/automatic",
    "/sessions",
    "/alerts",
    "/lists",
    "/rules",
    "/rules/new",
    "/rules/new/block_reply",
    "/rules/new/brute",
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
/// A request with script in every field.
pub const SCRIPT_EVERYWHERE: &[u8] = b"GET /%3Cscript%3Ecanary()%3C/script%3E?%22%3E%3Cimg+src=x+onerror=canary()%3E=%27%22%3E%3Csvg/onload=canary()%3E \
HTTP/1.1\r\nHost: a.example\r\nUser-Agent: \"><script>canary()</script>\r\nReferer: javascript:canary()\r\n\
Cookie: a=<img src=x onerror=canary()>\r\nX-<b>: </pre><script>canary()</script>\r\n\r\n";

/// Pages of the newest attack: its own, its newest hit, and the exception and virtual patch forms of that hit.
pub async fn pages_of_an_attack(browser: &Browser) -> [String; 4] {
    browser.open("/attacks").await;
    browser.wait_for_row("table.attacks tbody tr").await;
    let attack = browser.attribute("table.attacks a[href^='/attacks/']", "href").await;
    browser.open(&attack).await;
    let hit = browser.attribute("a[href^='/hits/']", "href").await;
    let hit = hit.split('/').take(3).collect::<Vec<_>>().join("/");
    [attack, hit.clone(), format!("{hit}/exception"), format!("{hit}/patch")]
}

/// Problems of a page in light and dark and in each width.
async fn problems_of(browser: &Browser, page: &str, axe: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    for scheme in SCHEMES {
        browser.scheme(scheme).await;
        browser.open(page).await;
        for width in WIDTHS {
            browser.size(width, 900).await;
            let wrong = browser.problems().await;
            all.extend(wrong.into_iter().map(|one| format!("{page} ({scheme}, {width} px): {one}")));
        }
        if let Some(axe) = axe {
            let found = browser.axe(axe).await;
            all.extend(found.into_iter().map(|one| format!("{page} ({scheme}): {one}")));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_runs_attacker_script_and_every_page_is_accessible() {
    if !driver::installed() {
        return;
    }
    let weir = Weir::start_with(&[&format!("connector.auth.keys={KEY}")]);
    let browser = logged_in(&weir).await;
    assert_eq!(weir.inspect("203.0.113.9", SCRIPT_EVERYWHERE), "block");
    automatic::fill(&weir, &browser).await;
    let reflected = "/attacks?q=%22%3E%3Cscript%3Ecanary()%3C/script%3E".to_owned();
    let (axe, mut wrong) = (driver::axe(), Vec::new());
    let more = pages_of_an_attack(&browser).await.into_iter().chain([reflected]);
    for page in PAGES.iter().map(|page| (*page).to_owned()).chain(more) {
        wrong.extend(problems_of(&browser, &page, axe.as_deref()).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The checks themselves work: calling the canary is reported, and so is what no screen reader can read.
    browser.run("canary()").await;
    assert_eq!(browser.problems().await, ["attacker script ran"]);
    if let Some(axe) = axe {
        browser.run("document.querySelector('main').append(document.createElement('img'))").await;
        let found = browser.axe(&axe).await;
        assert!(found.iter().any(|line| line.starts_with("image-alt: ")), "{found:?}");
    }
}
