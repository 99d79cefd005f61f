//! Exactly once, in any order.

use crate::make::*;
use weir_control_plane::store::{AttackStatus, Filter, Mark, Page};
use weir_core::model::AttackType;

/// Everything, on one page.
fn all() -> Page {
    Page::first(200)
}

both! {
    async fn a_batch_sent_again_changes_nothing(fresh) {
        let database = fresh.open().await;
        let send = || batch((0..300).map(|n| hit(NOON + n as i64, n)));
        let first = database.insert(send(), "node-1").await.unwrap();
        assert_eq!((first.stored, first.duplicates, first.rejected.len()), (300, 0, 0));
        let again = database.insert(send(), "node-1").await.unwrap();
        assert_eq!((again.stored, again.duplicates), (0, 300));
        let twice = database.insert(batch([hit(NOON + HOUR, 1), hit(NOON + HOUR, 1)]), "node-1").await.unwrap();
        assert_eq!((twice.stored, twice.duplicates), (1, 1));
        let attacks = database.attacks(&Filter::default(), &all()).await.unwrap().rows;
        assert_eq!(attacks.len(), 1, "{attacks:#?}");
        assert_eq!((attacks[0].hits, attacks[0].blocked, attacks[0].sources), (301, 301, 1));
        assert_eq!(attacks[0].status, AttackStatus::Blocked);
        assert_eq!(attacks[0].point, point("q"));
        let last = attacks[0].last_hit.as_ref().unwrap();
        assert_eq!((last.time, last.node.as_str(), last.path.as_str()), (NOON + HOUR, "node-1", "/search"));
        let series = database.series(&Filter::default(), NOON, NOON + 2 * HOUR, HOUR).await.unwrap();
        assert_eq!(series.slots.iter().map(|s| (s.hits, s.blocked)).collect::<Vec<_>>(), [(300, 300), (1, 1)]);
    }

    async fn many_senders_at_once_store_each_hit_once(fresh) {
        let database = fresh.open().await;
        let mut tasks = Vec::new();
        for task in 0..8u64 {
            let database = database.clone();
            tasks.push(tokio::spawn(async move {
                let mut stored = 0;
                for round in 0..5u64 {
                    // Each hit is sent by two tasks, in opposite orders.
                    let mut records = batch((0..40).map(|n| {
                        let n = round * 1_000 + (task / 2) * 100 + n;
                        with(hit(NOON + n as i64, n), AttackType::Xss, &format!("p{}", n % 7))
                    }));
                    if task % 2 == 1 {
                        records.reverse();
                    }
                    stored += database.insert(records, "node").await.unwrap().stored;
                }
                stored
            }));
        }
        let mut stored = 0;
        for task in tasks {
            stored += task.await.unwrap();
        }
        assert_eq!(stored, 4 * 5 * 40);
        let attacks = database.attacks(&Filter::default(), &all()).await.unwrap().rows;
        let of = |attack| attacks.iter().filter(|a| a.attack_type == attack).map(|a| a.hits).sum::<u64>();
        assert_eq!((of(AttackType::Sqli), of(AttackType::Xss)), (800, 800));
        assert_eq!(attacks.len(), 1 + 7);
    }

    async fn late_hits_join_extend_and_bridge(fresh) {
        let database = fresh.open().await;
        let insert = async |hits: Vec<weir_protocol::hit::Hit>| database.insert(batch(hits), "n").await.unwrap();
        insert(vec![hit(NOON, 1), monitored(hit(NOON + 2 * HOUR, 2))]).await;
        let two = database.attacks(&Filter::default(), &all()).await.unwrap().rows;
        assert_eq!(two.iter().map(|a| a.hits).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(two.iter().map(|a| a.status).collect::<Vec<_>>(), [AttackStatus::Monitoring, AttackStatus::Blocked]);
        let marked = database.mark(&two[0].id, Some(Mark::Fp), "ann").await.unwrap().unwrap();
        assert_eq!(marked.mark.as_ref().map(|m| (m.mark, m.author.as_str())), Some((Mark::Fp, "ann")));
        insert(vec![hit(NOON + HOUR, 3)]).await;
        let one = database.attacks(&Filter::default(), &all()).await.unwrap().rows;
        assert_eq!(one.len(), 1, "{one:#?}");
        assert_eq!((one[0].hits, one[0].blocked, one[0].status), (3, 2, AttackStatus::PartiallyBlocked));
        assert_eq!((one[0].first_time, one[0].last_time), (NOON, NOON + 2 * HOUR));
        assert_eq!(one[0].id, two[1].id, "the older one stays");
        assert_eq!(one[0].mark.as_ref().map(|m| m.mark), Some(Mark::Fp), "the mark is kept");
        assert_eq!(database.attack(&two[0].id).await.unwrap().unwrap(), one[0], "the other id leads to it");
        let listed = database.attack_hits(&two[0].id, &all()).await.unwrap().unwrap().rows;
        assert_eq!(listed.iter().map(|h| h.time).collect::<Vec<_>>(), [NOON + 2 * HOUR, NOON + HOUR, NOON]);
        insert(vec![hit(NOON - HOUR, 4), hit(NOON + 4 * HOUR, 5)]).await;
        let rows = database.attacks(&Filter::default(), &all()).await.unwrap().rows;
        assert_eq!(rows.iter().map(|a| a.hits).collect::<Vec<_>>(), [1, 4]);
        assert!(database.mark(&id(NOON, 99), Some(Mark::Tp), "ann").await.unwrap().is_none());
        assert!(database.mark(&one[0].id, None, "ben").await.unwrap().unwrap().mark.is_none());
    }

    async fn months_part_attacks(fresh) {
        let database = fresh.open().await;
        // 2026-04-01 00:00 UTC.
        let first = 1_775_001_600_000;
        let ack = database.insert(batch([hit(first - SECOND, 1), hit(first, 2)]), "n").await.unwrap();
        assert_eq!(ack.stored, 2);
        let attacks = database.attacks(&Filter::default(), &all()).await.unwrap().rows;
        assert_eq!(attacks.iter().map(|a| (a.first_time, a.hits)).collect::<Vec<_>>(), [(first, 1), (first - SECOND, 1)]);
        let hits = database.hits(&Filter::default(), &Page::first(1)).await.unwrap();
        let rest = database.hits(&Filter::default(), &Page { after: hits.next.clone(), limit: 1 }).await.unwrap();
        assert_eq!((hits.rows[0].time, rest.rows[0].time, rest.next), (first, first - SECOND, None));
    }

    async fn clocks_that_jump_lose_nothing_that_can_be_kept(fresh) {
        let database = fresh.open().await;
        database.set_retention(200);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        let hits = [
            hit(now, 0), hit(now - 3 * HOUR, 1), hit(now + 20 * HOUR, 2), hit(now - 150 * DAY, 3),
            hit(now + 2 * DAY, 4), hit(now - 400 * DAY, 5), hit(0, 6),
        ];
        let mut bad = hit(now, 7);
        bad.id = "not an id".into();
        let mut version_4 = hit(now, 8);
        version_4.id = "550e8400-e29b-41d4-a716-446655440000".into();
        let mut large = hit(now, 9);
        large.request.raw = "A".repeat(4 << 20);
        let ack = database.insert(batch(hits.into_iter().chain([bad, version_4, large])), "n").await.unwrap();
        assert_eq!(ack.stored, 4);
        let lines: Vec<u64> = ack.rejected.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 5, 6, 7, 8, 9], "{:?}", ack.rejected);
        assert!(ack.rejected.iter().all(|(_, why)| !why.is_empty()));
        assert_eq!(database.hits(&Filter::default(), &all()).await.unwrap().rows.len(), 4);
    }

    async fn a_repeated_call_is_one_hit(fresh) {
        let database = fresh.open().await;
        let attempt = |time, n, attempt| {
            let mut hit = hit(time, n);
            hit.attempt = attempt;
            hit.request_id = "same".into();
            hit
        };
        let second = || batch([attempt(NOON + 500, 2, 2)]);
        let one = database.insert(batch([attempt(NOON, 1, 1)]), "n").await.unwrap();
        let two = database.insert(second(), "n").await.unwrap();
        let again = database.insert(second(), "n").await.unwrap();
        assert_eq!((one.stored, two.stored, two.duplicates, again.stored, again.duplicates), (1, 0, 1, 0, 1));
        // The other way round, and both in one batch.
        let mut late = attempt(NOON, 3, 2);
        let mut early = attempt(NOON - 300, 4, 1);
        (late.request_id, early.request_id) = ("other".into(), "other".into());
        database.insert(batch([late]), "n").await.unwrap();
        assert_eq!(database.insert(batch([early]), "n").await.unwrap().duplicates, 1);
        let (mut a, mut b) = (attempt(NOON, 5, 1), attempt(NOON + 1, 6, 2));
        (a.request_id, b.request_id) = ("third".into(), "third".into());
        assert_eq!(database.insert(batch([a, b]), "n").await.unwrap().stored, 1);
        // Equal ids alone do not hide a hit.
        assert_eq!(database.insert(batch([attempt(NOON + 9, 7, 1)]), "n").await.unwrap().stored, 1);
        let attacks = database.attacks(&Filter::default(), &all()).await.unwrap().rows;
        assert_eq!((attacks.len(), attacks[0].hits), (1, 4));
        let merged = database.hit(&id(NOON + 500, 2)).await.unwrap().unwrap();
        assert_eq!(merged.hit.id, id(NOON, 1));
        let told = database.insert(vec![update(&id(NOON + 500, 2), 502)], "n").await.unwrap();
        assert_eq!(told.stored, 1);
        assert_eq!(database.hit(&id(NOON, 1)).await.unwrap().unwrap().hit.response.unwrap().status, 502);
    }

    async fn updates_find_their_hit_before_and_after(fresh) {
        let database = fresh.open().await;
        let (first, second) = (id(NOON, 1), id(NOON, 2));
        let early = database.insert(vec![update(&first, 200)], "n").await.unwrap();
        assert_eq!((early.stored, early.duplicates), (1, 0));
        assert!(database.hit(&first).await.unwrap().is_none());
        database.insert(batch([monitored(hit(NOON, 1)), monitored(hit(NOON, 2))]), "n").await.unwrap();
        let ack = database.insert(vec![update(&first, 200), update(&second, 404)], "n").await.unwrap();
        assert_eq!((ack.stored, ack.duplicates), (1, 1));
        for (id, status) in [(first, 200), (second, 404)] {
            let stored = database.hit(&id).await.unwrap().unwrap();
            assert_eq!(stored.hit.response.map(|r| (r.status, r.after_ms)), Some((status, 12)));
            assert_eq!(stored.hit.gateway.consumer, "alice");
            assert_eq!(stored.attacks.len(), 1);
        }
        let bad = database.insert(vec![update("nonsense", 200)], "n").await.unwrap();
        assert_eq!(bad.rejected.len(), 1);
    }

    async fn a_hit_with_several_attacks_joins_several_groups(fresh) {
        let database = fresh.open().await;
        let hit = with(with(hit(NOON, 1), AttackType::Xss, "q"), AttackType::Sqli, "other");
        database.insert(batch([hit.clone()]), "n").await.unwrap();
        let stored = database.hit(&hit.id).await.unwrap().unwrap();
        assert_eq!(stored.attacks.len(), 3);
        assert_eq!(stored.hit.findings, hit.findings);
        let series = database.series(&Filter::default(), NOON, NOON + HOUR, HOUR).await.unwrap();
        assert_eq!(series.slots[0].hits, 1, "but it is one hit");
    }

    async fn odd_text_is_stored_as_it_is(fresh) {
        let database = fresh.open().await;
        let evil = "a\0'\"; DROP TABLE hits; -- %_!\\ \u{202e}é🦀";
        let mut odd = hit(NOON, 1);
        odd.request.path = format!("/{evil}");
        odd.request.host = evil.into();
        odd.client.ip = evil.into();
        odd.client.country = evil.into();
        odd.request_id = evil.into();
        odd.request.method = evil.into();
        odd.findings[0].point = serde_json::from_value(serde_json::json!([["hash", evil]])).unwrap();
        let ack = database.insert(batch([odd.clone()]), evil).await.unwrap();
        assert_eq!((ack.stored, ack.rejected.len()), (1, 0));
        let stored = database.hit(&odd.id).await.unwrap().unwrap();
        odd.node = evil.into();
        assert_eq!(stored.hit, odd);
        assert_eq!(stored.attacks[0].point, odd.findings[0].point);
        let all = database.attacks(&Filter::default(), &all()).await.unwrap().rows;
        assert_eq!(all.len(), 1);
    }
}
