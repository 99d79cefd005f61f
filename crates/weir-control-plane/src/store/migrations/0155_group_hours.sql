-- Hits of a group by hour (since 1970). The group `*` has each hit once, `-` those of no group.
CREATE TABLE group_hours (
    grp TEXT NOT NULL,
    hour BIGINT NOT NULL,
    hits BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    -- JSON: an array of [minute of the hour, hits, blocked], in order of time. Not of `*`.
    minutes TEXT NOT NULL,
    -- Ids of the newest hits that passed, between spaces. Not of `*`.
    passed TEXT NOT NULL,
    PRIMARY KEY (grp, hour)
) {clustered};
CREATE INDEX group_hours_hour ON group_hours (hour);
