-- What the hits of an attack have, between spaces: `r=` and a signature or rule, `a=` and an application. `*` stands for
-- anything: there are too many, or the attack is older than this column.
ALTER TABLE attacks ADD COLUMN facets TEXT NOT NULL DEFAULT ' * ';
