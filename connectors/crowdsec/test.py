"""Tests with CrowdSec itself: its local API gives decisions to a real node, and one of its bouncers reads from the node.

    WEIR_BIN=path CROWDSEC=directory test.py

CROWDSEC is a directory into which Debian's packages crowdsec and crowdsec-custom-bouncer were unpacked. Ends with a counting line."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests"))
import places  # noqa: E402
from proxies import WAIT_S, Process, ask, free_port, node  # noqa: E402

KEY = "0123456789abcdef"
CLIENT, NEIGHBOUR, STRANGER = "203.0.113.9", "203.0.113.10", "198.51.100.1"
COUNTRIES = {"203.0.113.0/24": {"country": {"iso_code": "FR"}}, "198.51.100.0/24": {"country": {"iso_code": "DE"}}}
SYSTEMS = {"203.0.113.0/24": {"autonomous_system_number": 64500}, "198.51.100.0/24": {"autonomous_system_number": 64501}}
PASS, BAN = (200, {"action": "allow", "http_status": 200}), (403, {"action": "ban", "http_status": 403})
passed, failed = [], []


def program(name):
    return os.path.join(os.environ["CROWDSEC"], "usr/bin", name)


class Setup:
    """A local API, and a node that reads its decisions and answers the questions of bouncers."""

    def __init__(self, key=KEY, before=(), config=""):
        self.folder = tempfile.mkdtemp(prefix="weir-crowdsec-")
        self.api_port, self.port, self.metrics_port = free_port(), free_port(), free_port()
        with open(os.path.join(HERE, "lapi.yaml")) as file:
            text = file.read().replace("FOLDER", self.folder).replace("PORT", str(self.api_port))
        for name, text in (("lapi.yaml", text), ("simulation.yaml", "simulation: false\n"), ("machine.yaml", "")):
            with open(self.path(name), "w") as file:
                file.write(text)
        for name, record in (("countries.mmdb", COUNTRIES), ("systems.mmdb", SYSTEMS)):
            places.write(self.path(name), record.items())
        shutil.copy(os.path.join(os.environ["CROWDSEC"], "etc/crowdsec/profiles.yaml"), self.folder)
        self.cscli("machines", "add", "tester", "--password", "secret", "-f", self.path("machine.yaml"), "--force")
        self.cscli("bouncers", "add", "weir", "-k", KEY)
        self.start_api()
        for decision in before:
            self.decide(*decision)
        metrics = ("metrics.enabled=true", "metrics.listen_address=127.0.0.1:%d" % self.metrics_port)
        reads = "crowdsec: {lapi_url: 'http://127.0.0.1:%d', lapi_key: %s, update_interval: 1s}\n" % (self.api_port, key)
        self.node = node(self.folder, self.port, reads + config.replace("FOLDER", self.folder), metrics)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.node.stop()
        self.api.stop()
        if kind:
            for name in ("weir.log", "crowdsec.log"):
                print("--- %s\n%s" % (name, self.log(name)[-3000:]))
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def log(self, name):
        with open(self.path(name), errors="replace") as file:
            return file.read()

    def start_api(self):
        command = [program("crowdsec"), "-c", self.path("lapi.yaml"), "-no-cs", "-no-capi"]
        self.api = Process(command, self.api_port, self.path("crowdsec.log"))

    def cscli(self, *arguments):
        command = [program("cscli"), "-c", self.path("lapi.yaml"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def decide(self, *arguments):
        """Adds a decision and returns its id."""
        self.cscli("decisions", "add", *arguments)
        alerts = json.loads(self.cscli("decisions", "list"))
        return max(decision["id"] for alert in alerts for decision in alert["decisions"])

    def metric(self, name):
        lines = ask(self.metrics_port, "GET", "/metrics")[1].decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    def becomes(self, value, name="weir_crowdsec_decisions"):
        end = time.monotonic() + WAIT_S
        while (found := self.metric(name)) != value:
            assert time.monotonic() < end, (name, value, found)
            time.sleep(0.1)

    def bans(self, client, seconds):
        """Whether a client is banned within this time."""
        end = time.monotonic() + seconds
        while self.verdict(client) != BAN:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def verdict(self, client, target="/"):
        headers = {"X-Crowdsec-Appsec-Ip": client, "X-Crowdsec-Appsec-Uri": target, "X-Crowdsec-Appsec-Host": "shop.example",
                   "X-Crowdsec-Appsec-Verb": "GET", "X-Crowdsec-Appsec-Api-Key": KEY}
        status, body, _ = ask(self.port, "GET", "/", headers=headers)
        return status, json.loads(body)


def start_and_changes():
    """What is decided before the node starts, and what is decided and deleted afterwards."""
    with Setup(before=(("--ip", CLIENT, "--duration", "1h30m0.5s"),)) as setup:
        setup.becomes(1)
        assert (setup.verdict(CLIENT), setup.verdict(NEIGHBOUR)) == (BAN, PASS)
        setup.decide("--range", "203.0.113.0/24", "--duration", "2h")
        setup.decide("--ip", "2001:db8::9", "--duration", "90s")
        setup.becomes(3)
        assert [setup.verdict(client) for client in (NEIGHBOUR, "2001:db8::9", STRANGER)] == [BAN, BAN, PASS]
        setup.cscli("decisions", "delete", "--range", "203.0.113.0/24")
        setup.becomes(2)
        assert (setup.verdict(CLIENT), setup.verdict(NEIGHBOUR)) == (BAN, PASS)
        setup.cscli("decisions", "delete", "--all")
        setup.becomes(0)
        assert setup.verdict(CLIENT) == PASS


def overlapping():
    """Several decisions on one source end one by one, the longest first or last."""
    for last_first in (False, True):
        long, short = ("--ip", CLIENT, "--duration", "8h"), ("--ip", CLIENT, "--duration", "1h")
        with Setup() as setup:
            ids = [setup.decide(*long)]
            setup.becomes(1)
            ids.append(setup.decide(*short))
            setup.becomes(2)
            if last_first:
                ids.reverse()
            setup.cscli("decisions", "delete", "--id", str(ids[0]))
            setup.becomes(1)
            assert setup.verdict(CLIENT) == BAN, "the other decision is still in force"
            setup.cscli("decisions", "delete", "--id", str(ids[1]))
            setup.becomes(0)
            assert setup.verdict(CLIENT) == PASS


def ends_by_itself():
    """A decision whose time is over, also while the API is away."""
    with Setup() as setup:
        # A busy machine may learn of a decision only after its time is over.
        for duration in ("6s500ms", "20s", "60s"):
            setup.decide("--ip", CLIENT, "--duration", duration)
            if setup.bans(CLIENT, WAIT_S / 3):
                break
        else:
            raise AssertionError("no decision came in time")
        setup.api.process.send_signal(signal.SIGSTOP)
        end = time.monotonic() + 3 * WAIT_S
        while setup.verdict(CLIENT) != PASS:
            assert time.monotonic() < end, "it does not end"
            time.sleep(0.2)
        setup.api.process.send_signal(signal.SIGCONT)


def kinds():
    """Captcha blocks attacks alone, in mode safe_blocking; other types have no effect and are counted."""
    attack = "/etc/passwd"
    with Setup(config="route_config: {wallarm_mode: safe_blocking}\n") as setup:
        assert setup.verdict(CLIENT, attack)[0] == 200
        setup.decide("--ip", CLIENT, "--duration", "1h", "--type", "captcha")
        setup.becomes(1)
        assert (setup.verdict(CLIENT), setup.verdict(CLIENT, attack)) == (PASS, BAN)
        setup.decide("--ip", NEIGHBOUR, "--duration", "1h", "--type", "throttle")
        setup.becomes(1, "weir_crowdsec_unused_decisions_total")
        # Not asked for.
        setup.decide("--scope", "username", "--value", "bob", "--duration", "1h")
        setup.decide("--scope", "Country", "--value", "FR", "--duration", "1h")
        setup.decide("--scope", "AS", "--value", "64500", "--duration", "1h")
        setup.becomes(3)
        assert setup.metric("weir_crowdsec_unused_decisions_total") == 1


def countries_and_systems():
    """Decisions on a country or a system hold for its addresses, whoever decided in which spelling, until they are deleted."""
    config = "geo: {country_database: FOLDER/countries.mmdb, asn_database: FOLDER/systems.mmdb}\n"
    with Setup(config=config) as setup:
        def verdicts():
            return setup.verdict(CLIENT), setup.verdict(STRANGER), setup.verdict("192.0.2.1")

        assert verdicts() == (PASS, PASS, PASS)
        for scope, value, expected in (("Country", "FR", (BAN, PASS, PASS)), ("Country", "de", (PASS, BAN, PASS)),
                                       ("AS", "64500", (BAN, PASS, PASS)), ("AS", "AS64501", (PASS, BAN, PASS)),
                                       ("Country", "XX", (PASS, PASS, PASS))):
            number = setup.decide("--scope", scope, "--value", value, "--duration", "1h", "--reason", "by place")
            setup.becomes(1)
            assert verdicts() == expected, (scope, value, verdicts())
            setup.cscli("decisions", "delete", "--id", str(number))
            setup.becomes(0)
            assert verdicts() == (PASS, PASS, PASS), (scope, value)
        # Two that hold for one address end one by one.
        numbers = [setup.decide("--scope", *place, "--duration", "1h") for place in (("Country", "--value", "FR"),
                                                                                      ("AS", "--value", "64500"))]
        setup.becomes(2)
        setup.cscli("decisions", "delete", "--id", str(numbers[0]))
        setup.becomes(1)
        assert verdicts() == (BAN, PASS, PASS)


def api_away():
    """Decisions stay while the API is away; what changed meanwhile is known afterwards."""
    with Setup() as setup:
        setup.decide("--ip", CLIENT, "--duration", "1h")
        setup.becomes(1)
        setup.api.stop()
        end = time.monotonic() + WAIT_S
        while setup.metric('weir_crowdsec_calls_total{result="unreachable"}') == 0:
            assert time.monotonic() < end, "it was not noticed"
            time.sleep(0.1)
        assert setup.verdict(CLIENT) == BAN
        setup.start_api()
        setup.decide("--ip", NEIGHBOUR, "--duration", "1h")
        setup.cscli("decisions", "delete", "--ip", CLIENT)
        end = time.monotonic() + 2 * WAIT_S
        while (setup.verdict(CLIENT), setup.verdict(NEIGHBOUR)) != (PASS, BAN):
            assert time.monotonic() < end, "what changed meanwhile is not known"
            time.sleep(0.2)


def wrong_key():
    with Setup(key="another-key-for-this") as setup:
        end = time.monotonic() + WAIT_S
        while setup.metric('weir_crowdsec_calls_total{result="key"}') == 0:
            assert time.monotonic() < end, setup.log("weir.log")
            time.sleep(0.1)
        assert setup.metric("weir_crowdsec_decisions") == 0
        assert "another-key-for-this" not in setup.log("weir.log")


def probes():
    """The node answers a bouncer's questions for decisions as the local API does when it has none."""
    config = "connector: {auth: {keys: [%s]}}\n" % KEY
    questions = [(method, path, key) for method in ("GET", "HEAD") for key in (KEY, "wrong-wrong-wrong")
                 for path in ("/v1/decisions", "/v1/decisions?ip=" + CLIENT, "/v1/decisions/stream?startup=true",
                              "/v1/decisions/stream")]
    with Setup(config=config) as setup:
        for method, path, key in questions:
            if (method, path.partition("?")[0]) == ("HEAD", "/v1/decisions/stream"):
                continue  # the local API has no such method; the node answers as to GET
            answers = []
            for port in (setup.api_port, setup.port):
                status, body, _ = ask(port, method, path, headers={"X-Api-Key": key})
                answers.append((status, {name: value or None for name, value in json.loads(body).items()}
                                if body.startswith(b"{") else body))
            assert answers[0] == answers[1], (method, path, key, answers)


