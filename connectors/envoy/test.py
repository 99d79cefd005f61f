"""Tests of Envoy's filters ext_proc and ext_authz: a real node behind the example configurations, before a real Envoy.

    WEIR_BIN=path PROXIES=directory test.py [PART...]

PROXIES is a directory with the program `envoy`. PART selects tests by a part of their name. Ends with a counting line."""
import os
import re
import select
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
RESPONSES = "response_body_mode: STREAMED"
passed, failed, skipped = [], [], []


class Setup:
    """An application, a node, and Envoy with an example configuration, in which `change` replaces texts."""

    def __init__(self, example, config="", change=()):
        self.folder = tempfile.mkdtemp(prefix="weir-envoy-")
        self.application = Application()
        self.node_port, self.port, self.metrics_port = free_port(), free_port(), free_port()
        self.config = config
        self.restart_node()
        with open(os.path.join(HERE, "examples", example)) as file:
            text = file.read()
        change = tuple(change) + (("port_value: 5000", "port_value: %d" % self.node_port),
                                  ("port_value: 8080", "port_value: %d" % self.application.server_address[1]),
                                  ("port_value: 8000", "port_value: %d" % self.port))
        for old, new in change:
            assert old in text or old == "port_value: 8080", "the example does not contain %r" % old
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

    def logs(self, text):
        """Waits until Envoy has written a text into its log."""
        end = time.monotonic() + WAIT_S
        while text not in self.log("envoy.log"):
            assert time.monotonic() < end, text
            time.sleep(0.05)

    def restart_node(self):
        metrics = ("metrics.enabled=true", "metrics.listen_address=127.0.0.1:%d" % self.metrics_port)
        self.node = node(self.folder, self.node_port, self.config, metrics)

    def metric(self, name, *labels):
        """Sum of the series of a metric with these labels."""
        text = ask(self.metrics_port, "GET", "/metrics")[1].decode()
        lines = [line for line in text.splitlines() if re.match(r"%s[{ ]" % name, line)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in labels))

    def becomes(self, value, name, *labels):
        end = time.monotonic() + WAIT_S
        while self.metric(name, *labels) != value:
            assert time.monotonic() < end, (name, labels, self.metric(name, *labels))
            time.sleep(0.05)

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


