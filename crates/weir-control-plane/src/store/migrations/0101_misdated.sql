-- Hits that came with a time at which nothing can be stored, and the ids that they got instead.
CREATE TABLE misdated_hits (
    id TEXT NOT NULL PRIMARY KEY,
    stored TEXT NOT NULL
) {clustered};
CREATE INDEX misdated_hits_stored ON misdated_hits (stored);
