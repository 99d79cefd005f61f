"""The commands of the documentation, by the real Helm, against a stand-in for a cluster (cluster.py says what it is not)."""
import functools
import http.server
import os
import subprocess
import tempfile
import threading
import unittest

import harness
from cluster import Cluster

OLDER = os.path.join(harness.HERE, "files", "older-chart")
MONITORING = "monitoring.coreos.com/v1"


class Session:
    """Helm with a home and a cluster of its own."""

    def __init__(self, **options):
        self.folder = tempfile.TemporaryDirectory()
        self.cluster = Cluster(**options)
        config = os.path.join(self.folder.name, "kubeconfig")
        with open(config, "w") as file:
            file.write(self.cluster.kubeconfig())
        self.environment = {"HOME": self.folder.name, "KUBECONFIG": config, "PATH": os.environ["PATH"], "GOGC": "off"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cluster.close()
        self.folder.cleanup()

    def run(self, *arguments):
        done = subprocess.run([harness.HELM, *arguments], capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise harness.Refused(done.stderr)
        return done.stdout

    def upgrade(self, release, chart=harness.CHART, *more):
        return self.run("upgrade", "--install", release, chart, "-n", harness.NAMESPACE, "--create-namespace", *more)


class Repository:
    """The packaged chart over HTTP."""

    def __init__(self, folder):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def package(folder, url, *more):
    command = [os.path.join(harness.CHARTS, "package.sh"), "--output", folder, "--url", url, *more]
    subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "HELM": harness.HELM})


