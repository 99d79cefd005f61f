-- Which attacks have a hit with this path, or one that begins so. On PostgreSQL new days have it from the start; those that
-- were there before are indexed in the background.
CREATE INDEX hit_groups_path ON {only}hit_groups (grp, path, hit);
