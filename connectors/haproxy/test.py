"""Tests of the agent for HAProxy: a real node behind HAProxy with the example configuration.

    WEIR_BIN=path test.py

Ends with a counting line."""
import contextlib
import http.client
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "forward-auth"))
from test import Application, DEFAULT_BODY, FORM, Process, SQL, free_port  # noqa: E402

PATIENCE_S = 30
KEY = "0123456789abcdef"
ATTACK = b"id=1' UNION SELECT password FROM users-- x"
passed, failed = [], []


class Setup:
    """HAProxy in front of a node and an application."""

    def __init__(self, fail_closed=False, frame=None, http2=False, more=(), config=""):
        self.folder = tempfile.mkdtemp()
        self.application = Application()
        self.port, self.spoe, self.api, self.metrics = (free_port() for _ in range(4))
        self.more = more
        with open(os.path.join(self.folder, "weir.yaml"), "w") as file:
            file.write(config)
        self.node = None
        self.start_node()
        with open(os.path.join(HERE, "haproxy.cfg")) as file:
            main = file.read()
        main = main.replace(":8000", "127.0.0.1:%d%s" % (self.port, " proto h2" if http2 else ""))
        main = main.replace("127.0.0.1:8080", "127.0.0.1:%d" % self.application.server_address[1])
        main = main.replace("127.0.0.1:5002", "127.0.0.1:%d" % self.spoe)
        if fail_closed:
            main = main.replace("#fail-closed ", "")
        with open(os.path.join(HERE, "spoe.cfg")) as file:
            engine = file.read()
        if frame:
            engine = engine.replace("    option      pipelining\n", "    max-frame-size %d\n    option pipelining\n" % frame)
        for name, text in (("haproxy.cfg", main), ("spoe.cfg", engine)):
            with open(os.path.join(self.folder, name), "w") as file:
                file.write(text)
        command = ["haproxy", "-db", "-f", "haproxy.cfg"]
        self.haproxy = Process(command, self.port, os.path.join(self.folder, "haproxy.log"), cwd=self.folder,
                               env=dict(os.environ, WEIR_KEY=KEY))

    def start_node(self):
        command = [os.environ["WEIR_BIN"], "processing", "--config", os.path.join(self.folder, "weir.yaml")]
        for setting in ("connector.address=127.0.0.1:%d" % self.api, "spoe.address=127.0.0.1:%d" % self.spoe,
                        "metrics.listen_address=127.0.0.1:%d" % self.metrics, "health_check.enabled=false",
                        "events.enabled=false", "connector.auth.keys=" + KEY) + tuple(self.more):
            command += ["--set", setting]
        self.node = Process(command, self.spoe, os.path.join(self.folder, "weir.log"))

    def ask(self, method, target, body=None, headers=(), chunked=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request(method, target, body, dict(headers), encode_chunked=chunked)
        response = connection.getresponse()
        answer = response.status, response.read(), response.getheader("Content-Type")
        connection.close()
        return answer

    def until(self, status, *request):
        """Asks until the status is this one: HAProxy needs a moment to notice that a node went or came."""
        end = time.monotonic() + PATIENCE_S
        while (answer := self.ask(*request))[0] != status:
            assert time.monotonic() < end, answer
            time.sleep(0.1)

    def covered(self, reason):
        url = "http://127.0.0.1:%d/metrics" % self.metrics
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            text = response.read().decode()
        found = re.search(r'weir_coverage_requests_total\{route="web",inspected="\w+",reason="%s"\} (\d+)' % reason, text)
        return int(found[1]) if found else 0

    def stop(self):
        for process in (self.haproxy, self.node):
            process.stop()
        self.application.shutdown()
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def setup(**options):
    made = Setup(**options)
    try:
        yield made
    except BaseException:
        for name in ("haproxy.log", "weir.log"):
            with open(os.path.join(made.folder, name), errors="replace") as file:
                print("--- " + name, file.read()[-3000:], sep="\n")
        raise
    finally:
        made.stop()


def verdicts():
    with setup() as at:
        blocked = 403, DEFAULT_BODY, "application/json"
        assert at.ask("GET", "/a?b=1")[:2] == (200, b"application: 0 bytes")
        assert at.ask("GET", SQL) == blocked
        assert at.ask("POST", "/", b"a=b", FORM)[:2] == (200, b"application: 3 bytes")
        assert at.ask("POST", "/", ATTACK, FORM) == blocked
        assert at.ask("POST", "/", iter([b"a=b&", ATTACK]), FORM, chunked=True) == blocked
        assert at.ask("GET", "/", headers={"User-Agent": "() { :; }; /bin/cat /etc/passwd"}) == blocked
        assert at.ask("OPTIONS", "*")[0] == 501, "the application knows no OPTIONS"
        assert at.covered("complete") == 7
        assert len(at.application.arrived) == 2, at.application.arrived


def http2():
    with setup(http2=True) as at:
        def curl(*arguments):
            command = ["curl", "-s", "--http2-prior-knowledge", "-o", "-", "-w", "\n%{http_code}", *arguments]
            return subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True).stdout
        url = "http://127.0.0.1:%d" % at.port
        assert curl(url + "/a?b=1") == b"application: 0 bytes\n200"
        assert curl(url + SQL.replace(" ", "%20")) == DEFAULT_BODY + b"\n403"
        assert curl("-d", ATTACK.decode(), url + "/") == DEFAULT_BODY + b"\n403"


