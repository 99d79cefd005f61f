-- Second factors: a TOTP secret each, encrypted, and one-time recovery codes as hashes. Times are milliseconds since 1970.
CREATE TABLE second_factors (
  user_id TEXT NOT NULL PRIMARY KEY,
  secret TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  confirmed_at BIGINT,
  last_step BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  retry_at BIGINT NOT NULL
);
CREATE TABLE recovery_codes (
  user_id TEXT NOT NULL,
  hash TEXT NOT NULL,
  used_at BIGINT,
  PRIMARY KEY (user_id, hash)
);
-- The key that encrypts secrets in this database, itself encrypted under each policy key of the chain that needs it.
CREATE TABLE data_keys (
  key_id TEXT NOT NULL PRIMARY KEY,
  wrapped TEXT NOT NULL
);
