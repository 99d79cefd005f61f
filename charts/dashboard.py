"""The Grafana dashboard, as data: rows of panels, each with its queries."""
import json

# title, unit, queries (expression, legend)
ROWS = [
    ("Traffic", [
        ("Verdicts", "reqps", [
            ("sum by (verdict, blocking) (rate(weir_http_connector_messages_processed_total{%s}[$__rate_interval]))",
             "{{verdict}}, blocking {{blocking}}")]),
        ("Inspection time", "s", [
            ("histogram_quantile(0.5, sum by (le) (rate(weir_http_inspector_inspection_duration_seconds_bucket{%s}[$__rate_interval])))", "p50"),
            ("histogram_quantile(0.95, sum by (le) (rate(weir_http_inspector_inspection_duration_seconds_bucket{%s}[$__rate_interval])))", "p95"),
            ("histogram_quantile(0.99, sum by (le) (rate(weir_http_inspector_inspection_duration_seconds_bucket{%s}[$__rate_interval])))", "p99")]),
        ("Bytes inspected", "Bps", [
            ("sum by (leg) (rate(weir_http_inspector_bytes_processed_total{%s}[$__rate_interval]))", "{{leg}}")]),
    ]),
    ("Attacks", [
        ("By type", "reqps", [
            ("sum by (type) (rate(weir_http_inspector_threats_found_total{%s}[$__rate_interval]))", "{{type}}")]),
        ("By outcome", "reqps", [
            ("sum by (outcome) (rate(weir_http_inspector_threats_found_total{%s}[$__rate_interval]))", "{{outcome}}")]),
        ("Blocked, by host", "reqps", [
            ("topk(10, sum by (host) (rate(weir_http_inspector_threats_blocked_per_host_total{%s}[$__rate_interval])))", "{{host}}")]),
        ("Listed sources", "reqps", [
            ("sum by (list) (rate(weir_http_inspector_acl_results_total{%s}[$__rate_interval]))", "{{list}}")]),
    ]),
    ("What is not inspected", [
        ("By the node, by reason", "reqps", [
            ("sum by (reason) (rate(weir_http_inspector_not_inspected_total{%s}[$__rate_interval]))", "{{reason}}"),
            ("sum by (reason) (rate(weir_http_connector_requests_bypassed_total{%s}[$__rate_interval]))", "bypassed: {{reason}}")]),
        ("By connectors, by extent", "reqps", [
            ("sum by (inspected, reason) (rate(weir_coverage_requests_total{%s}[$__rate_interval]))", "{{inspected}} {{reason}}")]),
        ("Shed and refused", "reqps", [
            ("sum by (reason) (rate(weir_http_connector_shed_total{%s}[$__rate_interval]))", "shed: {{reason}}"),
            ("sum by (reason) (rate(weir_http_connector_messages_rejected_total{%s}[$__rate_interval]))", "refused: {{reason}}")]),
    ]),
    ("Load", [
        ("Calls under way", "short", [("sum by (pod) (weir_http_connector_calls{%s})", "{{pod}}")]),
        ("Connections", "short", [("sum by (pod) (weir_http_connector_connections{%s})", "{{pod}}")]),
        ("Waiting for a thread", "short", [
            ("sum by (pod) (weir_http_inspector_queued{%s})", "{{pod}}"),
            ("sum by (pod) (weir_http_inspector_background_queued{%s})", "{{pod}}, out of band")]),
        ("Standing delay of the runtime", "µs", [
            ("max by (pod) (weir_http_connector_scheduling_lag_microseconds{%s})", "{{pod}}")]),
    ]),
    ("Events, on their way to the store", [
        ("Recorded and delivered", "cps", [
            ("sum by (spool) (rate(weir_events_spooled_total{%s}[$__rate_interval]))", "{{spool}}: recorded"),
            ("sum by (spool) (rate(weir_events_delivered_total{%s}[$__rate_interval]))", "{{spool}}: delivered")]),
        ("Waiting in spools", "short", [
            ("sum by (pod, spool) (weir_events_spool_records{%s})", "{{pod}} {{spool}}")]),
        ("Age of the oldest that waits", "s", [
            ("max by (pod, spool) (weir_events_spool_oldest_seconds{%s})", "{{pod}} {{spool}}")]),
        ("Lost, and sent again", "short", [
            ("sum by (spool, reason) (increase(weir_events_dropped_total{%s}[$__range]))", "lost, {{spool}}: {{reason}}"),
            ("sum by (spool, reason) (increase(weir_events_ship_errors_total{%s}[$__range]))", "again, {{spool}}: {{reason}}")]),
    ]),
    ("Control plane, as nodes and aggregation see it", [
        ("Reached", "bool", [("min by (pod) (weir_control_plane_up{%s})", "{{pod}}")]),
        ("Calls that came to nothing", "short", [
            ("sum by (reason) (increase(weir_control_plane_call_failures_total{%s}[$__range]))", "{{reason}}")]),
        ("Serial of the policy in force", "short", [("max by (pod) (weir_policy_serial{%s})", "{{pod}}")]),
        ("Policies refused", "short", [
            ("sum by (pod, reason) (increase(weir_policy_refused_total{%s}[$__range]))", "{{pod}}: {{reason}}")]),
    ]),
    ("Control plane, as it sees itself", [
        ("Records, by outcome", "ops", [
            ("sum by (outcome) (rate(weir_control_plane_records_total{%s}[$__rate_interval]))", "{{outcome}}")]),
        ("Time to store a batch", "s", [
            ("histogram_quantile(0.5, sum by (le) (rate(weir_control_plane_ingest_seconds_bucket{%s}[$__rate_interval])))", "p50"),
            ("histogram_quantile(0.99, sum by (le) (rate(weir_control_plane_ingest_seconds_bucket{%s}[$__rate_interval])))", "p99")]),
        ("Nodes, by state", "short", [("max by (state) (weir_control_plane_nodes{%s})", "{{state}}")]),
        ("What failed", "short", [
            ("sum (increase(weir_control_plane_batches_total{%s, outcome=\"failed\"}[$__range]))", "batches"),
            ("sum by (outcome) (increase(weir_control_plane_logins_total{%s, outcome!=\"accepted\"}[$__range]))", "logins {{outcome}}"),
            ("sum (increase(weir_control_plane_sink_failures_total{%s}[$__range]))", "deliveries to webhooks and syslog"),
            ("sum (increase(weir_control_plane_retention_runs_total{%s, outcome=\"failed\"}[$__range]))", "retention")]),
    ]),
    ("State", [
        ("Generation of rules and policy", "short", [("max by (pod) (weir_application_generation{%s})", "{{pod}}")]),
        ("Reloads refused", "short", [
            ("sum by (pod) (increase(weir_application_config_reload_errors_total{%s}[$__range]))", "{{pod}}")]),
        ("Panics caught", "short", [("sum by (pod) (increase(weir_application_panics_total{%s}[$__range]))", "{{pod}}")]),
    ]),
]
SELECT = 'namespace=~"$namespace", pod=~"$pod"'
WIDTH, HEIGHT = 24, 8