def raw(port, *pieces):
    """Sends pieces on a connection, calling those that are functions in between; returns status and body."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as sock:
        sock.settimeout(WAIT_S)
        for piece in pieces:
            if callable(piece):
                piece()
                # Envoy may have given up, and would reset the connection if more came.
                if select.select([sock], [], [], 0.5)[0]:
                    break
            else:
                sock.sendall(piece)
        got = b""
        while True:
            part = sock.recv(65536)
            got += part
            if not part:
                break
    head, _, body = got.partition(b"\r\n\r\n")
    return (int(head.split(b" ", 2)[1]) if head else 0), body


HEAD = b"POST /f HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def trailers(setup):
    before = len(setup.application.arrived)
    status, body = raw(setup.port, CHUNKED + b"3\r\nx=1\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert status == 200, (status, body)
    assert setup.application.arrived[before][2] == b"x=1"
    attack = b"3\r\nx=1\r\n0\r\nX-Sum: 1' UNION SELECT password FROM users-- x\r\n\r\n"
    before = len(setup.application.arrived)
    status, body = raw(setup.port, CHUNKED + attack)
    assert (status, body) == (403, DEFAULT_BODY), (status, body)
    assert len(setup.application.arrived) == before


def own_reply(modes, status):
    config = "block_reply: {status: %d, body_json: '{\"blocked\": true}', headers: {x-policy: legal}}\n" % status
    with modes.setup(config) as setup:
        headers = setup.blocks("GET", SQL, status=status, reply=b'{"blocked": true}')
        headers = {key.lower(): value for key, value in headers.items()}
        assert headers.get("x-policy") == "legal" and headers.get("content-type") == "application/json", headers
        assert setup.passes("GET", "/")


def metadata(modes):
    with modes.setup() as setup:
        setup.passes("GET", "/pass")
        setup.blocks("GET", SQL)
        setup.envoy.process.terminate()
        setup.envoy.process.wait()
        log = setup.log("envoy.log")
        assert re.search(r'GET /pass 200 weir={.*"verdict":"pass"', log), log[-2000:]
        assert re.search(r'GET /a\S+ 403 weir={.*"sqli".*"verdict":"block"', log), log[-2000:]


def streamed(setup):
    heads(setup)
    framings(setup)
    # The head is inspected before it goes on; of a body only the last piece waits for the verdict.
    before = len(setup.application.arrived)
    status, body, _ = setup.ask("POST", "/f", body=ATTACK, headers=FORM)
    assert (status, body) == (403, DEFAULT_BODY), (status, body)
    assert len(setup.application.arrived) == before, "the application had the whole request"


def not_sent(modes, change):
    """What Envoy does not send is a reason of its own."""
    with modes.setup("overlimit: {reasons: {not_sent: block}}\n", change) as setup:
        setup.passes("GET", "/")
        setup.blocks("POST", "/f", body=b"x=1", headers=FORM)
        setup.blocks("POST", "/f", body=iter([b"x=1"]), headers={**FORM, "Transfer-Encoding": "chunked"})


def mode_off(modes):
    """Envoy goes on alone once nothing is to be inspected any more."""
    with modes.setup("route_config: {wallarm_mode: 'off'}\n") as setup:
        framings(setup)
        setup.passes("GET", SQL)
        assert setup.ask("GET", LEAK)[:2] == (200, setup.application.leak)


def slow_client():
    """A client that takes longer than load.body_timeout: its body is inspected as far as it has arrived."""
    attack, rest = b"%x\r\n%s\r\n" % (len(ATTACK), ATTACK), b"4\r\n&z=1\r\n0\r\n\r\n"
    for config, first, want in (("", b"3\r\nx=1\r\n", 200), ("", attack, 403),
                                ("overlimit: {reasons: {not_sent: block}}\n", b"3\r\nx=1\r\n", 403)):
        with mode("FULL_DUPLEX_STREAMED").setup("load: {body_timeout: 500ms}\n" + config) as setup:
            before = len(setup.application.arrived)

            def wait():
                # Until the node has let the head go on or has answered.
                setup.becomes(1, "weir_http_connector_messages_processed_total")

            status, body = raw(setup.port, CHUNKED + first, wait, rest)
            assert status == want, (config, first, status, body[:200])
            assert [body for _, _, body in setup.application.arrived[before:]] == ([b"x=1&z=1"] if want == 200 else [])


def upgrades():
    """The head of an upgrade is inspected, and nothing is waited for."""
    change = (("use_remote_address: true", "use_remote_address: true\n                upgrade_configs: [{ upgrade_type: websocket }]"),)
    for name in ("FULL_DUPLEX_STREAMED", "STREAMED", "NONE"):
        with mode(name).setup(change=change) as setup:
            head = b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            with socket.create_connection(("127.0.0.1", setup.port), WAIT_S) as client:
                client.settimeout(WAIT_S)
                client.sendall(head % b"/ws")
                got = b""
                while not got.endswith(b"\r\n\r\n"):
                    part = client.recv(65536)
                    assert part, (name, got)
                    got += part
                assert got.startswith(b"HTTP/1.1 101"), (name, got)
                client.sendall(b"ping")
                got = client.recv(65536)
                assert got == b"ping", (name, got)
            status, body = raw(setup.port, head % SQL.encode())
            assert (status, body) == (403, DEFAULT_BODY), (name, status, body)


def grpc():
    """Calls of gRPC pass with their trailers, and a block is a status of gRPC. The application is the node's own service."""
    check = "/envoy.service.auth.v3.Authorization/Check"
    over_h2 = ("    - name: application\n      type: STATIC\n", """    - name: application
      type: STATIC
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
""")
    for modes in (*map(mode, MODES), AUTHZ):
        with modes.setup(change=(over_h2, ("port_value: 8080", "port_value: 5000"), )) as setup:
            def call(message):
                command = ["curl", "-sv", "-o", os.devnull, "--http2-prior-knowledge", "--max-time", str(WAIT_S), "-H",
                           "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-",
                           "http://127.0.0.1:%d%s" % (setup.port, check)]
                shown = subprocess.run(command, input=message, capture_output=True, timeout=WAIT_S + 5).stderr.decode()
                return re.findall(r"< HTTP/2 (\d+)", shown) + re.findall(r"< grpc-status: (\d+)", shown)

            # INVALID_ARGUMENT of the application: a check of nothing.
            assert call(frame(b"")) == ["200", "3"], call(frame(b""))
            text = b"1' UNION SELECT password FROM users-- x"
            attack = frame(b"\x0a" + bytes([len(text)]) + text)
            assert call(attack) == ["200", "7"], call(attack)


