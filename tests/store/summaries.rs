//! Hours added up to days.

use crate::make::*;
use crate::queries::{any, hits_pool, only};
use weir_control_plane::store::{Database, Dimension, Filter, Span, Terms};
use weir_core::model::AttackType;
use weir_protocol::hit::Hit;

/// The first midnight of the hits, 2026-03-10 00:00 UTC.
const MIDNIGHT: i64 = NOON - 12 * HOUR;

/// Values with hits and blocked hits.
type Counts = Vec<(String, u64, u64)>;

/// Hits of three days and a half, every three hours, of two hosts, two applications and two sources.
fn hits(first: u64) -> Vec<Hit> {
    let places = [("shop.example", 1, 7), ("shop.example", 1, 7), ("shop.example", 2, 8), ("api.example", 2, 7)];
    let make = |n: u64| {
        let (host, application, source) = places[n as usize % places.len()];
        let mut hit = hit(MIDNIGHT + n as i64 * 3 * HOUR, first + n);
        (hit.request.host, hit.application, hit.folded) = (host.into(), application, n % 3);
        hit.client.ip = format!("203.0.113.{source}");
        if n.is_multiple_of(5) { monitored(with(hit, AttackType::Rce, "r")) } else { hit }
    };
    (0..28).map(make).collect()
}

/// Rankings and plots of each subject: whole days, a stretch with parts of days at both ends, and one of hours.
async fn rankings_and_plots(database: &Database, subjects: &[Filter], sizes: &Terms<Span>) -> Vec<Counts> {
    let mut all = Vec::new();
    for subject in subjects {
        for (from, to) in [
            (MIDNIGHT, MIDNIGHT + 3 * DAY),
            (MIDNIGHT - 10 * DAY, MIDNIGHT + 20 * DAY),
            (MIDNIGHT + 5 * HOUR, MIDNIGHT + 2 * DAY + 7 * HOUR),
            (MIDNIGHT + 2 * HOUR, MIDNIGHT + 14 * HOUR),
        ] {
            let filter = Filter { from: Some(from), to: Some(to), sizes: sizes.clone(), ..subject.clone() };
            for dimension in [Dimension::AttackType, Dimension::Source, Dimension::Target] {
                let top = database.top(dimension, &filter, 100).await.unwrap();
                all.push(top.into_iter().map(|count| (count.value, count.hits, count.blocked)).collect());
            }
            let series = database.series(&filter, from, to, HOUR).await.unwrap();
            all.push(series.slots.iter().map(|slot| (String::new(), slot.hits, slot.blocked)).collect());
        }
    }
    all
}

fn subjects() -> [Filter; 3] {
    [Filter { hosts: only("Shop.example".into()), ..any() }, Filter { applications: only(2), ..any() }, any()]
}

/// What only the hits themselves can answer.
fn from_hits() -> Terms<Span> {
    only(Span::default())
}

