//! Lists, filters, counts, retention, traffic.

use crate::make::*;
use std::collections::HashSet;
use weir_control_plane::store::{
    AttackStatus, Database, Dimension, Filter, Mark, Page, Span, Terms, TrafficBy, TrafficFilter,
};
use weir_core::model::AttackType;
use weir_protocol::hit::Hit;
use weir_protocol::node_api::{Statistics, StatisticsRow};

/// Attacks of different kinds: one hit each, a minute apart, the parameter names the hit.
fn variety() -> Vec<Hit> {
    let make = |n: u64, change: &dyn Fn(&mut Hit)| {
        let mut hit = hit(NOON + n as i64 * MINUTE, n);
        hit.findings[0].point = point(&format!("p{n}"));
        change(&mut hit);
        hit
    };
    vec![
        make(0, &|_| {}),
        make(1, &|h| h.client.ip = "198.51.100.9".into()),
        make(2, &|h| h.client.ip = "2001:db8::1".into()),
        make(3, &|h| h.client.country = "US".into()),
        make(4, &|h| h.request.host = "API.example".into()),
        make(5, &|h| h.request.path = "/login/100%_!".into()),
        make(6, &|h| h.request.method = "POST".into()),
        make(7, &|h| h.application = 5),
        make(8, &|h| h.action = "pass".into()),
        make(9, &|h| (h.attacks, h.findings[0].attack) = (vec![AttackType::Rce], AttackType::Rce)),
        make(10, &|h| h.rules = vec![42]),
        make(11, &|h| h.request.protocol = "HTTP/2.0".into()),
        make(12, &|h| h.request.bytes = 9_000),
        make(13, &|h| h.node = "node-b".into()),
        make(14, &|h| h.mode = "safe_blocking".into()),
        make(15, &|h| h.request_id = "wanted".into()),
        make(16, &|h| h.response = Some(weir_protocol::hit::HitResponse { status: 503, after_ms: 1 })),
    ]
}

/// The numbers of the attacks and of the hits that fit; both lists must say the same.
async fn found(database: &Database, filter: Filter) -> Vec<u64> {
    let page = Page::first(200);
    let attacks = database.attacks(&filter, &page).await.unwrap().rows;
    let name = |text: String| text.split("\"p").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let mut of_attacks: Vec<u64> = attacks.iter().map(|a| name(serde_json::to_string(&a.point).unwrap())).collect();
    of_attacks.sort();
    assert_eq!(database.count_attacks(&filter, 1_000).await.unwrap(), of_attacks.len() as u64);
    if filter.statuses == Terms::default() && filter.marks == Terms::default() {
        let hits = database.hits(&filter, &page).await.unwrap().rows;
        let mut of_hits: Vec<u64> = hits.iter().map(|h| ((h.time - NOON) / MINUTE) as u64).collect();
        of_hits.sort();
        assert_eq!(of_hits, of_attacks, "{filter:?}");
    }
    of_attacks
}

/// Connections to the tables of hits: on SQLite the file of March 2026.
pub async fn hits_pool(fresh: &crate::engines::Fresh, database: &Database) -> sqlx::AnyPool {
    match fresh.url.strip_prefix("sqlite:") {
        Some(directory) => sqlx::AnyPool::connect(&format!("sqlite:{directory}/hits-2026-03.db")).await.unwrap(),
        None => database.control().write().clone(),
    }
}

pub fn only<T>(value: T) -> Terms<T> {
    Terms::only(value)
}

fn not<T>(value: T) -> Terms<T> {
    Terms { any: Vec::new(), none: vec![value] }
}

pub fn any() -> Filter {
    Filter::default()
}