def beyond_the_buffer():
    """What Envoy does not keep in BUFFERED, it refuses itself."""
    small = (("per_connection_buffer_limit_bytes: 8388608", "per_connection_buffer_limit_bytes: 65536"),
             (RESPONSES, "response_body_mode: BUFFERED"))
    with mode("BUFFERED").setup(change=small) as setup:
        assert setup.ask("POST", "/f", body=b"z" * 1_000_000, headers=FORM)[0] == 413
        assert not setup.application.arrived
        assert setup.ask("GET", "/large")[0] == 500
        setup.passes("POST", "/f", body=b"x=1", headers=FORM)


def observed():
    """With observability_mode, Envoy waits for nothing, and copies are inspected."""
    change = (("failure_mode_allow: false", "failure_mode_allow: false\n                      observability_mode: true"),)
    with mode("STREAMED").setup(change=change) as setup:
        setup.passes("GET", SQL)
        assert setup.passes("POST", "/f", body=ATTACK, headers=FORM)[2] == ATTACK
        setup.becomes(2, "weir_http_inspector_threats_found_total", "sqli")


def abandoned():
    """Clients that go away in the middle of a body leave nothing behind."""
    config = "load: {max_buffered_bytes: 1MiB, max_concurrent_calls: 4}\n"
    with mode("FULL_DUPLEX_STREAMED").setup(config) as setup:
        for _ in range(3):
            clients = [socket.create_connection(("127.0.0.1", setup.port), WAIT_S) for _ in range(6)]
            for client in clients:
                client.sendall(HEAD + b"Content-Length: 400000\r\n\r\n" + b"y" * 60_000)
            end = time.monotonic() + WAIT_S
            while setup.metric("weir_http_connector_buffered_bytes") < 6 * 60_000:
                assert time.monotonic() < end, setup.metric("weir_http_connector_buffered_bytes")
                time.sleep(0.05)
            # Clients that are slow to send take no place among the calls.
            setup.passes("GET", "/")
            for client in clients:
                client.close()
            setup.becomes(0, "weir_http_connector_buffered_bytes")
        setup.passes("POST", "/f", body=b"x=1", headers=FORM)


def too_large(name, fail_open):
    """A message that is larger than the node accepts, or than it has memory for, is refused while it arrives."""
    limits = (("connector: {max_call_bytes: 1MiB}\n", 8), ("load: {max_buffered_bytes: 1MiB}\n", 14))
    for config, code in limits:
        with mode(name, fail_open).setup(config) as setup:
            if fail_open:
                assert len(setup.passes("POST", "/f", body=PADDED, headers=FORM)[2]) == len(PADDED)
            else:
                status, body, _ = setup.ask("POST", "/f", body=PADDED, headers=FORM)
                assert status == 500 and not setup.application.arrived, (config, status, body[:200])
            setup.logs("gRPC error on stream: %d" % code)
            setup.becomes(int(code == 14), "weir_http_connector_shed_total")
            setup.becomes(0, "weir_http_connector_buffered_bytes")
            setup.passes("POST", "/f", body=b"x=1", headers=FORM)
            setup.blocks("POST", "/f", body=ATTACK, headers=FORM)


