-- Reports of a day or week: their schedule in JSON; empty for thresholds and digests.
ALTER TABLE alerts ADD COLUMN report TEXT NOT NULL DEFAULT '';