both! {
    async fn an_attack_is_found_by_what_any_of_its_hits_has(fresh) {
        let database = fresh.open().await;
        // Many signatures, one after the other, then one more than is kept with the attack.
        for n in 0..40u64 {
            let mut one = hit(NOON + n as i64 * MINUTE, n);
            one.rules = vec![n];
            one.application = n as i64 % 3;
            database.insert(batch([one]), "n").await.unwrap();
            let rule = |n: u64| Filter { rules: only(n.to_string()), ..Filter::default() };
            let count = async |filter| database.attacks(&filter, &Page::first(9)).await.unwrap().rows.len();
            assert_eq!((count(rule(0)).await, count(rule(n)).await, count(rule(n + 1)).await), (1, 1, 0), "{n}");
            let application = |n| Filter { applications: only(n), ..Filter::default() };
            assert_eq!((count(application(n as i64 % 3)).await, count(application(7)).await), (1, 0), "{n}");
        }
    }

    async fn hits_of_an_attack_over_time(fresh) {
        let database = fresh.open().await;
        let hits = (0..90).map(|n| if n % 3 == 0 { monitored(hit(NOON + n as i64 * 10 * MINUTE, n)) } else { hit(NOON + n as i64 * 10 * MINUTE, n) });
        database.insert(batch(hits), "n").await.unwrap();
        let attack = database.attacks(&Filter::default(), &Page::first(1)).await.unwrap().rows.remove(0);
        for (step, slots) in [(MINUTE, 901), (HOUR, 15)] {
            let series = database.attack_series(&attack.id, NOON, NOON + 15 * HOUR + step, step).await.unwrap().unwrap();
            assert!(series.slots.len() >= slots);
            let sums = series.slots.iter().fold((0, 0), |sums, slot| (sums.0 + slot.hits, sums.1 + slot.blocked));
            assert_eq!(sums, (90, 60), "{step}");
        }
        let minutes = database.attack_series(&attack.id, NOON, NOON + HOUR, MINUTE).await.unwrap().unwrap();
        let filled: Vec<usize> = (0..60).filter(|&n| minutes.slots[n].hits > 0).collect();
        assert_eq!(filled, [0, 10, 20, 30, 40, 50]);
        assert!(database.attack_series(&id(NOON, 9_999), NOON, NOON + HOUR, MINUTE).await.unwrap().is_none());
    }

    async fn every_filter_finds_what_it_names(fresh) {
        let database = fresh.open().await;
        database.insert(batch(variety()), "node-a").await.unwrap();
        let cases: Vec<(Filter, Vec<u64>)> = vec![
            (Filter { ips: only("198.51.100.0/24".parse().unwrap()), ..any() }, vec![1]),
            (Filter { ips: only("198.51.100.9/32".parse().unwrap()), ..any() }, vec![1]),
            (Filter { ips: only("2001:db8::/32".parse().unwrap()), ..any() }, vec![2]),
            (Filter { ips: not("203.0.113.0/24".parse().unwrap()), ..any() }, vec![1, 2]),
            (Filter { countries: only("us".into()), ..any() }, vec![3]),
            (Filter { hosts: only("api.EXAMPLE".into()), ..any() }, vec![4]),
            (Filter { hosts: only("api*".into()), ..any() }, vec![4]),
            (Filter { hosts: only("ap?.example".into()), ..any() }, vec![4]),
            (Filter { paths: only("/login/100%_!".into()), ..any() }, vec![5]),
            (Filter { paths: only("/login/*%_?".into()), ..any() }, vec![5]),
            (Filter { paths: only("/LOGIN/*".into()), ..any() }, vec![]),
            (Filter { paths: only("/%".into()), ..any() }, vec![]),
            (Filter { methods: only("post".into()), ..any() }, vec![6]),
            (Filter { applications: only(5), ..any() }, vec![7]),
            (Filter { actions: only("pass".into()), ..any() }, vec![8]),
            (Filter { statuses: only(AttackStatus::Monitoring), ..any() }, vec![8]),
            (Filter { attack_types: only(AttackType::Rce), ..any() }, vec![9]),
            (Filter { rules: only("42".into()), ..any() }, vec![10]),
            (Filter { rules: only("4".into()), ..any() }, vec![]),
            (Filter { protocols: only("http/2*".into()), ..any() }, vec![11]),
            (Filter { sizes: only(Span { min: Some(1_000), max: None }), ..any() }, vec![12]),
            (Filter { nodes: only("node-b".into()), ..any() }, vec![13]),
            (Filter { modes: only("safe_blocking".into()), ..any() }, vec![14]),
            (Filter { request_ids: only("wanted".into()), ..any() }, vec![15]),
            (Filter { status_codes: only(Span { min: Some(500), max: Some(599) }), ..any() }, vec![16]),
            (Filter { points: only("p3".into()), ..any() }, vec![3]),
            (Filter { points: only("p?3".into()), ..any() }, vec![13]),
            (Filter { points: only("get".into()), ..any() }, (0..17).collect()),
            (Filter { points: not("get".into()), ..any() }, vec![]),
            (Filter { from: Some(NOON + 3 * MINUTE), to: Some(NOON + 5 * MINUTE), ..any() }, vec![3, 4]),
            (Filter { countries: only("NL".into()), methods: only("POST".into()), ..any() }, vec![6]),
            (Filter { countries: Terms { any: vec!["US".into(), "NL".into()], none: vec!["US".into()] },
                paths: not("/search".into()), ..any() }, vec![5]),
            (any(), (0..17).collect()),
        ];
        for (filter, expected) in cases {
            assert_eq!(found(&database, filter.clone()).await, expected, "{filter:?}");
        }
    }

    async fn marks_sources_and_numbers_filter_attacks(fresh) {
        let database = fresh.open().await;
        let mut hits = variety();
        for n in 0..150u64 {
            let mut more = hit(NOON, 1_000 + n);
            more.client.ip = format!("10.0.0.{n}");
            more.findings[0].point = point("p0");
            hits.push(more);
        }
        database.insert(batch(hits), "n").await.unwrap();
        let page = Page::first(200);
        let many = Filter { sources: Some(Span { min: Some(100), max: None }), ..any() };
        let rows = database.attacks(&many, &page).await.unwrap().rows;
        assert_eq!(rows.len(), 1);
        assert!((135..=167).contains(&rows[0].sources), "{}", rows[0].sources);
        let numerous = Filter { hits: Some(Span { min: Some(151), max: Some(151) }), ..any() };
        assert_eq!(database.attacks(&numerous, &page).await.unwrap().rows.len(), 1);
        database.mark(&rows[0].id, Some(Mark::Tp), "ann").await.unwrap().unwrap();
        let marked = Filter { marks: only(Some(Mark::Tp)), ..any() };
        assert_eq!(database.attacks(&marked, &page).await.unwrap().rows[0].id, rows[0].id);
        let unmarked = Filter { marks: only(None), ..any() };
        assert_eq!(database.count_attacks(&unmarked, 100).await.unwrap(), 16);
        assert!(database.hits(&marked, &page).await.is_err(), "hits have no marks");
        let top = database.top(Dimension::Source, &any(), 3).await.unwrap();
        assert_eq!((top.len(), top[0].value.as_str(), top[0].hits), (3, "203.0.113.7", 15));
    }

    async fn a_hundred_pages_stay_put_while_hits_come_in(fresh) {
        let database = fresh.open().await;
        let old = (0..500u64).map(|n| {
            // Five attacks end in the same millisecond: the id decides.
            let mut hit = hit(NOON + (n / 5) as i64 * SECOND, n);
            hit.findings[0].point = point(&format!("p{n}"));
            hit
        });
        database.insert(batch(old), "n").await.unwrap();
        let before: HashSet<String> = ids(&database, 200).await;
        assert_eq!(before.len(), 500);
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0u64);
        loop {
            let page = database.attacks(&any(), &Page { after, limit: 5 }).await.unwrap();
            seen.extend(page.rows.into_iter().map(|a| a.id));
            pages += 1;
            let mut newer = hit(NOON + DAY, 10_000 + pages);
            newer.findings[0].point = point(&format!("new{pages}"));
            database.insert(batch([newer]), "n").await.unwrap();
            match page.next {
                Some(next) => after = Some(next.to_string().parse().unwrap()),
                None => break,
            }
        }
        assert_eq!(pages, 100);
        assert_eq!(seen.len(), 500);
        assert_eq!(seen.into_iter().collect::<HashSet<_>>(), before);
    }

    async fn counts_by_hour_and_by_reading_agree(fresh) {
        let database = fresh.open().await;
        let mut hits = variety();
        hits.iter_mut().enumerate().for_each(|(n, hit)| hit.folded = n as u64);
        database.insert(batch(hits), "n").await.unwrap();
        // A filter that lets everything through but cannot be answered from counts.
        let read = Filter { sizes: only(Span::default()), ..any() };
        for filter in [any(), read] {
            let series = database.series(&filter, NOON, NOON + 2 * HOUR, HOUR).await.unwrap();
            assert_eq!(series.slots.iter().map(|s| s.hits).collect::<Vec<_>>(), [17 + 136, 0]);
            assert_eq!(series.slots[0].blocked, 17 + 136 - 9);
            let types = database.top(Dimension::AttackType, &filter, 10).await.unwrap();
            assert_eq!(types.iter().map(|c| (c.value.as_str(), c.hits)).collect::<Vec<_>>(), [("sqli", 143), ("rce", 10)]);
            let targets = database.top(Dimension::Target, &filter, 1).await.unwrap();
            assert_eq!(targets[0].value, "shop.example");
            let countries = database.top(Dimension::Country, &filter, 10).await.unwrap();
            assert_eq!(countries.len(), 2);
        }
        let minutes = database.series(&any(), NOON, NOON + 20 * MINUTE, 5 * MINUTE).await.unwrap();
        assert_eq!(minutes.slots.iter().map(|s| s.hits).collect::<Vec<_>>(), [15, 40, 65, 33]);
        let by_type = database.series_by_type(NOON, NOON + HOUR, HOUR).await.unwrap();
        assert_eq!(by_type.iter().map(|(t, s)| (*t, s.slots[0].hits)).collect::<Vec<_>>(),
            [(AttackType::Sqli, 143), (AttackType::Rce, 10)]);
        assert!(database.series(&any(), NOON, NOON + 365 * DAY, MINUTE).await.is_err());
        assert!(database.series(&any(), NOON, NOON, HOUR).await.is_err());
    }

    async fn rules_are_tried_on_stored_requests(fresh) {
        let database = fresh.open().await;
        database.insert(batch(variety()), "n").await.unwrap();
        let filter = Filter { methods: only("GET".into()), ..any() };
        let mut seen = Vec::new();
        let more = database.replay(&filter, 10, |r| { seen.push(r); true }).await.unwrap();
        assert_eq!((more, seen.len()), (true, 10));
        assert_eq!(seen[0].raw, b"GET / HTTP/1.1\r\n\r\n");
        assert!(seen.windows(2).all(|w| w[0].hit.time > w[1].hit.time), "newest first");
        assert!(database.replay(&any(), 100, |_| false).await.unwrap(), "it was ended");
        assert!(!database.replay(&any(), 100, |_| true).await.unwrap(), "all were seen");
    }

    async fn what_is_too_old_goes(fresh) {
        let database = fresh.open().await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        let midnight = now / DAY * DAY;
        let old = midnight - 100 * DAY;
        // One attack that spans the first midnight kept, unless that begins a month, and old and new ones.
        let edge = midnight - 30 * DAY;
        let hits = [hit(old, 1), hit(edge - MINUTE, 2), monitored(hit(edge + MINUTE, 3)), hit(midnight, 4)];
        database.insert(batch(hits), "n").await.unwrap();
        database.set_retention(30);
        let done = database.retain().await.unwrap();
        let kept = database.hits(&any(), &Page::first(10)).await.unwrap().rows;
        if done.days > 0 {
            assert_eq!((done.days, done.months), (2, 0));
            assert_eq!(kept.iter().map(|h| h.time).collect::<Vec<_>>(), [midnight, edge + MINUTE]);
            let attacks = database.attacks(&any(), &Page::first(10)).await.unwrap().rows;
            let last = attacks.last().unwrap();
            assert_eq!((last.hits, last.blocked, last.first_time), (1, 0, edge + MINUTE));
            assert_eq!(last.status, AttackStatus::Monitoring);
        } else {
            // The month before the first day that is kept goes too, if that day begins a month.
            let begins_month = kept.iter().all(|h| h.time >= edge);
            assert_eq!(done.months, 1 + u64::from(begins_month));
            assert!(kept.iter().all(|h| h.time > old));
        }
        let ack = database.insert(batch([hit(old, 9)]), "n").await.unwrap();
        assert_eq!(ack.rejected.len(), 1);
        let again = database.insert(batch([hit(midnight, 10)]), "n").await.unwrap();
        assert_eq!(again.stored, 1);
    }

    async fn traffic_counts_once_and_adds_up(fresh) {
        let database = fresh.open().await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        let hour = now / HOUR * HOUR - HOUR;
        let send = |n: u64, minute: i64, host: &str| Statistics {
            id: id(now, n),
            node: format!("node-{}", n % 2),
            from: ((hour + minute * MINUTE) / 1_000) as u64,
            seconds: 30,
            rows: vec![StatisticsRow {
                application: 1, host: host.into(), requests: 10, attacks: 2, blocked: 1, bypassed: 0, bytes: 1_000,
                latency: vec![5, 5],
            }; 2],
            ..Statistics::default()
        };
        assert!(database.record_statistics(&send(1, 0, "a.example")).await.unwrap());
        assert!(!database.record_statistics(&send(1, 0, "a.example")).await.unwrap());
        assert!(database.record_statistics(&send(2, 1, "b.example")).await.unwrap());
        let minutes = database.traffic(&TrafficFilter::default(), hour, hour + 3 * MINUTE, MINUTE).await.unwrap();
        assert_eq!(minutes.iter().map(|s| s.total.requests).collect::<Vec<_>>(), [20, 20, 0]);
        let hours = database.traffic(&TrafficFilter::default(), hour, hour + 2 * HOUR, HOUR).await.unwrap();
        assert_eq!((hours[0].total.requests, hours[0].total.latency[..3].to_vec()), (40, vec![20, 20, 0]));
        let one = TrafficFilter { host: Some("A.example".into()), ..TrafficFilter::default() };
        assert_eq!(database.traffic(&one, hour, hour + HOUR, HOUR).await.unwrap()[0].total.bytes, 2_000);
        let nodes = database.traffic_by(TrafficBy::Node, &TrafficFilter::default(), hour, now, 10).await.unwrap();
        assert_eq!(nodes.iter().map(|(n, t)| (n.as_str(), t.requests)).collect::<Vec<_>>(), [("node-0", 20), ("node-1", 20)]);
        let mut bad = send(3, 0, "x");
        bad.id = "x".into();
        assert!(database.record_statistics(&bad).await.is_err());
        database.retain().await.unwrap();
        assert!(!database.record_statistics(&send(2, 1, "b.example")).await.unwrap(), "ids outlive retention");
    }
}

