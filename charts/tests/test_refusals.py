"""The chart refuses combinations that cannot work when it is rendered, with a sentence that says what to do."""
import unittest

from harness import NAMESPACE, Refused, notes, render

CERT = "config.connector.certificate."
IMPOSSIBLE = [
    ({"config.connector.mode": "envoy-external-filter"}, "weir does not support the Envoy filter protocol: use connector-server"),
    ({"config.api.host": "cp.example.com", "controlPlane.enabled": True}, "remove config.api.host"),
    ({"controlPlane.enabled": False}, "aggregation has no control plane: set config.api.host"),
    ({"config.api.host": "api.wallarm.com", "controlPlane.enabled": False}, "has no control plane"),
    ({"config.api.host": "cp.example.com", "config.api.token": ""}, "without a token: set config.api.token"),
    ({"config.api.token": "short"}, "fewer than 16 characters"),
    ({"config.api.existingSecret.enabled": True}, "set config.api.existingSecret.secretName"),
    ({CERT + "enabled": True}, "0 sources .none.: enable exactly one"),
    ({CERT + "enabled": True, CERT + "certgen.enabled": True, CERT + "certManager.enabled": True}, "2 sources .*certManager, certgen"),
    ({CERT + "enabled": True, CERT + "certManager.enabled": True}, "needs issuerRef.name"),
    ({CERT + "enabled": True, CERT + "existingSecret.enabled": True}, "existingSecret needs name"),
    ({CERT + "enabled": True, CERT + "customSecret.enabled": True}, "customSecret needs crt and key"),
    ({CERT + "enabled": True, CERT + "customSecret.enabled": True, CERT + "customSecret.crt": "-----BEGIN CERTIFICATE-----",
      CERT + "customSecret.key": "aw=="}, "customSecret.crt is not base64"),
    ({"config.connector.auth.clientCaSecret": "ca"}, "enable config.connector.certificate too"),
    ({"config.connector.auth.keys": ["a" * 20], "config.connector.auth.existingSecret": "s"}, "both keys and existingSecret"),
    ({"controlPlane.replicaCount": 2}, "set controlPlane.postgresql, or use one replica"),
    ({"controlPlane.postgresql.url": "postgres://h/d", "controlPlane.postgresql.existingSecret": "s"}, "both url and existingSecret"),
    ({"controlPlane.admin.password": "a-long-password", "controlPlane.admin.existingSecret": "s"}, "both password and existingSecret"),
    ({"controlPlane.ingress.enabled": True}, "enabled without hosts"),
    ({"controlPlane.oidc.issuer": "https://id"}, "issuer is set without clientId"),
    ({"controlPlane.smtp.host": "mail"}, "smtp needs host and from"),
    ({"controlPlane.smtp.host": "mail", "controlPlane.smtp.from": "a@b.example", "controlPlane.smtp.user": "weir"},
     "needs user and existingSecret"),
    ({"controlPlane.smtp.user": "weir", "controlPlane.smtp.existingSecret": "s"}, "user is set without host"),
    ({"controlPlane.smtp.host": "mail", "controlPlane.smtp.from": "a@b.example", "controlPlane.smtp.user": "weir",
      "controlPlane.smtp.existingSecret": "s", "controlPlane.smtp.tls": "none"}, "the password in the clear"),
    ({"processing.terminationGracePeriodSeconds": 6}, "killed with calls in progress. Increase it"),
    ({"config.node": {"load": {"drain_timeout": "43s"}}}, "is 90, but .* take up to 91"),
    ({"config.node": {"health_check": {"enabled": False}}}, "pods would be killed. Remove it"),
    ({"config.node": {"metrics": {"enabled": False}}}, "use processing.metrics.enabled"),
    ({"config.connector.address": ":6000"}, "config.connector.address is set by the chart"),
    ({"config.connector.tls_cert": "/x"}, "use config.connector.certificate"),
    ({"processing.service.headless": True, "processing.service.type": "LoadBalancer"}, "headless needs type ClusterIP, but the type is LoadBalancer"),
    ({"kong.enabled": True, "kong.namespace": "kong", "config.connector.auth.existingSecret": "keys"}, "set kong.connectorKeySecret.name"),
    ({"kong.enabled": True, "kong.namespace": "kong", "config.connector.auth.clientCaSecret": "ca", CERT + "enabled": True, CERT + "certgen.enabled": True},
     "has no credentials"),
    ({"gateways.traefik.enabled": True}, "set gateways.traefik.namespace"),
    ({"gateways.nginx.enabled": True}, "set gateways.nginx.namespace"),
    ({"gateways.nginx.enabled": True, "gateways.nginx.namespace": "edge", "gateways.nginx.kind": "ingress-nginx", "gateways.nginx.failOpen": True},
     "ingress-nginx cannot let requests pass"),
    ({"gateways.envoy.enabled": True, "gateways.envoy.namespace": "edge", "config.connector.auth.keys": ["a" * 20]}, "without TLS and without a key"),
    ({"gateways.traefik.enabled": True, "gateways.traefik.namespace": "apps", CERT + "enabled": True, CERT + "certgen.enabled": True},
     "without TLS and without a key"),
    ({"processing.spool.size": "512MiB"}, "does not fit into processing.spool.sizeLimit"),
    ({"processing.spool.sizeLimit": "many"}, "is not a size"),
    ({"aggregation.spool.records": "3GiB"}, "does not fit into aggregation.spool.size"),
    ({"processing.autoscaling.enabled": True, "processing.autoscaling.minReplicas": 20}, "minReplicas is 20, above maxReplicas"),
    ({"processing.autoscaling.enabled": True, "processing.autoscaling.targetCPUUtilizationPercentage": None,
      "processing.autoscaling.targetMemoryUtilizationPercentage": None}, "enabled without a target"),
    ({"processing.autoscaling.enabled": True, "processing.autoscaling.targetInFlight": 5, "processing.metrics.enabled": False},
     "processing.metrics.enabled is false"),
    ({"aggregation.autoscaling.enabled": True, "aggregation.kind": "DaemonSet"}, "cannot scale a DaemonSet"),
    ({"processing.metrics.enabled": False, "processing.metrics.serviceMonitor.enabled": True}, "nothing could be scraped"),
    ({"kong.enabled": True}, "kong.enabled needs kong.namespace"),
    ({"kong.sidecar.enabled": True}, "kong.sidecar.enabled needs kong.enabled"),
    ({"kong.enabled": True, "kong.namespace": "kong", "kong.sidecar.enabled": True}, "kong.sidecar needs existingSecret"),
    ({"kong.enabled": True, "kong.namespace": "kong", "kong.sidecar.enabled": True, "kong.sidecar.existingSecret": "s",
      "config.connector.auth.clientCaSecret": "ca", "kong.config": {"client_certificate": "x"}, CERT + "enabled": True,
      CERT + "certgen.enabled": True}, "has no client certificates"),
    ({"kong.enabled": True, "kong.namespace": "kong", "kong.sidecar.enabled": True, "kong.sidecar.existingSecret": "s",
      "config.api.host": "cp.example.com", "config.api.token": "a" * 16, "config.api.caSecret": "ca", "aggregation.enabled": False},
     "cannot read config.api.caSecret"),
    ({"config.aggregation.serviceAddress": "somewhere"}, "write an address with its port"),
    ({"config.aggregation.serviceAddress": "0.0.0.0"}, "write an address with its port"),
    ({"config.node": {"connector": {"address": ":6000"}}}, "config.node.connector.address is set by the chart"),
    ({"config.node": {"api": {"token": "t"}}}, "kept in a Secret"),
    ({"config.node": {"control_plane": {"database": "postgres://u:p@h/d"}}}, "kept in a Secret"),
]
UNKNOWN = [
    {"proccessing": {}}, {"processing": {"replicas": 2}}, {"config": {"api": {"tokn": "x"}}},
    {"config": {"connector": {"adress": ":1"}}}, {"config": {"connector": {"route_config": {"wallarm_mod": "block"}}}},
    {"config": {"connector": {"route_config": {"routes": [{"routes": [{"hots": "x"}]}]}}}},
    {"config": {"node": {"limits": {"josn_depth": 1}}}}, {"controlPlane": {"oidc": {"secret": "x"}}}, {"kong": {"plugin": "x"}},
]
WRONG_TYPE = [
    {"processing.replicaCount": "two"}, {"config.connector.route_config": {"wallarm_mode": "blok"}}, {"processing.service.port": 0},
    {"config.connector.per_connection_limits": {"max_duration": "60"}}, {"config.connector.auth.keys": ["short"]},
    {"nameOverride": "my app"}, {"fullnameOverride": "Edge"}, {"fullnameOverride": "1st"}, {"servicePrefix": "a" * 41},
    {"clusterDomain": "a: b"}, {"config.rules": {"own": "[]"}}, {"config.rules": {"../own.yaml": "[]"}},
    {"processing.metrics.portName": "sixteen-letters-"},
    {"image.pullPolicy": "Sometimes"}, {"controlPlane.admin.password": "short"}, {"config.node": {"limits": {"json_depth": 1000000}}}, {"controlPlane.postgresql.url": "mysql://h/d"},
]


