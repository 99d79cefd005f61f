-- Hits of the hour before `since`, as counted when `since` was set: what is there more later came late. -1: not counted.
ALTER TABLE alerts ADD COLUMN known_hits BIGINT NOT NULL DEFAULT -1;
ALTER TABLE alerts ADD COLUMN known_blocked BIGINT NOT NULL DEFAULT 0;
