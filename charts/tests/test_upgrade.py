"""From a values file of the older charts, with the command of the upgrade page, to a release."""
import json
import os
import subprocess
import tempfile
import unittest

import yaml

import harness
from harness import render

FILES = os.path.join(harness.HERE, "files")


def migrate(name):
    """Report, exit code and the new file's text."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "new.yaml")
        arguments = [harness.WEIR, "migrate", "values", os.path.join(FILES, name), "--output", output, "--format", "json"]
        done = subprocess.run(arguments, capture_output=True, text=True)
        with open(output) as file:
            return json.loads(done.stdout), done.returncode, file.read()


class Upgrade(unittest.TestCase):
    def test_old_files_are_accepted_as_they_stand(self):
        for name in ("next.yaml", "native.yaml"):
            with open(os.path.join(FILES, name)) as file:
                text = file.read().replace("USER-SUPPLIED VALUES:\n", "")
            objects = render(raw=text)
            self.assertTrue(objects.workload("control-plane"))
            for config, files in objects.config_texts().items():
                report = harness.config_check(files)
                self.assertTrue(report["valid"], (name, config, report["diagnostics"]))

    def test_next(self):
        report, code, text = migrate("next.yaml")
        self.assertEqual((report["chart"], code, report["by_hand"]), ("wallarm-node-next", 1, []))
        fates = {finding["key"]: finding["fate"] for finding in report["findings"]}
        self.assertNotIn("unknown", fates.values())
        self.assertEqual(fates["config.api.host"], "changed")
        self.assertEqual(fates["config.wcli"], "ignored")
        objects = render(raw=text)
        config = objects.config("processing")
        self.assertIs(config["connector"]["blocking"], True)
        self.assertEqual(config["http_inspector"], {"workers": "auto", "real_ip_header": "X-Real-IP"})
        self.assertEqual(config["log"]["level"], "debug")
        self.assertEqual(config["api"]["node_group"], "defaultNodeNextGroup")
        self.assertEqual(objects.container("processing")["resources"]["limits"], {"cpu": "3500m", "memory": "4Gi"})
        self.assertTrue(objects.role("HorizontalPodAutoscaler", "processing"))
        self.assertNotIn("clusterIP", objects.named("Service", "next-processing")["spec"])
        self.assertEqual(objects.workload("aggregation")["kind"], "Deployment")

    def test_native(self):
        report, code, text = migrate("native.yaml")
        self.assertEqual((report["chart"], code, report["by_hand"]), ("wallarm-node-native", 1, []))
        self.assertNotIn("unknown", [finding["fate"] for finding in report["findings"]])
        objects = render(raw=text)
        config = objects.config("processing")
        self.assertEqual(config["route_config"]["wallarm_mode"], "monitoring")
        self.assertEqual([r["wallarm_mode"] for r in config["route_config"]["routes"]], ["block", "off"])
        self.assertEqual(config["connector"]["per_connection_limits"], {"max_duration": "1m", "max_requests": 300})
        self.assertEqual(config["log"]["access_log"], {"enabled": True, "verbose": True})
        self.assertEqual(objects.named("Service", "native-processing")["spec"]["type"], "LoadBalancer")
        volumes = {v["name"]: v for v in objects.pod("processing")["volumes"]}
        self.assertEqual(volumes["tls"]["secret"]["secretName"], "shop-tls")

    def test_secrets_are_not_reported(self):
        for name in ("next.yaml", "native.yaml"):
            report, _, text = migrate(name)
            self.assertNotIn("old-token", json.dumps(report))
            self.assertIn("old-token", str(yaml.safe_load(text)))


if __name__ == "__main__":
    unittest.main()
