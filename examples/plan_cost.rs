//! Measures what `Policy::plan` costs.
use std::{hint::black_box, time::Instant};
use weir_core::model::{DecodedHead, DecodedPath, Message};
use weir_policy::{Policy, PolicyDoc, RequestContext, Settings, Source};
fn main() {
    let lists: String = (0..100_000u32)
        .map(|n| {
            let a = n.wrapping_mul(2654435761);
            format!("{}.{}.{}.{},", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255)
        })
        .collect();
    let lists = format!("ip_lists: [{{list: deny, values: [{}]}}]\n", lists.trim_end_matches(','));
    let rules = |n: u32| -> String {
        std::iter::once("rules:\n".to_owned()).chain((0..n).map(|i| format!("  - {{type: disable_stamp, stamp: s{i}, action: [{{type: equal, point: [header, HOST], value: h{}.example}}, {{type: equal, point: [path, 0], value: p{i}}}]}}\n", i % 100))).collect()
    };
    for (name, text) in [
        ("default", String::new()),
        ("10 rules", rules(10)),
        ("10,000 rules", rules(10_000)),
        ("100,000 addresses", lists.clone()),
        ("both", lists + &rules(10_000)),
    ] {
        let start = Instant::now();
        let doc = PolicyDoc::parse("x", &text).unwrap();
        let parsed = start.elapsed();
        let policy = Policy::compile(&Settings::default(), Some(&doc)).unwrap();
        let compiled = start.elapsed();
        let heads: Vec<_> = (0..1000u32)
            .map(|i| (format!("h{}.example", i % 100), format!("p{}", i * 7), format!("/p{}/x/login", i * 7), i))
            .collect();
        let facts: Vec<DecodedHead> = heads
            .iter()
            .map(|(h, p, full, _)| DecodedHead {
                host: h.as_bytes().into(),
                path: DecodedPath {
                    text: full.as_bytes().into(),
                    segments: vec![p.as_bytes().into(), b"x"[..].into()],
                    action_name: b"login"[..].into(),
                    ..DecodedPath::default()
                },
                ..DecodedHead::default()
            })
            .collect();
        let message = Message::default();
        let run = |rounds: u32| {
            let start = Instant::now();
            for _ in 0..rounds {
                for (n, facts) in facts.iter().enumerate() {
                    let client = std::net::Ipv4Addr::from((n as u32).wrapping_mul(40503 * 7919));
                    let head = RequestContext {
                        message: &message,
                        facts,
                        client: Some(client.into()),
                        source: Source::default(),
                        now: 1,
                        blocking: true,
                        request_id: "r",
                    };
                    black_box(policy.plan(black_box(&head)));
                }
            }
            start.elapsed().as_nanos() as f64 / f64::from(rounds) / 1000.0
        };
        run(20);
        println!("{name}: {:.0} ns a plan; parse {parsed:?}, with compile {compiled:?}", run(200));
    }
}