both! {
    async fn days_agree_with_the_hits(fresh) {
        let database = fresh.open().await;
        database.insert(batch(hits(0)), "n").await.unwrap();
        assert_eq!(database.summarize_days().await.unwrap(), 0, "hours come first");
        database.summarize_hours().await.unwrap();
        let truth = rankings_and_plots(&database, &subjects(), &from_hits()).await;
        assert_eq!(rankings_and_plots(&database, &subjects(), &Terms::default()).await, truth, "before");
        assert_eq!(database.summarize_days().await.unwrap(), 4);
        assert_eq!(rankings_and_plots(&database, &subjects(), &Terms::default()).await, truth, "after");
        assert_eq!(database.summarize_days().await.unwrap(), 0, "nothing is due");
        // A batch sent again changes nothing.
        assert_eq!(database.insert(batch(hits(0)), "n").await.unwrap().stored, 0);
        assert_eq!(database.summarize_days().await.unwrap(), 0);
        // Late hits of the first day count at once; later their hours and the day are made again.
        database.insert(batch(hits(100).into_iter().take(3)), "n").await.unwrap();
        let later = rankings_and_plots(&database, &subjects(), &from_hits()).await;
        assert_ne!(later, truth);
        assert_eq!(rankings_and_plots(&database, &subjects(), &Terms::default()).await, later, "right after");
        assert_eq!(database.summarize_days().await.unwrap(), 0, "its hours come first");
        assert_eq!((database.summarize_hours().await.unwrap(), database.summarize_days().await.unwrap()), (3, 1));
        assert_eq!(rankings_and_plots(&database, &subjects(), &Terms::default()).await, later, "made again");
    }

    async fn a_day_that_is_added_up_is_read_alone(fresh) {
        let database = fresh.open().await;
        database.insert(batch(hits(0)), "n").await.unwrap();
        database.summarize_hours().await.unwrap();
        database.summarize_days().await.unwrap();
        let application = [Filter { applications: only(2), ..any() }];
        let truth = rankings_and_plots(&database, &application, &Terms::default()).await;
        let pool = hits_pool(&fresh, &database).await;
        let whole_day = MIDNIGHT / HOUR + 24;
        for table in ["hour_summaries", "summarized_hours"] {
            let sql = format!("DELETE FROM {table} WHERE hour >= {whole_day} AND hour < {whole_day} + 24");
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        }
        let bound = |day: i64| id(MIDNIGHT + day * DAY, 0);
        let sql = format!("DELETE FROM hits WHERE id >= '{}' AND id < '{}'", bound(1), bound(2));
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        let read = rankings_and_plots(&database, &application, &Terms::default()).await;
        assert_eq!(read, truth);
        // Without the note that the day is added up its hits are looked for, and are gone.
        sqlx::raw_sql("DELETE FROM summarized_days").execute(&pool).await.unwrap();
        assert_ne!(rankings_and_plots(&database, &application, &Terms::default()).await, truth);
    }

    async fn hosts_that_an_hour_leaves_out_are_not_missing_in_its_day(fresh) {
        let database = fresh.open().await;
        // An hour with more hosts than are kept, and one with two of them.
        let of = |hour: i64, n: u64, host: String, folded: u64| {
            let mut hit = hit(MIDNIGHT + hour * HOUR + n as i64 * SECOND, n);
            (hit.request.host, hit.folded, hit.application) = (host, folded, n as i64);
            hit
        };
        let mut all: Vec<Hit> = (0..120).map(|n| of(3, n, format!("h{n:03}.example"), u64::from(n == 119))).collect();
        all.extend([7, 119].map(|n| of(5, n, format!("h{n:03}.example"), 0)));
        all.push(of(5, 110, "h110.example".into(), 0));
        database.insert(batch(all), "n").await.unwrap();
        let hosts = ["h119.example", "h110.example", "h050.example", "none.example"];
        let mut subjects: Vec<Filter> = hosts.map(|host| Filter { hosts: only(host.into()), ..any() }).into();
        subjects.extend([119, 110, 50, 500].map(|id| Filter { applications: only(id), ..any() }));
        let truth = rankings_and_plots(&database, &subjects, &from_hits()).await;
        database.summarize_hours().await.unwrap();
        assert_eq!(rankings_and_plots(&database, &subjects, &Terms::default()).await, truth, "by hour");
        assert_eq!(database.summarize_days().await.unwrap(), 1);
        assert_eq!(rankings_and_plots(&database, &subjects, &Terms::default()).await, truth, "by day");
    }

    async fn days_go_with_their_hits(fresh) {
        let database = fresh.open().await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        let midnight = now / DAY * DAY;
        // Of two days, both before the month of the other ones where that matters.
        let (old, kept) = (midnight - 100 * DAY, midnight - 3 * DAY);
        database.insert(batch([hit(old, 1), hit(kept, 2)]), "n").await.unwrap();
        assert_eq!((database.summarize_hours().await.unwrap(), database.summarize_days().await.unwrap()), (2, 2));
        database.set_retention(30);
        database.retain().await.unwrap();
        let mut dump = Vec::new();
        database.dump(&mut dump).await.unwrap();
        let dump = String::from_utf8(dump).unwrap();
        // Its hour and its day begin at the same hour: eight lists and a note of each.
        let hour = |time: i64| dump.lines().filter(|line| line.starts_with(&format!("[{},", time / HOUR))).count();
        assert_eq!((hour(old), hour(kept)), (0, 2 * (8 + 1)), "{dump}");
        assert_eq!(database.summarize_days().await.unwrap(), 0);
    }

    async fn a_dump_has_days_that_hold(fresh) {
        let database = fresh.open().await;
        database.insert(batch(hits(0)), "n").await.unwrap();
        database.summarize_hours().await.unwrap();
        database.summarize_days().await.unwrap();
        let truth = rankings_and_plots(&database, &subjects(), &Terms::default()).await;
        let mut dump = Vec::new();
        database.dump(&mut dump).await.unwrap();
        for copy in [crate::engines::sqlite(), crate::engines::postgres()].into_iter().flatten() {
            let restored = copy.open().await;
            restored.restore(&mut &dump[..]).await.unwrap();
            assert_eq!(rankings_and_plots(&restored, &subjects(), &Terms::default()).await, truth);
            assert_eq!(restored.summarize_days().await.unwrap(), 0, "they hold");
            restored.insert(batch(hits(100)), "n").await.unwrap();
            let later = rankings_and_plots(&restored, &subjects(), &from_hits()).await;
            assert_eq!(rankings_and_plots(&restored, &subjects(), &Terms::default()).await, later, "until hits come in");
        }
    }

    async fn days_of_an_older_build_are_added_up_afterwards(fresh) {
        let database = fresh.open().await;
        database.insert(batch(hits(0)), "n").await.unwrap();
        database.summarize_hours().await.unwrap();
        let pool = hits_pool(&fresh, &database).await;
        // As an upgrade finds it.
        sqlx::raw_sql("DELETE FROM hit_counts WHERE kind = 7").execute(&pool).await.unwrap();
        assert_eq!(database.summarize_days().await.unwrap(), 4);
        let truth = rankings_and_plots(&database, &subjects(), &from_hits()).await;
        assert_eq!(rankings_and_plots(&database, &subjects(), &Terms::default()).await, truth);
        database.insert(batch(hits(100)), "n").await.unwrap();
        let later = rankings_and_plots(&database, &subjects(), &from_hits()).await;
        assert_eq!(rankings_and_plots(&database, &subjects(), &Terms::default()).await, later, "the first hit makes its day void");
        database.summarize_hours().await.unwrap();
        // An old replica beside this one adds hits and does not count them for the day.
        assert_eq!(database.summarize_days().await.unwrap(), 4);
        database.insert(batch(hits(200).into_iter().take(1)), "n").await.unwrap();
        sqlx::raw_sql("UPDATE hit_counts SET hits = hits - 1 WHERE kind = 7 AND hour = (SELECT MIN(hour) FROM hit_counts WHERE kind = 7)")
            .execute(&pool).await.unwrap();
        database.summarize_hours().await.unwrap();
        assert_eq!(database.summarize_days().await.unwrap(), 1, "found by the sum of the hours");
        let truth = rankings_and_plots(&database, &subjects(), &from_hits()).await;
        assert_eq!(rankings_and_plots(&database, &subjects(), &Terms::default()).await, truth);
    }
}
