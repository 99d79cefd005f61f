//! Many hits out of few, inside PostgreSQL: the store takes in the seed itself, and statements copy each of its hits to
//! other times of the same days. Rows lie in the order of time, as after ingest; attacks and counts are made from all hits
//! by the store's rules.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use std::time::Instant;

/// The seed apart, and the tables empty. Days have no more than 3,000 copies: three hex digits of an id tell them apart.
const EMPTY: &str = "
CREATE UNLOGGED TABLE seed AS SELECT h.*, d.doc FROM hits h JOIN hit_docs d ON d.id = h.id;
CREATE UNLOGGED TABLE seed_attacks AS
  SELECT DISTINCT ON (grp) grp, attack_type, point, host, sketch FROM attacks ORDER BY grp, sources DESC;
TRUNCATE hits, hit_docs, hit_groups, attacks, hit_counts, group_hours, hour_summaries, summarized_hours,
  day_summaries, summarized_days;
CREATE TABLE kept_indexes AS SELECT indexname, replace(indexdef, ' ON ONLY ', ' ON ') AS definition FROM pg_indexes
  WHERE indexname IN ('hits_words', 'hits_ip', 'hits_request', 'hits_repeated', 'hit_groups_source');
DROP INDEX IF EXISTS hits_words, hits_ip, hits_request, hits_repeated, hit_groups_source;";

/// Each hit at `COPIES` times, evenly over the span of the seed and a little by chance.
const PLAN: &str = "
SELECT setseed(0.5);
CREATE UNLOGGED TABLE plan AS
  WITH bounds AS (SELECT min(time) AS begin, max(time) - min(time) + 1 AS span, count(*) AS seeds FROM seed),
  moved AS (
    SELECT s.id AS old, k, begin + (s.time - begin + k * span / COPIES + floor(random() * span / seeds)::bigint) % span AS time
    FROM seed s CROSS JOIN bounds CROSS JOIN generate_series(0, COPIES - 1) AS k)
  SELECT old, time, substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-7' || lpad(to_hex(k), 3, '0') || substr(old, 19) AS id
  FROM (SELECT *, lpad(to_hex(time), 12, '0') AS hex FROM moved) AS each ORDER BY id;
CREATE INDEX ON plan USING brin (time);
ANALYZE plan, seed;";

/// The copies of one day, from BEGIN to END.
const DAY: &str = "
CREATE TEMPORARY TABLE one_day AS
  SELECT p.id AS new_id, p.time AS new_time, md5(p.id) AS new_request, s.* FROM plan p JOIN seed s ON s.id = p.old
  WHERE p.time >= BEGIN AND p.time < END ORDER BY p.id;
INSERT INTO hits SELECT new_id, new_time, connector, new_request, attempt, leg, node, ip, ip_key, country, application, method,
  host, path, protocol, size, status_code, response_after, mode, action, blocked, folded, attack_types, rules, grps, points,
  source_types, consumer, words FROM one_day;
INSERT INTO hit_docs SELECT new_id, replace(replace(replace(doc, id, new_id), request_id, new_request),
  '\"time\":' || time, '\"time\":' || new_time) FROM one_day;
INSERT INTO hit_groups SELECT trim(grps), new_id, ip_key, country, status_code, method, application, node, path, blocked, folded
  FROM one_day;
DROP TABLE one_day;";

/// Runs of hits of one group within a month and without an hour between two.
const ATTACKS: &str = "
INSERT INTO attacks (id, month, grp, attack_type, point, host, first_time, last_time, first_hit, last_hit, hits, blocked,
    folded, status, sources, mark, mark_author, mark_time, sketch, facets)
  WITH hit AS (
    SELECT trim(grps) AS grp, id, time, blocked, folded, ip_key, application, trim(rules) AS rule,
      (extract(year FROM to_timestamp(time / 1000) AT TIME ZONE 'UTC') * 12
        + extract(month FROM to_timestamp(time / 1000) AT TIME ZONE 'UTC') - 1)::bigint AS month FROM hits),
  gap AS (
    SELECT *, (time - lag(time) OVER (PARTITION BY grp, month ORDER BY id) > 3600000)::int AS opens FROM hit),
  run AS (SELECT *, sum(opens) OVER (PARTITION BY grp, month ORDER BY id) AS number FROM gap),
  sums AS (
    SELECT grp, month, min(time) AS first_time, max(time) AS last_time, min(id) AS first_hit, max(id) AS last_hit,
      count(*) AS hits, sum(blocked) AS blocked, sum(folded) AS folded, count(DISTINCT ip_key) AS sources,
      ' ' || string_agg(DISTINCT 'a=' || application, ' ') || ' r=' || min(rule) || ' ' AS facets
    FROM run GROUP BY grp, month, coalesce(number, 0))
  SELECT substr(first_hit, 1, 14) || '7' || substr(hash, 1, 3) || '-8' || substr(hash, 4, 3) || '-' || substr(hash, 7, 12),
    month, s.grp, attack_type, point, host, first_time, last_time, first_hit, last_hit, hits, blocked, folded,
    CASE WHEN blocked = 0 THEN 0 WHEN blocked >= hits THEN 2 ELSE 1 END, sources, '', '', 0, sketch, facets
  FROM (SELECT *, md5(grp || first_hit) AS hash FROM sums) AS s JOIN seed_attacks a ON a.grp = s.grp;";

