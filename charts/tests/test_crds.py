"""Objects for gateways against the schemas of their CustomResourceDefinitions. npm packages have those of Istio and Traefik; no
package of npm, PyPI, crates.io or Debian that we know has those of Envoy Gateway and NGINX Gateway Fabric."""
import copy
import glob
import json
import os
import subprocess
import unittest

import yaml

from harness import ROOT, render

HERE = os.path.dirname(os.path.abspath(__file__))
INSTALLED = os.path.join(ROOT, "target", "chart-tests", "crds")
KINDS = ("EnvoyFilter", "Middleware")
VALUES = {
    "gateways.traefik.enabled": True, "gateways.traefik.namespace": "apps", "gateways.envoy.enabled": True,
    "gateways.envoy.kind": "istio", "gateways.envoy.namespace": "istio", "gateways.envoy.workloadLabels": {"a": "b"},
}


def problems(objects):
    """What is wrong with each object; empty if nothing is."""
    with open(os.path.join(HERE, "crds", "validate.mjs")) as file:
        script = file.read()
    # Modules are looked for from the working directory.
    ran = subprocess.run(["node", "--input-type=module", "--eval", script], input=json.dumps(objects), cwd=INSTALLED,
                         stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout)


@unittest.skipUnless(os.path.isdir(os.path.join(INSTALLED, "node_modules")), "charts/tests/install found no npm")
class CustomResources(unittest.TestCase):
    def setUp(self):
        rendered = render(VALUES)
        self.objects = [rendered.named(kind, name) for kind, name in zip(KINDS, ("r-weir", "weir"))]
        for path in sorted(glob.glob(os.path.join(ROOT, "connectors", "envoy", "examples", "*.yaml"))):
            with open(path) as file:
                objects = [one for one in yaml.safe_load_all(file) if one]
            self.objects += [one for one in objects if one.get("kind") in KINDS]

    def test_chart_and_examples_are_valid(self):
        self.assertGreaterEqual(len(self.objects), 3)
        self.assertEqual(problems(self.objects), [""] * len(self.objects))

    def test_what_is_wrong_is_found(self):
        for wrong in (made := copy.deepcopy(self.objects)):
            if wrong["kind"] == "Middleware":
                wrong["spec"]["forwardAuth"]["maxBodySize"] = "many"
            else:
                wrong["spec"]["configPatches"][0]["applyTo"] = "NOWHERE"
        found = problems(made)
        self.assertTrue(all("maxBodySize" in text or "applyTo" in text for text in found), found)
