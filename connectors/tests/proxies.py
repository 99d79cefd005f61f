"""What the tests of proxies share: a real node, an application, processes."""
import http.client
import http.server
import os
import random
import socket
import subprocess
import threading
import time

WAIT_S = 30
DEFAULT_BODY = b'{"error": {"code": 403, "message": "request blocked"}}'
SQL = "/a?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20x"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def free_port():
    """Below the ports that the system gives out by itself: every connection of a test takes one of those."""
    while True:
        port = random.randrange(10000, 32768)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_port(port, process):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError("exited with %s" % process.returncode)
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nothing listens on port %d" % port)


class Application(http.server.ThreadingHTTPServer):
    """Answers each request with the size of its body, and keeps what arrived. `/leak` has what no response should have,
    `/large` 3 MB, and an upgrade echoes 4 bytes."""

    daemon_threads = True
    leak = b"Traceback (most recent call last):\n"

    def __init__(self):
        self.arrived = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while line := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(line)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        self.server.arrived.append((self.command, self.path, body))
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", self.headers["Upgrade"])
            self.end_headers()
            self.wfile.write(self.rfile.read(4))
            self.rfile.read(1)
            self.close_connection = True
            return
        answer = {"/leak": self.server.leak, "/large": b"l" * 3_000_000}.get(self.path, b"application: %d bytes" % len(body))
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = handle_one

    def log_message(self, *_):
        pass


class Process:
    def __init__(self, command, port, log, **more):
        self.log = open(log, "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, **more)
        wait_port(port, self.process)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def node(folder, port, config, settings=()):
    path = os.path.join(folder, "weir.yaml")
    with open(path, "w") as file:
        file.write(config)
    command = [os.environ["WEIR_BIN"], "processing", "--config", path]
    for setting in ("connector.address=127.0.0.1:%d" % port, "health_check.enabled=false", "metrics.enabled=false",
                    "events.enabled=false", "http_inspector.wallarm_process_time_limit=60s", "load.queue_timeout=60s"):
        command += ["--set", setting]
    for setting in settings:
        command += ["--set", setting]
    return Process(command, port, os.path.join(folder, "weir.log"))


def ask(port, method, target, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    chunked = "Transfer-Encoding" in (headers or {})
    connection.request(method, target, body, headers or {}, encode_chunked=chunked)
    answer = connection.getresponse()
    result = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return result
