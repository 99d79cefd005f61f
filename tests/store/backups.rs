//! Copies, dumps and pages.

use crate::make::*;
use tokio::io::BufReader;
use weir_control_plane::store::{Database, Filter, Mark, Page, StoreError};
use weir_protocol::hit::Hit;
use weir_protocol::node_api::{RuleMinute, SessionRequest, SessionTrail, Statistics, StatisticsRow};

async fn filled(database: &Database) {
    let hits = (0..700u64).map(|n| {
        let mut hit = hit(NOON + n as i64 * 40 * MINUTE, n);
        hit.findings[0].point = point(&format!("p{}", n % 5));
        hit.request.path = format!("/a\u{0}b\"\n{n}");
        hit
    });
    database.insert(batch(hits), "n").await.unwrap();
    database.insert(vec![update(&id(NOON, 0), 200), update(&id(NOON, 999), 500)], "n").await.unwrap();
    let attack = &database.attacks(&Filter::default(), &Page::first(1)).await.unwrap().rows[0];
    database.mark(&attack.id, Some(Mark::Tp), "ann").await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let row = StatisticsRow { requests: 7, host: "h".into(), ..StatisticsRow::default() };
    let minute = RuleMinute { rule: 7, measure: 5, minute: now as u64 / 60_000, counts: vec![(4, 9)] };
    let statistics = Statistics {
        id: id(now, 1),
        node: "n".into(),
        from: now as u64 / 1_000,
        seconds: 30,
        rows: vec![row],
        rules: vec![minute],
        sessions: vec![SessionTrail {
            session: "ab".into(),
            requests: vec![SessionRequest { time: now as u64, note: "x".into(), ..SessionRequest::default() }],
            ..SessionTrail::default()
        }],
    };
    database.record_statistics(&statistics).await.unwrap();
    let bytes: Vec<u8> = (0..PIECE).map(|n| (n * 7 % 251) as u8).collect();
    for number in 0..3i64 {
        let insert = sqlx::query("INSERT INTO blob_chunks (sha256, number, content) VALUES ($1, $2, $3)");
        let insert = insert.bind("ab").bind(number).bind(bytes.clone());
        insert.execute(database.control().write()).await.unwrap();
    }
}

/// Bytes of a piece of a rule pack or database.
const PIECE: usize = 256 << 10;

/// The pieces of files.
async fn pieces(database: &Database) -> Vec<Vec<u8>> {
    let all = sqlx::query("SELECT content FROM blob_chunks ORDER BY sha256, number");
    let all = all.fetch_all(database.control().read()).await.unwrap();
    all.iter().map(|row| sqlx::Row::get(row, "content")).collect()
}

