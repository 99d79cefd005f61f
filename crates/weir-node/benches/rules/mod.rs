//! Sets of rules on behaviour whose cost is measured, here and in the service.

/// Rules of a set.
pub const RULES: usize = 50;

/// Keys of ten kinds, each with the address.
const KEYS: [&str; 10] = [
    "client",
    "client, host",
    "client, application",
    "client, route",
    "client, header:user-agent",
    "client, cookie:sid",
    "client, query:page",
    "client, path:0",
    "client, path:1",
    "client, header:accept",
];

/// All count every request by its address, in five different windows.
pub fn one_key(id: usize) -> String {
    format!("{{id: {id}, type: rate_limit, threshold: 900000, window: {}}}", 60 + id % 5 * 60)
}

/// All count by one of ten keys.
pub fn ten_keys(id: usize) -> String {
    format!("{{id: {id}, type: rate_limit, threshold: 900000, window: {}, key: '{}'}}", 60 + id % 5 * 60, KEYS[id % 10])
}

/// Each counts the requests whose path has `value` in this segment.
pub fn route(id: usize, segment: usize, value: &str) -> String {
    let action = format!("[{{type: equal, point: [path, {segment}], value: {value}}}]");
    format!("{{id: {id}, type: rate_limit, threshold: 900000, action: {action}}}")
}

/// Rules of every type, by address, header or point.
pub fn mixed(id: usize) -> String {
    match id % 5 {
        0 => format!("{{id: {id}, type: rate_limit, threshold: 900000, window: {}}}", 60 + id),
        1 => format!("{{id: {id}, type: rate_limit, threshold: 900000, key: [client, host]}}"),
        2 => format!("{{id: {id}, type: brute, threshold: 900000, key: [client, 'header:user-agent']}}"),
        3 => format!("{{id: {id}, type: forced_browsing, threshold: 900000, window: {}}}", 60 + id),
        _ => format!("{{id: {id}, type: bola, threshold: 4000, distinct: 'path:0', key: [client, application]}}"),
    }
}

/// A policy document with `rules` rules.
pub fn document(rules: usize, rule: impl Fn(usize) -> String) -> String {
    let rules: Vec<String> = (1..=rules).map(rule).collect();
    format!("rules: [{}]", rules.join(", "))
}
