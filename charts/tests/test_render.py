"""The whole of what is rendered, over a matrix of values: golden files, schemas, and rules that every object keeps."""
import os
import re
import unittest

import yaml

import harness
from harness import KUBERNETES, ROOT, SEED, Objects, render, render_text

CERT = "config.connector.certificate."
MATRIX = {
    "defaults": {},
    "seed": SEED,
    "alone": {"controlPlane.enabled": False, "aggregation.enabled": False},
    "no-aggregation": {"aggregation.enabled": False},
    "outside": {"config.api.host": "weir.example.com", "config.api.caSecret": "ca", "config.api.nodeGroup": "edge"},
    "postgresql": {"controlPlane.postgresql.url": "postgres://weir:secret@db/weir", "controlPlane.replicaCount": 3},
    "postgresql-secret": {
        "controlPlane.postgresql.existingSecret": "db", "controlPlane.signingKey.existingSecret": "signing",
        "controlPlane.admin.existingSecret": "admin", "controlPlane.replicaCount": 2,
    },
    "no-volume": {"controlPlane.persistence.enabled": False},
    "deployment": {"aggregation.kind": "Deployment", "aggregation.updateStrategy": {"type": "Recreate"}},
    "daemonset": {"aggregation.kind": "DaemonSet"},
    "cert-manager": {CERT + "enabled": True, CERT + "certManager.enabled": True,
                     CERT + "certManager.issuerRef": {"name": "ca", "kind": "ClusterIssuer"}},
    "existing-secret": {CERT + "enabled": True, CERT + "existingSecret.enabled": True, CERT + "existingSecret.name": "tls",
                        "config.connector.auth.clientCaSecret": "client-ca"},
    "custom-secret": {CERT + "enabled": True, CERT + "customSecret.enabled": True, CERT + "customSecret.crt": "Yw==",
                      CERT + "customSecret.key": "aw==", CERT + "customSecret.ca": "Y2E="},
    "certgen": {CERT + "enabled": True, CERT + "certgen.enabled": True},
    "scaled": {
        "processing.autoscaling.enabled": True, "processing.autoscaling.targetInFlight": 50,
        "processing.autoscaling.behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        "aggregation.autoscaling.enabled": True, "processing.metrics.serviceMonitor.enabled": True,
        "dashboard.enabled": True, "networkPolicy.egress": True, "networkPolicy.egressTo": [{"ports": [{"port": 443}]}],
    },
    "sidecar": {"kong.enabled": True, "kong.namespace": "kong", "kong.sidecar.enabled": True, "kong.sidecar.existingSecret": "weir"},
    "envoy-gateway": {"gateways.envoy.enabled": True, "gateways.envoy.namespace": "edge", "gateways.traefik.enabled": True,
                      "gateways.traefik.namespace": "apps"},
    "nginx": {"gateways.nginx.enabled": True, "gateways.nginx.namespace": "apps"},
    "istio": {"gateways.envoy.enabled": True, "gateways.envoy.namespace": "istio-system", "gateways.envoy.kind": "istio"},
    "kong": {"kong.enabled": True, "kong.namespace": "kong", "kong.responsePlugin": True, "kong.global": True,
             "config.connector.auth.keys": ["a-key-of-some-length-1", "a-key-of-some-length-2"]},
    "policy": {"config.policy": {"version": 1}, "config.rules": {"own.yaml": "[]\n"}},
    "renamed": {"fullnameOverride": "edge", "nameOverride": "waf"},
    "ingress": {"controlPlane.ingress.enabled": True, "controlPlane.ingress.className": "kong",
                "controlPlane.ingress.hosts": [{"host": "console.example.com"}],
                "controlPlane.ingress.tls": [{"secretName": "console", "hosts": ["console.example.com"]}],
                "controlPlane.oidc.issuer": "https://id.example.com", "controlPlane.oidc.clientId": "weir",
                "controlPlane.oidc.existingSecret": "oidc"},
    "mail": {"controlPlane.smtp.host": "mail.example.com", "controlPlane.smtp.from": "weir@example.com", "controlPlane.smtp.user": "weir",
             "controlPlane.smtp.existingSecret": "mail"},
    "load-balancer": {"processing.service.type": "LoadBalancer", "processing.service.loadBalancerSourceRanges": ["192.0.2.0/24"],
                      "processing.service.loadBalancerClass": "internal", "processing.service.nodePort": 30500},
    "own-token": {"config.api.existingSecret.enabled": True, "config.api.existingSecret.secretName": "token",
                  "config.api.token": ""},
    "no-metrics": {"processing.metrics.enabled": False},
    "bare": {"networkPolicy.enabled": False, "tests.enabled": False, "serviceAccount.create": False,
             "processing.podDisruptionBudget.enabled": False, "aggregation.podDisruptionBudget.enabled": False},
}
# Rendered text that a reviewer reads in a change: the default, the documented command, and everything a Kong user turns on.
GOLDEN = ("defaults", "seed", "kong")
# Values that Helm makes up anew each time.
RANDOM = re.compile(r"(  (?:token|admin-password|policy\.key|tls\.crt|tls\.key|ca\.crt): )\S+")