def refused_while_it_arrives():
    """The node does not wait for the rest of a message for which it has no memory: its sender has not even sent it."""
    process = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
    with mode("BUFFERED").setup("load: {max_buffered_bytes: 1MiB}\n") as setup:
        command = ["curl", "-sv", "-o", os.devnull, "--http2-prior-knowledge", "--max-time", str(WAIT_S), "-H", "content-type: "
                   "application/grpc", "-H", "te: trailers", "-X", "POST", "-T", "-", "http://127.0.0.1:%d%s" % (setup.node_port, process)]
        # curl loses most responses that are followed by a reset, because the node did not read the rest of the call.
        for _ in range(100):
            with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as curl:
                try:
                    # 4 MB are announced, 2 MB are sent, and the stream stays open.
                    curl.stdin.write(b"\0" + (4_000_000).to_bytes(4, "big") + b"x" * 2_000_000)
                    curl.stdin.flush()
                    shown = b"".join(curl.stderr).decode()
                except BrokenPipeError:
                    shown = b"".join(curl.stderr).decode()
                finally:
                    curl.kill()
            if found := re.findall(r"< grpc-status: (\d+)", shown):
                break
        assert found == ["14"], shown[-2000:]
        setup.becomes(0, "weir_http_connector_buffered_bytes")
        setup.blocks("POST", "/f", body=ATTACK, headers=FORM)


