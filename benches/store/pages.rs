//! How long pages of the Console take.

use crate::WEIR;
use std::time::Instant;
use weir_testkit::Session;

/// Times that each page is opened.
const TIMES: usize = 15;
/// Pages: the lists, filters by each attribute that people ask for, and several at once.
const PAGES: &[(&str, &str)] = &[
    ("dashboard", "/"),
    ("attacks", "/attacks"),
    ("by type", "/attacks?q=ssrf"),
    ("by host", "/attacks?q=d:shop-3.example"),
    ("by path", "/attacks?q=u:/api/v1/order/*"),
    ("by point", "/attacks?q=p:p7"),
    ("by country", "/attacks?q=country:ZA"),
    ("by method", "/attacks?q=POST"),
    ("by application", "/attacks?q=app:7"),
    ("by action", "/attacks?q=action:pass"),
    ("by status", "/attacks?q=status:monitoring"),
    ("by rule", "/attacks?q=rule:ssrf.bench"),
    ("a frequent source", "/attacks?q=ip:198.18.0.1"),
    ("a rare source", "/attacks?q=ip:198.18.70.151"),
    ("a network", "/attacks?q=ip:198.18.0.0/16"),
    ("no such source", "/attacks?q=ip:203.0.113.9"),
    ("six at once", "/attacks?q=sqli+country:NL+POST+d:shop-1.example+action:block+u:/api/v1/order/*"),
    ("last 3 days", "/attacks?q=last+3+days"),
    ("hits, API", "/api/v1/hits?limit=50"),
    ("tops, API", "/api/v1/statistics/top?by=source"),
];

/// Opens each page in turn and prints median and longest time.
pub fn measure(places: &[&str]) {
    let control_plane = WEIR.control_plane(places);
    let browser = control_plane.login();
    let first = browser.get("/api/v1/attacks?limit=1").json();
    let attack = first["items"][0]["id"].as_str().map(|id| format!("/attacks/{id}")).expect("an attack");
    for (name, path) in PAGES.iter().copied().chain([("an attack", attack.as_str())]) {
        let mut times: Vec<f64> = (0..TIMES).map(|_| open(&browser, path)).collect();
        let first = times[0];
        times.sort_by(f64::total_cmp);
        println!(
            "  {name:18} {:>7.1} ms; longest {:.1}, first {first:.1}",
            times[TIMES / 2],
            times.last().expect("some")
        );
    }
}

fn open(browser: &Session<'_>, path: &str) -> f64 {
    let begun = Instant::now();
    let answer = browser.get(path);
    let took = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    took
}
