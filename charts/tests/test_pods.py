"""What is rendered runs: each workload's container as a process, with its arguments, environment, files and probes, and the
release's own test pod against it. Not tested so: what only a cluster has, such as networks, volumes, users."""
import base64
import json
import os
import random
import re
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import yaml

import harness
from harness import render

# Seconds for which anything is waited for: generous, since machines that test are busy.
PATIENCE = 120
ROLES = {"control-plane": ("console", 8088), "aggregation": ("aggregation", 3313), "processing": ("inspector", 5000)}


def free_port():
    """Below the ports that the system gives out by itself: other tests run beside this one."""
    while True:
        port = random.randrange(20000, 32768)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def until(what, check):
    """Polls until `check` answers something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("not within %d s: %s" % (PATIENCE, what))


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, OSError):
        return None


class Release:
    """The workloads of a release as processes, on free ports of loopback."""

    def __init__(self, objects, folder):
        self.objects, self.folder, self.processes = objects, folder, {}
        self.ports = {(role, name): free_port() for role in ROLES for name in (ROLES[role][0], "health", "metrics")}

    def files(self, role, volumes, mounts, claims):
        """Lays out what a pod mounts: mount path -> directory here."""
        out = {}
        for mount in mounts:
            here = os.path.join(self.folder, role, mount["name"])
            os.makedirs(here, exist_ok=True)
            out[mount["mountPath"]] = here
            volume = {v["name"]: v for v in volumes}.get(mount["name"])
            assert volume or mount["name"] in claims, mount
            if volume and "configMap" in volume:
                data = self.objects.named("ConfigMap", volume["configMap"]["name"])["data"]
                # As a kubelet does it: files in a directory of their own, links to them by way of `..data`.
                os.makedirs(os.path.join(here, "..2026_11_26"), exist_ok=True)
                os.symlink("..2026_11_26", os.path.join(here, "..data"))
                for name, text in data.items():
                    os.symlink("..data/" + name, os.path.join(here, name))
                    with open(os.path.join(here, name), "w") as file:
                        file.write(text)
            if volume and "secret" in volume:
                data = self.objects.named("Secret", volume["secret"]["secretName"])["data"]
                for item in volume["secret"].get("items") or [{"key": key, "path": key} for key in data]:
                    with open(os.path.join(here, item["path"]), "wb") as file:
                        file.write(base64.b64decode(data[item["key"]]))
        return out

    def here(self, role, text):
        """A configuration with the addresses of a cluster replaced by those of this machine."""
        own = {ROLES[role][1]: ROLES[role][0], 18080: "health", 9090: "metrics"}
        text = re.sub(r"(?m)^(\s+\w*address: )\S*?:(\d+)\"?$",
                      lambda m: '%s"127.0.0.1:%d"' % (m.group(1), self.ports[(role, own[int(m.group(2))])]), text)

        def upstream(match):
            service = match.group(1)
            to = [r for r in ROLES if service.endswith(r)][0]
            return "host: 127.0.0.1\n%sport: %d" % (match.group(2), self.ports[(to, ROLES[to][0])])

        return re.sub(r"host: ([\w-]+)\.[\w.-]+\.svc\S*\n(?:\s+node_group: \S+\n)?(\s+)port: \d+", upstream, text)

    def environment(self, container):
        out = {}
        for item in container["env"]:
            source = item.get("valueFrom", {})
            if "secretKeyRef" in source:
                secret = self.objects.named("Secret", source["secretKeyRef"]["name"])
                out[item["name"]] = base64.b64decode(secret["data"][source["secretKeyRef"]["key"]]).decode()
            else:
                out[item["name"]] = item.get("value", "pod-name")
        return out

    def start(self, role):
        workload = self.objects.workload(role)
        pod = workload["spec"]["template"]["spec"]
        container = pod["containers"][0]
        claims = [c["metadata"]["name"] for c in workload["spec"].get("volumeClaimTemplates", [])]
        places = self.files(role, pod["volumes"], container["volumeMounts"], claims)
        config = os.path.join(places["/etc/weir/config"], "weir.yaml")
        with open(config) as file:
            text = self.here(role, file.read())
        for path, here in places.items():
            text = text.replace(path, here)
        with open(config, "w") as file:
            file.write(text)
        arguments = [argument.replace("/etc/weir/config", places["/etc/weir/config"]) for argument in container["args"]]
        log = open(os.path.join(self.folder, role + ".log"), "w")
        self.processes[role] = subprocess.Popen([harness.WEIR, *arguments], env=self.environment(container), stdout=log, stderr=log)
        log.close()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            until("%s of %s\n%s" % (probe, role, text), lambda path=path: self.alive(role) and get(self.url(role, "health") + path))

    def alive(self, role):
        if self.processes[role].poll() is not None:
            with open(os.path.join(self.folder, role + ".log")) as log:
                raise AssertionError("%s ended: %s" % (role, log.read()[-3000:]))
        return True

    def url(self, role, port):
        return "http://127.0.0.1:%d" % self.ports[(role, port)]

    def stop(self, role):
        """As a cluster does: a signal, and the time that the pod is given. Answers the exit code."""
        process = self.processes.pop(role)
        process.terminate()
        return process.wait(self.objects.pod(role)["terminationGracePeriodSeconds"])

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


class Pods(unittest.TestCase):
    VALUES = {"config.api.token": "token-of-the-release", "controlPlane.admin.password": "password-of-the-release",
              "config.api.host": "us1.api.wallarm.com", "config.connector.http_inspector.real_ip_header": "X-Real-IP",
              "config.rules": {"own.yaml": yaml.safe_dump([{
                  "id": "ptrav.own-file", "attack": "ptrav", "about": "A file of this test.", "pattern": "own-secret-file",
                  "confidence": "high", "positive": ["own-secret-file"], "negative": ["x"]}])}}

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.release = Release(render(cls.VALUES), cls.temporary.name)
        try:
            for role in ROLES:
                cls.release.start(role)
        except BaseException:
            cls.release.close()
            cls.temporary.cleanup()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.release.close()
        cls.temporary.cleanup()

    def test_1_the_release_tests_itself(self):
        pod = self.release.objects.named("Pod", "r-weir-test")
        container = pod["spec"]["containers"][0]
        places = self.release.files("test", pod["spec"]["volumes"], container["volumeMounts"], [])
        address = "http://next-processing.wallarm-node.svc.cluster.local:5000"
        arguments = [a.replace(address, self.release.url("processing", "inspector")).replace("/etc/weir/test", places["/etc/weir/test"])
                     for a in container["args"]]
        self.assertNotEqual(arguments, container["args"])
        done = subprocess.run([harness.WEIR, *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"1 requests in")

    def test_2_an_attack_is_blocked(self):
        call = urllib.request.Request(
            self.release.url("processing", "inspector") + "/v1/requests", method="POST",
            data=b"GET /etc/passwd?pods=1 HTTP/1.1\r\nHost: kong-lua-test.wallarm\r\n\r\n",
            headers={"Content-Type": "message/http; msgtype=request", "Inspector-Request-Id": "pods-1",
                     "Inspector-Client": "203.0.113.9:1", "Inspector-Connector": "test/1"})
        with urllib.request.urlopen(call, timeout=30) as answer:
            verdict = json.loads(answer.read())
        self.assertEqual((verdict["verdict"], verdict["attacks"][0]["type"]), ("block", "ptrav"))

    def test_2_rules_of_ones_own_are_in_force(self):
        call = urllib.request.Request(
            self.release.url("processing", "inspector") + "/v1/requests", method="POST",
            data=b"GET /own-secret-file HTTP/1.1\r\nHost: kong-lua-test.wallarm\r\n\r\n",
            headers={"Content-Type": "message/http; msgtype=request", "Inspector-Request-Id": "pods-2",
                     "Inspector-Client": "203.0.113.9:1", "Inspector-Connector": "test/1"})
        with urllib.request.urlopen(call, timeout=30) as answer:
            verdict = json.loads(answer.read())
        self.assertEqual(verdict["verdict"], "block")
        self.assertEqual(verdict["attacks"][0]["type"], "ptrav")

    def test_3_every_pod_serves_its_metrics(self):
        for role in ROLES:
            self.assertIn("weir_application_info", get(self.release.url(role, "metrics") + "/metrics") or "", role)

    def test_4_pods_stop_in_time(self):
        for role in ("processing", "aggregation", "control-plane"):
            self.assertEqual(self.release.stop(role), 0, role)


if __name__ == "__main__":
    unittest.main()
