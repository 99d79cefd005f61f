"""Parts of the end-to-end tests: a node that parses the contract strictly and
can misbehave on demand, an upstream that keeps what it got, an nginx, clients."""
import base64
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from proxies import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
CONNECTORS = os.path.dirname(HERE)
# Substrings of the raw bytes that make the scripted node block.
MARKERS = (b"/etc/passwd", b"' UNION SELECT password FROM users--")
DEFAULT_BODY = b'{"error": {"code": 403, "message": "request blocked"}}'
# Longest wait for anything that must happen; generous, for a machine that has other work.
WAIT_S = 60
# How long a faulty node keeps silent. Far above every budget under test, so that an answer within half of it
# proves that the budget ended the wait, however slow the machine is.
SILENCE_S = 40
# How long a slow node takes that still answers.
LATE_S = 0.2


def free_ports(count):
    ports = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


def wait_port(port, seconds=WAIT_S):
    end = time.time() + seconds
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return True
        except OSError:
            time.sleep(0.03)
    return False


def wait_for(check, seconds=WAIT_S):
    end = time.time() + seconds
    while time.time() < end:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    return check()


class Stream:
    """Buffered reads from a socket."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def more(self):
        data = self.sock.recv(262144)
        if not data:
            raise EOFError
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(mark, 1)
        return head + mark

    def exactly(self, count):
        parts, have = [self.buffer], len(self.buffer)
        self.buffer = b""
        while have < count:
            data = self.sock.recv(262144)
            if not data:
                raise EOFError
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.buffer = whole[count:]
        return whole[:count]

    def chunked(self):
        body = b""
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
            if size == 0:
                return body


class Rest(Stream):
    """The same on bytes that are all there."""

    def __init__(self, data):
        self.sock, self.buffer = None, data

    def more(self):
        raise ValueError("the content ended early")


class Server:
    def __init__(self, port=0, address="127.0.0.1", path=None):
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(path or (address, port))
        if path:
            # nginx workers run under another user.
            os.chmod(path, 0o777)
        self.listener.listen(512)
        self.port = None if path else self.listener.getsockname()[1]
        self.connections = 0
        self.open = set()
        self.stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.port:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self.open.add(sock)
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        try:
            self.serve(sock)
        except (EOFError, OSError):
            pass
        finally:
            self.open.discard(sock)
            sock.close()

    def drop_connections(self):
        for sock in list(self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.stopped = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.drop_connections()


class Upstream(Server):
    """Keeps the exact bytes of each request under its X-Case header."""

    def __init__(self):
        self.seen = {}
        self.partial = {}
        # Set by the test that has read the first event of a stream.
        self.first_event_read = threading.Event()
        super().__init__()

    def serve(self, sock):
        stream = Stream(sock)
        while True:
            head = stream.until(b"\r\n\r\n")
            case = re.search(rb"\r\nx-case: ([^\r]+)", head, re.I)
            case = case.group(1).decode() if case else "-"
            if re.search(rb"\r\nupgrade: websocket", head, re.I):
                sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             b"Connection: Upgrade\r\n\r\n")
                while True:
                    if not stream.buffer:
                        stream.more()
                    sock.sendall(b"echo:" + stream.buffer)
                    stream.buffer = b""
            if b"/sse" in head.split(b"\r\n")[0]:
                self.seen[case] = (head, b"")
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                             b"Connection: close\r\n\r\ndata: one\n\n")
                self.first_event_read.wait(WAIT_S)
                sock.sendall(b"data: two\n\n")
                return
            length = re.search(rb"\r\ncontent-length: (\d+)", head, re.I)
            if re.search(rb"\r\ntransfer-encoding: chunked", head, re.I):
                body = b""
                while True:
                    size = int(stream.until(b"\r\n").split(b";")[0], 16)
                    body += stream.exactly(size)
                    stream.exactly(2)
                    self.partial[case] = body
                    if size == 0:
                        break
            elif length:
                body = stream.exactly(int(length.group(1)))
            else:
                body = b""
            self.seen[case] = (head, body)
            if b"/leak" in head.split(b"\r\n")[0]:
                answer = gzip.compress(b"leaking page")
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
                             b"ETag: \"1\"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nVary: Cookie\r\n"
                             b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nCache-Control: public\r\n"
                             b"Expires: Mon, 01 Jan 2035 00:00:00 GMT\r\nAccept-Ranges: bytes\r\nX-Own: 1\r\n"
                             b"X-Found: /etc/passwd\r\nServer: upstream/1\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
                continue
            answer = b"upstream ok"
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Up: a\r\nX-Up: b\r\n"
                         b"Content-Length: %d\r\n\r\n" % len(answer)
                         + (b"" if head.startswith(b"HEAD") else answer))


OUTER = {
    "host", "content-type", "content-length", "inspector-request-id", "inspector-client",
    "inspector-peer", "inspector-connector", "inspector-scheme", "inspector-protocol",
    "inspector-head", "inspector-framing", "inspector-body", "inspector-blocking",
    "inspector-attempt", "inspector-service", "inspector-route", "inspector-application",
    "inspector-context", "inspector-consumer", "inspector-deadline", "inspector-call-id", "traceparent", "authorization",
}
GRAMMAR = {
    "inspector-request-id": r"[A-Za-z0-9_-]{1,64}",
    "inspector-client": r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\])(:\d{1,5})?",
    "inspector-peer": r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\])(:\d{1,5})?",
    "inspector-connector": r"[a-z-]+/\d+\.\d+\.\d+",
    "inspector-scheme": r"https?",
    "inspector-protocol": r"HTTP/\d\.\d",
    "inspector-head": r"raw|rebuilt",
    "inspector-framing": r"raw|decoded",
    "inspector-body": r"complete|prefix; sent=\d+; total=(\d+|unknown)"
                      r"|unread; reason=(stream|upgrade|too_large|error)",
    "inspector-blocking": r"true|false",
    "inspector-attempt": r"2",
    "inspector-deadline": r"[1-9]\d{0,4}",
    "inspector-call-id": r"[A-Za-z0-9_-]{8,40}",
    "traceparent": r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}",
}


class Call:
    pass


class Answers:
    """A connection whose answers name the call to which they belong."""

    def __init__(self, sock, call):
        self.sock, self.recv = sock, sock.recv
        self.line = b"\r\ninspector-call-id: " + call.headers["inspector-call-id"].encode()

    def sendall(self, data):
        status, rest = data.split(b"\r\n", 1) if data.startswith(b"HTTP/1.1 ") and b"\r\n" in data else (None, data)
        self.sock.sendall(rest if status is None else status + self.line + b"\r\n" + rest)


class Node(Server):
    """The scripted node. A request whose inner head carries `X-Fault: NAME` gets
    that fault; `fault` sets one for every call."""

    def __init__(self, port=0, key=None, address="127.0.0.1", path=None):
        self.calls, self.violations, self.coverage = [], [], []
        # Inspector-Response on answers about requests; numbers of copies in the calls that carried many.
        self.wishes, self.batches = None, []
        # Whether it is of a version that takes batches, and how many it has refused.
        self.knows_batches, self.refused_batches = True, 0
        self.slow_copies = False
        # Whether it is of a version whose answers name the call to which they belong.
        self.names_calls = True
        # By connection: what it will send before its next answer.
        self.owed = {}
        # Statuses of the copies of a batch by their position, where they are not 202.
        self.statuses = {}
        self.fault, self.key = None, key
        self.lock = threading.Lock()
        super().__init__(port, address, path)

    def by_case(self, case, path="/v1/requests"):
        return [c for c in list(self.calls) if c.case == case and c.path == path]

    def violation(self, text):
        self.violations.append(text)
        raise ValueError(text)

    def parse(self, stream):
        head = stream.until(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        call = Call()
        match = re.fullmatch(rb"POST (/v1/(?:requests|responses|coverage)) HTTP/1\.1", lines[0])
        if not match:
            self.violation("request line %r" % lines[0])
        call.path, call.headers = match.group(1).decode(), self.headers(lines[1:])
        call.content = stream.exactly(int(call.headers.get("content-length", "0")))
        call.at, call.case, call.fault = time.time(), None, self.fault
        if call.path == "/v1/coverage":
            self.coverage.append(json.loads(call.content))
        elif call.headers.get("content-type") == "application/http; msgtype=request":
            call.copies = self.copies(call)
        else:
            self.inner(call)
        return call

    def copies(self, call):
        """The copies that a call carries, each with the headers that it shares."""
        if call.path != "/v1/responses":
            self.violation("a batch on " + call.path)
        stream, found = Rest(call.content), []
        while stream.buffer:
            head = stream.until(b"\r\n\r\n")[:-4].split(b"\r\n")
            if head[0] != b"POST /v1/responses HTTP/1.1":
                self.violation("start of a copy %r" % head[0])
            copy = Call()
            copy.path, copy.at, copy.fault = call.path, call.at, None
            copy.headers = dict(self.headers(head[1:]), **{
                "content-type": "message/http; msgtype=response",
                "inspector-connector": call.headers["inspector-connector"]})
            copy.content = stream.exactly(int(copy.headers["content-length"]))
            self.inner(copy)
            found.append(copy)
        return found

    def headers(self, lines):
        headers = {}
        for line in lines:
            match = re.fullmatch(rb"([A-Za-z-]+): ([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)", line)
            if not match:
                self.violation("header line %r" % line)
            name, value = match.group(1).decode().lower(), match.group(2).decode()
            if name in headers or name not in OUTER:
                self.violation("header %r" % line)
            if name in GRAMMAR and not re.fullmatch(GRAMMAR[name], value):
                self.violation("value %r" % line)
            headers[name] = value
        return headers

    def inner(self, call):
        for name in ("inspector-request-id", "inspector-client", "inspector-connector"):
            if name not in call.headers:
                self.violation("missing " + name)
        deadline = call.headers.get("inspector-deadline")
        call.deadline = deadline and int(deadline)
        # The connector waits for verdicts only, not for what it calls a copy.
        waits = call.headers.get("inspector-blocking") != "false"
        if waits != (deadline is not None) or (call.deadline or 0) > 60000:
            self.violation("inspector-deadline %r on %s" % (deadline, call.path))
        kind = call.path[4:-1]
        if call.headers.get("content-type") != "message/http; msgtype=" + kind:
            self.violation("content-type %r" % call.headers.get("content-type"))
        end = re.search(rb"\n\r?\n", call.content)
        if not end:
            self.violation("inner head without end %r" % call.content[:300])
        call.head, call.body = call.content[:end.end()], call.content[end.end():]
        start = rb"[^ ]+ [^ ]+ HTTP/\d\.\d\r?\n" if kind == "request" else rb"HTTP/\d\.\d \d{3} [^\r\n]*\r\n"
        if not re.match(start, call.head):
            self.violation("inner start %r" % call.head[:80])
        extent = call.headers.get("inspector-body", "complete")
        sent = re.search(r"sent=(\d+)", extent)
        if sent and int(sent.group(1)) != len(call.body):
            self.violation("sent=%s but %d bytes" % (sent.group(1), len(call.body)))
        if extent.startswith("unread") and call.body:
            self.violation("unread with a body")
        case = re.search(rb"\r\nx-case: ([^\r]+)", call.head, re.I)
        call.case = case.group(1).decode() if case else None
        fault = re.search(rb"\r\nx-fault: ([^\r]+)", call.head, re.I)
        if fault:
            call.fault = fault.group(1).decode()

    def serve(self, sock):
        stream = Stream(sock)
        served = 0
        while True:
            try:
                call = self.parse(stream)
            except ValueError:
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            served += 1
            if hasattr(call, "copies") and not self.knows_batches:
                self.refused_batches += 1
                problem = b'{"type":"urn:weir:problem:content-type"}'
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n"
                             b"Content-Length: %d\r\n\r\n" % len(problem) + problem)
                continue
            if hasattr(call, "copies"):
                self.calls += call.copies
                self.batches.append(len(call.copies))
            else:
                self.calls.append(call)
            if not self.answer(sock, call, served):
                return

    def answer(self, plain, call, served):
        fault = call.fault or ""
        sock = Answers(plain, call) if self.names_calls else plain
        stale = self.owed.pop(plain, None)
        if stale:
            plain.sendall(stale)
        if fault == "again":
            # Sends its answer to this call again when the next call has arrived.
            self.owed[plain] = b"HTTP/1.1 204 No Content\r\nInspector-Verdict: pass%s\r\n\r\n" % sock.line
        elif fault == "again-unnamed":
            self.owed[plain] = b"HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\n\r\n"
        if call.path == "/v1/coverage":
            sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True
        if self.key and call.headers.get("authorization") != "Bearer " + self.key:
            sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return True
        if fault == "die":
            return False
        if fault == "die-reused" and served > 1:
            return False
        if fault == "late-die-reused" and served > 1:
            time.sleep(LATE_S)
            return False
        if fault == "late":
            time.sleep(LATE_S)
        if self.slow_copies and call.path == "/v1/responses":
            time.sleep(LATE_S)
        if fault in ("slow", "hang"):
            time.sleep(SILENCE_S)
            return fault == "slow"
        if fault == "hang-half":
            sock.sendall(b"HTTP/1.1 204 No Content\r\nInspector-Ver")
            time.sleep(SILENCE_S)
            return False
        if fault == "half-close":
            sock.sendall(b"HTTP/1.1 204 No Content\r\nInspector-Ver")
            return False
        if fault == "drip":
            for byte in b"HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\n\r\n":
                sock.sendall(bytes([byte]))
                time.sleep(SILENCE_S / 50)
            return True
        if fault == "body-of-204":
            # Announces a body where there is none, and sends it once the connection is used again.
            forged = b"HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\n\r\n"
            sock.sendall(b"HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\nContent-Length: %d\r\n\r\n" % len(forged))
            if sock.recv(1):
                sock.sendall(forged)
            return False
        if fault == "garbage":
            sock.sendall(os.urandom(64) + b"\r\n\r\n")
            return False
        if fault == "endless":
            try:
                while True:
                    sock.sendall(b"X-Filler: " + b"a" * 4000 + b"\r\n")
            except OSError:
                return False
        canned = {
            "500": b"HTTP/1.1 500 Oops\r\nContent-Length: 15\r\n\r\nsecret-internal",
            "502": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            "503": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            "shed": b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
            "400": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            "408": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
            "401": b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
            "proxy-403": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "200-none": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "204-none": b"HTTP/1.1 204 No Content\r\n\r\n",
            "200-pass": b"HTTP/1.1 200 OK\r\nInspector-Verdict: pass\r\nContent-Length: 0\r\n\r\n",
            "204-block": b"HTTP/1.1 204 No Content\r\nInspector-Verdict: block\r\n\r\n",
            "twice": b"HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\nInspector-Verdict: block\r\n\r\n",
            "302": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "100": b"HTTP/1.1 100 Continue\r\n\r\n",
            "block-empty": b"HTTP/1.1 200 OK\r\nInspector-Verdict: block\r\nContent-Length: 0\r\n\r\n",
            "block-junk": b"HTTP/1.1 200 OK\r\nInspector-Verdict: block\r\nContent-Length: 4\r\n\r\n{{{{",
        }
        if fault in canned:
            sock.sendall(canned[fault])
            return True
        if fault == "block-half":
            sock.sendall(b"HTTP/1.1 200 OK\r\nInspector-Verdict: block\r\nContent-Length: 400\r\n\r\n{\"verd")
            time.sleep(SILENCE_S)
            return False
        if fault == "413-body" and call.body or fault == "413":
            sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            return True

        if hasattr(call, "copies"):
            listed = [{"status": self.statuses.get(n, 202)} for n in range(len(call.copies))]
            text = json.dumps({"results": listed}).encode()
            sock.sendall(b"HTTP/1.1 202 Accepted\r\nInspector-Verdict: accepted\r\n"
                         b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            return True
        context = b"Inspector-Context: ctx-%s\r\n" % call.headers["inspector-request-id"].encode()
        if self.wishes and call.path == "/v1/requests":
            context += b"Inspector-Response: %s\r\n" % self.wishes
        if call.headers.get("inspector-blocking") == "false":
            sock.sendall(b"HTTP/1.1 202 Accepted\r\nInspector-Verdict: accepted\r\n" + context
                         + b"Content-Length: 0\r\n\r\n")
            return True
        attacked = any(marker in call.content for marker in MARKERS)
        if attacked and fault == "monitoring":
            sock.sendall(b"HTTP/1.1 204 No Content\r\nInspector-Verdict: pass\r\n"
                         b"Inspector-Attack: sqli,ptrav\r\n" + context + b"\r\n")
            return True
        if attacked:
            reply = {"status": 403, "headers": [["content-type", "application/json"]],
                     "body": DEFAULT_BODY.decode()}
            if fault == "custom":
                reply = {"status": 418, "headers": [["X-A", "1"], ["x-a", "2"], ["Content-Length", "7"],
                                                    ["X-Bad", "a\r\nInjected: 1"]],
                         "body_base64": base64.b64encode(b"\x00teapot\xff").decode()}
            text = json.dumps({"verdict": "block", "request_id": call.headers["inspector-request-id"],
                               "reason": "attack", "mode": "block", "attacks": [], "reply": reply}).encode()
            if fault == "chunked":
                sock.sendall(b"HTTP/1.1 200 OK\r\nInspector-Verdict: block\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, len(text), 50):
                    piece = text[at:at + 50]
                    sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                sock.sendall(b"0\r\n\r\n")
                return True
            sock.sendall(b"HTTP/1.1 200 OK\r\nInspector-Verdict: block\r\nContent-Type: application/json\r\n"
                         + context + b"Content-Length: %d\r\n\r\n" % len(text) + text)
            return True
        close = b"Connection: close\r\n" if fault == "close" else b""
        sock.sendall(b"HTTP/1.1 204 No Content\r\ninspector-verdict: pass\r\n" + context + close + b"\r\n")
        return not close


class Names:
    """A name server that knows node.test and two.test and never answers for anything else."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            query, peer = self.sock.recvfrom(4096)
            question = query[12:query.index(b"\0", 12) + 5]
            if question.startswith((b"\x04node\x04test\0", b"\x03two\x04test\0")):
                self.sock.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question
                                 + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1", peer)


