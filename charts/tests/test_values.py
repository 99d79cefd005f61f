"""Each documented value, and what it must change. A value without a line here fails the test, and so does a line that changes
nothing."""
import re
import sys
import unittest

import yaml

import harness
from harness import Refused, render

sys.path.insert(0, harness.CHARTS)
import schema  # noqa: E402

D, S, C = "Deployment/next-processing", "StatefulSet/next-aggregation", "StatefulSet/r-weir-control-plane"
POD = "spec.template.spec"
BOX = POD + ".containers[0]"
CERT = "config.connector.certificate."
LB = {"processing.service.type": "LoadBalancer"}
KONG = {"kong.enabled": True, "kong.namespace": "kong"}
TRAEFIK = {"gateways.traefik.enabled": True, "gateways.traefik.namespace": "apps"}
NGINX = {"gateways.nginx.enabled": True, "gateways.nginx.namespace": "apps"}
FILTER = "SnippetsFilter/weir "
ENVOY = {"gateways.envoy.enabled": True, "gateways.envoy.namespace": "edge"}
ISTIO = {**ENVOY, "gateways.envoy.kind": "istio"}
GATEWAY_PEER = "NetworkPolicy/r-weir-processing spec.ingress[0].from[0].namespaceSelector.matchLabels"
ADDRESS = "http://next-processing.wallarm-node.svc.cluster.local:5000/v1/forward-auth/traefik?body=full&deadline_ms=%d"
SIDECAR = {**KONG, "kong.sidecar.enabled": True, "kong.sidecar.existingSecret": "s"}
INGRESS = {"controlPlane.ingress.enabled": True, "controlPlane.ingress.hosts": [{"host": "c.example.com"}]}
OUTSIDE = {"config.api.host": "cp.example.com"}
SCALE = {"processing.autoscaling.enabled": True}
ASCALE = {"aggregation.autoscaling.enabled": True}
MONITOR = {"processing.metrics.serviceMonitor.enabled": True}
MAIL = {"controlPlane.smtp.host": "mail", "controlPlane.smtp.from": "a@example.com"}
POSTGRES = {"controlPlane.postgresql.existingSecret": "db"}
SPREAD = [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
TOLERATE = [{"key": "dedicated", "operator": "Exists"}]
AFFINITY = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
ENV = [{"name": "WEIR_LOG__LEVEL", "value": "debug"}]
VOLUME = [{"name": "more", "emptyDir": {"sizeLimit": "1Mi"}}]
MOUNT = [{"name": "more", "mountPath": "/more"}]
BESIDE = [{"name": "beside", "image": "beside:1"}]
PEER = [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]

# value: (what to set, where it shows, what must be there [, further values that it needs])
CASES = {
    "nameOverride": ("waf", D + " metadata.labels.app\\.kubernetes\\.io/name", "waf"),
    "fullnameOverride": ("edge", "Deployment/edge-processing metadata.name", "edge-processing"),
    "servicePrefix": ("native", "Service/native-processing metadata.name", "native-processing"),
    "clusterDomain": ("corp", "config:processing api.host", "next-aggregation.wallarm-node.svc.corp"),
    "image.repository": ("reg/weir", D + " " + BOX + ".image", "reg/weir:" + "0.1.0"),
    "image.tag": ("9", D + " " + BOX + ".image", "weir:9"),
    "image.digest": ("sha256:" + "a" * 64, D + " " + BOX + ".image", "weir@sha256:" + "a" * 64),
    "image.pullPolicy": ("Always", D + " " + BOX + ".imagePullPolicy", "Always"),
    "imagePullSecrets": ([{"name": "a"}, "b"], S + " " + POD + ".imagePullSecrets", [{"name": "a"}, {"name": "b"}]),
    "revisionHistoryLimit": (3, S + " spec.revisionHistoryLimit", 3),
    "config.api.token": ("t0ken-of-some-length", "Secret/r-weir-credentials data.token", "dDBrZW4tb2Ytc29tZS1sZW5ndGg="),
    "config.api.existingSecret.enabled": (True, D + " " + POD + ".volumes[name=token].secret.secretName", "mine",
                                          {"config.api.existingSecret.secretName": "mine"}),
    "config.api.existingSecret.secretName": ("mine", C + " " + BOX + ".env[0].valueFrom.secretKeyRef.name", "mine",
                                             {"config.api.existingSecret.enabled": True}),
    "config.api.existingSecret.secretKey": (
        "k", D + " " + POD + ".volumes[name=token].secret.items", [{"key": "k", "path": "token"}],
        {"config.api.existingSecret.enabled": True, "config.api.existingSecret.secretName": "mine"}),
    "config.api.host": ("cp.example.com", "config:aggregation api.host", "cp.example.com"),
    "config.api.port": (8443, "config:aggregation api.port", 8443, OUTSIDE),
    "config.api.useSSL": (False, "config:aggregation api.use_ssl", False, OUTSIDE),
    "config.api.caVerify": (False, "config:aggregation api.ca_verify", False, OUTSIDE),
    "config.api.caSecret": ("ca", "config:aggregation api.ca_file", "/etc/weir/api-ca/ca.crt", OUTSIDE),
    "config.api.nodeGroup": ("edge", "config:processing api.node_group", "edge"),
    "config.connector.mode": ("monitoring", "config:processing connector.blocking", False),
    "config.connector.blocking": (True, "config:processing connector.blocking", True, {"config.connector.mode": "monitoring"}),
    CERT + "enabled": (True, "config:processing connector.tls_cert", "/etc/weir/tls/tls.crt", {CERT + "certgen.enabled": True}),
    CERT + "certManager.enabled": (True, "Certificate/next-processing-tls spec.secretName", "next-processing-tls",
                                   {CERT + "enabled": True, CERT + "certManager.issuerRef": {"name": "ca"}}),
    CERT + "certManager.issuerRef": ({"name": "ca", "kind": "ClusterIssuer"}, "Certificate/next-processing-tls spec.issuerRef",
                                     {"name": "ca", "kind": "ClusterIssuer"},
                                     {CERT + "enabled": True, CERT + "certManager.enabled": True}),
    CERT + "existingSecret.enabled": (True, D + " " + POD + ".volumes[name=tls].secret.secretName", "mine",
                                      {CERT + "enabled": True, CERT + "existingSecret.name": "mine"}),
    CERT + "existingSecret.name": ("mine", D + " " + POD + ".volumes[name=tls].secret.secretName", "mine",
                                   {CERT + "enabled": True, CERT + "existingSecret.enabled": True}),
    CERT + "customSecret.enabled": (True, "Secret/next-processing-tls data.tls\\.crt", "Yw==",
                                    {CERT + "enabled": True, CERT + "customSecret.crt": "Yw==", CERT + "customSecret.key": "aw=="}),
    CERT + "customSecret.crt": ("Yw==", "Secret/next-processing-tls data.tls\\.crt", "Yw==",
                                {CERT + "enabled": True, CERT + "customSecret.enabled": True, CERT + "customSecret.key": "aw=="}),
    CERT + "customSecret.key": ("aw==", "Secret/next-processing-tls data.tls\\.key", "aw==",
                                {CERT + "enabled": True, CERT + "customSecret.enabled": True, CERT + "customSecret.crt": "Yw=="}),
    CERT + "customSecret.ca": ("Y2E=", "Secret/next-processing-tls data.ca\\.crt", "Y2E=",
                               {CERT + "enabled": True, CERT + "customSecret.enabled": True, CERT + "customSecret.crt": "Yw==",
                                CERT + "customSecret.key": "aw=="}),
    CERT + "certgen.enabled": (True, "Secret/next-processing-tls type", "kubernetes.io/tls", {CERT + "enabled": True}),
    CERT + "certgen.days": (7, "special", "certificate_days"),
    "config.connector.auth.keys": (["a-key-of-some-length"], "config:processing connector.auth.key_files",
                                   ["/etc/weir/connector-keys/connector-key-0"]),
    "config.connector.auth.existingSecret": ("keys", D + " " + POD + ".volumes[name=connector-keys].secret.secretName", "keys"),
    "config.connector.auth.existingSecretKeys": (["a", "b"], "config:processing connector.auth.key_files",
                                                 ["/etc/weir/connector-keys/a", "/etc/weir/connector-keys/b"],
                                                 {"config.connector.auth.existingSecret": "keys"}),
    "config.connector.auth.clientCaSecret": ("ca", "config:processing connector.auth.client_ca", "/etc/weir/client-ca/ca.crt",
                                             {CERT + "enabled": True, CERT + "certgen.enabled": True}),
    "config.connector.allowed_hosts": (["*.example.com"], "config:processing connector.allowed_hosts", ["*.example.com"]),
    "config.connector.route_config": (
        {"wallarm_mode": "monitoring", "wallarm_application": 1, "wallarm_mode_allow_override": False,
         "routes": [{"host": "a.example.com", "routes": [{"route": "= /x", "wallarm_mode": False}]}]},
        "config:processing route_config",
        {"wallarm_mode": "monitoring", "wallarm_application": 1, "wallarm_mode_allow_override": "off",
         "routes": [{"host": "a.example.com", "routes": [{"route": "= /x", "wallarm_mode": "off"}]}]}),
    "config.connector.http_inspector": ({"workers": 4, "real_ip_header": "X-Real-IP", "wallarm_dir": "/opt"},
                                        "config:processing http_inspector", {"workers": 4, "real_ip_header": "X-Real-IP"}),
    "config.connector.proxy_headers": (
        [{"trusted_networks": ["203.0.113.0/24"], "real_ip": ["X-Real-IP"], "original_host": ["X-Forwarded-Host"]}],
        "config:processing proxy_headers[0].trusted_networks", ["203.0.113.0/24"]),
    "config.connector.input_filters": ({"inspect": [{"path": "^/api", "headers": {"host": "^a$"}}], "bypass": [{"path": "\\.png$"}]},
                                       "config:processing input_filters.bypass", [{"path": "\\.png$"}]),
    "config.connector.per_connection_limits.max_duration": ("2m", "config:processing connector.per_connection_limits.max_duration", "2m"),
    "config.connector.log.pretty": (True, "config:aggregation log.pretty", True),
    "config.connector.log.level": ("fatal", "config:processing log.level", "error"),
    "config.connector.log.log_file": ("stderr", "config:processing log.log_file", "stderr"),
    "config.connector.log.access_log.enabled": (False, "config:processing log.access_log.enabled", False),
    "config.connector.log.access_log.verbose": (True, "config:processing log.access_log.verbose", True),
    "config.aggregation.serviceAddress": ("[::]:3399", S + " " + BOX + ".ports[0].containerPort", 3399),
    "config.node": ({"limits": {"json_depth": 64}, "overlimit": {"mode": False}}, "config:processing overlimit.mode", "off"),
    "config.policy": ({"version": 1}, "ConfigMap/r-weir-processing data.policy\\.yaml", "version: 1\n"),
    "config.rules": ({"own.yaml": "[]\n"}, "ConfigMap/r-weir-rules data.own\\.yaml", "[]\n"),
    "processing.replicaCount": (3, D + " spec.replicas", 3),
    "processing.updateStrategy": ({"type": "Recreate", "rollingUpdate": None}, D + " spec.strategy.type", "Recreate"),
    "processing.terminationGracePeriodSeconds": (120, D + " " + POD + ".terminationGracePeriodSeconds", 120),
    "processing.drainDelaySeconds": (9, D + " " + BOX + ".lifecycle.preStop.sleep.seconds", 9),
    "processing.resources": ({"limits": {"memory": "2Gi"}}, D + " " + BOX + ".resources.limits.memory", "2Gi"),
    "processing.containers": ({"nodeNext": {"resources": {"limits": {"cpu": "3500m"}}, "livenessProbe": {"timeoutSeconds": 9}},
                               "wcli": {"resources": {}}},
                              D + " " + BOX + ".resources", {"limits": {"cpu": "3500m"}}),
    "processing.spool.sizeLimit": ("1Gi", D + " " + POD + ".volumes[name=data].emptyDir.sizeLimit", "1Gi"),
    "processing.spool.size": ("100MiB", "config:processing events.spool_size", "100MiB"),
    "processing.service.type": ("NodePort", "Service/next-processing spec.type", "NodePort"),
    "processing.service.port": (5001, "Service/next-processing spec.ports[0].port", 5001),
    "processing.service.headless": (True, "Service/next-processing spec.clusterIP", "None"),
    "processing.service.clusterIP": ("10.1.2.3", "Service/next-processing spec.clusterIP", "10.1.2.3"),
    "processing.service.nodePort": (30500, "Service/next-processing spec.ports[0].nodePort", 30500, LB),
    "processing.service.loadBalancerIP": ("192.0.2.1", "Service/next-processing spec.loadBalancerIP", "192.0.2.1", LB),
    "processing.service.loadBalancerClass": ("x", "Service/next-processing spec.loadBalancerClass", "x", LB),
    "processing.service.loadBalancerSourceRanges": (["192.0.2.0/24"], "Service/next-processing spec.loadBalancerSourceRanges",
                                                    ["192.0.2.0/24"], LB),
    "processing.service.externalTrafficPolicy": ("Cluster", "Service/next-processing spec.externalTrafficPolicy", "Cluster", LB),
    "processing.service.externalIPs": (["192.0.2.9"], "Service/next-processing spec.externalIPs", ["192.0.2.9"]),
    "processing.service.annotations": ({"a": "b"}, "Service/next-processing metadata.annotations.a", "b"),
    "processing.service.labels": ({"a": "b"}, "Service/next-processing metadata.labels.a", "b"),
    "processing.metrics.enabled": (False, "config:processing metrics.enabled", False),
    "processing.metrics.port": (9191, D + " " + BOX + ".ports[2].containerPort", 9191),
    "processing.metrics.portName": ("prom", "Service/next-processing-metrics spec.ports[0].targetPort", "prom"),
    "processing.metrics.path": ("/m", "ServiceMonitor/r-weir spec.endpoints[0].path", "/m", MONITOR),
    "processing.metrics.service.servicePort": (9191, "Service/next-processing-metrics spec.ports[0].port", 9191),
    "processing.metrics.service.annotations": ({"a": "b"}, "Service/next-processing-metrics metadata.annotations.a", "b"),
    "processing.metrics.service.labels": ({"a": "b"}, "Service/next-processing-metrics metadata.labels.a", "b"),
    "processing.metrics.serviceMonitor.enabled": (True, "ServiceMonitor/r-weir kind", "ServiceMonitor"),
    "processing.metrics.serviceMonitor.scrapeInterval": ("15s", "ServiceMonitor/r-weir spec.endpoints[0].interval", "15s", MONITOR),
    "processing.metrics.serviceMonitor.namespace": ("mon", "ServiceMonitor/r-weir metadata.namespace", "mon", MONITOR),
    "processing.metrics.serviceMonitor.additionalLabels": ({"a": "b"}, "ServiceMonitor/r-weir metadata.labels.a", "b", MONITOR),
    "processing.metrics.serviceMonitor.annotations": ({"a": "b"}, "ServiceMonitor/r-weir metadata.annotations.a", "b", MONITOR),
    "processing.metrics.serviceMonitor.metricRelabelings": ([{"action": "drop"}],
                                                            "ServiceMonitor/r-weir spec.endpoints[0].metricRelabelings",
                                                            [{"action": "drop"}], MONITOR),
    "processing.metrics.serviceMonitor.relabelings": ([{"action": "keep"}], "ServiceMonitor/r-weir spec.endpoints[0].relabelings",
                                                      [{"action": "keep"}], MONITOR),
    "processing.podDisruptionBudget.enabled": (False, "absent", "PodDisruptionBudget/r-weir-processing"),
    "processing.podDisruptionBudget.maxUnavailable": ("25%", "PodDisruptionBudget/r-weir-processing spec.maxUnavailable", "25%"),
    "processing.podDisruptionBudget.minAvailable": (1, "PodDisruptionBudget/r-weir-processing spec.minAvailable", 1),
    "processing.autoscaling.enabled": (True, "HorizontalPodAutoscaler/r-weir-processing spec.scaleTargetRef.name", "next-processing"),
    "processing.autoscaling.minReplicas": (2, "HorizontalPodAutoscaler/r-weir-processing spec.minReplicas", 2, SCALE),
    "processing.autoscaling.maxReplicas": (4, "HorizontalPodAutoscaler/r-weir-processing spec.maxReplicas", 4, SCALE),
    "processing.autoscaling.targetCPUUtilizationPercentage": (
        50, "HorizontalPodAutoscaler/r-weir-processing spec.metrics[0].resource.target.averageUtilization", 50, SCALE),
    "processing.autoscaling.targetMemoryUtilizationPercentage": (
        None, "HorizontalPodAutoscaler/r-weir-processing spec.metrics[1:]", [], SCALE),
    "processing.autoscaling.targetInFlight": (
        9, "HorizontalPodAutoscaler/r-weir-processing spec.metrics[0].pods.target.averageValue", "9", SCALE),
    "processing.autoscaling.inFlightMetric": (
        "m", "HorizontalPodAutoscaler/r-weir-processing spec.metrics[0].pods.metric.name", "m",
        {**SCALE, "processing.autoscaling.targetInFlight": 9}),
    "processing.autoscaling.annotations": ({"a": "b"}, "HorizontalPodAutoscaler/r-weir-processing metadata.annotations.a", "b", SCALE),
    "processing.autoscaling.behavior": ({"scaleUp": {}}, "HorizontalPodAutoscaler/r-weir-processing spec.behavior", {"scaleUp": {}}, SCALE),
    "processing.hostNetwork": (True, D + " " + POD + ".hostNetwork", True),
    "processing.dnsPolicy": ("ClusterFirstWithHostNet", D + " " + POD + ".dnsPolicy", "ClusterFirstWithHostNet"),
    "aggregation.enabled": (False, "absent", S),
    "aggregation.kind": ("Deployment", "Deployment/next-aggregation kind", "Deployment"),
    "aggregation.replicaCount": (2, S + " spec.replicas", 2),
    "aggregation.updateStrategy": ({"type": "OnDelete"}, S + " spec.updateStrategy", {"type": "OnDelete"}),
    "aggregation.terminationGracePeriodSeconds": (30, S + " " + POD + ".terminationGracePeriodSeconds", 30),
    "aggregation.resources": ({"limits": {"memory": "2Gi"}}, S + " " + BOX + ".resources.limits.memory", "2Gi"),
    "aggregation.containers": ({"wcli": {"resources": {}}, "tarantool": {"resources": {}}}, "note", "aggregation.containers"),
    "aggregation.spool.size": ("5Gi", S + " spec.volumeClaimTemplates[0].spec.resources.requests.storage", "5Gi"),
    "aggregation.spool.records": ("1500MiB", "config:aggregation events.spool_size", "1500MiB"),
    "aggregation.spool.storageClassName": ("fast", S + " spec.volumeClaimTemplates[0].spec.storageClassName", "fast"),
    "aggregation.spool.accessModes": (["ReadWriteOncePod"], S + " spec.volumeClaimTemplates[0].spec.accessModes", ["ReadWriteOncePod"]),
    "aggregation.spool.annotations": ({"a": "b"}, S + " spec.volumeClaimTemplates[0].metadata.annotations.a", "b"),
    "aggregation.service.port": (3314, "config:processing api.port", 3314),
    "aggregation.service.annotations": ({"a": "b"}, "Service/next-aggregation metadata.annotations.a", "b"),
    "aggregation.service.labels": ({"a": "b"}, "Service/next-aggregation metadata.labels.a", "b"),
    "aggregation.podDisruptionBudget.enabled": (False, "absent", "PodDisruptionBudget/r-weir-aggregation"),
    "aggregation.podDisruptionBudget.maxUnavailable": (0, "PodDisruptionBudget/r-weir-aggregation spec.maxUnavailable", 0),
    "aggregation.podDisruptionBudget.minAvailable": (1, "PodDisruptionBudget/r-weir-aggregation spec.minAvailable", 1),
    "aggregation.autoscaling.enabled": (True, "HorizontalPodAutoscaler/r-weir-aggregation spec.scaleTargetRef.kind", "StatefulSet"),
    "aggregation.autoscaling.minReplicas": (2, "HorizontalPodAutoscaler/r-weir-aggregation spec.minReplicas", 2, ASCALE),
    "aggregation.autoscaling.maxReplicas": (4, "HorizontalPodAutoscaler/r-weir-aggregation spec.maxReplicas", 4, ASCALE),
    "aggregation.autoscaling.targetCPUUtilizationPercentage": (
        50, "HorizontalPodAutoscaler/r-weir-aggregation spec.metrics[0].resource.target.averageUtilization", 50, ASCALE),
    "aggregation.autoscaling.targetMemoryUtilizationPercentage": (
        50, "HorizontalPodAutoscaler/r-weir-aggregation spec.metrics[1].resource.target.averageUtilization", 50, ASCALE),
    "aggregation.autoscaling.annotations": ({"a": "b"}, "HorizontalPodAutoscaler/r-weir-aggregation metadata.annotations.a", "b", ASCALE),
    "aggregation.autoscaling.behavior": ({"scaleUp": {}}, "HorizontalPodAutoscaler/r-weir-aggregation spec.behavior", {"scaleUp": {}}, ASCALE),
    "controlPlane.enabled": (False, "absent", C, {"aggregation.enabled": False}),
    "controlPlane.replicaCount": (2, "Deployment/r-weir-control-plane spec.replicas", 2, POSTGRES),
    "controlPlane.retentionDays": (30, "config:control-plane control_plane.retention_days", 30),
    "controlPlane.publicUrl": ("https://c", "config:control-plane control_plane.public_url", "https://c"),
    "controlPlane.admin.login": ("root", "config:control-plane control_plane.admin_login", "root"),
    "controlPlane.admin.password": ("a-long-password", "Secret/r-weir-control-plane data.admin-password", "YS1sb25nLXBhc3N3b3Jk"),
    "controlPlane.admin.existingSecret": ("mine", C + " " + BOX + ".env[1].valueFrom.secretKeyRef.name", "mine"),
    "controlPlane.admin.existingSecretKey": ("k", C + " " + BOX + ".env[1].valueFrom.secretKeyRef.key", "k",
                                             {"controlPlane.admin.existingSecret": "mine"}),
    "controlPlane.persistence.enabled": (False, "Deployment/r-weir-control-plane spec.strategy.type", "Recreate"),
    "controlPlane.persistence.size": ("50Gi", C + " spec.volumeClaimTemplates[0].spec.resources.requests.storage", "50Gi"),
    "controlPlane.persistence.storageClassName": ("fast", C + " spec.volumeClaimTemplates[0].spec.storageClassName", "fast"),
    "controlPlane.persistence.accessModes": (["ReadWriteOncePod"], C + " spec.volumeClaimTemplates[0].spec.accessModes", ["ReadWriteOncePod"]),
    "controlPlane.persistence.annotations": ({"a": "b"}, C + " spec.volumeClaimTemplates[0].metadata.annotations.a", "b"),
    "controlPlane.postgresql.url": ("postgres://h/d", "Secret/r-weir-control-plane data.database-url", "cG9zdGdyZXM6Ly9oL2Q="),
    "controlPlane.postgresql.existingSecret": ("db", "Deployment/r-weir-control-plane " + BOX + ".env[2].valueFrom.secretKeyRef",
                                               {"name": "db", "key": "database-url"}),
    "controlPlane.postgresql.existingSecretKey": ("k", "Deployment/r-weir-control-plane " + BOX + ".env[2].valueFrom.secretKeyRef.key",
                                                  "k", POSTGRES),
    "controlPlane.signingKey.existingSecret": ("mine", C + " " + POD + ".volumes[name=signing].secret.secretName", "mine"),
    "controlPlane.signingKey.existingSecretKey": ("k", C + " " + POD + ".volumes[name=signing].secret.items[0].key", "k",
                                                  {"controlPlane.signingKey.existingSecret": "mine"}),
    "controlPlane.oidc.issuer": ("https://id", "config:control-plane control_plane.oidc.issuer", "https://id",
                                 {"controlPlane.oidc.clientId": "weir"}),
    "controlPlane.oidc.clientId": ("weir", "config:control-plane control_plane.oidc.client_id", "weir",
                                   {"controlPlane.oidc.issuer": "https://id"}),
    "controlPlane.oidc.existingSecret": ("oidc", C + " " + BOX + ".env[2].valueFrom.secretKeyRef.name", "oidc"),
    "controlPlane.oidc.existingSecretKey": ("k", C + " " + BOX + ".env[2].valueFrom.secretKeyRef.key", "k",
                                            {"controlPlane.oidc.existingSecret": "oidc"}),
    "controlPlane.oidc.roleClaim": ("roles", "config:control-plane control_plane.oidc.role_claim", "roles",
                                    {"controlPlane.oidc.issuer": "https://id", "controlPlane.oidc.clientId": "weir"}),
    "controlPlane.oidc.defaultRole": ("viewer", "config:control-plane control_plane.oidc.default_role", "viewer",
                                      {"controlPlane.oidc.issuer": "https://id", "controlPlane.oidc.clientId": "weir"}),
    "controlPlane.smtp.host": ("mail", "config:control-plane control_plane.smtp.host", "mail", {"controlPlane.smtp.from": "a@example.com"}),
    "controlPlane.smtp.port": (2525, "config:control-plane control_plane.smtp.port", 2525, MAIL),
    "controlPlane.smtp.tls": ("implicit", "config:control-plane control_plane.smtp.tls", "implicit", MAIL),
    "controlPlane.smtp.from": ("a@example.com", "config:control-plane control_plane.smtp.from", "a@example.com",
                               {"controlPlane.smtp.host": "mail"}),
    "controlPlane.smtp.user": ("weir", "config:control-plane control_plane.smtp",
                               {"host": "mail", "from": "a@example.com", "tls": "starttls", "user": "weir",
                                "password_file": "/etc/weir/smtp/password"}, {**MAIL, "controlPlane.smtp.existingSecret": "s"}),
    "controlPlane.smtp.existingSecret": ("s", C + " " + POD + ".volumes[name=smtp].secret",
                                         {"secretName": "s", "defaultMode": 0o440, "items": [{"key": "password", "path": "password"}]},
                                         {**MAIL, "controlPlane.smtp.user": "weir"}),
    "controlPlane.smtp.existingSecretKey": ("k", C + " " + POD + ".volumes[name=smtp].secret.items[0].key", "k",
                                            {**MAIL, "controlPlane.smtp.user": "weir", "controlPlane.smtp.existingSecret": "s"}),
    "controlPlane.service.type": ("NodePort", "Service/r-weir-control-plane spec.type", "NodePort"),
    "controlPlane.service.port": (80, "config:aggregation api.port", 80),
    "controlPlane.service.nodePort": (30088, "Service/r-weir-control-plane spec.ports[0].nodePort", 30088,
                                      {"controlPlane.service.type": "NodePort"}),
    "controlPlane.service.annotations": ({"a": "b"}, "Service/r-weir-control-plane metadata.annotations.a", "b"),
    "controlPlane.service.labels": ({"a": "b"}, "Service/r-weir-control-plane metadata.labels.a", "b"),
    "controlPlane.ingress.enabled": (True, "config:control-plane control_plane.public_url", "http://c.example.com",
                                     {"controlPlane.ingress.hosts": [{"host": "c.example.com"}]}),
    "controlPlane.ingress.className": ("kong", "Ingress/r-weir-control-plane spec.ingressClassName", "kong", INGRESS),
    "controlPlane.ingress.annotations": ({"a": "b"}, "Ingress/r-weir-control-plane metadata.annotations.a", "b", INGRESS),
    "controlPlane.ingress.hosts": ([{"host": "x", "paths": [{"path": "/p", "pathType": "Exact"}]}],
                                   "Ingress/r-weir-control-plane spec.rules[0].http.paths[0].path", "/p",
                                   {"controlPlane.ingress.enabled": True}),
    "controlPlane.ingress.tls": ([{"secretName": "s"}], "config:control-plane control_plane.public_url", "https://c.example.com", INGRESS),
    "controlPlane.updateStrategy": ({"type": "OnDelete"}, C + " spec.updateStrategy", {"type": "OnDelete"}),
    "controlPlane.terminationGracePeriodSeconds": (30, C + " " + POD + ".terminationGracePeriodSeconds", 30),
    "controlPlane.resources": ({"limits": {"memory": "2Gi"}}, C + " " + BOX + ".resources.limits.memory", "2Gi"),
    "controlPlane.podDisruptionBudget.enabled": (False, "absent", "PodDisruptionBudget/r-weir-control-plane",
                                                 {**POSTGRES, "controlPlane.replicaCount": 2}),
    "controlPlane.podDisruptionBudget.maxUnavailable": (2, "PodDisruptionBudget/r-weir-control-plane spec.maxUnavailable", 2,
                                                        {**POSTGRES, "controlPlane.replicaCount": 3}),
    "controlPlane.podDisruptionBudget.minAvailable": (1, "PodDisruptionBudget/r-weir-control-plane spec.minAvailable", 1,
                                                      {**POSTGRES, "controlPlane.replicaCount": 3}),
    "gateways.envoy.enabled": (True, "Backend/r-weir metadata.namespace", "edge", {"gateways.envoy.namespace": "edge"}),
    "gateways.envoy.kind": ("istio", "EnvoyFilter/r-weir metadata.namespace", "edge", ENVOY),
    "gateways.envoy.namespace": ("other", "EnvoyExtensionPolicy/r-weir metadata.namespace", "other", ENVOY),
    "gateways.envoy.proxyNamespace": ("pods", GATEWAY_PEER, {"kubernetes.io/metadata.name": "pods"}, ENVOY),
    "gateways.envoy.gateway": ("g2", "EnvoyExtensionPolicy/r-weir spec.targetRefs[0].name", "g2", ENVOY),
    "gateways.envoy.workloadLabels.istio": ("edge", "EnvoyFilter/r-weir spec.workloadSelector.labels.istio", "edge", ISTIO),
    "gateways.envoy.failOpen": (True, "EnvoyExtensionPolicy/r-weir spec.extProc[0].processingMode.request.body", "BufferedPartial", ENVOY),
    "gateways.envoy.timeoutMs": (250, "EnvoyFilter/r-weir spec.configPatches[0].patch.value.typed_config.message_timeout", "0.250s", ISTIO),
    "gateways.traefik.enabled": (True, "Middleware/weir metadata.namespace", "apps", {"gateways.traefik.namespace": "apps"}),
    "gateways.traefik.namespace": ("other", "Middleware/weir metadata.namespace", "other", TRAEFIK),
    "gateways.traefik.proxyNamespace": ("pods", GATEWAY_PEER, {"kubernetes.io/metadata.name": "pods"}, TRAEFIK),
    "gateways.traefik.middlewareName": ("m", "Middleware/m spec.forwardAuth.forwardBody", True, TRAEFIK),
    "gateways.traefik.maxBodySize": (16777216, "Middleware/weir spec.forwardAuth.maxBodySize", 16777216, TRAEFIK),
    "gateways.traefik.timeoutMs": (250, "Middleware/weir spec.forwardAuth.address", ADDRESS % 250, TRAEFIK),
    "gateways.nginx.enabled": (True, FILTER + "metadata.namespace", "apps", {"gateways.nginx.namespace": "apps"}),
    "gateways.nginx.kind": ("ingress-nginx", "absent", "SnippetsFilter/weir", NGINX),
    "gateways.nginx.namespace": ("other", FILTER + "metadata.namespace", "other", NGINX),
    "gateways.nginx.proxyNamespace": ("pods", GATEWAY_PEER, {"kubernetes.io/metadata.name": "pods"}, NGINX),
    "gateways.nginx.filterName": ("f", "SnippetsFilter/f spec.snippets[0].context", "http", NGINX),
    "gateways.nginx.failOpen": (True, "special", "nginx_fails_open", NGINX),
    "gateways.nginx.timeoutMs": (250, "special", "nginx_waits", NGINX),
    "kong.enabled": (True, "ConfigMap/kong-lua metadata.namespace", "kong", {"kong.namespace": "kong"}),
    "kong.namespace": ("edge", "NetworkPolicy/r-weir-processing spec.ingress[0].from[0].namespaceSelector.matchLabels",
                       {"kubernetes.io/metadata.name": "edge"}),
    "kong.ingressClass": ("k2", "KongClusterPlugin/kong-lua metadata.annotations.kubernetes\\.io/ingress\\.class", "k2", KONG),
    "kong.global": (True, "KongClusterPlugin/kong-lua metadata.labels.global", "true", KONG),
    "kong.pluginName": ("p", "KongClusterPlugin/p plugin", "kong-lua", KONG),
    "kong.clusterPlugin": (False, "absent", "KongClusterPlugin/kong-lua", KONG),
    "kong.responsePlugin": (True, "ConfigMap/kong-lua-response metadata.namespace", "kong", KONG),
    "kong.config": ({"timeout_ms": 500}, "KongClusterPlugin/kong-lua config",
                    {"timeout_ms": 500, "wallarm_node_address": "http://next-processing.wallarm-node.svc.cluster.local:5000"}, KONG),
    "kong.connectorKeySecret.name": ("s", "KongClusterPlugin/kong-lua configPatches[0].valueFrom.secretKeyRef",
                                     {"namespace": "wallarm-node", "name": "s", "key": "connector_key"}, KONG),
    "kong.connectorKeySecret.key": ("k", "KongClusterPlugin/kong-lua configPatches[0].valueFrom.secretKeyRef.key", "k",
                                    {**KONG, "kong.connectorKeySecret.name": "s"}),
    "kong.sidecar.enabled": (True, "ConfigMap/kong-lua-sidecar metadata.namespace", "kong",
                             {**KONG, "kong.sidecar.existingSecret": "s"}),
    "kong.sidecar.socket": ("/run/own/node.sock", "KongClusterPlugin/kong-lua config.wallarm_node_address", "unix:/run/own/node.sock",
                            SIDECAR),
    "kong.sidecar.existingSecret": ("other", "special", "sidecar_secret"),
    "kong.sidecar.resources": ({"limits": {"memory": "3Gi"}}, "special", "sidecar_resources"),
    "networkPolicy.enabled": (False, "absent", "NetworkPolicy/r-weir-processing"),
    "networkPolicy.egress": (True, "NetworkPolicy/r-weir-processing spec.policyTypes", ["Ingress", "Egress"]),
    "networkPolicy.egressTo": ([{"to": PEER}], "NetworkPolicy/r-weir-control-plane spec.egress[1].to", PEER, {"networkPolicy.egress": True}),
    "networkPolicy.processingFrom": (PEER, "NetworkPolicy/r-weir-processing spec.ingress[0].from[0]", PEER[0]),
    "networkPolicy.aggregationFrom": (PEER, "NetworkPolicy/r-weir-aggregation spec.ingress[0].from[1]", PEER[0]),
    "networkPolicy.controlPlaneFrom": (PEER, "NetworkPolicy/r-weir-control-plane spec.ingress[0].from[2]", PEER[0]),
    "networkPolicy.metricsFrom": (PEER, "NetworkPolicy/r-weir-processing spec.ingress[2].from", PEER),
    "dashboard.enabled": (True, "ConfigMap/r-weir-dashboard kind", "ConfigMap"),
    "dashboard.namespace": ("g", "ConfigMap/r-weir-dashboard metadata.namespace", "g", {"dashboard.enabled": True}),
    "dashboard.labels.grafana_dashboard": ("2", "ConfigMap/r-weir-dashboard metadata.labels.grafana_dashboard", "2", {"dashboard.enabled": True}),
    "dashboard.annotations": ({"a": "b"}, "ConfigMap/r-weir-dashboard metadata.annotations.a", "b", {"dashboard.enabled": True}),
    "serviceAccount.create": (False, D + " " + POD + ".serviceAccountName", "default"),
    "serviceAccount.name": ("sa", D + " " + POD + ".serviceAccountName", "sa"),
    "serviceAccount.annotations": ({"a": "b"}, "ServiceAccount/r-weir metadata.annotations.a", "b"),
    "podSecurityContext": ({"runAsUser": 1000}, C + " " + POD + ".securityContext.runAsUser", 1000),
    "securityContext": ({"runAsUser": 1000}, C + " " + BOX + ".securityContext.runAsUser", 1000),
    "tests.enabled": (False, "absent", "Pod/r-weir-test"),
}
# Values that every role has, and the whole release.
ROLES = {
    "revisionHistoryLimit": (4, "spec.revisionHistoryLimit", 4),
    "imagePullSecrets": (["x"], POD + ".imagePullSecrets", [{"name": "x"}]),
    "startupProbe": ({"failureThreshold": 7}, BOX + ".startupProbe.failureThreshold", 7),
    "livenessProbe": ({"tcpSocket": {"port": 1}}, BOX + ".livenessProbe.tcpSocket.port", 1),
    "readinessProbe": ({"periodSeconds": 7}, BOX + ".readinessProbe.periodSeconds", 7),
    "nodeSelector.kubernetes\\.io/os": ("plan9", POD + ".nodeSelector", {"kubernetes.io/os": "plan9"}),
    "tolerations": (TOLERATE, POD + ".tolerations", TOLERATE),
    "affinity": (AFFINITY, POD + ".affinity", AFFINITY),
    "topologySpreadConstraints": (SPREAD, POD + ".topologySpreadConstraints", SPREAD),
    "priorityClassName": ("high", POD + ".priorityClassName", "high"),
    "runtimeClassName": ("gvisor", POD + ".runtimeClassName", "gvisor"),
    "lifecycle": ({"preStop": {"sleep": {"seconds": 1}}}, BOX + ".lifecycle.preStop.sleep.seconds", 1),
    "podAnnotations": ({"a": "b"}, "spec.template.metadata.annotations.a", "b"),
    "podLabels": ({"a": "b"}, "spec.template.metadata.labels.a", "b"),
    "extraEnvs": (ENV, BOX + ".env[name=WEIR_LOG__LEVEL].value", "debug"),
    "extraEnvFrom": ([{"secretRef": {"name": "s"}}], BOX + ".envFrom", [{"secretRef": {"name": "s"}}]),
    "extraVolumes": (VOLUME, POD + ".volumes[name=more].emptyDir", {"sizeLimit": "1Mi"}),
    "extraVolumeMounts": (MOUNT, BOX + ".volumeMounts[name=more].mountPath", "/more"),
    "extraContainers": (BESIDE, POD + ".containers[1]", BESIDE[0]),
    "extraInitContainers": (BESIDE, POD + ".initContainers", BESIDE),
    "extraLabels": ({"a": "b"}, "spec.template.metadata.labels.a", "b"),
    "extraAnnotations": ({"a": "b"}, "spec.template.metadata.annotations.a", "b"),
}
for role, workload in (("processing", D), ("aggregation", S), ("controlPlane", C)):
    for key, (sample, where, expected) in ROLES.items():
        CASES["%s.%s" % (role, key)] = (sample, "%s %s" % (workload, where), expected)
for key in [k for k in ROLES if k.startswith("extra") and k != "extraEnvFrom"]:
    CASES[key] = (ROLES[key][0], "%s %s" % (C, ROLES[key][1]), ROLES[key][2])

# Values of older charts that are keys of the node, passed on as they stand.
PASSED_ON = {"config.connector.external_health_check": {"enabled": True, "endpoint": "/h"}}


def paths(value, path=()):
    """Every key of values.yaml, as parts, and what it holds."""
    for key, inner in value.items():
        yield path + (key,), inner
        if isinstance(inner, dict):
            yield from paths(inner, path + (key,))


def with_parents(path):
    """A dotted path and all above it."""
    parts = path.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts) + 1)}


