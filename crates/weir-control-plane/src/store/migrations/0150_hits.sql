-- Hits, and the groups (attacks) that they form. On SQLite each month has these tables in a file of its own; on
-- PostgreSQL `hits`, `hit_docs` and `hit_groups` have a partition a day, `attacks` one a month, all by the time in the id.

-- What lists and filters need of a hit, and no more, so that a scan stays short.
CREATE TABLE hits (
    id TEXT NOT NULL,
    time BIGINT NOT NULL,
    connector TEXT NOT NULL,
    request_id TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    leg TEXT NOT NULL,
    node TEXT NOT NULL,
    ip TEXT NOT NULL,
    -- The address as 32 hex digits of IPv6 (IPv4 mapped), so that a network is a range; empty where unknown.
    ip_key TEXT NOT NULL,
    country TEXT NOT NULL,
    application BIGINT NOT NULL,
    method TEXT NOT NULL,
    host TEXT NOT NULL,
    path TEXT NOT NULL,
    protocol TEXT NOT NULL,
    size BIGINT NOT NULL,
    status_code BIGINT NOT NULL,
    response_after BIGINT NOT NULL,
    mode TEXT NOT NULL,
    action TEXT NOT NULL,
    blocked BIGINT NOT NULL,
    folded BIGINT NOT NULL,
    -- Lists: a space before, between and after the members.
    attack_types TEXT NOT NULL,
    rules TEXT NOT NULL,
    grps TEXT NOT NULL,
    points TEXT NOT NULL,
    source_types TEXT NOT NULL,
    consumer TEXT NOT NULL,
    PRIMARY KEY (id)
) {by_range:id} {clustered};
CREATE INDEX hits_ip ON hits (ip_key, id);
CREATE INDEX hits_request ON hits (request_id);
CREATE INDEX hits_repeated ON hits (request_id) WHERE attempt > 1;

-- The whole record, JSON.
CREATE TABLE hit_docs (
    id TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (id)
) {by_range:id};

-- A hit in each of its groups, with what attacks are filtered by most.
CREATE TABLE hit_groups (
    grp TEXT NOT NULL,
    hit TEXT NOT NULL,
    ip_key TEXT NOT NULL,
    country TEXT NOT NULL,
    status_code BIGINT NOT NULL,
    method TEXT NOT NULL,
    application BIGINT NOT NULL,
    node TEXT NOT NULL,
    path TEXT NOT NULL,
    blocked BIGINT NOT NULL,
    folded BIGINT NOT NULL,
    PRIMARY KEY (grp, hit)
) {by_range:hit} {clustered};
CREATE INDEX hit_groups_ip ON hit_groups (ip_key, grp, hit);

-- An attack: a run of hits of one group (type, point, host) without an hour between two, within a month.
CREATE TABLE attacks (
    id TEXT NOT NULL,
    -- Months since year 0.
    month BIGINT NOT NULL,
    grp TEXT NOT NULL,
    attack_type TEXT NOT NULL,
    point TEXT NOT NULL,
    host TEXT NOT NULL,
    first_time BIGINT NOT NULL,
    last_time BIGINT NOT NULL,
    first_hit TEXT NOT NULL,
    last_hit TEXT NOT NULL,
    hits BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    folded BIGINT NOT NULL,
    status BIGINT NOT NULL,
    sources BIGINT NOT NULL,
    mark TEXT NOT NULL,
    mark_author TEXT NOT NULL,
    mark_time BIGINT NOT NULL,
    sketch TEXT NOT NULL,
    PRIMARY KEY (id)
) {by_range:id};
CREATE INDEX attacks_time ON attacks (last_time, id);
CREATE INDEX attacks_type ON attacks (attack_type, last_time, id);
CREATE INDEX attacks_host ON attacks (host, last_time, id);
CREATE INDEX attacks_group ON attacks (grp, last_time);

-- Ids of attacks that were merged into another one.
CREATE TABLE attack_aliases (
    id TEXT NOT NULL PRIMARY KEY,
    attack TEXT NOT NULL
) {clustered};

-- Ids of hits that were a repeated call of another one.
CREATE TABLE hit_aliases (
    id TEXT NOT NULL PRIMARY KEY,
    hit TEXT NOT NULL
) {clustered};

-- News of hits that are not here yet.
CREATE TABLE pending_updates (
    hit TEXT NOT NULL PRIMARY KEY,
    status_code BIGINT NOT NULL,
    response_after BIGINT NOT NULL,
    consumer TEXT NOT NULL,
    received BIGINT NOT NULL
) {clustered};

-- Hits by hour (since 1970): kind 0 all, 1 attack type, 2 source, 3 target, 4 country.
CREATE TABLE hit_counts (
    kind BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    value TEXT NOT NULL,
    hits BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    PRIMARY KEY (kind, hour, value)
) {clustered};
