//! Clocks that are wrong, those of nodes and our own.

use crate::make::*;
use weir_control_plane::store::{Database, Filter, Page};
use weir_protocol::node_api::{Ack, Record};

/// Takes a batch in as the node API does.
async fn receive(database: &Database, records: Vec<Record>) -> Ack {
    let redated = database.redate(records).await.unwrap();
    database.insert_redated(redated, "n").await.unwrap()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

/// Stored, duplicates, and lines that were rejected.
fn counts(ack: &Ack) -> (u64, u64, Vec<u64>) {
    (ack.stored, ack.duplicates, ack.rejected.iter().map(|(line, _)| *line).collect())
}

async fn stored(database: &Database) -> usize {
    database.hits(&Filter::default(), &Page::first(200)).await.unwrap().rows.len()
}

/// Notes that the hit `id` is stored as `instead`.
async fn note(database: &Database, id: &str, instead: &str) {
    let sql = sqlx::query("INSERT INTO misdated_hits (id, stored) VALUES ($1, $2)").bind(id.to_owned());
    sql.bind(instead.to_owned()).execute(database.control().write()).await.unwrap();
}

both! {
    async fn a_misdated_hit_is_stored_once_however_often_it_comes(fresh) {
        let database = fresh.open().await;
        let (early, late) = (hit(0, 1), hit(now() + 400 * DAY, 2));
        let send = || batch([early.clone(), late.clone(), hit(now(), 3)]);
        assert_eq!(counts(&receive(&database, send()).await), (3, 0, vec![]));
        assert_eq!(counts(&receive(&database, vec![update(&late.id, 502)]).await), (1, 0, vec![]));
        let again = database.redate(batch([early.clone()])).await.unwrap();
        let as_stored = again.records.into_iter().map(|record| match record {
            Record::Hit(hit) => hit.id,
            Record::Update(update) => update.hit,
        });
        let as_stored: Vec<String> = as_stored.collect();
        assert_ne!(as_stored[0], early.id);
        assert!(database.hit(&as_stored[0]).await.unwrap().is_some());
        assert_eq!(counts(&receive(&database, batch([early, late])).await), (0, 2, vec![]));
        assert_eq!(stored(&database).await, 3);
    }

    // As when the control plane's clock jumps between a batch and the same one sent again.
    async fn what_is_stored_is_a_duplicate_at_whatever_time_nothing_more_can_be(fresh) {
        let database = fresh.open().await;
        // One of another month, and the second call for one that came before.
        let (february, mut again) = (hit(NOON - 20 * DAY, 5), hit(NOON + SECOND, 6));
        (again.attempt, again.request_id) = (2, hit(NOON, 1).request_id);
        let first = batch([hit(NOON, 1), monitored(hit(NOON + 1, 2)), february.clone(), again.clone()]);
        assert_eq!(counts(&receive(&database, first).await), (3, 1, vec![]));
        // From now on nothing of that day is taken in.
        database.set_retention(1);
        let mut bad = hit(now(), 4);
        bad.id = "no id".into();
        let mut records = batch([hit(NOON, 1), bad, monitored(hit(NOON + 1, 2)), hit(now(), 3), february, again]);
        records.push(update(&id(NOON, 1), 502));
        assert_eq!(counts(&receive(&database, records).await), (2, 4, vec![1]));
        let told = database.hit(&id(NOON, 1)).await.unwrap().unwrap();
        assert_eq!(told.hit.response.map(|response| response.status), Some(502));
        assert_eq!(counts(&receive(&database, vec![update(&id(NOON, 1), 502)]).await), (0, 1, vec![]));
        assert_eq!(stored(&database).await, 4);
    }

    // What fits when times are looked at fits when it is stored, though a day ends in between.
    async fn a_batch_is_judged_by_one_clock(fresh) {
        let database = fresh.open().await;
        let redated = database.redate(batch([hit(NOON, 1)])).await.unwrap();
        database.set_retention(1);
        assert_eq!(counts(&database.insert_redated(redated, "n").await.unwrap()), (1, 0, vec![]));
        assert_eq!(stored(&database).await, 1);
    }

    // As when the clock was wrong while an id was noted, and is right again.
    async fn an_id_that_was_noted_at_a_wrong_time_is_kept_if_its_hit_is_stored_and_else_replaced(fresh) {
        let database = fresh.open().await;
        assert_eq!(counts(&receive(&database, batch([hit(NOON, 88)])).await), (1, 0, vec![]));
        note(&database, &id(0, 1), &id(NOON, 88)).await;
        note(&database, &id(0, 2), &id(NOON, 77)).await;
        database.set_retention(1);
        let send = || batch([hit(0, 1), hit(0, 2)]);
        assert_eq!(counts(&receive(&database, send()).await), (1, 1, vec![]));
        assert_eq!(counts(&receive(&database, send()).await), (0, 2, vec![]));
        assert_eq!(counts(&receive(&database, vec![update(&id(0, 1), 404)]).await), (1, 0, vec![]));
        let told = database.hit(&id(NOON, 88)).await.unwrap().unwrap();
        assert_eq!(told.hit.response.map(|response| response.status), Some(404));
        assert_eq!(stored(&database).await, 2);
    }
}
