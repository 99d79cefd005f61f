-- Hits of whole days (UTC), added up in the background from `hour_summaries`, so that a period of weeks reads a row for each day
-- and not for each hour.
CREATE TABLE day_summaries (
    -- The first hour of the day, since 1970.
    hour BIGINT NOT NULL,
    -- As in `hour_summaries`.
    subject BIGINT NOT NULL,
    value TEXT NOT NULL,
    kind BIGINT NOT NULL,
    -- JSON: an array of [value, hits, blocked], most hits first; of kind 0 of [hour since 1970, hits, blocked].
    entries TEXT NOT NULL,
    PRIMARY KEY (subject, value, kind, hour)
);
CREATE INDEX day_summaries_hour ON day_summaries (hour);

-- Days that are added up. One is added up again when `stored` is no longer what `hit_counts` has of kind 7 for this hour: hits
-- that were stored for the day since this table exists; or `hits` no longer what it has of all hits of the day.
CREATE TABLE summarized_days (
    hour BIGINT NOT NULL PRIMARY KEY,
    stored BIGINT NOT NULL,
    hits BIGINT NOT NULL,
    -- 1 where there are more hosts, or applications, than are kept.
    more_hosts BIGINT NOT NULL,
    more_applications BIGINT NOT NULL
) {clustered};