class Refusals(unittest.TestCase):
    def test_impossible_combinations(self):
        for values, sentence in IMPOSSIBLE:
            with self.subTest(values), self.assertRaisesRegex(Refused, sentence):
                render(values)

    def test_unknown_values(self):
        for values in UNKNOWN:
            with self.subTest(values), self.assertRaisesRegex(Refused, "Additional property"):
                render(values)

    def test_values_of_the_wrong_type(self):
        for values in WRONG_TYPE:
            with self.subTest(values), self.assertRaisesRegex(Refused, "don't meet the specifications of the schema"):
                render(values)


class Vendor(unittest.TestCase):
    HOSTS = ("api.wallarm.com", "us1.api.wallarm.com", "API.WALLARM.COM.", "wallarm.com", "x.wallarm.ru")

    def test_its_hosts_are_never_contacted(self):
        for host in self.HOSTS:
            with self.subTest(host):
                objects = render({"config.api.host": host})
                for text in (str(item) for item in objects.all):
                    self.assertNotIn(host, text)
                self.assertTrue(objects.workload("control-plane"))
                text = notes({"config.api.host": host})
                self.assertIn("%s, a host of the vendor" % host, text)
                self.assertIn("never contacted", text)
                self.assertIn("config.api.token is its first Deploy token", text)

    def test_other_hosts_are(self):
        for host in ("notwallarm.com", "wallarm.com.example.org", "weir.example.com"):
            objects = render({"config.api.host": host})
            self.assertEqual(objects.config("aggregation")["api"]["host"], host)
            self.assertEqual([w for w in objects.workloads() if "control-plane" in w["metadata"]["name"]], [])
            self.assertNotIn("vendor", notes({"config.api.host": host}))


