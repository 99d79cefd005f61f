"""Tests of Envoy's filters ext_proc and ext_authz: a real node behind the example configurations, before a real Envoy.

    WEIR_BIN=path PROXIES=directory test.py [PART...]

PROXIES is a directory with the program `envoy`. PART selects tests by a part of their name. Ends with a counting line."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests"))
from proxies import DEFAULT_BODY, FORM, SQL, WAIT_S, Application, Process, ask, free_port, node  # noqa: E402

ATTACK = b"x=1&id=1' UNION SELECT password FROM users-- x"
PADDED = b"y=" + b"z" * 2_000_000 + b"&" + ATTACK
LEAK = "/leak"
# Body modes of ext_proc in which nothing goes on before the verdict.
HELD = ("BUFFERED", "BUFFERED_PARTIAL", "FULL_DUPLEX_STREAMED")
MODES = HELD + ("STREAMED",)
passed, failed, skipped = [], [], []


class Setup:
    """An application, a node, and Envoy with an example configuration, in which `change` replaces texts."""

    def __init__(self, example, config="", change=()):
        self.folder = tempfile.mkdtemp(prefix="weir-envoy-")
        self.application = Application()
        self.node_port, self.port = free_port(), free_port()
        self.config = config
        self.node = node(self.folder, self.node_port, config)
        with open(os.path.join(HERE, "examples", example)) as file:
            text = file.read()
        change = tuple(change) + (("port_value: 5000", "port_value: %d" % self.node_port),
                                  ("port_value: 8080", "port_value: %d" % self.application.server_address[1]),
                                  ("port_value: 8000", "port_value: %d" % self.port))
        for old, new in change:
            assert old in text, "the example does not contain %r" % old
            text = text.replace(old, new)
        path = os.path.join(self.folder, "envoy.yaml")
        with open(path, "w") as file:
            file.write(text)
        command = [os.path.join(os.environ["PROXIES"], "envoy"), "-c", path, "--concurrency", "1", "--disable-hot-restart",
                   "-l", os.environ.get("ENVOY_LOG", "warning")]
        self.envoy = Process(command, self.port, os.path.join(self.folder, "envoy.log"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.envoy.stop()
        self.node.stop()
        self.application.shutdown()
        if kind:
            for name in ("weir.log", "envoy.log"):
                print("--- %s\n%s" % (name, self.log(name)[-3000:]))
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, name):
        with open(os.path.join(self.folder, name), errors="replace") as file:
            return file.read()

    def restart_node(self):
        self.node = node(self.folder, self.node_port, self.config)

    def ask(self, *what, **more):
        return ask(self.port, *what, **more)

    def passes(self, *what, **more):
        before = len(self.application.arrived)
        status, body, _ = self.ask(*what, **more)
        assert status == 200 and body.startswith(b"application"), (what[:2], status, body[:200])
        return self.application.arrived[before]

    def blocks(self, *what, status=403, reply=DEFAULT_BODY, **more):
        before = len(self.application.arrived)
        got, body, headers = self.ask(*what, **more)
        assert (got, body) == (status, reply), (what[:2], got, body[:200])
        assert len(self.application.arrived) == before, "a blocked request reached the application"
        return headers

    def http2(self, target, body=None, chunks=False, attack=False):
        """The same over HTTP/2: without Content-Length if `chunks`."""
        command = ["curl", "-s", "-o", "-", "-w", "\n%{http_code}", "--http2-prior-knowledge", "--max-time", str(WAIT_S),
                   "http://127.0.0.1:%d%s" % (self.port, target)]
        if body is not None:
            command += ["-X", "POST", "-H", "Content-Type: " + FORM["Content-Type"], "-H", "Expect:"]
            command += ["-T", "-"] if chunks else ["--data-binary", "@-"]
        before = len(self.application.arrived)
        out = subprocess.run(command, input=body or b"", capture_output=True, timeout=WAIT_S + 5).stdout
        text, status = out.rsplit(b"\n", 1)
        if attack:
            assert (status, text) == (b"403", DEFAULT_BODY), (target, status, text[:200])
            assert len(self.application.arrived) == before, "a blocked request reached the application"
            return None
        assert status == b"200", (target, status, text[:200])
        return self.application.arrived[before]


def mode(name, fail_open=False):
    """ext_proc with a mode of request bodies."""
    allow = "true" if fail_open else "false"
    return Modes("ext-proc.yaml", (("request_body_mode: FULL_DUPLEX_STREAMED", "request_body_mode: " + name),
                                   ("failure_mode_allow: false", "failure_mode_allow: " + allow)))


class Modes:
    def __init__(self, example, change):
        self.example, self.change = example, change

    def setup(self, config="", change=()):
        return Setup(self.example, config, self.change + tuple(change))


AUTHZ = Modes("ext-authz.yaml", ())
FAIL_OPEN = Modes("ext-proc-fail-open.yaml", ())


def heads(setup):
    assert setup.passes("GET", "/a?b=%31&c=d+e")[:2] == ("GET", "/a?b=%31&c=d+e")
    setup.blocks("GET", "/etc/passwd")
    setup.blocks("GET", SQL)
    setup.blocks("POST", SQL, body=b"x=1", headers=FORM)
    setup.blocks("GET", "/", headers={"User-Agent": "() { :;}; /bin/cat /etc/passwd"})
    setup.blocks("GET", "/", headers={"Cookie": "a=1' UNION SELECT password FROM users-- x"})
    setup.http2(SQL, attack=True)
    assert setup.http2("/a?b=1")[:2] == ("GET", "/a?b=1")


def framings(setup):
    chunked = {**FORM, "Transfer-Encoding": "chunked"}
    for body in (b"x=1&y=2", b"", b"y=" + b"z" * 2_000_000):
        assert setup.passes("POST", "/f", body=body, headers=FORM)[2] == body
        assert setup.passes("POST", "/f", body=iter([body[:3], body[3:]] if body else []), headers=chunked)[2] == body
        assert setup.http2("/f", body=body)[2] == body
        assert setup.http2("/f", body=body, chunks=True)[2] == body


def attacks_in_bodies(setup):
    chunked = {**FORM, "Transfer-Encoding": "chunked"}
    for body in (ATTACK, PADDED):
        setup.blocks("POST", "/f", body=body, headers=FORM)
        setup.blocks("POST", "/f", body=iter([body[:9], body[9:]]), headers=chunked)
        setup.http2("/f", body=body, attack=True)
        setup.http2("/f", body=body, chunks=True, attack=True)


def run(label, check):
    if len(sys.argv) > 1 and not any(part in label for part in sys.argv[1:]):
        return
    try:
        check()
        passed.append(label)
        print("ok: " + label, flush=True)
    except Exception:
        failed.append(label)
        print("FAILED: %s\n%s" % (label, traceback.format_exc()), flush=True)


def with_setup(modes, *checks):
    def check():
        with modes.setup() as setup:
            for one in checks:
                one(setup)
    return check


def main():
    for name in HELD:
        run("ext_proc %s: heads, framings, bodies" % name, with_setup(mode(name), heads, framings, attacks_in_bodies))
    run("ext_authz: heads, framings, bodies", with_setup(AUTHZ, heads, framings, attacks_in_bodies))
    print("%d passed, %d failed, %d skipped" % (len(passed), len(failed), len(skipped)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
