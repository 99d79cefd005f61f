"""The dashboard, the ServiceMonitor and the scaling metric name what the node really serves."""
import glob
import json
import os
import re
import unittest

import harness
from harness import render

# Suffixes that the exposition adds: counters get `_total`, histograms three, an info one.
SUFFIX = re.compile(r"_(total|bucket|count|sum|info)$")


def families():
    """Names of families, as the sources register them."""
    out = set()
    sources = (os.path.join(harness.ROOT, "src"), os.path.join(harness.ROOT, "crates", "*", "src"))
    for path in (path for folder in sources for path in glob.glob(os.path.join(folder, "**", "*.rs"), recursive=True)):
        with open(path) as file:
            text = file.read()
        if "prometheus_client" in text:
            out |= {"weir_" + name for name in re.findall(r'"([a-z][a-z0-9_]{3,})"', text)}
    return out


def used(text):
    return set(re.findall(r"\bweir_[a-z0-9_]+", text))


class Monitoring(unittest.TestCase):
    def test_every_metric_of_the_dashboard_exists(self):
        objects = render({"dashboard.enabled": True, "dashboard.namespace": "grafana", "dashboard.labels": {"grafana_dashboard": "1"}})
        item = objects.named("ConfigMap", "r-weir-dashboard")
        self.assertEqual(item["metadata"]["namespace"], "grafana")
        self.assertEqual(item["metadata"]["labels"]["grafana_dashboard"], "1")
        dashboard = json.loads(item["data"]["weir.json"])
        panels = [p for p in dashboard["panels"] if p["type"] != "row"]
        known = families()
        self.assertGreater(len(known), 30)
        for panel in panels:
            names = set().union(*(used(target["expr"]) for target in panel["targets"]))
            self.assertTrue(names, panel["title"])
            for name in names:
                self.assertIn(SUFFIX.sub("", name), known, panel["title"])
        self.assertEqual(len({p["id"] for p in dashboard["panels"]}), len(dashboard["panels"]))

    def test_the_check_can_fail(self):
        self.assertNotIn("weir_http_connector_nonsense", families())

    def test_the_scaling_metric_exists(self):
        objects = render({"processing.autoscaling.enabled": True, "processing.autoscaling.targetInFlight": 40})
        metrics = objects.role("HorizontalPodAutoscaler", "processing")["spec"]["metrics"]
        pods = [m["pods"] for m in metrics if m["type"] == "Pods"]
        self.assertEqual(pods[0]["target"], {"type": "AverageValue", "averageValue": "40"})
        self.assertIn(pods[0]["metric"]["name"], families())

    def test_the_service_monitor_follows_what_the_cluster_knows(self):
        asked = {"processing.metrics.serviceMonitor.enabled": True}
        real = ("apiregistration.k8s.io/v1",)
        self.assertEqual(len(render(asked).of("ServiceMonitor")), 1, "a bare rendering knows nothing: it is rendered")
        self.assertEqual(render(asked, apis=real).of("ServiceMonitor"), [])
        self.assertEqual(len(render(asked, apis=real + ("monitoring.coreos.com/v1",)).of("ServiceMonitor")), 1)
        self.assertIn("no ServiceMonitor is created", harness.notes(asked, apis=real))


if __name__ == "__main__":
    unittest.main()
