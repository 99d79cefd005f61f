//! The Console in a real browser: chromium by chromedriver, against the real program.
//!
//! `WEIR_SCREENSHOTS=DIR cargo test --test browser on_demand::pages -- --ignored` leaves a picture of each page in `DIR`,
//! light and dark, in the widths of a phone, a tablet and a desktop. `cargo test --test browser on_demand::times -- --ignored --nocapture` prints how long
//! changes take to act.

mod automatic; // sources that a rule lists
mod driver; // the browser
mod on_demand; // screenshots and timings
mod pages; // no page runs attacker script, and every page is accessible
mod weir; // the program under test
mod workflows; // changes made in the Console take effect

use driver::Browser;
use weir::{PASSWORD, Weir};

/// A browser that shows the Console of `weir`.
async fn browser_of(weir: &Weir) -> Browser {
    Browser::start(format!("http://{}", weir.console)).await
}

/// Logs the administrator in.
async fn log_in(browser: &Browser) {
    browser.open("/login").await;
    browser.write("#login", "admin").await;
    browser.write("#password", PASSWORD).await;
    browser.click("form[action='/login'] .btn.primary").await;
    browser.until("the dashboard", "location.pathname === '/' && document.querySelector('h1')").await;
}

/// A browser in which the administrator is logged in.
async fn logged_in(weir: &Weir) -> Browser {
    let browser = browser_of(weir).await;
    log_in(&browser).await;
    browser
}