class Releases(unittest.TestCase):
    def test_two_fit_into_one_namespace(self):
        def identities(objects):
            return {(i["apiVersion"], i["kind"], i["metadata"].get("namespace"), i["metadata"]["name"]) for i in objects.all}

        first = render(release="one")
        second = render({"fullnameOverride": "edge"}, release="two")
        self.assertEqual(identities(first) & identities(second), set())
        for service in first.of("Service"):
            for workload in second.workloads():
                labels = workload["spec"]["template"]["metadata"]["labels"]
                self.assertFalse(service["spec"]["selector"].items() <= labels.items(), "a Service of one selects pods of two")
        self.assertIn("Service/edge-processing", second.names())
        self.assertIn("Service/edge-aggregation", second.names())
        self.assertIn("edge-aggregation." + NAMESPACE, second.config("processing")["api"]["host"])

    def test_the_addresses_that_connectors_know(self):
        names = render(release="anything").names()
        for name in ("Service/next-processing", "Service/next-aggregation", "Deployment/next-processing", "StatefulSet/next-aggregation"):
            self.assertIn(name, names)
        objects = render()
        self.assertEqual(objects.named("Service", "next-processing")["spec"]["ports"][0]["port"], 5000)
        ports = {p["name"]: p["containerPort"] for p in objects.container("processing")["ports"]}
        self.assertEqual(ports, {"inspector": 5000, "health": 18080, "metrics": 9090})


