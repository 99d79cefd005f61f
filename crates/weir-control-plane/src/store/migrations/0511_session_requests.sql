-- The last requests of sessions with a hit or past half of a limit. `session` is an HMAC; `place` makes requests of one
-- millisecond different: batch and number. Times are in milliseconds since 1970.
CREATE TABLE session_requests (
    session TEXT NOT NULL,
    time BIGINT NOT NULL,
    place TEXT NOT NULL,
    application BIGINT NOT NULL,
    node TEXT NOT NULL,
    client TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    hit TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (session, time, place)
) {clustered};
CREATE INDEX session_requests_time ON session_requests (time);
CREATE INDEX session_requests_client ON session_requests (client);