def panel(number, title, unit, queries, x, y, width):
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [{"datasource": source, "expr": expression % SELECT, "legendFormat": legend, "refId": chr(ord("A") + at)}
               for at, (expression, legend) in enumerate(queries)]
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": source, "targets": targets,
        "gridPos": {"h": HEIGHT, "w": width, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
    }


def variable(name, query):
    return {"name": name, "type": "query", "datasource": {"type": "prometheus", "uid": "${datasource}"}, "query": query,
            "refresh": 2, "multi": True, "includeAll": True, "current": {"text": "All", "value": "$__all"}, "sort": 1}


def text():
    panels, number, y = [], 1, 0
    for title, row in ROWS:
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y}})
        number, y, width = number + 1, y + 1, WIDTH // len(row)
        for at, (name, unit, queries) in enumerate(row):
            panels.append(panel(number, name, unit, queries, at * width, y, width))
            number += 1
        y += HEIGHT
    dashboard = {
        "uid": "weir", "title": "weir", "tags": ["weir"], "schemaVersion": 39, "version": 1, "editable": True,
        "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser", "annotations": {"list": []},
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}},
            variable("namespace", "label_values(weir_application_info, namespace)"),
            variable("pod", 'label_values(weir_application_info{namespace=~"$namespace"}, pod)'),
        ]},
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"
