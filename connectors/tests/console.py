"""The whole way: a gateway with the connector, two nodes, the control plane and what its Console shows.

    WEIR_BIN=path console.py

Ends with a counting line."""
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import DEFAULT_BODY, WAIT_S, Names, Nginx, Upstream, free_ports, modules_dir, raw, wait_for, wait_port

KEY, TOKEN, PASSWORD = "key-of-the-gateway", "deploy-token-of-the-test", "a-password-for-the-test"
# A node that is stopped costs each request this much before it passes; enough for a debug build on a busy machine.
BUDGET_MS = 2000
COMMON = ["--set", "metrics.enabled=false", "--set", "health_check.enabled=false"]
# A debug build on a busy machine inspects slowly: its time limits must not decide verdicts.
PATIENT = ["http_inspector.wallarm_process_time_limit=60s", "load.queue_timeout=60s"]


class ControlPlane:
    def __init__(self, weir, root):
        self.port = free_ports(1)[0]
        self.process = start(weir, "control-plane", root, "control-plane", [
            f"control_plane.address=127.0.0.1:{self.port}", f"control_plane.deploy_token={TOKEN}",
            f"control_plane.admin_password={PASSWORD}"])
        if not wait_port(self.port):
            raise SystemExit("the control plane did not start")
        login = json.dumps({"login": "admin", "password": PASSWORD})
        response, _ = self.call("POST", "/api/v1/session", login, {"Content-Type": "application/json"})
        self.cookie = response.getheader("Set-Cookie").split(";")[0]

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        connection.request(method, path, body, headers or {"Cookie": self.cookie})
        response = connection.getresponse()
        text = response.read().decode()
        if response.status >= 400:
            raise AssertionError(f"{method} {path}: {response.status} {text}")
        return response, text

    def page(self, path):
        return self.call("GET", path)[1]

    def api(self, path):
        return json.loads(self.page("/api/v1" + path))


class World:
    pass


def start(weir, command, root, name, sets):
    directory = os.path.join(root, name)
    os.makedirs(directory, exist_ok=True)
    more = [word for one in [*sets, f"data_dir={directory}"] for word in ("--set", one)]
    with open(os.path.join(directory, "log"), "a") as log:
        return subprocess.Popen([weir, command, *COMMON, *more], cwd=directory, stdout=log, stderr=log)


def node(world, name, address):
    process = start(world.weir, "processing", world.root, name, [
        f"connector.address={address}:{world.nodes_port}", f"connector.auth.keys={KEY}", "api.host=127.0.0.1",
        f"api.port={world.control_plane.port}", "api.use_ssl=false", f"api.token={TOKEN}", f"api.node_name={name}", *PATIENT])
    world.processes.append(process)
    return process


def get(world, path):
    request = b"GET %s HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n" % path
    return raw(world.gateway, request)


def expect(truth, what):
    if not truth:
        raise AssertionError(what)


def events(world, alarm):
    """Actions of the audit log about alarms of a kind."""
    items = world.control_plane.api("/audit?action=alarm.")["items"]
    return [row["action"] for row in items if row["object"].startswith(alarm)]


def an_attack_is_blocked_and_shown(world):
    """The acceptance story."""
    answer = get(world, b"/etc/passwd")
    expect((answer.status, answer.body.strip()) == (403, DEFAULT_BODY), (answer.status, answer.body))
    expect(get(world, b"/orders").status == 200, "an ordinary request passes")
    attack = wait_for(lambda: world.control_plane.api("/attacks")["items"])
    expect(attack and attack[0]["host"] == "shop.test" and "ptrav" in json.dumps(attack), attack)
    page = wait_for(lambda: "shop.test" in (text := world.control_plane.page("/attacks")) and text)
    expect(page, "the Console does not show the attack")
    banner = world.control_plane.page("/")
    expect("pass uninspected" not in banner and "No node answers" not in banner, "an alarm without a cause")


