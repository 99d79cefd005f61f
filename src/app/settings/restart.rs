//! What a reload does not change.

use crate::config::Resolved;
use crate::config::types::Setting as _;

/// Keys that were changed and take effect only when the program is started anew.
pub fn restart_needed(before: &Resolved, after: &Resolved) -> Vec<&'static str> {
    let differs = |name, of: fn(&Resolved) -> String| (of(before) != of(after)).then_some(name);
    [
        differs("connector.address", |r| r.connector.address.show()),
        differs("connector.unix_socket", |r| format!("{:?}", r.connector.unix_socket)),
        differs("connector.tls_cert, connector.tls_key", |r| format!("{:?}", r.connector.tls)),
        differs("connector.auth.client_ca", |r| format!("{:?}", r.connector.auth.client_ca)),
        differs("connector.max_call_bytes", |r| r.connector.max_call_bytes.to_string()),
        differs("connector.per_connection_limits", |r| format!("{:?}", r.connector.per_connection_limits)),
        differs("connector.app_reply_timeout", |r| {
            format!("{:?} {}", r.connector.app_reply_timeout, r.connector.app_reply_timeout_code)
        }),
        differs("connector.external_health_check", |r| format!("{:?}", r.connector.external_health_check)),
        differs("http_inspector.workers", |r| format!("{:?}", r.http_inspector.workers)),
        differs("load", |r| format!("{:?}", r.load)),
        differs("log.pretty", |r| format!("{:?}", r.log.pretty)),
        differs("log.log_file", |r| format!("{:?}", r.log.target)),
        // A target that is the log's own is open already.
        differs("log.access_log.log_file", |r| {
            let target = r.log.access_log.as_ref().map(|access| &access.target);
            format!("{:?}", target.filter(|target| **target != r.log.target))
        }),
        differs("metrics", |r| format!("{:?}", r.metrics)),
        differs("health_check", |r| format!("{:?}", r.health_check)),
        differs("data_dir", |r| format!("{:?}", r.data_dir)),
        differs("api", |r| format!("{:?}", r.api)),
        differs("traces", |r| format!("{:?}", r.traces)),
        differs("spoe", |r| format!("{:?}", r.spoe)),
        differs("crowdsec", |r| format!("{:?}", r.crowdsec)),
        differs("events", |r| format!("{:?}", r.events)),
        differs("control_plane", |r| format!("{:?}", r.control_plane)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
