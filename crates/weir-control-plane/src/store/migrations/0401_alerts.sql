-- Alerts for people: what is counted, when messages are sent, and who gets them. Times are milliseconds since 1970.
CREATE TABLE alerts (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  channel TEXT NOT NULL,
  query TEXT NOT NULL,
  hits BIGINT NOT NULL,
  minutes BIGINT NOT NULL,
  digest BIGINT NOT NULL,
  enabled BIGINT NOT NULL,
  created BIGINT NOT NULL,
  since BIGINT NOT NULL,
  due BIGINT NOT NULL,
  last_sent BIGINT NOT NULL,
  sent BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  last_error TEXT NOT NULL
);