async fn ids(database: &Database, limit: u32) -> HashSet<String> {
    let (mut out, mut after) = (HashSet::new(), None);
    loop {
        let page = database.attacks(&any(), &Page { after, limit }).await.unwrap();
        out.extend(page.rows.into_iter().map(|a| a.id));
        match page.next {
            Some(next) => after = Some(next),
            None => return out,
        }
    }
}

both! {
    async fn free_text_is_found_in_requests_and_matches(fresh) {
        let database = fresh.open().await;
        let now = recent();
        let make = |n: u64, change: &dyn Fn(&mut Hit)| {
            let mut hit = hit(now + n as i64, n);
            hit.findings[0].point = point(&format!("p{n}"));
            change(&mut hit);
            hit
        };
        let hits = [
            make(0, &|h| h.findings[0].matched = "1 UNION  Select 100%_! FROM t".into()),
            make(1, &|h| h.request.path = "/needle/in/the/path".into()),
            // POST / with `a=needle` in the body.
            make(2, &|h| h.request.raw = "UE9TVCAvIEhUVFAvMS4xDQoNCmE9bmVlZGxl".into()),
            make(3, &|_| {}),
        ];
        assert_eq!(database.insert(batch(hits), "n").await.unwrap().stored, 4);
        let found = async |texts: Terms<String>| {
            let filter = Filter { texts, ..Filter::default() };
            let hits = database.hits(&filter, &Page::first(10)).await.unwrap().rows;
            let attacks = database.attacks(&filter, &Page::first(10)).await.unwrap().rows;
            assert_eq!(hits.len(), attacks.len(), "{filter:?}");
            let mut found: Vec<i64> = hits.iter().map(|hit| hit.time - now).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found(only("union  SELECT".to_owned())).await, [0]);
        assert_eq!(found(only("100%_!".to_owned())).await, [0], "wildcards of LIKE stand for themselves");
        assert_eq!(found(only("100__!".to_owned())).await, [0i64; 0]);
        assert_eq!(found(only("Needle".to_owned())).await, [1, 2]);
        assert_eq!(found(Terms { any: vec!["needle".into()], none: vec!["/path".into()] }).await, [2]);
        assert_eq!(found(only("no such text".to_owned())).await, [0i64; 0]);
    }

    async fn free_text_says_how_far_back_it_looks(fresh) {
        let database = fresh.open().await;
        let mut old = hit(recent() - 20 * DAY, 1);
        old.request.path = "/needle".into();
        assert_eq!(database.insert(batch([old]), "n").await.unwrap().stored, 1);
        let filter = Filter { texts: only("needle".to_owned()), ..Filter::default() };
        let found = database.hits(&filter, &Page::first(10)).await.unwrap().rows.len();
        // With an index everything is found; without one the store says since when it looks.
        assert_eq!(found, usize::from(database.free_text_from().is_none()));
    }

    async fn attacks_show_what_matched(fresh) {
        let database = fresh.open().await;
        let both = with(hit(NOON, 1), AttackType::Xss, "other");
        database.insert(batch([both]), "n").await.unwrap();
        let attacks = database.attacks(&Filter::default(), &Page::first(10)).await.unwrap().rows;
        assert_eq!(attacks.len(), 2);
        for attack in attacks {
            let excerpt = attack.excerpt.unwrap();
            assert_eq!((excerpt.matched.as_str(), excerpt.others), ("' or 1=1", 1));
            assert_eq!(excerpt.rule, format!("{}-test", attack.attack_type));
        }
    }

    async fn hits_are_counted_for_each_rule_and_signature(fresh) {
        let database = fresh.open().await;
        let mut patched = monitored(hit(NOON + HOUR, 2));
        patched.rules = vec![42, 42];
        database.insert(batch([hit(NOON, 1), patched.clone()]), "n").await.unwrap();
        // Sent again, it is not counted again.
        database.insert(batch([patched]), "n").await.unwrap();
        let counts = database.rule_counts(NOON).await.unwrap();
        let of = |name: &str| counts.get(name).map(|count| (count.hits, count.blocked, count.last_hour));
        assert_eq!(of("sqli-test"), Some((2, 1, NOON + HOUR)));
        assert_eq!(of("42"), Some((1, 0, NOON + HOUR)));
        assert_eq!(of("xss-test"), None);
        let later = database.rule_counts(NOON + HOUR).await.unwrap();
        assert_eq!(later.get("sqli-test").unwrap().hits, 1);
        let day = Filter { from: Some(NOON), to: Some(NOON + DAY), ..Filter::default() };
        assert_eq!(database.top(Dimension::Rule, &day, 1).await.unwrap()[0].value, "sqli-test");
    }

    async fn summaries_of_hours_agree_with_the_hits(fresh) {
        let database = fresh.open().await;
        let places = [("shop.example", 1, 7), ("shop.example", 1, 7), ("shop.example", 2, 8), ("api.example", 2, 7)];
        let hits = |first: u64| {
            (0..24u64).map(move |n| {
                let (host, application, source) = places[n as usize % places.len()];
                let mut hit = hit(NOON + n as i64 * HOUR / 8, first + n);
                (hit.request.host, hit.application, hit.folded) = (host.into(), application, n % 3);
                hit.client.ip = format!("203.0.113.{source}");
                if n % 5 == 0 { monitored(with(hit, AttackType::Rce, "r")) } else { hit }
            })
        };
        database.insert(batch(hits(0)), "n").await.unwrap();
        let subjects = [
            Filter { hosts: only("Shop.example".into()), ..any() },
            Filter { applications: only(2), ..any() },
            any(),
        ];
        let ask = async |sizes: Terms<Span>| {
            let mut all = Vec::new();
            for subject in &subjects {
                // Whole hours, and a stretch with a part of an hour at either end.
                for (from, to) in [(NOON, NOON + 3 * HOUR), (NOON + 20 * MINUTE, NOON + 2 * HOUR + 40 * MINUTE)] {
                    if *subject == any() && from != NOON {
                        continue;
                    }
                    let filter = Filter { from: Some(from), to: Some(to), sizes: sizes.clone(), ..subject.clone() };
                    for dimension in [Dimension::AttackType, Dimension::Source, Dimension::Target] {
                        let top = database.top(dimension, &filter, 10).await.unwrap();
                        all.push(top.into_iter().map(|c| (c.value, c.hits, c.blocked)).collect::<Vec<_>>());
                    }
                    let series = database.series(&filter, from, to, HOUR).await.unwrap();
                    all.push(series.slots.iter().map(|s| (String::new(), s.hits, s.blocked)).collect());
                }
            }
            all
        };
        // What only the hits themselves can answer.
        let read = only(Span::default());
        for (first, round) in [(0, 3), (100, 1)] {
            if first > 0 {
                // Late hits: the hour is summed up again, and right before that.
                database.insert(batch(hits(first).take(4)), "n").await.unwrap();
            }
            let truth = ask(read.clone()).await;
            assert_eq!(ask(Terms::default()).await, truth, "before it is summed up");
            assert_eq!(database.summarize_hours().await.unwrap(), round);
            assert_eq!(ask(Terms::default()).await, truth, "after");
            assert_eq!(database.summarize_hours().await.unwrap(), 0, "nothing is due");
        }
    }

    async fn summaries_go_with_their_hits(fresh) {
        let database = fresh.open().await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        let midnight = now / DAY * DAY;
        let (old, kept) = (midnight - 100 * DAY, midnight - 3 * DAY);
        database.insert(batch([hit(old, 1), hit(kept, 2)]), "n").await.unwrap();
        assert_eq!(database.summarize_hours().await.unwrap(), 2);
        database.set_retention(30);
        database.retain().await.unwrap();
        let mut dump = Vec::new();
        database.dump(&mut dump).await.unwrap();
        let dump = String::from_utf8(dump).unwrap();
        let hour = |time: i64| dump.lines().filter(|line| line.starts_with(&format!("[{},", time / HOUR))).count();
        assert_eq!(hour(old), 0, "{dump}");
        // Seven lists of the hit that is kept, and the note that it is summed up.
        assert_eq!(hour(kept), 8 + 1, "{dump}");
        assert_eq!(database.summarize_hours().await.unwrap(), 0);
    }

    async fn plots_and_previews_read_counts_by_hour_and_not_hits(fresh) {
        let database = fresh.open().await;
        let hits: Vec<Hit> = (0..200u64).map(|n| {
            let mut hit = hit(NOON + n as i64 * 3 * MINUTE, n);
            hit.folded = n % 2;
            if n % 4 == 0 { hit } else { monitored(hit) }
        }).collect();
        // Two halves, the newer one first: hours are added to by several batches.
        for half in [&hits[100..], &hits[..100]] {
            database.insert(batch(half.to_vec()), "n").await.unwrap();
        }
        let attack = database.attacks(&any(), &Page::first(9)).await.unwrap().rows.remove(0);
        let ask = async || {
            let mut all = Vec::new();
            for step in [MINUTE, 15 * MINUTE, HOUR, 6 * HOUR] {
                let series = database.attack_series(&attack.id, NOON, NOON + 12 * HOUR, step).await.unwrap().unwrap();
                assert_eq!(series.step, step);
                all.push(series.slots.iter().map(|slot| (slot.time, slot.hits, slot.blocked)).collect::<Vec<_>>());
            }
            all
        };
        let before = ask().await;
        let sums = before[0].iter().fold((0, 0), |sums, slot| (sums.0 + slot.1, sums.1 + slot.2));
        assert_eq!(sums, (200 + 100, 50));
        let passed = database.passed_groups(&any(), NOON).await.unwrap();
        let [group] = &passed.groups[..] else { panic!("{passed:?}") };
        assert_eq!((group.hits, group.samples.len(), passed.more, passed.uncounted_hours), (250, 10 * 8, false, 0));
        assert_eq!(group.samples[0], hits[199].id);
        assert!(group.samples.is_sorted_by(|a, b| a > b), "newest first");
        let later = database.passed_groups(&any(), NOON + 9 * HOUR).await.unwrap();
        assert_eq!(later.groups[0].hits, 25);
        // Without a single hit the answers are the same: nothing read one.
        let pool = hits_pool(&fresh, &database).await;
        sqlx::raw_sql("DELETE FROM hit_groups").execute(&pool).await.unwrap();
        assert_eq!(ask().await, before);
        assert_eq!(database.passed_groups(&any(), NOON).await.unwrap(), passed);
        // Seconds of an attack with few hits are read, those of many are not.
        let seconds = database.attack_series(&attack.id, NOON, NOON + HOUR, 5_000).await.unwrap().unwrap();
        assert_eq!((seconds.step, seconds.slots.iter().map(|slot| slot.hits).sum::<u64>()), (5_000, 0));
        sqlx::raw_sql("UPDATE attacks SET hits = hits + 9000").execute(&pool).await.unwrap();
        sqlx::raw_sql("UPDATE group_hours SET hits = hits + 9000 WHERE grp <> '*' AND hour = (SELECT MAX(hour) FROM group_hours)")
            .execute(&pool).await.unwrap();
        let minutes = database.attack_series(&attack.id, NOON, NOON + HOUR, 5_000).await.unwrap().unwrap();
        assert_eq!((minutes.step, minutes.slots.iter().map(|slot| slot.hits).sum::<u64>()), (MINUTE, 30));
    }

    async fn hours_of_an_older_build_are_counted_afterwards(fresh) {
        let database = fresh.open().await;
        let of_hour = |hour: i64| (0..40u64).map(move |n| {
            let hit = hit(NOON + hour * HOUR + n as i64 * MINUTE, n);
            if n % 2 == 0 { with(hit, AttackType::Rce, "r") } else { monitored(hit) }
        });
        for hour in 0..3 {
            database.insert(batch(of_hour(hour)), "n").await.unwrap();
        }
        assert_eq!(database.count_group_hours().await.unwrap(), 0, "what this build stores is counted");
        let pool = hits_pool(&fresh, &database).await;
        let counted = async || {
            let columns = "SELECT grp || ' ' || hour || ' ' || hits || ' ' || blocked || minutes || passed FROM group_hours ORDER BY grp, hour";
            sqlx::query_scalar::<_, String>(columns).fetch_all(&pool).await.unwrap()
        };
        let truth = counted().await;
        let attack = database.attacks(&any(), &Page::first(9)).await.unwrap().rows.remove(0);
        let plot = async || database.attack_series(&attack.id, NOON, NOON + 3 * HOUR, 10 * MINUTE).await.unwrap().unwrap();
        let plotted = plot().await;
        // As an upgrade finds it: one hour without rows, one to which an old replica has added hits since.
        let hour = NOON / HOUR;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DELETE FROM group_hours WHERE hour = {hour}"))).execute(&pool).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("UPDATE group_hours SET hits = hits - 1 WHERE hour = {}", hour + 1)))
            .execute(&pool).await.unwrap();
        assert_eq!(database.passed_groups(&any(), NOON).await.unwrap().uncounted_hours, 2);
        assert_eq!(plot().await, plotted, "read from the hits until then");
        assert_eq!(database.count_group_hours().await.unwrap(), 2);
        assert_eq!(counted().await, truth);
        assert_eq!(database.passed_groups(&any(), NOON).await.unwrap().uncounted_hours, 0);
        assert_eq!(database.count_group_hours().await.unwrap(), 0);
    }

    async fn tables_of_a_newer_version_are_refused_before_anything_is_served(fresh) {
        let database = fresh.open().await;
        database.insert(batch([hit(NOON, 1)]), "n").await.unwrap();
        database.close().await;
        fresh.open().await.close().await;
        let database = fresh.open().await;
        let pool = hits_pool(&fresh, &database).await;
        sqlx::raw_sql("INSERT INTO migrations (scope, number, name, checksum) VALUES ('hits', 9999, 'later', 'x')").execute(&pool).await.unwrap();
        pool.close().await;
        database.close().await;
        let refused = Database::open(&fresh.url).await.unwrap_err().to_string();
        assert!(refused.contains("migration 9999 of a newer version of weir: run that version, or restore a backup"), "{refused}");
        assert!(fresh.url.starts_with("postgres") || refused.contains("hits-2026-03.db"), "{refused}");
    }

    async fn hits_that_passed_are_found_by_host_and_application(fresh) {
        let database = fresh.open().await;
        let hits = (0..30u64).map(|n| {
            let mut hit = monitored(hit(NOON + n as i64 * MINUTE, n));
            hit.request.host = if n % 3 == 0 { "other.example" } else { "shop.example" }.into();
            hit.application = n as i64 % 3;
            hit
        });
        database.insert(batch(hits), "n").await.unwrap();
        let count = async |filter: Filter| {
            let passed = database.passed_groups(&filter, NOON).await.unwrap();
            passed.groups.iter().map(|group| group.hits).collect::<Vec<_>>()
        };
        assert_eq!(count(any()).await, [20, 10]);
        assert_eq!(count(Filter { hosts: only("Other.example".into()), ..any() }).await, [10]);
        assert_eq!(count(Filter { applications: only(0), ..any() }).await, [10]);
        assert!(count(Filter { applications: only(7), ..any() }).await.is_empty());
        assert!(database.passed_groups(&Filter { methods: only("GET".into()), ..any() }, NOON).await.is_err());
    }

    async fn days_without_the_index_of_sources_get_it(fresh) {
        let database = fresh.open().await;
        database.insert(batch([hit(NOON, 1), hit(NOON + DAY, 2)]), "n").await.unwrap();
        assert_eq!(database.index_sources().await.unwrap(), 0, "new days have it");
        if fresh.url.starts_with("postgres") {
            let older = async || {
                let found = "SELECT COUNT(*) FROM pg_class WHERE relname = 'hit_groups_ip' \
                    OR relname LIKE 'hit_groups_%_ip_key_grp_hit_idx'";
                sqlx::query_scalar::<_, i64>(found).fetch_one(database.control().read()).await.unwrap()
            };
            assert_eq!(older().await, 0, "a new database has none that is replaced");
            // As an upgrade finds it, after an attempt that was ended.
            let upgraded = "CREATE INDEX hit_groups_ip ON hit_groups (ip_key, grp, hit); DROP INDEX hit_groups_source; \
                CREATE INDEX hit_groups_source ON ONLY hit_groups (ip_key, grp, hit, blocked, folded); \
                CREATE INDEX hit_groups_20260310_source ON hit_groups_20260310 (grp)";
            sqlx::raw_sql(upgraded).execute(database.control().write()).await.unwrap();
            assert!(older().await > 2);
            assert_eq!(database.index_sources().await.unwrap(), 2);
            assert_eq!(older().await, 0);
            database.insert(batch([hit(NOON + 2 * DAY, 3)]), "n").await.unwrap();
            assert_eq!(database.index_sources().await.unwrap(), 0);
        }
        let filter = Filter { ips: only("203.0.113.0/24".parse().unwrap()), ..any() };
        let found = database.attacks(&filter, &Page::first(10)).await.unwrap().rows;
        assert_eq!(found.len(), database.attacks(&any(), &Page::first(10)).await.unwrap().rows.len());
    }

    async fn types_and_targets_are_counted_from_the_newest_hits(fresh) {
        let database = fresh.open().await;
        let hits = (0..6u64).map(|n| {
            let mut hit = hit(NOON + n as i64 * MINUTE, n);
            hit.request.host = if n < 3 { "old.example" } else { "new.example" }.into();
            if n == 5 { with(hit, AttackType::Rce, "r") } else { hit }
        });
        database.insert(batch(hits), "n").await.unwrap();
        let filter = Filter { ips: only("203.0.113.7/32".parse().unwrap()), ..any() };
        let all = database.newest_counts(&filter, 6, 10).await.unwrap();
        assert_eq!((all.read, all.cut, all.targets.len()), (6, false, 2));
        assert_eq!(all.attack_types.iter().map(|c| (c.value.as_str(), c.hits)).collect::<Vec<_>>(), [("sqli", 6), ("rce", 1)]);
        let newest = database.newest_counts(&filter, 2, 10).await.unwrap();
        assert!(newest.cut);
        assert_eq!(newest.targets.iter().map(|c| c.value.as_str()).collect::<Vec<_>>(), ["new.example"]);
    }

    async fn counts_by_hour_of_a_host_and_a_source_agree_with_the_hits(fresh) {
        let database = fresh.open().await;
        let other = |n: u64| {
            let mut hit = hit(NOON + n as i64 * HOUR, n);
            (hit.request.host, hit.client.ip) = ("API.example".into(), "2001:db8::1".into());
            hit
        };
        database.insert(batch([hit(NOON, 1), other(2), other(3)]), "n").await.unwrap();
        let host = Filter { hosts: only("api.example".to_owned()), ..Filter::default() };
        let source = Filter { ips: only("2001:db8::1/128".parse().unwrap()), ..Filter::default() };
        for filter in [host, source] {
            // Whole hours are answered from counts, minutes from the hits.
            for step in [HOUR, 30 * MINUTE] {
                let series = database.series(&filter, NOON, NOON + 6 * HOUR, step).await.unwrap();
                let hits: Vec<u64> = series.slots.iter().map(|slot| slot.hits).filter(|hits| *hits > 0).collect();
                assert_eq!(hits, [1, 1], "{filter:?} {step}");
            }
        }
    }
}

