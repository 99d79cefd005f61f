-- Traffic: counts that nodes send. A batch counts once, by its id; old ids are forgotten by their time.
CREATE TABLE traffic_batches (
    id TEXT NOT NULL PRIMARY KEY,
    received BIGINT NOT NULL
) {clustered};
CREATE INDEX traffic_batches_received ON traffic_batches (received);

-- `slot` counts since 1970, in minutes. Latency columns are the classes of node_api::LATENCY_BOUNDS_US.
CREATE TABLE traffic_minutes (
    slot BIGINT NOT NULL,
    node TEXT NOT NULL,
    application BIGINT NOT NULL,
    host TEXT NOT NULL,
    requests BIGINT NOT NULL DEFAULT 0,
    attacks BIGINT NOT NULL DEFAULT 0,
    blocked BIGINT NOT NULL DEFAULT 0,
    bypassed BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0,
    latency_0 BIGINT NOT NULL DEFAULT 0,
    latency_1 BIGINT NOT NULL DEFAULT 0,
    latency_2 BIGINT NOT NULL DEFAULT 0,
    latency_3 BIGINT NOT NULL DEFAULT 0,
    latency_4 BIGINT NOT NULL DEFAULT 0,
    latency_5 BIGINT NOT NULL DEFAULT 0,
    latency_6 BIGINT NOT NULL DEFAULT 0,
    latency_7 BIGINT NOT NULL DEFAULT 0,
    latency_8 BIGINT NOT NULL DEFAULT 0,
    latency_9 BIGINT NOT NULL DEFAULT 0,
    latency_10 BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (slot, node, application, host)
) {clustered};

-- `slot` counts since 1970, in hours. Latency columns are the classes of node_api::LATENCY_BOUNDS_US.
CREATE TABLE traffic_hours (
    slot BIGINT NOT NULL,
    node TEXT NOT NULL,
    application BIGINT NOT NULL,
    host TEXT NOT NULL,
    requests BIGINT NOT NULL DEFAULT 0,
    attacks BIGINT NOT NULL DEFAULT 0,
    blocked BIGINT NOT NULL DEFAULT 0,
    bypassed BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0,
    latency_0 BIGINT NOT NULL DEFAULT 0,
    latency_1 BIGINT NOT NULL DEFAULT 0,
    latency_2 BIGINT NOT NULL DEFAULT 0,
    latency_3 BIGINT NOT NULL DEFAULT 0,
    latency_4 BIGINT NOT NULL DEFAULT 0,
    latency_5 BIGINT NOT NULL DEFAULT 0,
    latency_6 BIGINT NOT NULL DEFAULT 0,
    latency_7 BIGINT NOT NULL DEFAULT 0,
    latency_8 BIGINT NOT NULL DEFAULT 0,
    latency_9 BIGINT NOT NULL DEFAULT 0,
    latency_10 BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (slot, node, application, host)
) {clustered};