def a_bypass_is_on_the_dashboard_at_once(world):
    """One node hangs; what passes uninspected is reported through the other."""
    os.kill(world.first.pid, signal.SIGSTOP)
    try:
        def passed():
            # Each worker goes from one address to the other.
            return get(world, b"/etc/passwd").status == 200

        expect(wait_for(passed), "no request met the stopped node")
        text = "Requests pass uninspected on route shop: the node did not answer in time"
        expect(wait_for(lambda: text in world.control_plane.page("/")), "the Dashboard does not show the bypass")
    finally:
        os.kill(world.first.pid, signal.SIGCONT)


def silence_of_all_nodes_is_on_the_dashboard(world):
    for process in (world.first, world.second):
        process.kill()
        process.wait()
    expect(get(world, b"/etc/passwd").status == 200, "it fails open")
    expect(wait_for(lambda: "No node answers" in world.control_plane.page("/")), "the Dashboard shows no silence")
    expect(wait_for(lambda: "alarm.begin" in events(world, "no_node")), "no event of the silence")


def what_passed_in_the_silence_is_reported_afterwards(world):
    """The gateway kept the count; nodes of the same names take it to the control plane."""
    world.first, world.second = node(world, "first", "127.0.0.1"), node(world, "second", "127.0.0.2")
    text = "Requests pass uninspected on route shop: the gateway cannot connect to the node"

    def reported():
        page = world.control_plane.page("/")
        return text in page and "No node answers" not in page

    expect(wait_for(reported), "the Dashboard does not show what passed")
    expect(wait_for(lambda: get(world, b"/etc/passwd").status == 403), "the gateway does not use the new nodes")
    expect(wait_for(lambda: "alarm.end" in events(world, "no_node")), "no event of the end of the silence")


TESTS = [
    an_attack_is_blocked_and_shown,
    a_bypass_is_on_the_dashboard_at_once,
    silence_of_all_nodes_is_on_the_dashboard,
    what_passed_in_the_silence_is_reported_afterwards,
]


def run(world):
    """Each test goes on where the one before left off, so the first failure ends the run."""
    for done, test in enumerate(TESTS):
        try:
            test(world)
        except Exception:
            print("FAIL %s\n%s" % (test.__name__, traceback.format_exc()), flush=True)
            for name in ("control-plane", "first", "second"):
                with open(os.path.join(world.root, name, "log"), errors="replace") as log:
                    print(f"--- {name}\n{log.read()[-4000:]}")
            print("--- nginx\n" + world.nginx.log()[-4000:])
            return done
    return len(TESTS)


def main():
    weir = os.environ.get("WEIR_BIN")
    if not weir or not modules_dir():
        print("SKIPPED gateway, nodes and Console: needs WEIR_BIN and nginx with the Lua module")
        print("0 passed, 0 failed, %d skipped" % len(TESTS))
        return 0
    world = World()
    world.weir, world.processes = os.path.abspath(weir), []
    with tempfile.TemporaryDirectory(prefix="weir-console-") as world.root:
        world.control_plane = ControlPlane(world.weir, world.root)
        world.processes.append(world.control_plane.process)
        try:
            world.nodes_port, world.gateway = free_ports(2)
            world.first, world.second = node(world, "first", "127.0.0.1"), node(world, "second", "127.0.0.2")
            expect(wait_port(world.nodes_port), "no node started")
            expect(wait_for(lambda: sum(one["active"] for one in world.control_plane.api("/nodes")["items"]) == 2),
                   "the nodes do not register")
            world.nginx = Nginx("console.conf.in", {
                "NODES": world.nodes_port, "GATEWAY": world.gateway, "UPSTREAM": Upstream().port, "KEY": KEY,
                "BUDGET": BUDGET_MS, "NAMES": Names().port})
            expect(wait_port(world.gateway), "nginx did not start")
            done = run(world)
            world.nginx.stop()
        finally:
            for process in world.processes:
                process.kill()
                process.wait()
    print("%d passed, %d failed, 0 skipped" % (done, len(TESTS) - done))
    return 0 if done == len(TESTS) else 1


if __name__ == "__main__":
    sys.exit(main())
