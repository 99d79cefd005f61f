-- Where events go besides the Console. `target` is JSON; secrets are columns of their own, so that nothing shows them by accident.
CREATE TABLE sinks (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    secret TEXT NOT NULL DEFAULT '',
    feeds TEXT NOT NULL,
    enabled BIGINT NOT NULL DEFAULT 1,
    created BIGINT NOT NULL,
    -- How far it is delivered, for each feed: JSON of feed to cursor.
    cursors TEXT NOT NULL DEFAULT '{}',
    -- Consecutive failures, and when to try again (milliseconds since 1970).
    failures BIGINT NOT NULL DEFAULT 0,
    due BIGINT NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    last_success BIGINT NOT NULL DEFAULT 0,
    delivered BIGINT NOT NULL DEFAULT 0,
    -- One replica delivers at a time.
    lease_holder TEXT NOT NULL DEFAULT '',
    lease_until BIGINT NOT NULL DEFAULT 0
);
