//! The keys of the configuration, section by section: name, meaning and default of each.

mod cloud;
mod connector;
mod inspection;
mod routes;
mod service;

pub use weir_core::model::vendor::is_vendor;

use super::reader::Section;
use super::resolved::Resolved;
use super::types::NodeMode;

/// A key of `go-node.yaml`, version 4.
pub const V4: &str = "go-node.yaml 4";
/// A key of older versions or of Helm charts for such nodes.
pub const OLD: &str = "older charts";
/// A key of this program alone.
pub const OWN: &str = "weir";

/// Keys that are accepted elsewhere too: there, then where they belong. Both at once are "given twice".
pub const MOVED: &[(&str, &str)] = &[
    ("connector.http_inspector", "http_inspector"),
    ("connector.log", "log"),
    ("connector.log_level", "log.level"),
    ("connector.metrics", "metrics"),
    ("connector.health_check", "health_check"),
    ("connector.route_config", "route_config"),
    ("connector.proxy_headers", "proxy_headers"),
    ("connector.input_filters", "input_filters"),
    ("connector.drop_on_overload", "drop_on_overload"),
    ("connector.real_ip_header", "http_inspector.real_ip_header"),
    ("wallarm_mode_allow_override", "route_config.wallarm_mode_allow_override"),
    ("api.useSSL", "api.use_ssl"),
    ("api.caVerify", "api.ca_verify"),
    ("api.nodeGroup", "api.node_group"),
    ("aggregation.serviceAddress", "aggregation.service_address"),
];

/// Environment variables besides the `WEIR_` ones: those that images and charts of such nodes document.
pub const ENV_ALIASES: &[(&str, &str)] = &[
    ("WALLARM_MODE", "route_config.wallarm_mode"),
    ("WALLARM_APPLICATION", "route_config.wallarm_application"),
    ("WALLARM_API_HOST", "api.host"),
    ("WALLARM_API_PORT", "api.port"),
    ("WALLARM_API_TOKEN", "api.token"),
    ("WALLARM_API_USE_SSL", "api.use_ssl"),
    ("WALLARM_API_CA_VERIFY", "api.ca_verify"),
    ("WALLARM_NODE_NAME", "api.node_name"),
];

/// Environment variables that such nodes document and that mean nothing here, with the reason.
pub const ENV_IGNORED: &[(&str, &str)] = &[
    ("WALLARM_LABELS", "the group is set by `api.node_group`"),
    ("WALLARM_APID_ONLY", "API discovery is no part of this node"),
    ("WALLARM_WSTORE__SERVICE__PROTOCOL", NO_POSTANALYTICS),
    ("WALLARM_WSTORE__METRICS__LISTEN_ADDRESS", NO_POSTANALYTICS),
    ("WALLARM_WSTORE__METRICS__PROTOCOL", NO_POSTANALYTICS),
];

const NO_POSTANALYTICS: &str = "there is no postanalytics module to talk to";
const NO_MESH: &str = "request and response need not meet on one replica: the response leg carries its context";
const NO_OPENAPI: &str = "OpenAPI specifications are not enforced by this node";

/// Reads every key.
pub fn read(root: &mut Section<'_>) -> Resolved {
    root.bounded("version", V4, 4u32, 2..=4, "Version of the file's format. 2 and 3 are read like 4.");
    root.get(
        "mode",
        V4,
        NodeMode::ConnectorServer,
        "How traffic reaches the node. Other modes of Wallarm nodes are not supported.",
    );
    let connector = connector::read(root);
    let (http_inspector, real_ip_header) = inspection::http_inspector(root);
    let resolved = Resolved {
        connector,
        http_inspector,
        route_config: routes::route_config(root),
        proxy_headers: routes::proxy_headers(root, real_ip_header),
        input_filters: routes::input_filters(root),
        acl: inspection::acl(root),
        rules: inspection::rules(root),
        policy_file: inspection::policy_file(root),
        geo: inspection::geo(root),
        block_reply: routes::block_reply(root),
        limits: inspection::limits(root),
        anomalies: root.named(
            "anomalies",
            OWN,
            "the built-in table",
            "Action for each kind of protocol anomaly in a message.",
        ),
        overlimit: inspection::overlimit(root),
        load: service::load(root),
        log: service::log(root),
        metrics: service::metrics(root),
        health_check: service::health_check(root),
        data_dir: cloud::data_dir(root),
        api: cloud::api(root),
        events: cloud::events(root),
        abuse: cloud::abuse(root),
        traces: service::traces(root),
        spoe: service::spoe(root),
        crowdsec: cloud::crowdsec(root),
        aggregation: cloud::aggregation(root),
        control_plane: cloud::control_plane(root),
    };
    ignored(root);
    service::check_ports(root, &resolved);
    resolved
}

fn ignored(root: &mut Section<'_>) {
    root.ignored("drop_on_overload", V4, "overload is always answered with 503, see `load`");
    root.ignored("postanalytics_exporter", V4, NO_POSTANALYTICS);
    root.ignored("tarantool_exporter", OLD, NO_POSTANALYTICS);
    root.ignored("tcp_stream", V4, "traffic is not captured from an interface; connectors send it");
    root.ignored("goreplay", OLD, "traffic is not captured from an interface; connectors send it");
    root.ignored("middleware", OLD, "traffic is not captured from an interface; connectors send it");
    root.ignored("envoy_external_filter", V4, "the Envoy filter protocol is not offered");
}
