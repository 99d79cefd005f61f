"""A small vulnerable service for scanners, with a gateway before it that asks the node, and what the service did.

Run confined, with arguments: the program of the node or "-" for none, a bound on requests, and the command line of the scanner,
in which {url} is the address. Writes /scratch/scan.json: requests, blocked requests, and effects on the service.
"""

import http.client
import http.server
import json
import pathlib
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse

import sql

SERVICE, NODE = 8301, 8302
SECONDS = 1500


class Database:
    """SQLite behind the statements that engines of tests/ground use."""

    def __init__(self):
        self.lock = threading.Lock()
        self.connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        for line in sql.SCHEMA:
            self.connection.execute(line)

    def ask(self, statement):
        with self.lock:
            timer = threading.Timer(20, self.connection.interrupt)
            timer.start()
            try:
                return repr(self.connection.execute(statement).fetchmany(100)), False
            except (sqlite3.Error, sqlite3.Warning, ValueError) as problem:
                return f"Error: {problem}", True
            finally:
                timer.cancel()


class Service:
    """Answers requests, and notes each effect that no user of the application has."""

    def __init__(self, node, most_requests):
        self.node, self.most_requests = node, most_requests
        self.database = Database()
        self.requests = self.blocked = 0
        self.effects = []

    def blocks(self, raw):
        """The verdict of the node on a request."""
        connection = http.client.HTTPConnection("127.0.0.1", NODE, timeout=90)
        headers = {"Content-Type": "message/http; msgtype=request", "Inspector-Request-Id": f"r{self.requests}", "Inspector-Client": "203.0.113.9:5000", "Inspector-Connector": "ground/1"}
        connection.request("POST", "/v1/requests", raw, headers)
        status = connection.getresponse().status
        if status not in (200, 204):
            raise RuntimeError(f"the node answered {status}")
        return status == 200

    def answer(self, path, form, headers):
        url = urllib.parse.urlsplit(path)
        values = {name: found[0] for name, found in (urllib.parse.parse_qs(url.query, keep_blank_values=True) | form).items()}
        cookie = dict(part.strip().split("=", 1) for part in headers.get("Cookie", "").split(";") if "=" in part)
        slots = {"/item": ("number", values.get("id")), "/search": ("LIKE", values.get("name")), "/login": ("login", values.get("login")), "/me": ("string", urllib.parse.unquote(cookie["user"]) if "user" in cookie else None), "/sorted": ("ORDER BY", values.get("by"))}
        if url.path == "/":
            links = '<a href="/item?id=1">item</a><a href="/search?name=a">search</a><a href="/sorted?by=id">sorted</a><a href="/hello?name=a">hello</a><a href="/file?name=a.txt">file</a><a href="/ping?host=a">ping</a>'
            return 200, links + '<form method=post action=/login><input name=login value=a><input name=password value=b></form>'
        if url.path == "/hello":
            if "<script" in values.get("name", "").lower() or "onerror=" in values.get("name", "").lower():
                self.effects.append("markup in the page: " + values["name"])
            return 200, f"<html><body>Hello {values.get('name', '')}</body></html>"
        if url.path == "/file":
            return self.file(values.get("name", ""))
        if url.path == "/ping":
            return self.ping(values.get("host", ""))
        context, value = slots.get(url.path, (None, None))
        if value is None:
            return 404, "not found"
        shown, failed = self.database.ask(sql.statement(context, value))
        if sql.SECRET in shown and sql.SECRET not in value or sql.HIDDEN in shown and sql.HIDDEN not in value:
            self.effects.append("secret or hidden row shown: " + value)
        return (500 if failed else 200), f"<html><body>{shown}</body></html>"

    def file(self, name):
        try:
            shown = pathlib.Path("/scratch/files/" + name).read_bytes()[:2000].decode("latin-1")
        except (OSError, ValueError):
            return 404, "no such file"
        if "root:x:0" in shown:
            self.effects.append("file shown: " + name)
        return 200, shown

    def ping(self, host):
        try:
            done = subprocess.run(["/bin/sh", "-c", f"echo pinging {host}"], capture_output=True, timeout=20, check=False, cwd="/tmp")
        except (subprocess.TimeoutExpired, ValueError):
            self.effects.append("delay: " + host)
            return 500, "timeout"
        shown = done.stdout[:2000].decode("latin-1")
        if "uid=" in shown or "root:x:0" in shown:
            self.effects.append("process: " + host)
        return 200, shown


def handler(service):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            service.requests += 1
            status, text = 503, "enough"
            if service.requests <= service.most_requests:
                raw = f"{self.command} {self.path} HTTP/1.1\r\n".encode("latin-1") + b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in self.headers.items()) + b"\r\n" + body
                if service.node and service.blocks(raw):
                    service.blocked += 1
                    status, text = 403, "blocked"
                else:
                    status, text = service.answer(self.path, urllib.parse.parse_qs(body.decode("latin-1"), keep_blank_values=True), self.headers)
            data = text.encode("utf-8", "replace")
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

        def log_message(self, *_):
            pass
    return Handler


def start_node(program):
    """The node alone, without Console, events or metrics, in mode block."""
    settings = [f"connector.address=127.0.0.1:{NODE}", "health_check.enabled=false", "metrics.enabled=false", "events.enabled=false", "http_inspector.wallarm_process_time_limit=60s", "load.queue_timeout=60s"]
    argv = [program, "processing"] + [part for setting in settings for part in ("--set", setting)]
    log = open("/scratch/node.log", "w")
    process = subprocess.Popen(argv, stdout=log, stderr=log, cwd="/scratch")
    for _ in range(600):
        try:
            http.client.HTTPConnection("127.0.0.1", NODE, timeout=1).connect()
            return process
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the node did not start: " + pathlib.Path("/scratch/node.log").read_text()[-2000:])


def main():
    program, most_requests, scanner = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    pathlib.Path("/scratch/files").mkdir(exist_ok=True)
    pathlib.Path("/scratch/files/a.txt").write_text("public")
    node = None if program == "-" else start_node(program)
    service = Service(node, most_requests)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", SERVICE), handler(service))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{SERVICE}"
    try:
        done = subprocess.run([part.replace("{url}", url) for part in scanner], capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
        output = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode("utf-8", "replace") + "\ntime is over"
    if sql.SECRET in output:
        # What is inferred bit by bit shows nowhere else.
        service.effects.append("the scanner printed the secret")
    if node:
        node.terminate()
    found = {"requests": service.requests, "blocked": service.blocked, "effects": service.effects[:200], "output": output[-6000:]}
    pathlib.Path("/scratch/scan.json").write_text(json.dumps(found))


main()