/// Everything that can be asked, as text.
async fn told(database: &Database) -> String {
    let history = database.rule_history(7, 5, 0).await.unwrap();
    assert_eq!(history.counts.total(), 9);
    let steps = database.session_requests("ab").await.unwrap();
    assert_eq!(steps.len(), 1);
    let (mut out, mut after) = (format!("{history:?} {steps:?}"), None);
    loop {
        let page = database.attacks(&Filter::default(), &Page { after, limit: 200 }).await.unwrap();
        out.push_str(&serde_json::to_string(&page.rows).unwrap());
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut hits: Vec<Hit> = Vec::new();
    database
        .replay(&Filter::default(), 10_000, |r| {
            hits.push(r.hit);
            true
        })
        .await
        .unwrap();
    out.push_str(&serde_json::to_string(&hits).unwrap());
    let series = database.series(&Filter::default(), NOON, NOON + 30 * DAY, DAY).await.unwrap();
    out + &serde_json::to_string(&series).unwrap()
}

both! {
    async fn a_dump_restores_on_either_engine(fresh) {
        let database = fresh.open().await;
        filled(&database).await;
        let expected = told(&database).await;
        let mut dump = Vec::new();
        let done = database.dump(&mut dump).await.unwrap();
        assert!(done.rows > 2_100, "{done:?}");
        let targets = [crate::engines::sqlite(), crate::engines::postgres()];
        for target in targets.iter().flatten() {
            let copy = target.open().await;
            let restored = copy.restore(&mut BufReader::new(&dump[..])).await.unwrap();
            assert_eq!(restored.rows, done.rows);
            assert_eq!(told(&copy).await, expected, "{}", target.url);
            let (old, new) = (pieces(&database).await, pieces(&copy).await);
            assert!(old.len() == 3 && old[2].len() == PIECE && old == new, "files come back byte by byte");
            // It goes on from there: news wait for their hit, duplicates are known.
            let ack = copy.insert(batch([hit(NOON, 0), hit(NOON, 999)]), "n").await.unwrap();
            assert_eq!((ack.stored, ack.duplicates), (1, 1));
            assert_eq!(copy.hit(&id(NOON, 999)).await.unwrap().unwrap().hit.response.unwrap().status, 500);
            let again = copy.restore(&mut BufReader::new(&dump[..])).await.unwrap_err();
            assert!(again.to_string().contains("new one"), "{again}");
        }
    }

    async fn bad_dumps_are_refused_and_change_nothing(fresh) {
        let database = fresh.open().await;
        filled(&database).await;
        let mut dump = Vec::new();
        database.dump(&mut dump).await.unwrap();
        let text = String::from_utf8(dump).unwrap();
        let cut: String = text.lines().take(4).map(|line| format!("{line}\n")).collect();
        let newer = text.replacen("0150_hits", "9999_later", 1);
        let evil = text.replacen("\"traffic_batches\"", "\"traffic_batches; DROP TABLE hits\"", 1);
        for bad in ["", "x", "{}\n", "[1]\n", "{\"end\":1}\n", &text[..text.len() / 2], &cut, &newer, &evil] {
            let Some(target) = (if fresh.url.starts_with("sqlite") { crate::engines::sqlite() } else { crate::engines::postgres() })
                else { return };
            let copy = target.open().await;
            let error = copy.restore(&mut BufReader::new(bad.as_bytes())).await.unwrap_err();
            assert!(matches!(error, StoreError::Dump(_)), "{error}");
            let traffic = weir_control_plane::store::TrafficFilter::default();
            let hours = copy.traffic(&traffic, NOON / HOUR * HOUR, NOON / HOUR * HOUR + 2 * HOUR, HOUR).await.unwrap();
            assert_eq!(hours[0].total.requests, 0);
        }
    }

    async fn pages_have_every_row_once(fresh) {
        let database = fresh.open().await;
        filled(&database).await;
        let (mut hits, mut after) = (Vec::new(), None);
        loop {
            let page = database.hits(&Filter::default(), &Page { after, limit: 150 }).await.unwrap();
            hits.extend(page.rows);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(hits.len(), 700);
        assert!(hits.windows(2).all(|pair| pair[0].id > pair[1].id), "each once, newest first");
        assert_eq!((hits[0].path.as_str(), hits[699].status_code), ("/a\u{fffd}b\"\n699", 200));
    }
}

#[tokio::test]
async fn files_are_copied_while_hits_come_in() {
    let fresh = crate::engines::sqlite().unwrap();
    let database = fresh.open().await;
    filled(&database).await;
    let place = tempfile::tempdir().unwrap();
    let writer = {
        let database = database.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                database.insert(batch([hit(NOON, 5_000 + n)]), "n").await.unwrap();
            }
        })
    };
    assert_eq!(database.copy_files(place.path()).await.unwrap(), 2);
    writer.await.unwrap();
    assert!(database.copy_files(place.path()).await.is_err(), "nothing is overwritten");
    let copy = Database::open(&format!("sqlite:{}", place.path().display())).await.unwrap();
    let attacks = copy.attacks(&Filter::default(), &Page::first(200)).await.unwrap();
    assert!(attacks.rows.iter().map(|a| a.hits).sum::<u64>() >= 200);
}
