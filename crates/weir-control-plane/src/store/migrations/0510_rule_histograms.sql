-- What keys of abuse rules reached, summed up by hour: in how many minutes a key was counted whose highest count was in a bucket
-- of weir_abuse::histogram. `measure` tells what the rule counted then; `hour` counts since 1970.
CREATE TABLE rule_histograms (
    rule BIGINT NOT NULL,
    measure BIGINT NOT NULL,
    hour BIGINT NOT NULL,
    bucket BIGINT NOT NULL,
    sources BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (rule, measure, hour, bucket)
) {clustered};
CREATE INDEX rule_histograms_hour ON rule_histograms (hour);
