//! What a reload does not change.

use crate::config::Resolved;
use crate::config::types::Setting as _;

/// Keys that were changed and take effect only when the program is started anew.
pub fn restart_needed(before: &Resolved, after: &Resolved) -> Vec<&'static str> {
    // Every section, so that a new one is decided on: those without a name of their own below are put in use by a reload.
    let Resolved {
        connector: _,
        http_inspector: _,
        route_config: _,
        proxy_headers: _,
        input_filters: _,
        acl: _,
        rules: _,
        policy_file: _,
        geo: _,
        block_reply: _,
        limits: _,
        anomalies: _,
        overlimit: _,
        load: _,
        log: _,
        metrics: _,
        health_check: _,
        data_dir: _,
        api: _,
        events: _,
        abuse: _,
        traces: _,
        spoe: _,
        crowdsec: _,
        // Of a process that is no node, and reloads nothing.
        aggregation: _,
        control_plane: _,
    } = after;
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
        differs("abuse", |r| format!("{:?}", r.abuse)),
        differs("control_plane", |r| format!("{:?}", r.control_plane)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn resolved(text: &str) -> Resolved {
        let loaded = load_text("weir.yaml", text.into(), &[], &[]);
        loaded.resolved.unwrap_or_else(|| panic!("{}", loaded.report.render()))
    }

    #[test]
    fn what_takes_effect_at_a_start_alone_is_named() {
        for (text, keys) in [
            ("", &[][..]),
            ("route_config: {wallarm_mode: monitoring}", &[]),
            ("abuse: {memory: 64MiB}", &["abuse"]),
            ("api: {host: cp.example}", &["api"]),
            ("load: {queue: 7}", &["load"]),
        ] {
            assert_eq!(restart_needed(&resolved(""), &resolved(text)), keys, "{text}");
        }
    }
}