def at(value, path):
    """The value at a path: dotted names, [number], [number:], [name=text]."""
    for name, index in re.findall(r"((?:\\.|[^.\[\\])+)|\[([^\]]+)\]", path):
        if name:
            value = value[name.replace("\\.", ".")]
        elif "=" in index:
            key, text = index.split("=")
            value = [item for item in value if item[key] == text][0]
        elif index.endswith(":"):
            value = value[int(index[:-1]):]
        else:
            value = value[int(index)]
    return value


def found(objects, where):
    place, path = where.split(" ", 1)
    if place.startswith("config:"):
        return at(objects.config(place[len("config:"):]), path)
    return at(objects.named(*place.split("/", 1)), path)


class EachValue(unittest.TestCase):
    def test_does_what_it_says(self):
        for key, (sample, where, expected, *needs) in CASES.items():
            with self.subTest(key):
                values = {**(needs[0] if needs else {}), key: sample}
                before = render(needs[0] if needs else {}) if self.renders(needs) else None
                after = render(values)
                if where == "absent":
                    self.assertIn(expected, before.names())
                    self.assertNotIn(expected, after.names())
                elif where == "note":
                    self.assertIn(expected, harness.notes(values))
                elif where == "special":
                    getattr(self, expected)(sample)
                else:
                    self.assertEqual(found(after, where), expected)
                    self.assertNotEqual(before and self.maybe(before, where), expected, "it was there before: the line proves nothing")

    @staticmethod
    def renders(needs):
        try:
            render(needs[0] if needs else {})
            return True
        except Refused:
            return False

    @staticmethod
    def maybe(objects, where):
        try:
            return found(objects, where)
        except (AssertionError, KeyError, IndexError, TypeError):
            return None

    @staticmethod
    def nginx_server(**values):
        objects = render({**NGINX, **{"gateways.nginx." + key: value for key, value in values.items()}})
        return objects.named("SnippetsFilter", "weir")["spec"]["snippets"][1]["value"]

    def nginx_fails_open(self, sample):
        self.assertIn("= @weir_unavailable;", self.nginx_server(failOpen=sample))
        self.assertNotIn("@weir_unavailable", self.nginx_server())

    def nginx_waits(self, sample):
        for text in ("proxy_read_timeout %dms;", "?deadline_ms=%d;"):
            self.assertIn(text % sample, self.nginx_server(timeoutMs=sample))

    @staticmethod
    def kong_values(**sidecar):
        values = {**SIDECAR, **{"kong.sidecar." + key: value for key, value in sidecar.items()}}
        text = render(values).named("ConfigMap", "kong-lua-sidecar")["data"]["kong-values.yaml"]
        return yaml.safe_load(text)["gateway"]["deployment"]

    def sidecar_secret(self, name):
        secrets = [volume["secret"]["secretName"] for volume in self.kong_values(existingSecret=name)["userDefinedVolumes"]
                   if "secret" in volume]
        self.assertEqual(secrets, [name])

    def sidecar_resources(self, resources):
        container, = self.kong_values(resources=resources)["sidecarContainers"]
        self.assertEqual(container["resources"]["limits"]["memory"], "3Gi")

    def certificate_days(self, days):
        values = {CERT + "enabled": True, CERT + "certgen.enabled": True, CERT + "certgen.days": days}
        secret = render(values).named("Secret", "next-processing-tls")["data"]
        self.assertEqual(set(secret), {"tls.crt", "tls.key", "ca.crt"})

    def test_every_value_has_a_line(self):
        lines = []
        values = schema.Values()
        values.rows(values.values, (), lines)
        documented = {re.match(r"\| `([^`]+)`", line).group(1) for line in lines}
        tested = {key.replace("\\.", ".") for key in CASES}
        self.assertEqual(documented - tested, set(), "values without a test")
        self.assertEqual(tested - documented, set(), "tests of values that are not documented")

    def test_every_value_of_older_charts_is_accepted(self):
        samples = {"object": {}, "boolean": True, "string": "x", "array": [], "integer": 1}
        for row in schema.Values().compat:
            with self.subTest(row["key"]):
                kind = row.get("schema", {})
                sample = kind["enum"][0] if "enum" in kind else samples.get(kind.get("type"), {"any": ["thing"]})
                if "schema" not in row:
                    # It has a place in values.yaml: the lines above set it, or something below it.
                    key = row["key"]
                    near = [k for k in CASES if k == key or k.startswith(key + ".") or key.startswith(k + ".")]
                    self.assertTrue(near or key in PASSED_ON, key)
                    continue
                render({row["key"]: sample})
                if row["does"] == "ignored":
                    self.assertIn(row["key"], harness.notes({row["key"]: sample}))


