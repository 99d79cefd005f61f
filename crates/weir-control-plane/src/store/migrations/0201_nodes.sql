-- Nodes that registered; `parent` is the aggregation through which a node speaks.
CREATE TABLE nodes (
  id TEXT NOT NULL PRIMARY KEY,
  secret TEXT NOT NULL,
  grp TEXT NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  version TEXT NOT NULL,
  capabilities TEXT NOT NULL,
  address TEXT NOT NULL,
  parent TEXT NOT NULL,
  enabled BIGINT NOT NULL,
  registered_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  heartbeat TEXT NOT NULL
);
CREATE INDEX nodes_seen ON nodes (seen_at);