class Notes(unittest.TestCase):
    def test_console_and_password(self):
        text = notes()
        self.assertIn("kubectl -n wallarm-node port-forward svc/r-weir-control-plane 8088:8088", text)
        self.assertIn("get secret r-weir-control-plane -o jsonpath='{.data.admin-password}'", text)
        self.assertIn("wallarm_node_address of the KongClusterPlugin is http://next-processing.wallarm-node.svc.cluster.local:5000", text)
        self.assertNotIn("ignored", text)
        text = notes({"controlPlane.ingress.enabled": True, "controlPlane.ingress.hosts": [{"host": "c.example.com"}]})
        self.assertIn("Console: http://c.example.com", text)

    def test_ignored_values_are_named(self):
        text = notes({"config.wcli": {"logLevel": "warn"}, "config.aggregation.tarantoolMemory": 1.0, "processing.containers": {"collectd": {}},
                      "config.connector.http_inspector": {"wallarm_dir": "/opt/x", "api_firewall_enabled": False},
                      "drop_on_overload": False, "processing.service.clusterIP": "None"})
        for key in ("config.wcli:", "config.aggregation.tarantoolMemory:", "config.connector.http_inspector.wallarm_dir:",
                    "config.connector.http_inspector.api_firewall_enabled:", "drop_on_overload:", "processing.service.clusterIP:"):
            self.assertIn(key, text)

    def test_what_may_be_lost_is_said(self):
        self.assertIn("WARNING: the control plane has no volume", notes({"controlPlane.persistence.enabled": False}))
        self.assertIn("lost with the pod. StatefulSet keeps them", notes({"aggregation.kind": "Deployment"}))
        self.assertIn("drainDelaySeconds has no effect", notes(kubernetes="1.29"))
        self.assertNotIn("drainDelaySeconds", notes(kubernetes="1.30"))
        self.assertIn("work alone", notes({"controlPlane.enabled": False, "aggregation.enabled": False}))

    def test_nodes_that_are_reached_from_outside(self):
        outside = {"processing.service.type": "LoadBalancer"}
        self.assertIn("can be reached from outside of the cluster", notes(outside))
        for more in ({"config.connector.auth.keys": ["a" * 20]}, {"config.connector.allowed_networks": ["192.0.2.0/24"]}):
            self.assertNotIn("from outside", notes({**outside, **more}))
        self.assertNotIn("from outside", notes())

    def test_kong(self):
        text = notes({"kong.enabled": True, "kong.namespace": "kong"})
        self.assertIn("configMaps:\n        - name: kong-lua\n          pluginName: kong-lua\n", text)
        self.assertIn("konghq.com/plugins: kong-lua", text)
        self.assertNotIn("kong-lua-response", text)
        text = notes({"kong.enabled": True, "kong.namespace": "kong", "kong.responsePlugin": True})
        self.assertIn("konghq.com/plugins: kong-lua,kong-lua-response", text)

    def test_the_authority_of_the_certificate(self):
        self.assertNotIn("lua_ssl_trusted_certificate", notes())
        for way, secret in (("certgen.enabled", "next-processing-tls"), ("existingSecret.enabled", "shop-tls")):
            text = notes({CERT + "enabled": True, CERT + way: True, CERT + "existingSecret.name": "shop-tls"})
            self.assertIn("certificate in Secret %s" % secret, text)
            self.assertIn("lua_ssl_trusted_certificate", text)

    def test_the_test_is_offered_where_there_is_one(self):
        self.assertIn("helm test r", notes())
        for values in ({"tests.enabled": False}, {CERT + "enabled": True, CERT + "certgen.enabled": True}):
            self.assertEqual(render(values).of("Pod"), [])
            self.assertNotIn("helm test", notes(values))


if __name__ == "__main__":
    unittest.main()