/// A moment an hour ago: free text is looked for in recent hits.
fn recent() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis() as i64 - HOUR
}

both! {
    async fn attacks_are_found_by_an_application_that_they_had_within_the_period(fresh) {
        let database = fresh.open().await;
        let hits = (0..10u64).map(|n| {
            let mut hit = hit(NOON + n as i64 * SECOND, n);
            hit.application = if n < 5 { 1 } else { 2 };
            hit
        });
        database.insert(batch(hits), "node-a").await.unwrap();
        let found = async |application: i64, from: Option<i64>, to: Option<i64>| {
            let filter = Filter { from, to, applications: only(application), ..Filter::default() };
            database.attacks(&filter, &Page::first(5)).await.unwrap().rows.len()
        };
        let (middle, end) = (NOON + 5 * SECOND, NOON + 20 * SECOND);
        assert_eq!((found(1, None, None).await, found(2, None, None).await, found(3, None, None).await), (1, 1, 0));
        assert_eq!((found(1, Some(NOON), Some(end)).await, found(2, Some(NOON), Some(end)).await), (1, 1));
        // Part of its hits are outside of the period: what it knows of all of them does not say which.
        assert_eq!((found(1, Some(middle), None).await, found(2, Some(middle), None).await), (0, 1));
        assert_eq!((found(1, None, Some(middle)).await, found(2, None, Some(middle)).await), (1, 0));
        let filter = Filter { rules: only("*".to_owned()), applications: only(1), ..Filter::default() };
        assert_eq!(database.attacks(&filter, &Page::first(5)).await.unwrap().rows.len(), 1);
    }
}

