-- Hits in the order in which they came in, for sinks. A row is written before its hit is, so that none is ever missed.
CREATE TABLE arrivals (
    seq {serial},
    hit TEXT NOT NULL UNIQUE,
    noted BIGINT NOT NULL
);
