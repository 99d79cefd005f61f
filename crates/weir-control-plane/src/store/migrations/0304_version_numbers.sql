-- Short numbers of versions of the policy, for people; serials go on ordering them. Older rows are counted.
ALTER TABLE policy_versions ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
UPDATE policy_versions SET number =
  (SELECT COUNT(*) FROM policy_versions o WHERE o.serial <= policy_versions.serial);
