//! How long pages of the Console take.

use crate::WEIR;
use std::time::{Duration, Instant};
use weir_testkit::Session;

/// Times that each page is opened once it is warm.
const TIMES: usize = 20;
/// Times that a slow page is opened at least, and how long it is opened again.
const FEW_TIMES: usize = 5;
const LONGEST: Duration = Duration::from_secs(20);
/// Times that each page is opened with nothing in memory.
const COLD: usize = 3;
/// Longest wait until the control plane has found the server of the database again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pages: the lists, filters by each attribute that people ask for, and several at once.
const PAGES: &[(&str, &str)] = &[
    ("dashboard", "/"),
    ("dashboard, 7 days", "/?range=7d"),
    ("dashboard, 30 days", "/?range=30d"),
    ("attacks", "/attacks"),
    ("attacks, 24 hours", "/attacks?range=24h"),
    ("attacks, all time", "/attacks?range=all"),
    ("attacks, last 3 days", "/attacks?q=last+3+days"),
    ("by type", "/attacks?q=ssrf"),
    ("by host", "/attacks?q=d:shop-3.example"),
    ("by path", "/attacks?q=u:/api/v1/order/*"),
    ("by end of a path", "/attacks?q=u:*/17"),
    ("a path that no hit has", "/attacks?q=u:*nothing*"),
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
    ("a text that every hit has", "/attacks?q='or+1=1'"),
    ("a text that some hits have", "/attacks?q='order/39'"),
    ("a text that no hit has", "/attacks?q='union+select'"),
    ("page of a source", "/sources/198.18.0.1"),
    ("page of a source, 30 days", "/sources/198.18.0.1?range=30d"),
    ("page of a host", "/hosts/shop-1.example"),
    ("page of a host, 30 days", "/hosts/shop-1.example?range=30d"),
    ("page of an application", "/applications/1"),
    ("page of an application, 30 days", "/applications/1?range=30d"),
    ("blocking preview", "/blocking"),
    ("blocking preview, 7 days", "/blocking?range=7d"),
    ("blocking preview, 30 days", "/blocking?range=30d"),
    ("blocking preview of a host, 30 days", "/blocking?range=30d&host=shop-1.example"),
    ("blocking preview of an application", "/blocking?app=1"),
    ("blocking preview of an application, 30 days", "/blocking?range=30d&app=1"),
    ("sessions", "/sessions"),
    ("rules", "/rules"),
    ("signatures", "/catalogue"),
    ("address lists", "/lists"),
    ("automatic entries", "/automatic"),
    ("nodes", "/nodes"),
    ("alerts", "/alerts"),
    ("audit log", "/audit"),
    ("API: attacks", "/api/v1/attacks?limit=50"),
    ("API: hits", "/api/v1/hits?limit=50"),
    ("API: hits of an end of a path", "/api/v1/hits?q=u:*/17"),
    ("API: hits of a path that none has", "/api/v1/hits?q=u:*nothing*"),
    ("API: hits of a text that every hit has", "/api/v1/hits?q='or+1=1'"),
    ("API: hits of a text that no hit has", "/api/v1/hits?q='union+select'"),
    ("API: hits of six at once", "/api/v1/hits?q=sqli+country:NL+POST+d:shop-1.example+action:block+u:/api/v1/order/*"),
    ("API: hits of a host, point and rule", "/api/v1/hits?q=d:shop-29.example+p:p59+rule:ssrf.bench"),
    ("API: tops", "/api/v1/statistics/top?by=source"),
    ("API: tops of a filter", "/api/v1/statistics/top?by=source&q=sqli+country:NL"),
    ("API: hits by time", "/api/v1/statistics/hits"),
    ("API: hits of a path by time", "/api/v1/statistics/hits?q=u:*nothing*"),
    ("API: traffic", "/api/v1/statistics/traffic"),
    ("API: a source", "/api/v1/statistics/sources/198.18.0.1"),
    ("API: a host", "/api/v1/statistics/hosts/shop-1.example"),
    ("API: blocking", "/api/v1/statistics/blocking"),
    ("API: sessions", "/api/v1/sessions"),
];