def frame(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


def protocol_errors():
    """Calls that no Envoy makes end with a status, and the node serves the next one."""
    config = "connector: {max_call_bytes: 64KiB, auth: {keys: [0123456789abcdef]}}\n"
    line = '# - { key: authorization, value: "Bearer KEY" }'
    process, check = "/envoy.service.ext_proc.v3.ExternalProcessor/Process", "/envoy.service.auth.v3.Authorization/Check"
    key = "authorization: Bearer 0123456789abcdef"
    with mode("BUFFERED").setup(config, ((line, line[2:].replace("KEY", "0123456789abcdef")),)) as setup:
        def status(path, body, header=key):
            command = ["curl", "-sv", "-o", os.devnull, "--http2-prior-knowledge", "--max-time", str(WAIT_S), "-H", "content-type: "
                       "application/grpc", "-H", "te: trailers", "-H", header, "--data-binary", "@-",
                       "http://127.0.0.1:%d%s" % (setup.node_port, path)]
            # curl loses most responses that are followed by a reset, because the node did not read the rest of the call.
            for _ in range(100):
                shown = subprocess.run(command, input=body, capture_output=True, timeout=WAIT_S + 5).stderr.decode()
                if found := re.findall(r"< grpc-status: (\d+)", shown):
                    return int(found[0])
            raise AssertionError(shown)

        for path in (process, check):
            assert status(path, frame(b""), "x: y") == 16, "no key"
            assert status(path, frame(b"\xff" * 9)) in (3, 13), "not a message"
            assert status(path, b"\0" + b"\x7f\xff\xff\xff") in (8, 11), "longer than allowed"
            assert status(path, frame(b"")) == 3, "nothing in it"
        assert status(process, frame(b"x" * 200_000)) == 8, "too large"
        assert status(check, frame(b"x" * 200_000)) == 8, "too large"
        # A body before the headers, with the configuration of the protocol.
        assert status(process, frame(b"\x22\x03\x0a\x01x" + b"\x5a\x02\x08\x02")) == 3
        # Nothing at all is a stream that ends.
        assert status(process, b"") == 0
        setup.passes("GET", "/")
        setup.blocks("GET", SQL)


def never_open():
    """In full duplex Envoy does not keep what it has sent: it cannot go on without the node then."""
    killed(mode("FULL_DUPLEX_STREAMED", fail_open=True), False, "body")


def prefix(modes, change=(), node_limit=""):
    """A body beyond a limit: its beginning is inspected, and the cut is what policy makes of it."""
    with modes.setup(node_limit, change) as setup:
        assert len(setup.passes("POST", "/f", body=PADDED, headers=FORM)[2]) == len(PADDED)
        setup.blocks("POST", "/f", body=ATTACK + b"&y=" + b"z" * 2_000_000, headers=FORM)
    with modes.setup(node_limit + "overlimit: {reasons: {not_sent: block}}\n", change) as setup:
        setup.blocks("POST", "/f", body=PADDED, headers=FORM)
        setup.passes("POST", "/f", body=b"x=1", headers=FORM)


def node_gone(modes, is_open):
    with modes.setup() as setup:
        setup.passes("GET", "/")
        setup.node.stop()
        before = len(setup.application.arrived)
        for what, more in ((("GET", SQL), {}), (("POST", "/f"), {"body": ATTACK, "headers": FORM})):
            if is_open:
                setup.passes(*what, **more)
            else:
                status, body, _ = setup.ask(*what, **more)
                assert status >= 500, (status, body[:200])
                assert len(setup.application.arrived) == before
        setup.restart_node()
        end = time.monotonic() + WAIT_S
        while setup.ask("GET", SQL)[0] != 403:
            assert time.monotonic() < end, "it does not recover"
            time.sleep(0.2)
        setup.blocks("POST", "/f", body=ATTACK, headers=FORM)


def hangs(modes, is_open, before_what):
    """The node stops to answer: before the head, in the middle of the body, before the trailers."""
    with modes.setup() as setup:
        setup.passes("GET", "/")

        def stop():
            time.sleep(0.3)
            setup.node.process.send_signal(signal.SIGSTOP)

        first, second, end = b"3\r\nx=1\r\n", b"3\r\n&y=\r\n", b"0\r\nX-Sum: 1\r\n\r\n"
        pieces = {"head": (stop, CHUNKED + first + second + end),
                  "body": (CHUNKED + first, stop, second + end),
                  "trailers": (CHUNKED + first + second, stop, end)}[before_what]
        before = len(setup.application.arrived)
        try:
            status, body = raw(setup.port, *pieces)
        finally:
            setup.node.process.send_signal(signal.SIGCONT)
        if is_open:
            assert (status, setup.application.arrived[before][2]) == (200, b"x=1&y="), (status, body[:200])
        else:
            assert status >= 500, (status, body[:200])
            assert len(setup.application.arrived) == before
        end = time.monotonic() + WAIT_S
        while setup.ask("GET", SQL)[0] != 403:
            assert time.monotonic() < end, "it does not recover"
            time.sleep(0.2)


def killed(modes, is_open, before_what):
    """The node is killed in the middle of a request."""
    with modes.setup() as setup:
        setup.passes("GET", "/")

        def stop():
            time.sleep(0.3)
            setup.node.stop()

        first, second, end = b"3\r\nx=1\r\n", b"3\r\n&y=\r\n", b"0\r\nX-Sum: 1\r\n\r\n"
        pieces = {"head": (stop, CHUNKED + first + second + end),
                  "body": (CHUNKED + first, stop, second + end),
                  "trailers": (CHUNKED + first + second, stop, end)}[before_what]
        before = len(setup.application.arrived)
        status, body = raw(setup.port, *pieces)
        if is_open:
            assert (status, setup.application.arrived[before][2]) == (200, b"x=1&y="), (status, body[:200])
        else:
            assert status >= 500, (status, body[:200])
            assert len(setup.application.arrived) == before
        setup.restart_node()


def keys(modes):
    config = "connector: {auth: {keys: [0123456789abcdef]}}\n"
    line = '# - { key: authorization, value: "Bearer KEY" }'
    with modes.setup(config) as setup:
        assert setup.ask("GET", "/")[0] >= 500
    with modes.setup(config, ((line, line[2:].replace("KEY", "0123456789abcdef")),)) as setup:
        setup.passes("GET", "/")
        setup.blocks("GET", SQL)


def responses(response_mode, blocks):
    with mode("FULL_DUPLEX_STREAMED").setup(change=((RESPONSES, "response_body_mode: " + response_mode),
                                                    ("response_trailer_mode: SKIP", "response_trailer_mode: SEND"))) as setup:
        assert setup.passes("POST", "/f", body=b"x=1", headers=FORM)[2] == b"x=1"
        status, body, _ = setup.ask("GET", LEAK)
        if blocks:
            assert (status, body) == (403, DEFAULT_BODY), (status, body[:200])
        else:
            assert (status, body) == (200, setup.application.leak), (status, body[:200])
        status, body, _ = setup.ask("GET", "/large")
        assert (status, len(body)) == (200, 3_000_000), (status, len(body))


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
        run("ext_proc %s: trailers" % name, with_setup(mode(name), trailers))
    run("ext_proc STREAMED", with_setup(mode("STREAMED"), streamed))
    run("ext_authz: heads, framings, bodies", with_setup(AUTHZ, heads, framings, attacks_in_bodies))
    for label, modes in (("ext_proc", mode("FULL_DUPLEX_STREAMED")), ("ext_authz", AUTHZ)):
        for status in (404, 451):
            run("%s: reply with status %d" % (label, status), lambda: own_reply(modes, status))
        run("%s: metadata" % label, lambda: metadata(modes))
        run("%s: keys" % label, lambda: keys(modes))
        run("%s: node gone" % label, lambda: node_gone(modes, False))
    for name in MODES:
        run("ext_proc %s: mode off" % name, lambda: mode_off(mode(name)))
    run("ext_proc: body not sent", lambda: not_sent(mode("NONE"), ()))
    run("ext_authz: body not sent", lambda: not_sent(AUTHZ, ((", pack_as_bytes: true", ""), (
        "with_request_body: { max_request_bytes: 8388608, allow_partial_message: true }", "clear_route_cache: false"))))
    small = (("per_connection_buffer_limit_bytes: 8388608", "per_connection_buffer_limit_bytes: 65536"),)
    run("ext_proc BUFFERED_PARTIAL: prefix", lambda: prefix(FAIL_OPEN, small))
    run("ext_proc FULL_DUPLEX_STREAMED: prefix",
        lambda: prefix(mode("FULL_DUPLEX_STREAMED"), small, "connector: {max_call_bytes: 1MiB}\n"))
    run("ext_authz: prefix", lambda: prefix(AUTHZ, (("max_request_bytes: 8388608", "max_request_bytes: 65536"),)))
    run("ext_proc fail open: node gone", lambda: node_gone(FAIL_OPEN, True))
    for part in ("head", "body", "trailers"):
        for name in ("BUFFERED", "FULL_DUPLEX_STREAMED"):
            run("ext_proc %s: hangs before the %s" % (name, part), lambda: hangs(mode(name), False, part))
        run("ext_proc fail open: hangs before the %s" % part, lambda: hangs(FAIL_OPEN, True, part))
        run("ext_authz: hangs before the %s" % part, lambda: hangs(AUTHZ, False, part))
    for part in ("head", "body", "trailers"):
        for name in ("BUFFERED", "FULL_DUPLEX_STREAMED"):
            run("ext_proc %s: killed before the %s" % (name, part), lambda: killed(mode(name), False, part))
        run("ext_proc fail open: killed before the %s" % part, lambda: killed(FAIL_OPEN, True, part))
    run("ext_proc FULL_DUPLEX_STREAMED cannot fail open after a piece was sent", never_open)
    run("ext_proc observability mode", observed)
    run("ext_proc FULL_DUPLEX_STREAMED: slow client", slow_client)
    run("ext_proc: upgrades", upgrades)
    run("gRPC", grpc)
    run("ext_proc BUFFERED: beyond the buffer", beyond_the_buffer)
    run("ext_proc clients that go away", abandoned)
    run("ext_proc BUFFERED: too large for the node", lambda: too_large("BUFFERED", False))
    run("ext_proc BUFFERED_PARTIAL fail open: too large for the node", lambda: too_large("BUFFERED_PARTIAL", True))
    run("ext_proc: refused while it arrives", refused_while_it_arrives)
    run("errors of the protocol", protocol_errors)
    for name, blocks in (("NONE", False), ("STREAMED", False), ("BUFFERED", True), ("FULL_DUPLEX_STREAMED", True)):
        run("ext_proc: responses %s" % name, lambda: responses(name, blocks))
    print("%d passed, %d failed, %d skipped" % (len(passed), len(failed), len(skipped)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
