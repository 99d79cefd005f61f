-- Searches that people saved for themselves. Times are milliseconds since 1970.
CREATE TABLE saved_searches (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  query TEXT NOT NULL,
  time_range TEXT NOT NULL,
  created BIGINT NOT NULL,
  UNIQUE (user_id, name)
);