/// Counts by hour: all, type, source, target, country, rule.
const COUNTS: &str = "
INSERT INTO hit_counts (kind, hour, value, hits, blocked)
  SELECT CASE grouping(attack_types, ip, host, country, rules)
      WHEN 31 THEN 0 WHEN 15 THEN 1 WHEN 23 THEN 2 WHEN 27 THEN 3 WHEN 29 THEN 4 ELSE 5 END,
    time / 3600000, coalesce(trim(attack_types), ip, host, country, trim(rules), ''), count(*), sum(blocked)
  FROM hits GROUP BY time / 3600000, GROUPING SETS ((), (attack_types), (ip), (host), (country), (rules));";

/// What nodes would have reported of it: two nodes, 30 hosts, minutes of two days and hours of ten.
const TRAFFIC: &str = "
INSERT INTO traffic_minutes (slot, node, application, host, requests, attacks, blocked, bytes, latency_3)
  SELECT slot, 'node-' || node, host % 8, 'shop-' || host || '.example', 900, 11, 10, 900000, 900
  FROM generate_series((LAST / 60000 - 2880)::bigint, (LAST / 60000)::bigint) AS slot, generate_series(1, 2) AS node,
    generate_series(0, 29) AS host;
INSERT INTO traffic_hours (slot, node, application, host, requests, attacks, blocked, bytes, latency_3)
  SELECT slot, 'node-' || node, host % 8, 'shop-' || host || '.example', 54000, 690, 620, 54000000, 54000
  FROM generate_series((LAST / 3600000 - 240)::bigint, (LAST / 3600000)::bigint) AS slot, generate_series(1, 2) AS node,
    generate_series(0, 29) AS host;";

const TIDY: &str = "DROP TABLE seed, seed_attacks, plan, kept_indexes;";
/// Bytes of each table with its partitions, and of its indexes.
const SIZES: &str = "
SELECT regexp_replace(relname, '_\\d+$', '') AS name, sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint
  FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
  GROUP BY name HAVING sum(pg_total_relation_size(oid)) > 1000000 ORDER BY 2 DESC;";
const DAY_MS: i64 = 86_400_000;

/// Makes `copies` of each hit of the database at `url`, up to 3,000.
pub async fn multiply(url: &str, copies: u64) {
    assert!(copies <= 3_000, "up to 3,000 copies of a hit");
    let mut on = PgConnection::connect(url).await.expect("a connection");
    let begun = Instant::now();
    let settings = "SET work_mem = '256MB'; SET maintenance_work_mem = '1GB'; SET synchronous_commit = off;";
    for statements in [settings, EMPTY, &PLAN.replace("COPIES", &copies.to_string())] {
        run(&mut on, statements).await;
    }
    let (from, to): (i64, i64) =
        sqlx::query_as("SELECT min(time), max(time) FROM plan").fetch_one(&mut on).await.expect("a plan");
    for day in from / DAY_MS..=to / DAY_MS {
        let (begin, end) = (day * DAY_MS, (day + 1) * DAY_MS);
        run(&mut on, &DAY.replace("BEGIN", &begin.to_string()).replace("END", &end.to_string())).await;
        eprintln!("  copied a day after {:.0} s", begun.elapsed().as_secs_f64());
    }
    let indexes: Vec<String> =
        sqlx::query_scalar("SELECT definition FROM kept_indexes").fetch_all(&mut on).await.expect("indexes");
    for definition in indexes {
        run(&mut on, &definition).await;
        eprintln!("  indexed after {:.0} s", begun.elapsed().as_secs_f64());
    }
    for statements in [ATTACKS, COUNTS, &TRAFFIC.replace("LAST", &to.to_string()), TIDY] {
        run(&mut on, statements).await;
    }
    run(&mut on, "VACUUM (ANALYZE)").await;
    let sizes: Vec<(String, i64, i64)> = sqlx::query_as(SIZES).fetch_all(&mut on).await.expect("sizes");
    for (table, rows, indexes) in sizes {
        println!("  {table:<12} {:>8} MiB, its indexes {:>8} MiB", rows >> 20, indexes >> 20);
    }
    let (hits, attacks, bytes): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT sum(hits)::bigint FROM attacks), (SELECT count(*) FROM attacks), pg_database_size(current_database())",
    )
    .fetch_one(&mut on)
    .await
    .expect("figures");
    println!(
        "  copied to {hits} hits in {attacks} attacks, {:.1} GiB, in {:.0} s",
        bytes as f64 / f64::from(1u32 << 30),
        begun.elapsed().as_secs_f64()
    );
    on.close().await.expect("it closes");
}

async fn run(on: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(on).await.expect("statements");
}