/// Pages of one attack and of its newest hit.
fn of_an_attack(browser: &Session<'_>) -> Vec<(String, String)> {
    let first = browser.get("/api/v1/attacks?q=N:1000-1000000000&limit=1").json();
    let attack = first["items"][0]["id"].as_str().expect("an attack").to_owned();
    let hit = first["items"][0]["last_hit"]["id"].as_str().expect("a hit").to_owned();
    vec![
        ("an attack".into(), format!("/attacks/{attack}")),
        ("a hit".into(), format!("/hits/{hit}")),
        ("exception from a hit".into(), format!("/hits/{hit}/exception")),
        ("virtual patch from a hit".into(), format!("/hits/{hit}/patch")),
        ("API: hits of an attack".into(), format!("/api/v1/attacks/{attack}/hits")),
    ]
}

/// Opens each page after `restart` and then several times, and prints a table in Markdown. `restart` leaves the server of the
/// database with nothing in memory; without it nothing is cold. `only` has names of pages, or parts of them, with commas between.
pub fn measure(places: &[&str], mut restart: Option<&mut dyn FnMut()>, only: Option<&str>) {
    let control_plane = WEIR.control_plane(places);
    let browser = control_plane.login();
    let mut pages: Vec<(String, String)> =
        PAGES.iter().map(|&(name, path)| (name.to_owned(), path.to_owned())).collect();
    pages.extend(of_an_attack(&browser));
    pages.retain(|(name, _)| only.is_none_or(|only| only.split(',').any(|part| name.contains(part))));
    println!("\n| page | cold, ms | median, ms | p95, ms |\n|---|---|---|---|");
    for (name, path) in &pages {
        let cold = restart.as_mut().map(|restart| worst_cold(&browser, path, &mut **restart));
        line(&browser, name, path, cold);
    }
    println!();
    if only.is_none() {
        export(&browser);
    }
}

/// The longest of some openings, each with nothing in memory.
fn worst_cold(browser: &Session<'_>, path: &str, restart: &mut dyn FnMut()) -> f64 {
    let cold = |_| {
        restart();
        let begun = Instant::now();
        while browser.get("/account").status != 200 {
            assert!(begun.elapsed() < PATIENCE, "the control plane does not come back");
            std::thread::sleep(Duration::from_millis(50));
        }
        open(browser, path)
    };
    (0..COLD).map(cold).fold(0.0, f64::max)
}

/// Exports hits as CSV, as many as an export may have.
fn export(browser: &Session<'_>) {
    let begun = Instant::now();
    let answer = browser.get("/api/v1/hits/export?form=csv");
    let (rows, took) = (answer.body.iter().filter(|byte| **byte == b'\n').count(), begun.elapsed().as_secs_f64());
    println!("  export      {:>8.0} hits/s; {rows} lines in {took:.1} s", rows as f64 / took);
}

fn line(browser: &Session<'_>, name: &str, path: &str, cold: Option<f64>) {
    let mut times: Vec<f64> = Vec::with_capacity(TIMES);
    let begun = Instant::now();
    while times.len() < TIMES && (times.len() < FEW_TIMES || begun.elapsed() < LONGEST) {
        times.push(open(browser, path));
    }
    times.sort_by(f64::total_cmp);
    // The nearest rank: of 20 times the 19th.
    let p95 = times[(times.len() * 95).div_ceil(100) - 1];
    let cold = cold.map_or_else(|| "-".to_owned(), |cold| format!("{cold:.0}"));
    println!("| {name} | {cold} | {:.0} | {p95:.0} |", times[times.len() / 2]);
}

/// How long a page takes, in milliseconds; infinite if it took too long.
fn open(browser: &Session<'_>, path: &str) -> f64 {
    let begun = Instant::now();
    let answer = browser.get(path);
    let took = begun.elapsed().as_secs_f64() * 1e3;
    if answer.status == 408 {
        eprintln!("  {path} takes too long");
        return f64::INFINITY;
    }
    assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
    // A search that is not understood is a page, too, and a quick one.
    let text = String::from_utf8_lossy(&answer.body);
    assert!(!text.contains("is not understood"), "{path}: {text}");
    took
}