def golden_text(name):
    text = RANDOM.sub(r"\1RANDOM", render_text(MATRIX[name]))
    # The plugin's code is generated, and held fresh elsewhere.
    text = re.sub(r"weir/checksum: \w+", "weir/checksum: CODE", text)
    out, code = [], False
    for line in text.splitlines(keepends=True):
        code = code and (line.startswith("    ") or not line.strip())
        if not code:
            out.append(line)
        code = code or line.endswith(".lua: |\n")
    return "".join(out)


class Golden(unittest.TestCase):
    def test_rendered_text_is_what_was_reviewed(self):
        for name in GOLDEN:
            with self.subTest(name):
                path = os.path.join(harness.HERE, "golden", name + ".yaml")
                text = golden_text(name)
                if os.environ.get("UPDATE_GOLDEN"):
                    with open(path, "w") as file:
                        file.write(text)
                with open(path) as file:
                    self.assertEqual(file.read(), text, "run UPDATE_GOLDEN=1 charts/tests/run and review the change")


class EveryObject(unittest.TestCase):
    def each(self):
        for name, values in MATRIX.items():
            with self.subTest(name):
                yield name, render(values)

    def test_lint(self):
        out = harness.helm("lint", "--strict", harness.CHART)
        self.assertIn("0 chart(s) failed", out)

    def test_keeps_the_schemas_of_kubernetes(self):
        seen = set()
        for name, values in MATRIX.items():
            for kubernetes in KUBERNETES:
                with self.subTest(name, kubernetes=kubernetes):
                    for item in render(values, kubernetes=kubernetes).all:
                        seen.add(item["kind"])
                        self.assertIsNone(harness.against_schemas(item, kubernetes))
        wanted = {"Deployment", "StatefulSet", "DaemonSet", "Service", "ConfigMap", "Secret", "NetworkPolicy", "Pod", "Ingress",
                  "HorizontalPodAutoscaler", "PodDisruptionBudget", "ServiceAccount", "ServiceMonitor", "Certificate",
                  "KongClusterPlugin", "EnvoyExtensionPolicy", "Backend", "ClientTrafficPolicy", "EnvoyFilter", "Middleware",
                  "SnippetsFilter"}
        self.assertEqual(seen, wanted)

    def test_the_schema_check_can_fail(self):
        broken = render().named("Service", "next-aggregation")
        broken["spec"]["ports"][0]["prot"] = 1
        self.assertIn("prot", harness.against_schemas(broken, "1.30"))

    def test_names_and_namespaces(self):
        for _, objects in self.each():
            names = [(i["apiVersion"], i["kind"], i["metadata"].get("namespace"), i["metadata"]["name"]) for i in objects.all]
            self.assertEqual(len(names), len(set(names)), "an object twice")
            for item in objects.all:
                self.assertRegex(item["metadata"]["name"], r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
                self.assertLessEqual(len(item["metadata"]["name"]), 63)
                cluster_wide = item["kind"] == "KongClusterPlugin"
                self.assertEqual("namespace" not in item["metadata"], cluster_wide)
                for value in item["metadata"]["labels"].values():
                    self.assertRegex(value, r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
                    self.assertLessEqual(len(value), 63)

    def test_long_release_names_fit(self):
        objects = render({"fullnameOverride": "f" * 80, "dashboard.enabled": True}, release="r" * 53)
        for item in objects.all:
            # The pods' label controller-revision-hash is the name with up to eleven characters more.
            self.assertLessEqual(len(item["metadata"]["name"]), 52 if item["kind"] == "StatefulSet" else 63)

    def test_every_name_that_helm_lets_a_release_have(self):
        # Of a Service: letters, digits and dashes, a letter first.
        for release in ("shop.eu", "1st", "123", "true", "1e3", "r" * 53, "r" * 35 + "." * 1 + "r", "weir.1"):
            for values in ({}, {"nameOverride": "Own_Name.1"}, {"servicePrefix": "a" * 40}):
                with self.subTest(release, **values):
                    objects = render(values, release=release, namespace="123")
                    for item in objects.all:
                        self.assertIsNone(harness.against_schemas(item, "1.30"))
                    for service in objects.of("Service"):
                        self.assertRegex(service["metadata"]["name"], r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
                    for workload in objects.workloads():
                        self.assertLessEqual(len(workload["metadata"]["name"]), 52)

    def test_texts_that_yaml_would_read_otherwise(self):
        """Names of digits, words such as `true`, quotes, colons and line ends: each stays the text that it is."""
        word = iter("%d" % number for number in range(1000))
        tls = {CERT + "enabled": True, CERT + "existingSecret.enabled": True, CERT + "existingSecret.name": next(word)}
        api = {"config.api.existingSecret.enabled": True, "config.api.existingSecret.secretName": next(word),
               "config.api.existingSecret.secretKey": "true"}
        keys = ("config.connector.auth.existingSecret", "config.connector.auth.clientCaSecret", "serviceAccount.name", "kong.namespace",
                "processing.priorityClassName", "processing.runtimeClassName", "processing.service.clusterIP",
                "processing.service.loadBalancerIP", "processing.service.loadBalancerClass", "aggregation.spool.storageClassName",
                "controlPlane.admin.existingSecret", "controlPlane.admin.existingSecretKey", "controlPlane.oidc.existingSecret",
                "controlPlane.oidc.existingSecretKey", "controlPlane.signingKey.existingSecret", "controlPlane.signingKey.existingSecretKey",
                "controlPlane.ingress.className", "kong.connectorKeySecret.name", "kong.connectorKeySecret.key", "kong.pluginName",
                "kong.ingressClass", "dashboard.namespace", "processing.metrics.serviceMonitor.namespace", "config.api.nodeGroup",
                "controlPlane.admin.login")
        values = {**tls, **api, **{key: next(word) for key in keys}, "serviceAccount.create": False, "kong.enabled": True,
                  "config.connector.auth.existingSecretKeys": ["7", "on"], "imagePullSecrets": ["3", {"name": "4"}],
                  "processing.imagePullSecrets": ["4"], "processing.service.type": "LoadBalancer", "dashboard.enabled": True,
                  "processing.metrics.serviceMonitor.enabled": True, "processing.metrics.serviceMonitor.scrapeInterval": "30",
                  "processing.metrics.path": "/a: 'b' # c", "controlPlane.ingress.enabled": True,
                  "controlPlane.ingress.hosts": [{"host": "a.example.com", "paths": [{"path": "/a: b # c", "pathType": "Exact"}]}],
                  "config.rules": {"own.yaml": "\n  - a: 1\n", "more.yaml": "    b: 1\nc: 2"}}
        text = "a: 'b' \"c\" # d\ne"
        more = {**values, "config.api.nodeGroup": text, "controlPlane.admin.login": text, "controlPlane.publicUrl": text,
                "controlPlane.postgresql.existingSecret": "9", "controlPlane.postgresql.existingSecretKey": "no",
                "aggregation.spool.storageClassName": "-"}
        for given in (values, more):
            objects = render(given, namespace="1", release="2")
            for item in objects.all:
                self.assertIsNone(harness.against_schemas(item, "1.30"))
                for name in (item["metadata"]["name"], item["metadata"].get("namespace", ""), *item["metadata"]["labels"].values()):
                    self.assertIsInstance(name, str)
            self.assertEqual(objects.pod("processing")["imagePullSecrets"], [{"name": "3"}, {"name": "4"}], "each once")
            self.assertEqual(objects.of("ConfigMap")[0]["metadata"]["namespace"], "1")
            self.assertEqual(objects.named("ConfigMap", "r-2-weir-rules")["data"], given["config.rules"])
            self.assertEqual(objects.config("processing")["api"]["node_group"], given["config.api.nodeGroup"])
            self.assertEqual(objects.config("control-plane")["control_plane"]["admin_login"], given["controlPlane.admin.login"])
            self.assertEqual(objects.of("ServiceMonitor")[0]["spec"]["endpoints"][0]["path"], given["processing.metrics.path"])
            patch = objects.of("KongClusterPlugin")[0]["configPatches"][0]["valueFrom"]["secretKeyRef"]
            self.assertEqual({type(value) for value in patch.values()}, {str})
        self.assertEqual(render(more, release="2").container("control-plane")["env"][2]["valueFrom"]["secretKeyRef"], {"name": "9", "key": "no"})
        outside = render({"config.api.host": "[::1]", "config.api.caSecret": "5"})
        self.assertEqual(outside.config("aggregation")["api"]["host"], "[::1]")
        self.assertIsNone(harness.against_schemas(outside.workload("aggregation"), "1.30"))

    def test_a_tag_with_a_digest_makes_no_label_that_is_refused(self):
        version = render({"image.tag": "0.1.0@sha256:" + "a" * 64}).workload("processing")["metadata"]["labels"]["app.kubernetes.io/version"]
        self.assertRegex(version, r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")

    def test_certificates_as_base64_prints_them(self):
        values = {CERT + "enabled": True, CERT + "customSecret.enabled": True, CERT + "customSecret.crt": "Yw\n==\n", CERT + "customSecret.key": "aw==\n"}
        self.assertEqual(render(values).named("Secret", "next-processing-tls")["data"], {"tls.crt": "Yw==", "tls.key": "aw=="})

    def test_pods_are_locked_down(self):
        for _, objects in self.each():
            pods = [w["spec"]["template"]["spec"] for w in objects.workloads()] + [p["spec"] for p in objects.of("Pod")]
            self.assertTrue(pods)
            for pod in pods:
                self.assertIs(pod["automountServiceAccountToken"], False)
                self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
                self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertFalse(pod.get("hostNetwork"))
                for container in pod["containers"]:
                    context = container["securityContext"]
                    self.assertIs(context["readOnlyRootFilesystem"], True)
                    self.assertIs(context["allowPrivilegeEscalation"], False)
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                    self.assertIn("memory", container["resources"]["limits"])
                    self.assertNotRegex(container["image"], r":latest$|:$")
                for volume in pod["volumes"]:
                    self.assertNotIn("hostPath", volume)
                    if "emptyDir" in volume:
                        self.assertIn("sizeLimit", volume["emptyDir"])

    def test_workloads_are_probed_and_mount_what_exists(self):
        given = {"ca", "db", "signing", "admin", "tls", "client-ca", "oidc", "token", "mail"}
        for name, objects in self.each():
            made = {i["metadata"]["name"] for i in objects.of("Secret")} | {i["spec"]["secretName"] for i in objects.of("Certificate")}
            maps = {i["metadata"]["name"] for i in objects.of("ConfigMap")}
            for workload in objects.workloads():
                pod = workload["spec"]["template"]["spec"]
                container = pod["containers"][0]
                for probe, path in (("startupProbe", "/live"), ("livenessProbe", "/live"), ("readinessProbe", "/ready")):
                    self.assertEqual(container[probe]["httpGet"], {"path": path, "port": "health"})
                volumes = {v["name"] for v in pod["volumes"]}
                self.assertEqual(len(volumes), len(pod["volumes"]), "a volume twice")
                volumes |= {v["metadata"]["name"] for v in workload["spec"].get("volumeClaimTemplates", [])}
                mounts = {m["name"] for m in container["volumeMounts"]}
                self.assertEqual(volumes, mounts, "mounts and volumes differ in " + workload["metadata"]["name"])
                for volume in pod["volumes"]:
                    if "secret" in volume:
                        self.assertIn(volume["secret"]["secretName"], made | given)
                    if "configMap" in volume:
                        self.assertIn(volume["configMap"]["name"], maps)
                for env in container["env"]:
                    secret = env.get("valueFrom", {}).get("secretKeyRef")
                    if secret and secret["name"] in {i["metadata"]["name"] for i in objects.of("Secret")}:
                        self.assertIn(secret["key"], objects.named("Secret", secret["name"])["data"])
                    elif secret:
                        self.assertIn(secret["name"], given)

    def test_selectors_meet_pods_and_ports_exist(self):
        for _, objects in self.each():
            pods = [w["spec"]["template"] for w in objects.workloads()]

            def selected(selector):
                return [p for p in pods if selector.items() <= p["metadata"]["labels"].items()]

            def ports(pod):
                return {p["name"] for c in pod["spec"]["containers"] for p in c["ports"]}

            for workload in objects.workloads():
                own = selected(workload["spec"]["selector"]["matchLabels"])
                self.assertEqual(own, [workload["spec"]["template"]])
                if workload["kind"] == "StatefulSet":
                    objects.named("Service", workload["spec"]["serviceName"])
            for service in objects.of("Service"):
                found = selected(service["spec"]["selector"])
                self.assertEqual(len(found), 1, service["metadata"]["name"])
                for port in service["spec"]["ports"]:
                    self.assertIn(port["targetPort"], ports(found[0]))
            for policy in objects.of("NetworkPolicy"):
                found = selected(policy["spec"]["podSelector"]["matchLabels"])
                self.assertEqual(len(found), 1)
                for rule in policy["spec"]["ingress"]:
                    self.assertLessEqual({p["port"] for p in rule["ports"]}, ports(found[0]))
            for budget in objects.of("PodDisruptionBudget"):
                self.assertEqual(len(selected(budget["spec"]["selector"]["matchLabels"])), 1)
            for scaler in objects.of("HorizontalPodAutoscaler"):
                target = scaler["spec"]["scaleTargetRef"]
                self.assertNotIn("replicas", objects.named(target["kind"], target["name"])["spec"])
            for monitor in objects.of("ServiceMonitor"):
                labels = monitor["spec"]["selector"]["matchLabels"].items()
                found = [s for s in objects.of("Service") if labels <= s["metadata"]["labels"].items()]
                self.assertEqual(len(found), len(objects.workloads()))
                for service in found:
                    names = [p["name"] for p in service["spec"]["ports"]]
                    self.assertEqual(names, [e["port"] for e in monitor["spec"]["endpoints"]])

    def test_pods_in_the_network_of_the_machine_reach_the_aggregation(self):
        values = {"processing.hostNetwork": True, "networkPolicy.controlPlaneFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}
        objects = render(values)
        self.assertEqual(objects.pod("processing")["dnsPolicy"], "ClusterFirstWithHostNet")
        self.assertNotIn("dnsPolicy", objects.pod("aggregation"))
        self.assertNotIn("from", objects.role("NetworkPolicy", "aggregation")["spec"]["ingress"][0], "a selector would not admit them")
        peers = objects.role("NetworkPolicy", "control-plane")["spec"]["ingress"][0]["from"]
        self.assertEqual([list(peer) for peer in peers], [["podSelector"], ["ipBlock"]])
        self.assertEqual(render({**values, "processing.dnsPolicy": "Default"}).pod("processing")["dnsPolicy"], "Default")

    def test_what_is_read_at_the_start_replaces_pods(self):
        def sums(values):
            return {role: render(values).workload(role)["spec"]["template"]["metadata"]["annotations"] for role in ("processing", "control-plane")}

        base = {"controlPlane.postgresql.url": "postgres://weir:one@db/weir"}
        before = sums(base)
        for more in ({"controlPlane.postgresql.url": "postgres://weir:two@db/weir"}, {"config.api.token": "another-token-of-some-length"}):
            after = sums({**base, **more})
            self.assertNotEqual(before["control-plane"], after["control-plane"], more)
            self.assertEqual(before["processing"], after["processing"], "nodes read their token anew")

    def test_the_test_asks_for_a_host_that_is_admitted(self):
        for patterns, host in (([], "helm-test.weir"), (["*.example.com", "a"], "helm-test.example.com"), (["api-?[0-9].shop"], "api-x0.shop")):
            data = render({"config.connector.allowed_hosts": patterns}).named("ConfigMap", "r-weir-test")["data"]
            self.assertEqual(data["request.http"], "GET /etc/passwd HTTP/1.1\r\nHost: %s\r\n\r\n" % host)

    def test_plugins_of_kong(self):
        values = {"kong.enabled": True, "kong.namespace": "kong", "kong.responsePlugin": True, "kong.global": True}
        objects = render(values)
        plugin = objects.named("KongClusterPlugin", "kong-lua-response")
        self.assertEqual(plugin["plugin"], "kong-lua-response")
        self.assertNotIn("global", plugin["metadata"]["labels"], "every answer would be buffered")
        own = render({**values, "kong.config": {"wallarm_node_address": "https://nodes.example.com"}})
        self.assertEqual(own.named("KongClusterPlugin", "kong-lua")["config"], {"wallarm_node_address": "https://nodes.example.com"})
        shown = {"config.connector.auth.existingSecret": "keys", "kong.enabled": True, "kong.namespace": "kong"}
        for more in ({"kong.connectorKeySecret.name": "json"}, {"kong.config": {"connector_key": "{vault://env/key}"}}, {"kong.clusterPlugin": False}):
            render({**shown, **more})

    def test_objects_of_gateways_are_the_examples(self):
        """What the chart renders for a release of the examples' names is what the documented examples say."""
        def example(*name):
            with open(os.path.join(ROOT, "connectors", *name)) as file:
                return {item["kind"]: item["spec"] for item in yaml.safe_load_all(file)}
        place = {"servicePrefix": "weir", "gateways.envoy.enabled": True, "gateways.envoy.namespace": "default"}
        renamed = {"weir-processing.weir.svc": "weir.weir.svc", "1000ms": "1s", "1.000s": "1s"}
        for kind, file in (("envoy-gateway", "envoy-gateway.yaml"), ("istio", "istio.yaml")):
            text = render_text({**place, "gateways.envoy.kind": kind}, release="weir", namespace="weir")
            for ours, theirs in renamed.items():
                text = text.replace(ours, theirs)
            for name, spec in example("envoy", "examples", file).items():
                with self.subTest(kind, object=name):
                    self.assertEqual(Objects(text).named(name, "weir")["spec"], spec)
        traefik = {"gateways.traefik.enabled": True, "gateways.traefik.namespace": "apps"}
        made = render(traefik).named("Middleware", "weir")["spec"]["forwardAuth"]
        with open(os.path.join(ROOT, "connectors", "forward-auth", "traefik-dynamic.yaml")) as file:
            wanted = yaml.safe_load(file)["http"]["middlewares"]["weir"]["forwardAuth"]
        host = "next-processing.wallarm-node.svc.cluster.local"
        self.assertEqual(made, {**wanted, "address": wanted["address"].replace("127.0.0.1", host)})

        nginx = {"gateways.nginx.enabled": True, "gateways.nginx.namespace": "apps"}
        with open(os.path.join(ROOT, "connectors", "forward-auth", "nginx-gateway-fabric.yaml")) as file:
            wanted = yaml.safe_load(file)["spec"]
        text = render_text(nginx).replace(host, "127.0.0.1")
        self.assertEqual(Objects(text).named("SnippetsFilter", "weir")["spec"], wanted)

    def test_nginx_that_fails_open_lets_requests_pass(self):
        values = {"gateways.nginx.enabled": True, "gateways.nginx.namespace": "apps", "gateways.nginx.failOpen": True}
        server = render(values).named("SnippetsFilter", "weir")["spec"]["snippets"][1]["value"]
        self.assertIn("error_page 500 502 503 504 = @weir_unavailable;", server)
        self.assertIn("location @weir_unavailable {", server)

    def test_ingress_nginx_needs_an_annotation_only(self):
        values = {"gateways.nginx.enabled": True, "gateways.nginx.namespace": "ingress-nginx", "gateways.nginx.kind": "ingress-nginx"}
        objects = render(values)
        self.assertNotIn("SnippetsFilter", [item["kind"] for item in objects.all])
        peers = objects.named("NetworkPolicy", "r-weir-processing")["spec"]["ingress"][0]["from"]
        self.assertIn({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}, peers)

    def test_gateways_that_fail_open_keep_the_body(self):
        values = {"gateways.envoy.enabled": True, "gateways.envoy.namespace": "edge", "gateways.envoy.failOpen": True, "gateways.envoy.kind": "istio"}
        filters = render(values).named("EnvoyFilter", "r-weir")["spec"]["configPatches"][0]["patch"]["value"]["typed_config"]
        self.assertIs(filters["failure_mode_allow"], True)
        self.assertEqual(filters["processing_mode"]["request_body_mode"], "BUFFERED_PARTIAL")

    def test_namespaces_of_gateways_may_call_the_nodes(self):
        values = {"gateways.envoy.enabled": True, "gateways.envoy.namespace": "edge", "gateways.traefik.enabled": True,
                  "gateways.traefik.namespace": "apps", "kong.namespace": "kong", "tests.enabled": False}
        for kind, envoy in (("envoy-gateway", "envoy-gateway-system"), ("istio", "edge")):
            policy = render({**values, "gateways.envoy.kind": kind}).named("NetworkPolicy", "r-weir-processing")
            peers = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in policy["spec"]["ingress"][0]["from"]]
            self.assertEqual(peers, ["kong", envoy, "apps"])

    def test_a_node_in_the_pods_of_kong(self):
        values = {"kong.enabled": True, "kong.namespace": "kong", "kong.sidecar.enabled": True, "kong.sidecar.existingSecret": "weir",
                  "config.rules": {"own.yaml": "rules: []"}}
        objects = render(values)
        self.assertEqual(objects.named("KongClusterPlugin", "kong-lua")["config"], {"wallarm_node_address": "unix:/run/weir/node.sock"})
        made = objects.named("ConfigMap", "kong-lua-sidecar")
        self.assertEqual(made["metadata"]["namespace"], "kong")
        node = yaml.safe_load(made["data"]["weir.yaml"])
        self.assertEqual(node["connector"]["address"], "unix:/run/weir/node.sock")
        self.assertEqual(node["api"]["token_file"], "/etc/weir/secret/token")
        self.assertNotIn("auth", node["connector"])
        kong = yaml.safe_load(made["data"]["kong-values.yaml"])["gateway"]["deployment"]
        container = kong["sidecarContainers"][0]
        volumes = {volume["name"] for volume in kong["userDefinedVolumes"]}
        self.assertEqual({mount["name"] for mount in container["volumeMounts"]}, volumes)
        self.assertEqual(kong["userDefinedVolumeMounts"], [{"name": "weir-socket", "mountPath": "/run/weir"}])
        self.assertNotIn("readinessProbe", container)
        self.assertTrue(objects.named("ConfigMap", "kong-lua-sidecar-rules"))
        peers = [rule for rule in objects.named("NetworkPolicy", "r-weir-aggregation")["spec"]["ingress"][0]["from"]]
        self.assertIn({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kong"}}}, peers)
        keyed = render({**values, "config.connector.auth.keys": ["a" * 20]}).named("ConfigMap", "kong-lua-sidecar")
        self.assertEqual(yaml.safe_load(keyed["data"]["weir.yaml"])["connector"]["auth"], {"key_files": ["/etc/weir/secret/connector_key"]})

    def test_secrets_stand_in_secrets_only(self):
        values = {"config.api.token": "SENTINEL-token-of-some-length", "controlPlane.admin.password": "SENTINEL-password",
                  "controlPlane.postgresql.url": "postgres://weir:SENTINEL-database@db/weir",
                  "config.connector.auth.keys": ["SENTINEL-connector-key"]}
        for item in render(values).all:
            if item["kind"] != "Secret":
                self.assertNotIn("SENTINEL", str(item))

    def test_configurations_are_usable(self):
        checked = 0
        for name, objects in self.each():
            for config, files in objects.config_texts().items():
                report = harness.config_check(files)
                self.assertTrue(report["valid"], (name, config, report["diagnostics"]))
                self.assertEqual(report["warnings"], 0, (name, config, report["diagnostics"]))
                checked += 1
        self.assertGreater(checked, 3 * len(MATRIX) - 6)

    def test_addresses_meet(self):
        for _, objects in self.each():
            for role in ("processing", "aggregation"):
                configs = [d for n, d in objects.config_texts().items() if n.endswith("-" + role)]
                for _data in configs:
                    api = objects.config(role).get("api")
                    if not api or not api["host"].endswith(".svc.cluster.local"):
                        continue
                    name, namespace = api["host"].split(".")[:2]
                    self.assertEqual(namespace, harness.NAMESPACE)
                    service = objects.named("Service", name)
                    self.assertEqual([api["port"]], [p["port"] for p in service["spec"]["ports"]])


def matches(selector, labels):
    return selector is None or selector.get("matchLabels", {}).items() <= labels.items()


class Networks(unittest.TestCase):
    """Which pods can reach each other with every restriction on, as a network plugin would decide it."""

    HERE = {"kubernetes.io/metadata.name": harness.NAMESPACE}
    VALUES = {"networkPolicy.egress": True, "networkPolicy.egressTo": [{"ports": [{"port": 5432}]}], "kong.namespace": "kong",
              "networkPolicy.controlPlaneFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
              "networkPolicy.metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]}

    def pods(self, objects):
        out = {w["metadata"]["labels"]["app.kubernetes.io/component"]: (self.HERE, w["spec"]["template"]["metadata"]["labels"])
               for w in objects.workloads()}
        out.update({"test": (self.HERE, objects.of("Pod")[0]["metadata"]["labels"]), "stranger": (self.HERE, {"app": "other"})})
        return {**out, **{name: ({"kubernetes.io/metadata.name": name}, {}) for name in ("kong", "ingress", "monitoring", "elsewhere")}}

    def admits(self, peers, pod):
        """An absent list of peers is everyone."""
        namespace, labels = pod
        return not peers or any(
            (namespace == self.HERE if "namespaceSelector" not in peer else matches(peer["namespaceSelector"], namespace))
            and matches(peer.get("podSelector"), labels) for peer in peers if "ipBlock" not in peer)

    def reaches(self, objects, source, target, port):
        pods = self.pods(objects)

        def policies(pod, direction):
            return [p["spec"] for p in objects.of("NetworkPolicy")
                    if pods[pod][0] == self.HERE and matches(p["spec"]["podSelector"], pods[pod][1]) and direction in p["spec"]["policyTypes"]]

        def allowed(rules, key, other):
            return any((not rule.get("ports") or port in [p["port"] for p in rule["ports"]]) and self.admits(rule.get(key), pods[other])
                       for rule in rules)

        inward, outward = policies(target, "Ingress"), policies(source, "Egress")
        return (not inward or any(allowed(p["ingress"], "from", source) for p in inward)) and \
               (not outward or any(allowed(p["egress"], "to", target) for p in outward))

    def test_which_pods_reach_each_other(self):
        objects = render(self.VALUES)
        roles = ("processing", "aggregation", "control-plane")
        wanted = {("kong", "processing", "inspector"), ("test", "processing", "inspector"), ("processing", "aggregation", "aggregation"),
                  ("aggregation", "control-plane", "console"), ("processing", "control-plane", "console"), ("ingress", "control-plane", "console")}
        wanted |= {("monitoring", role, "metrics") for role in roles} | {(source, role, "health") for source in self.pods(objects) for role in roles}
        ports = {"processing": "inspector", "aggregation": "aggregation", "control-plane": "console"}
        found = {(source, role, port) for source in self.pods(objects) for role in roles for port in (ports[role], "metrics", "health")
                 if self.reaches(objects, source, role, port)}
        # With egress restricted, each pod of the release can only call the next one on the way.
        inside = {(s, r, p) for s, r, p in wanted if s in roles and (s, r) not in {("processing", "aggregation"), ("aggregation", "control-plane")}}
        self.assertEqual(found, wanted - inside)
        for role in roles:
            self.assertTrue(self.reaches(objects, role, "elsewhere", 53) and self.reaches(objects, role, "elsewhere", 5432))
            self.assertFalse(self.reaches(objects, role, "elsewhere", 443))

    def test_without_an_aggregation_nodes_reach_the_control_plane(self):
        objects = render({**self.VALUES, "aggregation.enabled": False})
        self.assertTrue(self.reaches(objects, "processing", "control-plane", "console"))
        self.assertFalse(self.reaches(objects, "stranger", "control-plane", "console"))

    def test_by_default_gateways_anywhere_reach_the_nodes_and_nothing_but_nodes_the_aggregation(self):
        objects = render()
        self.assertTrue(self.reaches(objects, "elsewhere", "processing", "inspector"))
        self.assertFalse(self.reaches(objects, "elsewhere", "aggregation", "aggregation"))


if __name__ == "__main__":
    unittest.main()