both! {
    async fn of_a_large_attack_the_newest_hits_from_a_network_are_counted(fresh) {
        let database = fresh.open().await;
        const ALL: u64 = 4_200;
        let from = |n: u64, ip: &str| {
            let mut hit = hit(NOON + n as i64 * SECOND, n);
            hit.client.ip = ip.into();
            hit
        };
        // The newest 100: half of them from 198.51.100.0/24; before them one of 192.0.2.9 and many from elsewhere.
        let hits: Vec<Hit> = (0..ALL)
            .map(|n| match n {
                50 => from(n, "192.0.2.9"),
                n if n % 2 == 0 => from(n, &format!("198.51.100.{}", n % 250)),
                n => from(n, &format!("203.0.113.{}", n % 250)),
            })
            .collect();
        for some in hits.chunks(500) {
            database.insert(batch(some.to_vec()), "node-a").await.unwrap();
        }
        let of = async |net: &str| {
            let filter = Filter { ips: only(net.parse().unwrap()), ..Filter::default() };
            database.attacks(&filter, &Page::first(5)).await.unwrap().rows.remove(0)
        };
        let many = of("198.51.100.0/24").await;
        assert_eq!((many.hits, many.blocked, many.sources, many.at_least), (50, 50, 50, true));
        assert_eq!(many.last_hit.as_ref().unwrap().ip, format!("198.51.100.{}", (ALL - 2) % 250));
        let filter = Filter { ips: only("198.51.100.0/24".parse().unwrap()), ..any() };
        let alone = database.attacks_alone(&filter, &Page::first(5)).await.unwrap().rows.remove(0);
        assert_eq!((&alone.id, alone.hits, alone.last_hit, alone.excerpt), (&many.id, 50, None, None));
        // What an index counts is exact: one address, and a network with few hits.
        let one = of("198.51.100.2/32").await;
        assert_eq!((one.hits, one.at_least), (17, false));
        let few = of("192.0.2.0/24").await;
        assert_eq!((few.hits, few.sources, few.at_least), (1, 1, false));
    }
}

both! {
    async fn of_an_address_with_very_many_hits_the_newest_are_counted(fresh) {
        let database = fresh.open().await;
        const ALL: u64 = 2_100;
        let hits: Vec<Hit> = (0..ALL)
            .map(|n| {
                let mut hit = hit(NOON + n as i64 * SECOND, n);
                hit.client.ip = if n == 7 { "192.0.2.9".into() } else { "198.51.100.7".into() };
                hit
            })
            .collect();
        for some in hits.chunks(1_000) {
            database.insert(batch(some.to_vec()), "node-a").await.unwrap();
        }
        let of = async |ip: &str| {
            let filter = Filter { ips: only(ip.parse().unwrap()), ..Filter::default() };
            database.attacks(&filter, &Page::first(5)).await.unwrap().rows.remove(0)
        };
        let many = of("198.51.100.7/32").await;
        assert_eq!((many.hits, many.blocked, many.sources, many.at_least), (1_000, 1_000, 1, true));
        let one = of("192.0.2.9/32").await;
        assert_eq!((one.hits, one.sources, one.at_least), (1, 1, false));
    }
}
