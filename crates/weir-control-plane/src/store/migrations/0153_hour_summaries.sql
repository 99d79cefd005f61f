-- Hits of whole hours, summed up in the background from `hits`: the most frequent values among all hits of the hour, among
-- those of a host, and among those of an application.
CREATE TABLE hour_summaries (
    -- Hours since 1970.
    hour BIGINT NOT NULL,
    -- 0 all hits, 3 those of a host, 6 those of an application.
    subject BIGINT NOT NULL,
    -- The host, or the id of the application.
    value TEXT NOT NULL,
    -- As in `hit_counts`: 0 all, 1 attack type, 2 source, 3 target.
    kind BIGINT NOT NULL,
    -- JSON: an array of [value, hits, blocked], most hits first.
    entries TEXT NOT NULL,
    PRIMARY KEY (subject, value, kind, hour)
);
CREATE INDEX hour_summaries_hour ON hour_summaries (hour);

-- Hours that are summed up. One is summed up again when `hits` is no longer what `hit_counts` says of all hits.
CREATE TABLE summarized_hours (
    hour BIGINT NOT NULL PRIMARY KEY,
    hits BIGINT NOT NULL,
    -- 1 where there are more hosts, or applications, than are kept.
    more_hosts BIGINT NOT NULL,
    more_applications BIGINT NOT NULL
) {clustered};
