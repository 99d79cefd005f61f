"""Tests of the in-process library in nginx's worker, with the example's configuration.

    WEIR_FFI=path/of/libweir_ffi.so test.py

Needs nginx with the Lua module. Ends with a counting line."""
import base64
import json
import os
import shutil
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests"))
from harness import modules_dir, nginx_binary  # noqa: E402
from proxies import DEFAULT_BODY, FORM, SQL, WAIT_S, Application, Process, ask, free_port  # noqa: E402

passed, failed = [], []
ATTACK = b"id=1' UNION SELECT password FROM users-- x"


class Setup:
    """nginx with the library before an application."""

    def __init__(self, policy="", options=""):
        self.folder = tempfile.mkdtemp(prefix="weir-ffi-")
        os.chmod(self.folder, 0o755)
        self.application, self.port = Application(), free_port()
        self.policy(policy)
        with open(os.path.join(HERE, "nginx.conf")) as file:
            text = file.read()
        for old, new in (("modules/", modules_dir() + "/"), ("/opt/weir/openresty/ffi", HERE), ("127.0.0.1:9000", "127.0.0.1:%d" %
                         self.application.server_address[1]), ("/opt/weir/libweir_ffi.so", os.path.abspath(os.environ["WEIR_FFI"])),
                         ("/etc/weir/policy.yaml", self.path("policy.yaml")), ("/var/log/weir-hits.ndjson", self.path("hits.ndjson")), ("listen 8080;", "listen 127.0.0.1:%d;" % self.port),
                         ("on_hit =", options + "on_hit ="), ("http {\n", "http {\n    access_log off; client_max_body_size 20m;\n" + "".join(
                             "    %s_temp_path %s/%s;\n" % (kind, self.folder, kind)
                             for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")))):
            assert old in text, old
            text = text.replace(old, new)
        with open(self.path("nginx.conf"), "w") as file:
            file.write("daemon off;\nworker_processes 1;\npid %s;\nerror_log %s warn;\n%s" % (
                self.path("nginx.pid"), self.path("error.log"), text))
        command = [nginx_binary(), "-p", self.folder, "-c", self.path("nginx.conf"), "-e", self.path("error.log")]
        self.nginx = Process(command, self.port, self.path("output.log"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def policy(self, text):
        with open(self.path("new.yaml"), "w") as file:
            file.write(text)
        os.chmod(self.path("new.yaml"), 0o644)
        os.rename(self.path("new.yaml"), self.path("policy.yaml"))

    def hits(self):
        with open(self.path("hits.ndjson")) as file:
            return [json.loads(line) for line in file]

    def log(self):
        with open(self.path("error.log"), errors="replace") as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        # The workers end with their master.
        self.nginx.process.terminate()
        self.nginx.process.wait(WAIT_S)
        self.nginx.stop()
        self.application.shutdown()
        if kind:
            print(self.log()[-3000:])
        shutil.rmtree(self.folder, ignore_errors=True)

    def passes(self, *what, **more):
        before = len(self.application.arrived)
        status, body, _ = ask(self.port, *what, **more)
        assert status == 200 and body.startswith(b"application"), (what[:2], status, body[:200])
        return self.application.arrived[before]

    def blocks(self, *what, status=403, reply=DEFAULT_BODY, **more):
        before = len(self.application.arrived)
        got, body, headers = ask(self.port, *what, **more)
        assert (got, body) == (status, reply), (what[:2], got, body[:200])
        assert headers["Content-Type"] == "application/json", headers
        assert len(self.application.arrived) == before, "a blocked request reached the application"
        return headers

    def until(self, what, check):
        end = time.monotonic() + WAIT_S
        while not check():
            assert time.monotonic() < end, what
            time.sleep(0.05)


def verdicts():
    with Setup() as setup:
        assert setup.passes("GET", "/a?b=%31&c=d+e")[:2] == ("GET", "/a?b=%31&c=d+e")
        setup.blocks("GET", "/etc/passwd")
        setup.blocks("GET", "/?file=/etc/passwd")
        setup.blocks("GET", SQL)
        setup.blocks("GET", "/", headers={"Cookie": "a=1' UNION SELECT password FROM users-- x"})
        assert setup.passes("POST", "/f", body=b"x=1&y=2", headers=FORM)[2] == b"x=1&y=2"
        setup.blocks("POST", "/f", body=ATTACK, headers=FORM)
        setup.blocks("POST", "/f", body=iter([ATTACK[:9], ATTACK[9:]]), headers={**FORM, "Transfer-Encoding": "chunked"})
        assert "no verdict" not in setup.log()


def bodies_beyond_the_cap():
    long = b"y=" + b"z" * 200_000 + b"&"
    with Setup() as setup:
        setup.blocks("POST", "/f", body=ATTACK + b"&" + long, headers=FORM)
        assert setup.passes("POST", "/f", body=long + ATTACK, headers=FORM)[2] == long + ATTACK
        assert [hit["attacks"] for hit in setup.hits()][1:] == [["overlimit_res"]], setup.hits()
    with Setup(options="max_body = 1048576, time_limit_ms = 1000, ") as setup:
        setup.blocks("POST", "/f", body=long + ATTACK, headers=FORM)


def records_are_masked():
    with Setup() as setup:
        setup.blocks("GET", SQL + "&password=hunter2hunter", headers={"Cookie": "sid=topsecretcookie"})
        [hit] = setup.hits()
        assert hit["attacks"] == ["sqli"] and hit["client"]["ip"] == "127.0.0.1" and hit["request_id"], hit
        for secret in ("hunter2hunter", "topsecretcookie"):
            assert secret not in json.dumps(hit) and secret.encode() not in base64.b64decode(hit["request"]["raw"]), hit


def policies_are_reloaded():
    with Setup() as setup:
        setup.blocks("GET", SQL)
        setup.policy("mode: monitoring\n")
        setup.until("the new policy is used", lambda: ask(setup.port, "GET", SQL)[0] == 200)
        setup.policy("mode: nonsense\n")
        setup.until("the mistake is in the log", lambda: "the policy stays as it was: policy:1:7" in setup.log())
        setup.passes("GET", SQL)
        setup.policy("ip_lists: [{list: deny, values: [127.0.0.1]}]\n")
        setup.until("the next policy is used", lambda: ask(setup.port, "GET", "/")[0] == 403)


def run(check):
    try:
        check()
        passed.append(check.__name__)
        print("ok: in process: " + check.__name__, flush=True)
    except Exception:
        failed.append(check.__name__)
        print("FAILED: in process: %s\n%s" % (check.__name__, traceback.format_exc()), flush=True)


def main():
    for check in (verdicts, bodies_beyond_the_cap, records_are_masked, policies_are_reloaded):
        run(check)
    print("%d passed, %d failed, 0 skipped" % (len(passed), len(failed)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
