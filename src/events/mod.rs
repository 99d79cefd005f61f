//! From a verdict to a delivered record: redact, mint an id, spool, ship.
