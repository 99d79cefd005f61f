//! Hits as uneven as in life: few sources, hosts and paths have most of them.

use crate::sets::Random;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_core::model::{AttackType, Confidence, PointPath};
use weir_protocol::hit::Hit;
use weir_protocol::hit::{HitDirection, HitFinding};
use weir_protocol::node_api::Record;

/// How far back hits lie, in milliseconds.
const SPAN: u64 = 10 * 24 * 3_600_000;
const SOURCES: usize = 20_000;
const HOSTS: usize = 30;
const PATHS: usize = 400;
const POINTS: usize = 60;
const TYPES: &[AttackType] =
    &[AttackType::Sqli, AttackType::Xss, AttackType::Ptrav, AttackType::Rce, AttackType::Scanner, AttackType::Ssrf];
const COUNTRIES: &[&str] = &["NL", "US", "DE", "BR", "IN", "CN", "FR", "VN", "RU", "ZA"];

/// Makes hits in order of time.
pub struct Traffic {
    random: Random,
    begin: u64,
    step: f64,
    made: u64,
    message: String,
}

impl Traffic {
    /// `hits` in all, each with a message of about `size` bytes.
    pub fn new(hits: u64, size: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis() as u64;
        // Base64: 12 characters for 9 bytes.
        let message = "R0VUIC8gSFRU".repeat(size / 9);
        Self { random: Random(7), begin: now - SPAN, step: SPAN as f64 / hits as f64, made: 0, message }
    }

    pub fn batch(&mut self, size: u64) -> Vec<Record> {
        (0..size).map(|_| Record::Hit(Box::new(self.hit()))).collect()
    }

    /// A number below `n`, small ones far more often.
    fn uneven(&mut self, n: usize) -> usize {
        self.random.below(n) * self.random.below(n) / n * self.random.below(n) / n
    }

    fn hit(&mut self) -> Hit {
        let time = self.begin + (self.made as f64 * self.step) as u64;
        let bits = (u128::from(time) << 80) | (7 << 76) | (2u128 << 62) | u128::from(self.made);
        self.made += 1;
        let attack = TYPES[self.uneven(TYPES.len())];
        let point: PointPath =
            serde_json::from_value(serde_json::json!([["get", format!("p{}", self.uneven(POINTS))]])).expect("a point");
        let source = self.uneven(SOURCES);
        let blocked = self.random.below(10) > 0;
        let mut hit = Hit { version: 1, time, attempt: 1, application: self.uneven(8) as i64, ..Hit::default() };
        hit.id = uuid::Uuid::from_u128(bits).to_string();
        hit.leg = HitDirection::Request;
        hit.request_id = format!("{:032x}", bits.rotate_left(17));
        hit.connector = "kong/1".into();
        hit.client.ip = format!("198.{}.{}.{}", 18 + source % 2, source / 250 % 250, source % 250 + 1);
        hit.client.country = COUNTRIES[source % COUNTRIES.len()].into();
        hit.request.method = if self.random.below(3) == 0 { "POST" } else { "GET" }.into();
        hit.request.host = format!("shop-{}.example", self.uneven(HOSTS));
        hit.request.path = format!("/api/v1/{}/{}", self.random.pick(crate::sets::WORDS), self.uneven(PATHS));
        hit.request.protocol = "HTTP/1.1".into();
        hit.request.bytes = 200 + self.random.below(2_000) as u64;
        hit.request.raw.clone_from(&self.message);
        hit.mode = if blocked { "block" } else { "monitoring" }.into();
        hit.action = if blocked { "block" } else { "pass" }.into();
        hit.reason = "attack".into();
        hit.attacks.push(attack);
        hit.findings.push(HitFinding {
            attack,
            rule: format!("{attack}.bench"),
            point,
            confidence: Confidence::High,
            decisive: true,
            matched: "' or 1=1".into(),
        });
        hit
    }
}