class Nginx:
    def __init__(self, template, values):
        self.dir = tempfile.mkdtemp(prefix="weir-nginx-")
        os.chmod(self.dir, 0o755)
        text = open(os.path.join(HERE, template)).read()
        values = dict(values, DIR=self.dir, CONNECTORS=CONNECTORS, MODULES=modules_dir())
        for name, value in values.items():
            text = text.replace("@%s@" % name, str(value))
        missing = re.findall(r"@[A-Z0-9_]+@", text)
        assert not missing, missing
        self.conf = os.path.join(self.dir, "nginx.conf")
        with open(self.conf, "w") as f:
            f.write(text)
        self.process = subprocess.Popen(
            [nginx_binary(), "-p", self.dir, "-c", self.conf, "-e", self.dir + "/error.log"],
            stdout=subprocess.DEVNULL, stderr=open(self.dir + "/stderr", "w"))

    def log(self):
        with open(self.dir + "/error.log", errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        if not os.environ.get("KEEP_NGINX"):
            shutil.rmtree(self.dir, ignore_errors=True)


def nginx_binary():
    return shutil.which("nginx") or "/usr/sbin/nginx"


def modules_dir():
    for path in ("/usr/lib/nginx/modules", "/usr/share/nginx/modules"):
        if os.path.exists(path + "/ngx_http_lua_module.so"):
            return path
    return None


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def read_answer(stream, method="GET"):
    head = stream.until(b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")
    status = int(lines[0].split(b" ")[1])
    headers = [(n.decode().lower(), v.strip().decode("latin-1")) for n, v in
               (line.split(b":", 1) for line in lines[1:])]
    have = dict(headers)
    if method == "HEAD" or status in (204, 304, 101) or status < 200:
        body = b""
    elif "content-length" in have:
        body = stream.exactly(int(have["content-length"]))
    elif have.get("transfer-encoding") == "chunked":
        body = stream.chunked()
    else:
        body = stream.buffer
        try:
            while True:
                body += stream.sock.recv(65536) or (_ for _ in ()).throw(EOFError)
        except EOFError:
            pass
    return Answer(status, headers, body)


def raw(port, data, method="GET", timeout=WAIT_S, sock=None):
    """Sends bytes as they are and reads one answer."""
    own = sock is None
    sock = sock or socket.create_connection(("127.0.0.1", port), timeout)
    sock.settimeout(timeout)
    try:
        sock.sendall(data)
        answer = read_answer(Stream(sock), method)
        while answer.status == 100:
            answer = read_answer(Stream(sock), method)
        return answer
    finally:
        if own:
            sock.close()


def chunk(body, size=4093):
    out = []
    for at in range(0, len(body), size):
        piece = body[at:at + size]
        out.append(b"%x\r\n%s\r\n" % (len(piece), piece))
    out.append(b"0\r\n\r\n")
    return b"".join(out)


def curl(url, *args, data=None, timeout=WAIT_S):
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as heads:
        done = subprocess.run(
            ["curl", "-sS", "-o", out.name, "-D", heads.name, "-w", "%{http_code} %{http_version}",
             "--max-time", str(timeout), *args, url], input=data, capture_output=True)
        if done.returncode != 0:
            raise OSError("curl: " + done.stderr.decode())
        status, version = done.stdout.decode().split()
        headers = []
        for line in open(heads.name, "rb").read().split(b"\r\n"):
            if b":" in line:
                name, value = line.split(b":", 1)
                headers.append((name.decode().lower(), value.strip().decode("latin-1")))
        answer = Answer(int(status), headers, open(out.name, "rb").read())
        answer.version = version
        return answer