def bouncer(key, port, folder):
    """CrowdSec's own bouncer that calls a program for each decision."""
    path = os.path.join(folder, "bouncer.yaml")
    with open(path, "w") as file:
        file.write("bin_path: /bin/true\npiddir: %s\nupdate_frequency: 1s\ncache_retention_duration: 10s\ndaemonize: false\n"
                   "log_mode: stdout\nlog_level: debug\napi_url: http://127.0.0.1:%d/\napi_key: %s\n" % (folder, port, key))
    log = open(os.path.join(folder, "bouncer.log"), "wb")
    return subprocess.Popen([program("crowdsec-custom-bouncer"), "-c", path], stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def a_bouncer_reads_from_the_node():
    """A bouncer of CrowdSec that reads all decisions goes on at the node as at the local API, and notices a wrong key as there."""
    with Setup(config="connector: {auth: {keys: [%s]}}\n" % KEY) as setup:
        for key, sign in ((KEY, "adding '0' decisions"), ("wrong-wrong-wrong", "access forbidden")):
            for port in (setup.api_port, setup.port):
                process = bouncer(key, port, setup.folder)
                try:
                    end = time.monotonic() + WAIT_S
                    while sign not in setup.log("bouncer.log"):
                        assert time.monotonic() < end, (key, port, setup.log("bouncer.log"))
                        time.sleep(0.1)
                    assert (key == KEY) == (process.poll() is None and "access forbidden" not in setup.log("bouncer.log"))
                finally:
                    process.kill()
                    process.wait()


def main():
    tests = (start_and_changes, overlapping, ends_by_itself, kinds, countries_and_systems, api_away, wrong_key, probes,
             a_bouncer_reads_from_the_node)
    for test in tests:
        if len(sys.argv) > 1 and not any(part in test.__name__ for part in sys.argv[1:]):
            continue
        try:
            test()
            passed.append(test.__name__)
            print("ok: CrowdSec", test.__name__, flush=True)
        except Exception:  # each test is reported, whatever went wrong
            failed.append(test.__name__)
            traceback.print_exc(file=sys.stdout)
            print("FAILED: CrowdSec", test.__name__, flush=True)
    print("%d passed, %d failed, 0 skipped" % (len(passed), len(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