class EmptyKeys(unittest.TestCase):
    """`extraEnvs:` with nothing behind it, as in files whose examples are commented out."""

    def test_mean_what_no_key_means(self):
        more = {**SCALE, **ASCALE, **KONG, **INGRESS, **MONITOR, **LB, "dashboard.enabled": True, "networkPolicy.egress": True,
                "config.connector.auth.keys": ["a-key-of-some-length"], "processing.autoscaling.targetCPUUtilizationPercentage": 80,
                "aggregation.autoscaling.targetCPUUtilizationPercentage": 80}
        values, docs = schema.Values().values, schema.Values().docs
        free = {path for path, (_, refinement) in docs.items() if refinement.get("$free")}
        for needs in ({}, more):
            needed = {key for path in needs for key in with_parents(path)}
            # All values at once, then all sections of each depth, one within the other being empty with it.
            for depth in range(1, 6):
                empty = {}
                for path, inner in paths(values):
                    key = ".".join(part.replace(".", "\\.") for part in path)
                    if any(path[:count] in free for count in range(1, len(path))):
                        continue
                    leaf = not (isinstance(inner, dict) and inner)
                    if (leaf if depth == 5 else not leaf and len(path) == depth) and key not in needed:
                        empty[key] = None
                with self.subTest(depth=depth, needs=bool(needs)):
                    self.holds({**needs, **empty})

    def holds(self, values):
        for text in (harness.render_text(values), harness.notes(values)):
            self.assertNotRegex(text, "<nil>|<no value>|Error:")
        objects = render(values)
        self.assertEqual(len(objects.workloads()), 3)
        for item in objects.all:
            self.assertIsNone(harness.against_schemas(item, "1.30"))
        for config, files in objects.config_texts().items():
            self.assertTrue(harness.config_check(files)["valid"], config)

    def test_of_the_node_are_left_out(self):
        raw = """
config:
  api: {token: test-token-of-some-length}
  connector:
    route_config:
      wallarm_mode: block
      routes:
    http_inspector:
      real_ip_header:
    input_filters:
      bypass:
      - path: ^/x$
        headers:
    per_connection_limits:
      max_requests:
    allowed_networks:
    log_level:
  node:
    load:
    events: {sampling: , stall: 6ms}
"""
        objects = render(raw=raw)
        config = objects.config("processing")
        self.assertEqual(config["route_config"], {"wallarm_mode": "block"})
        self.assertEqual(config["input_filters"], {"bypass": [{"path": "^/x$"}]})
        self.assertEqual(config["events"], {"spool_size": "256MiB", "stall": "6ms"})
        self.assertNotIn("http_inspector", config)
        for name, files in objects.config_texts().items():
            self.assertTrue(harness.config_check(files)["valid"], name)

    def test_empty_keys_that_switch_something_off(self):
        budget = {"processing.podDisruptionBudget.maxUnavailable": None}
        self.assertNotIn("PodDisruptionBudget/r-weir-processing", render(budget).names())
        self.assertEqual(render({**budget, "processing.podDisruptionBudget.minAvailable": 0}).role("PodDisruptionBudget", "processing")
                         ["spec"]["minAvailable"], 0)
        self.assertNotIn("nodeSelector", render({"processing.nodeSelector": None}).pod("processing"))
        limits = render({"config.connector.per_connection_limits.max_duration": None}).config("processing")["connector"]
        self.assertNotIn("max_duration", limits["per_connection_limits"])
        self.assertIsNone(render({"processing.resources": None}).container("processing")["resources"])


