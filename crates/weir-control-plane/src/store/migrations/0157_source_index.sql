-- No query looks for the paths of a group any more: those that no index finds are looked for among the newest hits.
DROP INDEX hit_groups_path;

-- What of an attack came from an address, counted from the index alone. It takes the place of `hit_groups_ip`, which is dropped
-- on PostgreSQL once every day has this one: new days have it from the start, the others are indexed in the background.
CREATE INDEX hit_groups_source ON {only}hit_groups (ip_key, grp, hit, blocked, folded);
{sqlite}DROP INDEX hit_groups_ip;
