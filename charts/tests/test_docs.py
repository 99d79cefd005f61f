"""What the pages say to do can be done: commands, values, files that they name."""
import json
import os
import re
import subprocess
import unittest

import yaml

import harness
from harness import render

PAGES = ("README.md", "docs/kubernetes.md", "docs/upgrade-from-wallarm-node-next.md", "connectors/kong/README.md")


def page(name):
    with open(os.path.join(harness.ROOT, name)) as file:
        return file.read()


def settings(text):
    """Values that `--set` in commands of our chart gives; placeholders get a word."""
    out = []
    for command in re.findall(r"helm [^\n]*weir/weir(?:[^\n]*\\\n)*[^\n]*", text):
        pairs = re.findall(r"--set ([\w.]+)=([^\s\\]+)", command)
        out.append({key: {"true": True, "false": False}.get(value, re.sub(r"<\w+>", "word-of-some-length", value)) for key, value in pairs})
    return out


class Pages(unittest.TestCase):
    def test_commands_render(self):
        count = 0
        for name in PAGES:
            for values in settings(page(name)):
                with self.subTest(name, values=values):
                    render(values)
                    count += len(values)
        self.assertGreater(count, 5)

    def test_the_command_of_the_replaced_chart_needs_its_name_changed_only(self):
        self.assertIn(harness.SEED, [{**v, "config.api.token": "seed-token-of-some-length"} for v in settings(page("docs/upgrade-from-wallarm-node-next.md"))])

    def test_the_values_for_production_render(self):
        text = page("docs/kubernetes.md").split("## For production")[1]
        values = re.search(r"```yaml\n(.*?)```", text, re.S).group(1)
        objects = render(raw=values, release="weir")
        self.assertEqual(objects.workload("control-plane")["kind"], "Deployment")
        self.assertTrue(objects.of("ServiceMonitor") and objects.of("HorizontalPodAutoscaler"))
        spread = objects.pod("processing")["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].items()
        self.assertLessEqual(spread, objects.workload("processing")["spec"]["template"]["metadata"]["labels"].items())
        for config, files in objects.config_texts().items():
            self.assertTrue(harness.config_check(files)["valid"], config)

    def test_values_of_kong_are_those_of_the_notes(self):
        wanted = {"gateway": {"plugins": {"configMaps": [{"name": "kong-lua", "pluginName": "kong-lua"}]}}}
        blocks = re.findall(r"```yaml\n(.*?)```", page("docs/kubernetes.md"), re.S)
        self.assertIn(wanted, [yaml.safe_load(block) for block in blocks])
        notes = harness.notes({"kong.enabled": True, "kong.namespace": "kong"})
        shown = re.search(r"(?m)^  gateway:\n(?:    .*\n)+", notes).group(0)
        self.assertEqual(yaml.safe_load(shown), wanted)

    def test_compose_runs_what_there_is(self):
        compose = yaml.safe_load(page("docker-compose.yaml"))
        volumes = set(compose["volumes"])
        ours = {name: service for name, service in compose["services"].items() if "command" in service}
        self.assertEqual(set(ours), {"control-plane", "node"})
        for name, service in ours.items():
            given = {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", re.sub(r"\$\{\w+:\?[^}]*\}", "a-secret-of-some-length", text))
                     for key, text in service["environment"].items()}
            done = subprocess.run([harness.WEIR, *service["command"], "--help"], capture_output=True, text=True, env=given)
            self.assertEqual(done.returncode, 0, done.stderr)
            done = subprocess.run([harness.WEIR, "config", "check", "--format", "json"], capture_output=True, text=True, env=given)
            report = json.loads(done.stdout)
            self.assertTrue(report["valid"], report["diagnostics"])
            self.assertNotIn("unknown", str(report["diagnostics"]))
        self.assertIn(ours["node"]["environment"]["WALLARM_API_HOST"], compose["services"])
        for service in compose["services"].values():
            self.assertRegex(service["image"], r"^\$\{\w+_IMAGE:-.+:.+\}$", "from a registry of one's own, and pinned")
            self.assertLessEqual(set(service.get("depends_on", [])), set(compose["services"]))
            for volume in service["volumes"]:
                source = volume.split(":")[0]
                self.assertTrue(source in volumes or os.path.exists(os.path.join(harness.ROOT, source)), volume)
        kong = yaml.safe_load(page("examples/docker/kong.yml"))
        self.assertIn(kong["plugins"][0]["config"]["wallarm_node_address"], ["http://%s:5000" % name for name in ours])

    def test_files_that_are_named_exist(self):
        for name in PAGES + ("charts/weir/README.md",):
            text = page(name)
            folder = os.path.dirname(os.path.join(harness.ROOT, name))
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
                self.assertTrue(os.path.exists(os.path.join(folder, link)), "%s links to %s" % (name, link))
            for path in re.findall(r"(?<![\w/.])((?:connectors|charts|image|docs)/[\w./-]+[\w])", text):
                self.assertTrue(os.path.exists(os.path.join(harness.ROOT, path)), "%s names %s" % (name, path))


if __name__ == "__main__":
    unittest.main()
