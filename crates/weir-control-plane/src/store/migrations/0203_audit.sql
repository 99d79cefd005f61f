-- Who changed what. Rows are only added. `before` and `after` are JSON without secrets.
CREATE TABLE audit (
  id TEXT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  address TEXT NOT NULL,
  action TEXT NOT NULL,
  object TEXT NOT NULL,
  before_text TEXT NOT NULL,
  after_text TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);
