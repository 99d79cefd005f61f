-- Sources on a list because of their behaviour, and keys that analysts excepted. Nodes and control plane exchange them; what
-- was changed since a number is found by it.
CREATE TABLE abuse_changes (
  id TEXT NOT NULL PRIMARY KEY,
  node_group TEXT NOT NULL,
  number BIGINT NOT NULL,
  kind TEXT NOT NULL,
  rule_key TEXT NOT NULL,
  until BIGINT NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX abuse_changes_by_number ON abuse_changes (node_group, number);
CREATE INDEX abuse_changes_by_key ON abuse_changes (node_group, rule_key);
