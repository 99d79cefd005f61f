-- Versions of the policy; the newest serial is in force. `state` is the whole policy (zstd, base64). A version knows the one that it
-- was made from, so that of two changes made at once one is refused. `policy_keys` is the chain of signing keys.
CREATE TABLE policy_versions (
  serial BIGINT NOT NULL PRIMARY KEY,
  parent BIGINT NOT NULL UNIQUE,
  published_at BIGINT NOT NULL,
  author TEXT NOT NULL,
  note TEXT NOT NULL,
  state TEXT NOT NULL
);
CREATE TABLE policy_keys (
  number BIGINT NOT NULL PRIMARY KEY,
  key_id TEXT NOT NULL UNIQUE,
  public_key TEXT NOT NULL,
  signed_by TEXT NOT NULL,
  signature TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