class Documentation(unittest.TestCase):
    def test_the_documented_commands(self):
        with Session() as session, tempfile.TemporaryDirectory() as folder:
            repository = Repository(folder)
            try:
                package(folder, repository.url, "--image", "registry.example.com/weir")
                session.run("repo", "add", "weir", repository.url)
                session.run("repo", "update", "weir")
                settings = [item for key, value in harness.SEED.items() for item in ("--set", "%s=%s" % (key, value))]
                out = session.run("upgrade", "--install", "--version", "0.1.0", "shop", "weir/weir", "-n", "wallarm-node",
                                  "--create-namespace", *settings)
            finally:
                repository.close()
            self.assertIn("STATUS: deployed", out)
            self.assertIn("us1.api.wallarm.com, a host of the vendor", out)
            cluster = session.cluster
            self.assertTrue(cluster.get("Namespace", "wallarm-node", None))
            service = cluster.get("Service", "next-processing")
            self.assertEqual([p["port"] for p in service["spec"]["ports"]], [5000])
            deployment = cluster.get("Deployment", "next-processing")
            self.assertEqual(deployment["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example.com/weir:0.1.0")
            self.assertEqual(cluster.get("StatefulSet", "next-aggregation")["spec"]["replicas"], 1)
            self.assertTrue(cluster.get("StatefulSet", "shop-weir-control-plane"))
            self.assertIn("X-Real-IP", cluster.get("ConfigMap", "shop-weir-processing")["data"]["weir.yaml"])
            session.run("uninstall", "shop", "-n", "wallarm-node")
            self.assertEqual({item["kind"] for item in cluster.all()}, {"Namespace"})


class Upgrades(unittest.TestCase):
    def test_what_was_made_up_is_kept(self):
        more = ["--set", "config.connector.certificate.enabled=true,config.connector.certificate.certgen.enabled=true",
                "--set", "controlPlane.postgresql.url=postgres://db/weir"]
        with Session() as session:
            session.upgrade("r", harness.CHART, *more)
            names = ("r-weir-credentials", "r-weir-control-plane", "next-processing-tls")
            before = {name: session.cluster.get("Secret", name)["data"] for name in names}
            self.assertEqual(set(before["r-weir-control-plane"]), {"admin-password", "database-url", "policy.key"})
            session.upgrade("r", harness.CHART, *more, "--set", "processing.replicaCount=2")
            self.assertEqual(session.cluster.get("Deployment", "next-processing")["spec"]["replicas"], 2)
            self.assertEqual({name: session.cluster.get("Secret", name)["data"] for name in names}, before)

    def test_two_installations_differ(self):
        tokens = []
        for _ in range(2):
            with Session() as session:
                session.upgrade("r")
                tokens.append(session.cluster.get("Secret", "r-weir-credentials")["data"]["token"])
        self.assertNotEqual(*tokens)

    def test_a_release_of_the_older_chart_is_taken_over(self):
        with Session() as session:
            cluster = session.cluster
            session.upgrade("shop", OLDER)
            selector = cluster.get("Deployment", "next-processing")["spec"]["selector"]
            for _ in range(2):
                session.upgrade("shop", harness.CHART, "--set", "config.api.token=token-of-some-length")
                deployment = cluster.get("Deployment", "next-processing")
                self.assertEqual(deployment["spec"]["selector"], selector, "a selector cannot change")
                labels = deployment["spec"]["template"]["metadata"]["labels"].items()
                self.assertLessEqual(selector["matchLabels"].items(), labels)
                self.assertLessEqual(cluster.get("Service", "next-processing")["spec"]["selector"].items(), labels)
                self.assertIn("weir", [c["name"] for c in deployment["spec"]["template"]["spec"]["containers"]])
            self.assertEqual([d["metadata"]["name"] for d in cluster.all("Deployment")], ["next-processing"])
            self.assertTrue(cluster.get("StatefulSet", "next-aggregation"))
            self.assertNotIn("next-credentials", [s["metadata"]["name"] for s in cluster.all("Secret")])

    def test_another_name_for_the_chart(self):
        with Session() as session:
            session.upgrade("r", harness.CHART, "--set", "fullnameOverride=edge")
            session.upgrade("r", harness.CHART, "--set", "fullnameOverride=edge,nameOverride=waf")
            pods = {}
            for kind, role in (("Deployment", "processing"), ("StatefulSet", "aggregation"), ("StatefulSet", "control-plane")):
                spec = session.cluster.get(kind, "edge-" + role)["spec"]
                pods[role] = spec["template"]["metadata"]["labels"]
                self.assertLessEqual(spec["selector"]["matchLabels"].items(), pods[role].items())
                self.assertLessEqual(session.cluster.get("Service", "edge-" + role)["spec"]["selector"].items(), pods[role].items())
                policy = session.cluster.get("NetworkPolicy", "edge-" + role)["spec"]
                self.assertLessEqual(policy["podSelector"]["matchLabels"].items(), pods[role].items())

    def test_claim_templates_that_cannot_change(self):
        with Session() as session:
            session.upgrade("r")
            session.upgrade("r", harness.CHART, "--set", "processing.replicaCount=2")
            for setting, sentence in (
                    ("aggregation.spool.size=3Gi", 'aggregation.spool.size is "3Gi", but StatefulSet next-aggregation was made with "2Gi"'),
                    ("controlPlane.persistence.storageClassName=fast", "controlPlane.persistence.storageClassName is"),
                    ("controlPlane.persistence.size=20Gi", "delete statefulset r-weir-control-plane --cascade=orphan, and upgrade again")):
                with self.assertRaisesRegex(harness.Refused, sentence):
                    session.upgrade("r", harness.CHART, "--set", setting)
            # What has no claims any more is not held to them.
            session.upgrade("r", harness.CHART, "--set", "aggregation.kind=Deployment,aggregation.spool.size=3Gi")
            session.upgrade("r", harness.CHART, "--set", "controlPlane.postgresql.url=postgres://db/weir,controlPlane.persistence.size=20Gi")

    def test_a_size_in_other_words_is_the_same(self):
        with Session() as session:
            session.upgrade("r", harness.CHART, "--set", "aggregation.spool.size=2048Mi,controlPlane.persistence.size=1.5Gi")
            for name, size in (("next-aggregation", "2Gi"), ("r-weir-control-plane", "1536Mi")):
                claim = session.cluster.get("StatefulSet", name)["spec"]["volumeClaimTemplates"][0]["spec"]
                claim["resources"]["requests"]["storage"] = size
            with self.assertRaisesRegex(harness.Refused, "forbidden"):
                # This stand-in compares texts, where a server compares sizes: the chart let it through.
                session.upgrade("r", harness.CHART, "--set", "aggregation.spool.size=2048Mi,controlPlane.persistence.size=1.5Gi")

    def test_the_stand_in_refuses_a_changed_selector(self):
        with Session() as session, self.assertRaisesRegex(harness.Refused, "field is immutable"):
            session.upgrade("shop", OLDER)
            # Under another release's name the selector of what is there is not looked at.
            session.cluster.get("Deployment", "next-processing")["metadata"]["annotations"]["meta.helm.sh/release-name"] = "shop"
            session.cluster.get("Deployment", "next-processing")["spec"]["selector"] = {"matchLabels": {"a": "b"}}
            session.upgrade("shop", OLDER, "--force")


class Neighbours(unittest.TestCase):
    def test_a_second_release_needs_a_name_of_its_own(self):
        with Session() as session:
            session.upgrade("one")
            with self.assertRaisesRegex(harness.Refused, "exists and cannot be imported into the current release"):
                session.upgrade("two")
            session.upgrade("two", harness.CHART, "--set", "fullnameOverride=edge")
            services = {s["metadata"]["name"] for s in session.cluster.all("Service")}
            self.assertLessEqual({"next-processing", "edge-processing", "next-aggregation", "edge-aggregation"}, services)

    def test_kinds_that_the_cluster_does_not_know(self):
        asked = ["--set", "processing.metrics.serviceMonitor.enabled=true"]
        with Session() as session:
            out = session.upgrade("r", harness.CHART, *asked)
            self.assertIn("does not know monitoring.coreos.com/v1: no ServiceMonitor is created", out)
            self.assertEqual(session.cluster.all("ServiceMonitor"), [])
        with Session(extensions=[MONITORING]) as session:
            session.upgrade("r", harness.CHART, *asked)
            self.assertEqual(len(session.cluster.all("ServiceMonitor")), 1)

    def test_kong_in_one_command(self):
        with Session(extensions=["configuration.konghq.com/v1"]) as session:
            session.upgrade("r", harness.CHART, "--set", "kong.enabled=true,kong.namespace=kong")
            self.assertTrue(session.cluster.get("ConfigMap", "kong-lua", "kong"))
            plugin = session.cluster.get("KongClusterPlugin", "kong-lua", None)
            self.assertEqual(plugin["config"]["wallarm_node_address"], "http://next-processing.wallarm-node.svc.cluster.local:5000")

    def test_an_older_cluster(self):
        with Session(kubernetes="1.25") as session:
            out = session.upgrade("r")
            self.assertIn("drainDelaySeconds has no effect", out)
            container = session.cluster.get("Deployment", "next-processing")["spec"]["template"]["spec"]["containers"][0]
            self.assertNotIn("lifecycle", container)
        with Session(kubernetes="1.24") as session, self.assertRaisesRegex(harness.Refused, "kubeVersion"):
            session.upgrade("r")


if __name__ == "__main__":
    unittest.main()