class Strategies(unittest.TestCase):
    OLD = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}

    def test_what_the_kind_does_not_know_is_left_out(self):
        for kind, given, expected in (
                ("StatefulSet", self.OLD, {"type": "RollingUpdate"}),
                ("StatefulSet", {"type": "Recreate"}, None),
                ("StatefulSet", {"rollingUpdate": {"partition": 1, "maxUnavailable": "50%"}},
                 {"type": "RollingUpdate", "rollingUpdate": {"partition": 1, "maxUnavailable": "50%"}}),
                ("Deployment", self.OLD, self.OLD), ("Deployment", {"type": "OnDelete"}, None),
                ("DaemonSet", self.OLD, self.OLD), ("DaemonSet", {"type": "Recreate"}, None)):
            with self.subTest(kind=kind, given=given):
                spec = render({"aggregation.kind": kind, "aggregation.updateStrategy": given}).workload("aggregation")["spec"]
                self.assertEqual(spec.get("strategy") or spec.get("updateStrategy"), expected)

    def test_recreate_drops_the_steps_of_the_default(self):
        spec = render({"processing.updateStrategy": {"type": "Recreate"}}).workload("processing")["spec"]
        self.assertEqual(spec["strategy"], {"type": "Recreate"})


class OldFiles(unittest.TestCase):
    def test_both_ways_to_write_off(self):
        for text in ("off", '"off"', "'off'"):
            raw = "config: {connector: {route_config: {routes: [{route: /x, wallarm_mode: %s}]}}}" % text
            config = render(raw=raw).config("processing")
            self.assertEqual(config["route_config"]["routes"][0]["wallarm_mode"], "off")

    def test_keys_of_the_node_are_passed_on(self):
        for key, sample in PASSED_ON.items():
            self.assertEqual(at(render({key: sample}).config("processing"), key.replace("config.", "", 1)), sample)

    def test_the_level_of_older_charts(self):
        config = render({"config.connector.log_level": "debug"}).config("processing")
        self.assertEqual(config["log"]["level"], "debug")

    def test_one_drain_setting_of_the_node_is_known(self):
        values = {"config.node": {"load": {"drain_timeout": "2m"}}}
        with self.assertRaisesRegex(Refused, "terminationGracePeriodSeconds is 90"):
            render(values)
        render({**values, "processing.terminationGracePeriodSeconds": 250})

    def test_short_periods_shorten_the_drain(self):
        """Calls under way are waited for, then what is left is shipped, each for at most the drain; files of older charts say 30 seconds."""
        self.assertNotIn("load", render().config("processing"))
        short = {"processing.terminationGracePeriodSeconds": 30, "aggregation.terminationGracePeriodSeconds": 30}
        objects = render(short)
        self.assertEqual([objects.config(role)["load"]["drain_timeout"] for role in ("processing", "aggregation")], ["12s", "14s"])
        self.assertNotIn("load", objects.config("control-plane"))
        given = render({**short, "config.node": {"load": {"drain_timeout": "7s"}}})
        self.assertEqual([given.config(role)["load"]["drain_timeout"] for role in ("processing", "aggregation")], ["7s", "7s"])

    def test_times_of_a_probe_keep_its_way(self):
        values = {"processing.containers": {"nodeNext": {"readinessProbe": {"periodSeconds": 3}}}}
        probe = render(values).container("processing")["readinessProbe"]
        self.assertEqual(probe, {"httpGet": {"path": "/ready", "port": "health"}, "periodSeconds": 3, "timeoutSeconds": 5})

    def test_every_key_of_the_node_can_be_set(self):
        reference = schema.sections(schema.read(schema.REFERENCE))
        skipped = {"connector", "api", "aggregation", "control_plane", "control_plane.oidc", "connector.auth", ""}
        samples = {"boolean": True, "duration": "1m", "text": "x"}
        count = 0
        for path, (is_list, rows) in reference.items():
            for name, kind, *_ in rows:
                word = kind.split(" from ")[0]
                if is_list or path in skipped or word not in samples or "[]" in path:
                    continue
                tree = samples[word]
                for part in reversed((path + "." + name.strip("`")).split(".")):
                    tree = {part: tree}
                if path == "health_check":
                    continue
                config = render({"config.node": tree, "processing.terminationGracePeriodSeconds": 600}).config("processing")
                self.assertEqual(at(config, path + "." + name.strip("`")), samples[word])
                count += 1
        self.assertGreater(count, 10)


if __name__ == "__main__":
    unittest.main()
