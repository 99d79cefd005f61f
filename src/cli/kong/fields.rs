//! The fields of the plugins' configuration. A test holds them to the plugins' schemas.

use super::instances::Plugin;
use super::values;

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number in these bounds.
    Integer(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text of at most so many bytes, of a form, with the form in words.
    Text(usize, fn(&str) -> bool, &'static str),
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// Whether a reference to a vault may stand for it.
    pub referenceable: bool,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, referenceable: false }
}

const fn secret(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, referenceable: true }
}

const MIB: i64 = 1 << 20;
const TIME: Kind = Kind::Integer(1, 60_000);

const REQUESTS: &[Field] = &[
    field("wallarm_node_address", Kind::Text(1024, values::is_address, values::ADDRESS)),
    field("timeout_ms", TIME),
    field("connect_timeout_ms", TIME),
    field("send_timeout_ms", TIME),
    field("read_timeout_ms", TIME),
    field("blocking", Kind::Boolean),
    field("inspect_response", Kind::Boolean),
    field("inspect_response_body", Kind::Boolean),
    field("response_max_body_bytes", Kind::Integer(0, 8 * MIB)),
    field("failure_mode", Kind::Word(&["fail_open", "fail_closed"])),
    field("failure_status", Kind::Integer(400, 599)),
    field("max_body_bytes", Kind::Integer(0, 64 * MIB)),
    field("over_limit", Kind::Word(&["prefix", "pass", "block"])),
    field("read_body", Kind::Boolean),
    field("breaker_failures", Kind::Integer(0, 10_000)),
    field("breaker_open_ms", Kind::Integer(100, 600_000)),
    field("keepalive_pool_size", Kind::Integer(1, 10_000)),
    field("keepalive_idle_ms", Kind::Integer(1_000, 3_600_000)),
    field("tls_verify", Kind::Boolean),
    field("tls_server_name", Kind::Text(253, values::is_server_name, "a host name")),
    secret("client_certificate", Kind::Text(65_536, values::is_chain, values::CHAIN)),
    secret("client_key", Kind::Text(65_536, values::is_key, values::KEY)),
    secret("connector_key", Kind::Text(4_096, values::is_visible, "visible ASCII without spaces")),
    field("upstream_verdict_header", Kind::Text(64, values::is_free_header, values::HEADER)),
    field("application_id", Kind::Text(64, values::is_application, values::APPLICATION)),
    field("queue_max_entries", Kind::Integer(1, 100_000)),
    field("queue_max_bytes", Kind::Integer(65_536, 1024 * MIB)),
    field("coverage_interval_s", Kind::Integer(0, 3_600)),
];

const RESPONSES: &[Field] =
    &[field("response_max_body_bytes", Kind::Integer(0, 64 * MIB)), field("timeout_ms", Kind::Integer(1, 60_000))];

/// The fields of a plugin.
pub const fn of(plugin: Plugin) -> &'static [Field] {
    match plugin {
        Plugin::Requests => REQUESTS,
        Plugin::Responses => RESPONSES,
    }
}
