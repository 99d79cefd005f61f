-- Hits over time of one source, host, type or rule: without it those of every value of the period are read.
CREATE INDEX hit_counts_value ON hit_counts (kind, value, hour);