def large_bodies():
    with setup() as at:
        text = b"x=" + b"a" * 300_000
        assert at.ask("POST", "/", text, FORM)[:2] == (200, b"application: 300002 bytes")
        assert at.covered("prefix") == 1
        assert at.ask("POST", "/", ATTACK + b"&" + text, FORM)[0] == 403, "the beginning is inspected"
        assert at.ask("POST", "/", iter([text[:100_000], text]), FORM, chunked=True)[0] == 200
        assert at.covered("prefix") == 3, "also where no length was announced"
        assert at.ask("POST", "/", text[:40_000] + b"&" + ATTACK, FORM)[0] == 403, "the buffer is larger"
        assert at.covered("complete") == 1


def fragments():
    with setup(frame=512) as at:
        text = b"x=" + b"a" * 20_000
        assert at.ask("POST", "/", text, FORM)[:2] == (200, b"application: 20002 bytes")
        assert at.ask("POST", "/", text + b"&" + ATTACK, FORM)[0] == 403
        assert at.covered("complete") == 2


def replies():
    with setup(config="""block_reply: {status: 451, body_json: '{"a": "%[src] \\\\"}', body_html: "<b>no</b>"}""") as at:
        assert at.ask("GET", SQL) == (451, b'{"a": "%[src] \\\\"}', "application/json")
    with setup(config="block_reply: {body_html: <b>no</b>}") as at:
        assert at.ask("GET", SQL, headers={"Accept": "text/html"}) == (403, b"<b>no</b>", "text/html; charset=utf-8")
    with setup(config="block_reply: {status: 302, headers: {location: https://example.com/no}}") as at:
        assert at.ask("GET", SQL)[0] == 302


def node_away():
    for fail_closed, away in ((False, 200), (True, 503)):
        with setup(fail_closed=fail_closed) as at:
            assert at.ask("GET", SQL)[0] == 403
            assert at.ask("GET", "/")[0] == 200
            at.node.stop()
            at.until(away, "GET", SQL)
            at.start_node()
            at.until(403, "GET", SQL)
            assert at.ask("GET", "/")[0] == 200


def wrong_key():
    for fail_closed, without in ((False, 200), (True, 503)):
        with setup(fail_closed=fail_closed, more=("connector.auth.keys=another-key-for-this",)) as at:
            assert at.ask("GET", SQL)[0] == without


def main():
    if not shutil.which("haproxy"):
        print("SKIPPED: haproxy is not installed\n0 passed, 0 failed, 1 skipped")
        return 0
    for test in (verdicts, http2, large_bodies, fragments, replies, node_away, wrong_key):
        try:
            test()
            passed.append(test.__name__)
            print("ok: HAProxy", test.__name__)
        except Exception:  # each test is reported, whatever went wrong
            failed.append(test.__name__)
            traceback.print_exc(file=sys.stdout)
            print("FAILED: HAProxy", test.__name__)
    print("%d passed, %d failed, 0 skipped" % (len(passed), len(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
