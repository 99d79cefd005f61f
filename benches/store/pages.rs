//! How long pages of the Console take.

use crate::WEIR;
use std::time::Instant;
use weir_testkit::Session;

/// Times that each page is opened once it is warm.
const TIMES: usize = 20;
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
    ("all time", "/attacks?range=all"),
    ("free text", "/attacks?q=union"),
    ("page of a source", "/sources/198.18.0.1"),
    ("page of a host", "/hosts/shop-1.example"),
    ("page of an application", "/applications/1"),
    ("blocking preview", "/blocking"),
    ("sessions", "/sessions"),
    ("rules", "/rules"),
    ("signatures", "/catalogue"),
    ("nodes", "/nodes"),
    ("alerts", "/alerts"),
    ("audit log", "/audit"),
    ("API: attacks", "/api/v1/attacks?limit=50"),
    ("API: hits", "/api/v1/hits?limit=50"),
    ("API: tops", "/api/v1/statistics/top?by=source"),
    ("API: hits by time", "/api/v1/statistics/hits"),
    ("API: traffic", "/api/v1/statistics/traffic"),
    ("API: a source", "/api/v1/statistics/sources/198.18.0.1"),
    ("API: a host", "/api/v1/statistics/hosts/shop-1.example"),
    ("API: blocking", "/api/v1/statistics/blocking"),
    ("API: sessions", "/api/v1/sessions"),
];

/// Opens each page once and then several times, and prints a table in Markdown.
pub fn measure(places: &[&str]) {
    let control_plane = WEIR.control_plane(places);
    let browser = control_plane.login();
    // Infinite: the page took too long.
    let cold: Vec<f64> = PAGES.iter().map(|(_, path)| open(&browser, path)).collect();
    let first = browser.get("/api/v1/attacks?limit=1").json();
    let attack = first["items"][0]["id"].as_str().map(|id| format!("/attacks/{id}")).expect("an attack");
    println!("\n| page | cold, ms | median, ms | p95, ms |\n|---|---|---|---|");
    for ((name, path), cold) in PAGES.iter().zip(cold) {
        line(&browser, name, path, cold);
    }
    let cold = open(&browser, &attack);
    line(&browser, "an attack", &attack, cold);
    println!();
}

fn line(browser: &Session<'_>, name: &str, path: &str, cold: f64) {
    if cold.is_infinite() {
        return println!("| {name} | too long | | |");
    }
    let mut times: Vec<f64> = (0..TIMES).map(|_| open(browser, path)).collect();
    times.sort_by(f64::total_cmp);
    // The nearest rank: of 20 times the 19th.
    let p95 = times[(TIMES * 95).div_ceil(100) - 1];
    println!("| {name} | {cold:.0} | {:.0} | {p95:.0} |", times[TIMES / 2]);
}

fn open(browser: &Session<'_>, path: &str) -> f64 {
    let begun = Instant::now();
    let answer = browser.get(path);
    let took = begun.elapsed().as_secs_f64() * 1e3;
    if answer.status == 408 {
        eprintln!("  {path} takes too long");
        return f64::INFINITY;
    }
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    took
}
