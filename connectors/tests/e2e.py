"""End-to-end tests of the connector on a real nginx. Ends with a counting line.

WEIR_BIN=path runs the framing matrix a second time against a real node, started
as `$WEIR_BIN $WEIR_ARGS` where {port} in WEIR_ARGS stands for its port. Without WEIR_ARGS: NODE.

Names of tests as arguments run only those; TIMES=n runs each n times, to look for what fails now and then."""
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (DEFAULT_BODY, LATE_S, SILENCE_S, WAIT_S, Names, Nginx, Node, Stream, Upstream, chunk, curl,
                     free_ports, modules_dir, raw, read_answer, wait_for, wait_port)

# How a real node is started. A debug build on a busy machine inspects slowly: its time limits must not decide verdicts.
NODE = ("processing --set connector.address=127.0.0.1:{port} --set health_check.enabled=false --set metrics.enabled=false "
        "--set events.enabled=false --set http_inspector.wallarm_process_time_limit=60s --set load.queue_timeout=60s")

# The limit of the location that the matrix uses, and the default.
LIMIT = 1024 * 1024
DEFAULT_LIMIT = 8 * 1024 * 1024
MARK = b"../../../../etc/passwd"
SIZES = [0, 1, 8191, 8192, 8193, LIMIT - 1, LIMIT, LIMIT + 1, 5 * LIMIT]
passed, failed, skipped = [], [], []
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def same(got, wanted, what=""):
    if got != wanted:
        raise AssertionError("%s: got %.300r, wanted %.300r" % (what, got, wanted))


def expect(truth, what):
    if not truth:
        raise AssertionError(what)


def run(name, function, *args):
    try:
        function(*args)
        passed.append(name)
    except Exception:
        failed.append(name)
        print("FAIL %s\n%s" % (name, traceback.format_exc()), flush=True)


def filler(size):
    line = b"p=" + b"a" * 1021 + b"&"
    return (line * (size // len(line) + 1))[:size]


def attack_body(size, where):
    if where == "none" or size < len(MARK):
        return filler(size)
    at = {"first": 0, "middle": (size - len(MARK)) // 2, "last": size - len(MARK)}[where]
    base = filler(size)
    return base[:at] + MARK + base[at + len(MARK):]


class World:
    pass


counter = [0]


def case_id():
    counter[0] += 1
    return "case-%d" % counter[0]


def h1(world, port, framing, path, case, body, fault=None, method=b"POST"):
    head = b"%s %s HTTP/1.1\r\nHost: shop.test\r\nX-Case: %s\r\nConnection: close\r\n" \
           b"Content-Type: application/x-www-form-urlencoded\r\n" % (method, path, case.encode())
    if fault:
        head += b"X-Fault: " + fault.encode() + b"\r\n"
    if framing == "length":
        return raw(port, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    if framing == "expect":
        sock = socket.create_connection(("127.0.0.1", port), WAIT_S)
        sock.settimeout(WAIT_S)
        with sock:
            sock.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
            stream = Stream(sock)
            same(read_answer(stream).status, 100, "interim")
            sock.sendall(body)
            return read_answer(stream)
    return raw(port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(body))


def h2(world, port, framing, path, case, body, fault=None):
    args = ["--http2-prior-knowledge", "-H", "X-Case: " + case, "-H", "Host: shop.test",
            "-H", "Content-Type: application/x-www-form-urlencoded", "-H", "Expect:"]
    if fault:
        args += ["-H", "X-Fault: " + fault]
    url = "http://127.0.0.1:%d%s" % (port, path.decode())
    if framing == "h2-length":
        answer = curl(url, *args, "-X", "POST", "--data-binary", "@-", data=body)
    else:
        answer = curl(url, *args, "-X", "POST", "-T", "-", data=body)
    same(answer.version, "2", "protocol")
    return answer


def get(world, path, fault=None, extra=b"", method=b"GET", port=None, timeout=WAIT_S):
    case = case_id()
    data = b"%s %s HTTP/1.1\r\nHost: shop.test\r\nX-Case: %s\r\n" % (method, path, case.encode())
    if fault:
        data += b"X-Fault: " + fault.encode() + b"\r\n"
    answer = raw(port or world.guard1, data + extra + b"Connection: close\r\n\r\n", method.decode(), timeout)
    return case, answer


def matrix_cell(world, node, framing, size, where):
    send, bare, guard = (h2, world.bare2, world.guard2) if framing.startswith("h2") \
        else (h1, world.bare1, world.guard1)
    case, body = case_id(), attack_body(size, where)
    answer = send(world, guard, framing, b"/m?x=1", case, body)
    # The scripted node knows the whole mark only; a real one sees the attack in a mark that lacks its last byte too.
    mark = MARK if node else MARK[:-1]
    visible = where != "none" and size >= len(MARK) and mark in body[:LIMIT]
    same(answer.status, 403 if visible else 200, "status")
    if node:
        calls = node.by_case(case)
        same(len(calls), 1, "calls")
        call = calls[0]
        same(call.body, body[:LIMIT], "body at the node")
        extent = "prefix; sent=%d; total=%d" % (LIMIT, size) if size > LIMIT else None
        same(call.headers.get("inspector-body"), extent, "extent")
        same(call.headers.get("inspector-head"), "rebuilt" if send is h2 else None, "head kind")
    if visible:
        same(answer.body, DEFAULT_BODY, "reply")
        expect(case not in world.upstream.seen, "a blocked request reached the upstream")
        return
    got = world.upstream.seen[case]
    same(got[1], body, "body at the upstream")
    # Once more under the same name through the bare proxy: every byte must agree.
    send(world, bare, framing, b"/m?x=1", case, body)
    same(got, world.upstream.seen[case], "bytes at the upstream")


def matrix(world, node, label):
    for framing in ("length", "chunked", "expect", "h2-length", "h2-open"):
        for size in SIZES:
            if framing == "expect" and size not in (1, 8193, LIMIT + 1):
                continue
            for where in ("none", "first", "middle", "last"):
                if where != "none" and size < len(MARK):
                    continue
                run("%s matrix %s %d %s" % (label, framing, size, where),
                    matrix_cell, world, node, framing, size, where)


@test
def pass_and_block(world):
    case, answer = get(world, b"/hello?a=1")
    same((answer.status, answer.body), (200, b"upstream ok"))
    call = world.node.by_case(case)[0]
    expect(call.head.startswith(b"GET /hello?a=1 HTTP/1.1\r\nHost: shop.test\r\n"), "raw head")
    same(call.headers["inspector-route"], "plain")
    same(call.headers["inspector-service"], "svc%20%C3%A9")
    same(call.headers["inspector-application"], "7")
    same(call.headers["inspector-scheme"], "http")
    same(call.headers["inspector-protocol"], "HTTP/1.1")
    expect(re.fullmatch(r"127\.0\.0\.1:\d+", call.headers["inspector-client"]), "client")
    case, answer = get(world, b"/etc/passwd")
    same((answer.status, answer.body), (403, DEFAULT_BODY))
    headers = dict(answer.headers)
    same(headers["content-type"], "application/json")
    same(headers["inspector-request-id"], world.node.by_case(case)[0].headers["inspector-request-id"])


@test
def head_method(world):
    case, answer = get(world, b"/etc/passwd", method=b"HEAD")
    same((answer.status, answer.body), (403, b""))
    same(dict(answer.headers)["content-length"], str(len(DEFAULT_BODY)))
    case, answer = get(world, b"/fine", method=b"HEAD")
    same(answer.status, 200)


@test
def client_id_is_never_taken(world):
    case, _ = get(world, b"/", extra=b"Inspector-Request-Id: mine\r\nInspector-Verdict: pass\r\n"
                                     b"Inspector-Client: 10.0.0.1\r\n")
    expect(world.node.by_case(case)[0].headers["inspector-request-id"] != "mine", "id taken from the client")
    ids = {c.headers["inspector-request-id"] for c in world.node.calls if c.path == "/v1/requests"}
    expect(len(ids) >= len([c for c in world.node.calls if c.path == "/v1/requests"
                            and "inspector-attempt" not in c.headers]) - 1, "ids repeat")


@test
def traceparent_only_when_well_formed(world):
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    case, _ = get(world, b"/", extra=b"traceparent: " + good.encode() + b"\r\n")
    same(world.node.by_case(case)[0].headers["traceparent"], good)
    case, _ = get(world, b"/", extra=b"traceparent: 00-evil\r\n")
    same(world.node.by_case(case)[0].headers.get("traceparent"), None)


@test
def many_headers(world):
    extra = b"".join(b"X-N-%d: v%d\r\n" % (i, i) for i in range(150)) + b"X-Last: ../../etc/passwd\r\n"
    _, answer = get(world, b"/", extra=extra)
    same(answer.status, 403, "header 151 of HTTP/1.1")
    args = ["--http2-prior-knowledge"]
    for i in range(150):
        args += ["-H", "X-N-%d: v%d" % (i, i)]
    answer = curl("http://127.0.0.1:%d/" % world.guard2, *args, "-H", "X-Zz: ../../etc/passwd")
    same(answer.status, 403, "header 151 of HTTP/2")
    case = case_id()
    curl("http://127.0.0.1:%d/" % world.guard2, *args, "-H", "X-Case: " + case)
    head = world.node.by_case(case)[0].head
    for i in range(150):
        expect(b"\r\nx-n-%d: v%d\r\n" % (i, i) in head, "header %d" % i)


@test
def duplicate_headers(world):
    case, _ = get(world, b"/", extra=b"X-D: one\r\nx-d: two\r\nX-D: one\r\n")
    head = world.node.by_case(case)[0].head
    expect(b"X-D: one\r\nx-d: two\r\nX-D: one\r\n" in head, "HTTP/1.1 duplicates %r" % head)
    case = case_id()
    curl("http://127.0.0.1:%d/" % world.guard2, "--http2-prior-knowledge", "-H", "X-D: one", "-H", "X-D: two",
         "-H", "X-Case: " + case)
    head = world.node.by_case(case)[0].head
    expect(b"x-d: one\r\nx-d: two\r\n" in head, "HTTP/2 duplicates %r" % head)
    same(len(re.findall(rb"\r\nhost: ", head)), 1, "one Host on HTTP/2")
    expect(head.startswith(b"GET / HTTP/2.0\r\n"), "start line %r" % head[:40])


@test
def binary_and_odd_paths(world):
    for path in (b"/\xc3\xa9?q=\xff\xfe", b"/a/../b//c/./d", b"/a%2Fb%20c%00?x=%zz", b"/x#frag?a=1",
                 b"http://shop.test/abs?q=1", b"/;v=1/?", b"/?a=1&a=2&&=&b"):
        case, answer = get(world, path)
        calls = world.node.by_case(case)
        if not calls:
            same(answer.status, 400, "nginx itself refuses %r" % path)
            continue
        expect(calls[0].head.startswith(b"GET " + path + b" HTTP/1.1\r\n"), "path %r" % calls[0].head)
        got = world.upstream.seen[case]
        raw(world.bare1, b"GET %s HTTP/1.1\r\nHost: shop.test\r\nX-Case: %s\r\nConnection: close\r\n\r\n"
            % (path, case.encode()))
        same(got, world.upstream.seen[case], "upstream bytes of %r" % path)


@test
def odd_heads_reach_the_node(world):
    data = b"GET /odd HTTP/1.1\nHost: shop.test\nX-Case: odd-lf\nX-A: one\nX-B: /etc/passwd\n\n"
    answer = raw(world.guard1, data)
    same(answer.status, 403, "bare line feeds")
    for lines in (b"X-Empty:\r\nX-Pad:   v  \r\n", b"X-One: v \r\nX-After: w\r\n", b"X-One: v \r\n",
                  b"X-Two: v  \r\nX-One: v \r\nX-A:b\r\n", b"X-None: \r\nX-Tab: v\t\r\n", b"X@odd: 1\r\nX_u: 2\r\n",
                  b"X-Colon: a:b:c\r\nX-Lf: a\nX-Mixed: b\r\n", b"X-Only: \n", b"X-High: \xff\xfe\r\n"):
        case = case_id()
        data = b"GET /odd HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nX-Case: %s\r\n" % case.encode() \
            + lines + b"\r\n"
        same(raw(world.guard1, data).status, 200, "%r" % lines)
        same(world.node.by_case(case)[0].head, data, "head at the node")
        attack = data[:-2] + b"X-Attack: /etc/passwd\r\n\r\n"
        same(raw(world.guard1, attack).status, 403, "%r with an attack after it" % lines)
        expect(world.node.by_case(case)[-1].head.endswith(b"passwd\r\n\r\n"), "head cut short")
    data = b"GET /odd HTTP/1.0\r\nX-Case: odd-10\r\n\r\n"
    same(raw(world.guard1, data).status, 200, "HTTP/1.0 without Host")
    expect(world.node.by_case("odd-10"), "HTTP/1.0 seen")
    with socket.create_connection(("127.0.0.1", world.guard1), WAIT_S) as sock:
        sock.settimeout(WAIT_S)
        sock.sendall(b"GET /odd-09/etc/passwd\r\n")
        got = b""
        while b"blocked" not in got:
            data = sock.recv(65536)
            if not data:
                break
            got += data
    expect(b"request blocked" in got, "HTTP/0.9 is judged: %r" % got)


@test
def get_with_body(world):
    case = case_id()
    answer = h1(world, world.guard1, "length", b"/", case, b"q=/etc/passwd", method=b"GET")
    same(answer.status, 403)


@test
def upgrade_header_is_no_way_past(world):
    body = b"q=/etc/passwd"
    for extra in (b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Upgrade: foo\r\nConnection: close\r\n"):
        for framing in (b"Content-Length: %d\r\n\r\n" % len(body) + body,
                        b"Transfer-Encoding: chunked\r\n\r\n" + chunk(body)):
            answer = raw(world.guard1, b"POST /ws/ HTTP/1.1\r\nHost: a\r\nX-Case: up\r\n" + extra + framing)
            same(answer.status, 403)


@test
def form_of_a_reply(world):
    def ask(path, content_type):
        answer = curl("http://127.0.0.1:%d%s" % (world.guard2, path), "--http2-prior-knowledge",
                      "-H", "Content-Type: " + content_type, "-H", "X-Case: grpc", "--data-binary", "/etc/passwd")
        headers = dict(answer.headers)
        same(headers["cache-control"], "no-store")
        return answer.status, headers.get("grpc-status"), headers["content-type"], answer.body

    # A client's header makes no gRPC of what the gateway proxies as HTTP.
    same(ask("/", "application/grpc"), (403, None, "application/json", DEFAULT_BODY))
    same(ask("/grpc/x", "application/grpc"), (200, "7", "application/grpc", b""))
    same(ask("/grpc/x", "text/plain"), (403, None, "application/json", DEFAULT_BODY))


@test
def client_id_does_not_reach_the_upstream(world):
    for path in (b"/", b"/kong/x"):
        case, answer = get(world, path, extra=b"Inspector-Request-Id: mine\r\nInspector_Request_Id: mine\r\n")
        same(answer.status, 200)
        expect(b"mine" not in world.upstream.seen[case][0], "the client's id got to the upstream")


@test
def judged_response(world):
    case, answer = get(world, b"/kongresponse/x")
    same((answer.status, answer.body), (200, b"upstream ok"))
    call = world.node.by_case(case)[0]
    rid = call.headers["inspector-request-id"]
    legs = [c for c in world.node.calls if c.path == "/v1/responses" and c.headers["inspector-request-id"] == rid]
    same([(c.headers.get("inspector-blocking"), c.body) for c in legs], [(None, b"upstream ok")])
    # A reply in place of the response has no header of it.
    case, answer = get(world, b"/kongresponse/leak")
    same((answer.status, answer.body), (403, DEFAULT_BODY))
    same(sorted(name for name, _ in answer.headers if name not in ("server", "date", "connection")),
         ["cache-control", "content-length", "content-type", "inspector-request-id"])
    expect("upstream" not in dict(answer.headers).get("server", ""), "the upstream's own name")
    same((dict(answer.headers)["cache-control"], dict(answer.headers)["content-type"]),
         ("no-store", "application/json"))
    # What will not be buffered follows the failure mode, before the upstream is asked.
    case, answer = get(world, b"/kongresponse/leak", extra=b"Upgrade: websocket\r\n")
    same(answer.status, 503)
    expect(case not in world.upstream.seen, "the upstream was asked for a response that cannot be judged")
    expect("[weir] response to" in world.nginx.log() and "reason=upgrade" in world.nginx.log(), "no log line")
    expect(wait_for(lambda: [r for r in world.node.coverage
                             if {"leg": "response", "reason": "upgrade"}.items()
                             <= {k: v for d in r.get("dropped", []) for k, v in d.items()}.items()]), "not counted")


@test
def websocket_flows(world):
    sock = socket.create_connection(("127.0.0.1", world.guard1), WAIT_S)
    sock.settimeout(WAIT_S)
    with sock:
        sock.sendall(b"GET /ws/ HTTP/1.1\r\nHost: a\r\nX-Case: ws\r\nUpgrade: websocket\r\n"
                     b"Connection: upgrade\r\n\r\n")
        stream = Stream(sock)
        same(read_answer(stream).status, 101)
        sock.sendall(b"ping")
        same(stream.exactly(9), b"echo:ping")
        sock.sendall(b"pong")
        same(stream.exactly(9), b"echo:pong")
    same(world.node.by_case("ws")[0].headers["inspector-body"], "unread; reason=upgrade")
    same(raw(world.guard1, b"GET /ws/etc/passwd HTTP/1.1\r\nHost: a\r\nX-Case: ws2\r\nUpgrade: websocket\r\n"
             b"Connection: upgrade\r\n\r\n").status, 403, "an upgrade's head is judged")


@test
def events_flow(world):
    sock = socket.create_connection(("127.0.0.1", world.guard1), WAIT_S)
    sock.settimeout(WAIT_S)
    with sock:
        sock.sendall(b"GET /sse/ HTTP/1.1\r\nHost: a\r\nX-Case: sse\r\nAccept: text/event-stream\r\n"
                     b"Connection: close\r\n\r\n")
        stream = Stream(sock)
        # The second event is sent once the first has been read: one that is held back would never come.
        stream.until(b"data: one\n\n")
        world.upstream.first_event_read.set()
        stream.until(b"data: two\n\n")
    leg = wait_for(lambda: [c for c in world.node.calls if c.path == "/v1/responses"
                            and b"data: two" in c.body])
    expect(leg, "response leg of a stream")


@test
def stream_route_is_not_waited_for(world):
    sock = socket.create_connection(("127.0.0.1", world.guard1), WAIT_S)
    sock.settimeout(WAIT_S)
    with sock:
        sock.sendall(b"POST /stream/ HTTP/1.1\r\nHost: a\r\nX-Case: stream1\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        expect(wait_for(lambda: world.upstream.partial.get("stream1") == b"first"),
               "the first chunk did not flow on")
        sock.sendall(b"4\r\nlast\r\n0\r\n\r\n")
        same(read_answer(Stream(sock)).status, 200)
    same(world.node.by_case("stream1")[0].headers["inspector-body"], "unread; reason=stream")
    same(raw(world.guard1, b"POST /stream/etc/passwd HTTP/1.1\r\nHost: a\r\nX-Case: stream2\r\n"
             b"Content-Length: 5\r\n\r\n").status, 403, "a stream's head is judged")
    case, _ = get(world, b"/stream/plain")
    same(world.node.by_case(case)[0].headers.get("inspector-body"), None, "no body is no stream")
    case = case_id()
    same(h1(world, world.guard1, "chunked", b"/readall/", case, b"/etc/passwd").status, 403, "read_body opts in")


@test
def over_limit_pass(world):
    case = case_id()
    same(h1(world, world.guard1, "length", b"/pass/", case, attack_body(1001, "first")).status, 200)
    call = world.node.by_case(case)[0]
    same((call.headers["inspector-body"], call.body), ("unread; reason=too_large", b""))
    case = case_id()
    same(h1(world, world.guard1, "chunked", b"/pass/", case, attack_body(20000, "first")).status, 200)
    same(world.node.by_case(case)[0].headers["inspector-body"], "unread; reason=too_large")
    same(len(world.upstream.seen[case][1]), 20000)
    same(h1(world, world.guard1, "length", b"/pass/etc/passwd", case_id(), attack_body(1001, "none")).status, 403)


@test
def over_limit_block(world):
    for framing in ("length", "chunked"):
        case = case_id()
        answer = h1(world, world.guard1, framing, b"/block/", case, attack_body(1001, "none"))
        same(answer.status, 413)
        same(answer.body, b'{"error": {"code": 413, "message": "request body too large"}}')
        expect(case not in world.upstream.seen and not world.node.by_case(case), "sent on")
        same(h1(world, world.guard1, framing, b"/block/", case_id(), attack_body(1000, "none")).status, 200)


@test
def node_413_follows_over_limit(world):
    case = case_id()
    same(h1(world, world.guard1, "length", b"/plain", case, b"a=1", fault="413-body").status, 200)
    calls = world.node.by_case(case)
    same([c.headers.get("inspector-body") for c in calls], [None, "unread; reason=too_large"])
    same([c.headers.get("inspector-attempt") for c in calls], [None, "2"])
    same(h1(world, world.guard1, "length", b"/block/", case_id(), b"a=1", fault="413-body").status, 413)


FAULTS = ["slow", "hang", "hang-half", "half-close", "drip", "garbage", "endless", "die", "500", "502", "503",
          "shed", "401", "proxy-403", "200-none", "204-none", "200-pass", "204-block", "twice", "302", "100", "413"]


def within_budget(began, what):
    # Budgets are below half a second; without them the node's silence would be waited out.
    took = time.time() - began
    expect(took < SILENCE_S / 2, "%s took %.1f s" % (what, took))


def fault_cell(world, fault):
    began = time.time()
    case, answer = get(world, b"/tight/etc/passwd", fault)
    same((answer.status, answer.body), (200, b"upstream ok"), "fail_open")
    within_budget(began, fault)
    case, answer = get(world, b"/closed/fine", fault)
    same((answer.status, answer.body), (503, b'{"error": {"code": 503, "message": "service unavailable"}}'))
    expect(case not in world.upstream.seen, "fail_closed let it through")
    expect(b"secret-internal" not in answer.body, "leak")


@test
def faults(world):
    for fault in FAULTS:
        run("fault " + fault, fault_cell, world, fault)


@test
def budget_holds(world):
    for fault in ("slow", "hang-half", "drip"):
        began = time.time()
        get(world, b"/tight/x", fault)
        expect(time.time() - began > 0.3, "%s was given up before its time" % fault)
        within_budget(began, fault)
    began = time.time()
    _, answer = get(world, b"/name/x")
    same(answer.status, 503)
    within_budget(began, "name lookup")


@test
def node_down(world):
    case, answer = get(world, b"/dead/etc/passwd")
    same(answer.status, 200)
    case, answer = get(world, b"/deadclosed/")
    same(answer.status, 502)
    same(dict(answer.headers)["content-type"], "application/json")


@test
def block_without_usable_reply_still_blocks(world):
    for fault in ("block-empty", "block-junk", "block-half"):
        _, answer = get(world, b"/tight/x", fault)
        same((answer.status, answer.body), (403, DEFAULT_BODY), fault)


@test
def custom_reply(world):
    _, answer = get(world, b"/etc/passwd", "custom")
    same((answer.status, answer.body), (418, b"\x00teapot\xff"))
    same([v for n, v in answer.headers if n == "x-a"], ["1", "2"])
    same([v for n, v in answer.headers if n == "injected"], [])
    _, answer = get(world, b"/etc/passwd", "chunked")
    same((answer.status, answer.body), (403, DEFAULT_BODY), "chunked verdict")


@test
def monitoring_is_the_nodes_business(world):
    case, answer = get(world, b"/verdict/etc/passwd", "monitoring", extra=b"X-Weir-Verdict: forged\r\n")
    same(answer.status, 200)
    head = world.upstream.seen[case][0]
    same(re.findall(rb"(?i)\r\nx-weir-verdict: ([^\r]+)", head), [b"pass; attack=sqli,ptrav"])
    case, _ = get(world, b"/hasty/x", "slow")
    same(re.findall(rb"(?i)\r\nx-weir-verdict: ([^\r]+)", world.upstream.seen[case][0]),
         [b"uninspected; reason=timeout"])


@test
def dead_pooled_connection_is_retried_once(world):
    for _ in range(8):
        get(world, b"/patient/warm")
    for attempt in range(100):
        case, answer = get(world, b"/patient/again", "die-reused")
        same(answer.status, 200)
        calls = world.node.by_case(case)
        expect(len(calls) <= 2, "more than one retry")
        if len(calls) == 2:
            same(calls[1].headers.get("inspector-attempt"), "2")
            same(calls[0].headers["inspector-request-id"], calls[1].headers["inspector-request-id"])
            break
    else:
        raise AssertionError("no pooled connection was ever reused")
    case = case_id()
    body = attack_body(300000, "last")
    for _ in range(4):
        get(world, b"/patient/warm")
    same(h1(world, world.guard1, "length", b"/patient/big", case, body, fault="die-reused").status, 403,
         "a spilled body is sent again whole")


@test
def answer_never_counts_for_another_request(world):
    # One connection of the client stays with one worker, and so with one pool of connections to the node.
    with socket.create_connection(("127.0.0.1", world.guard1), WAIT_S) as sock:
        def ask(path, more=b""):
            return raw(0, b"GET /patient/%s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (path, more), sock=sock)
        for _ in range(3):
            same(ask(b"quiet", b"X-Fault: body-of-204\r\n").status, 200)
            same(ask(b"?x=/etc/passwd").status, 403, "an attack after a verdict that announced a body")
            same(ask(b"quiet").status, 200)


@test
def answer_that_comes_twice_never_counts_for_another_call(world):
    with socket.create_connection(("127.0.0.1", world.guard1), WAIT_S) as sock:
        def ask(path, more=b""):
            return raw(0, b"GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (path, more), sock=sock)
        for place in (b"/patient/", b"/unix/", b"/kong/", b"/apisix/"):
            node = world.local if place == b"/unix/" else world.node
            for fault in (b"again", b"again-unnamed"):
                for _ in range(3):
                    same(ask(place + b"first", b"X-Fault: %s\r\n" % fault).status, 200)
                    same(ask(place + b"?x=/etc/passwd").status, 403, "an attack where %r sent an answer twice" % place)
                    same(ask(place + b"quiet").status, 200)
            expect(not node.violations, node.violations)
        # Request and response of one exchange are two calls.
        for _ in range(3):
            same(ask(b"/kongresponse/leak", b"X-Fault: again\r\n").status, 403, "a response that is an attack")
            same(ask(b"/kongresponse/quiet").status, 200)
    expect(wait_for(lambda: "sent an answer that belongs to no call" in world.nginx.log()), "no line about it")


@test
def keepalive_is_reused(world):
    before = world.node.connections
    sock = socket.create_connection(("127.0.0.1", world.guard1), WAIT_S)
    with sock:
        for i in range(300):
            raw(0, b"GET /quiet/%d HTTP/1.1\r\nHost: a\r\nX-Case: ka\r\n\r\n" % i, sock=sock)
    opened = world.node.connections - before
    same(len(world.node.by_case("ka")), 300)
    # Those of copies and of calls that a busy machine let time out come on top.
    expect(opened <= 30, "300 requests opened %d connections" % opened)
    # A node that ends connections is obeyed without an uninspected request.
    for i in range(10):
        _, answer = get(world, b"/patient/c", "close")
        same(answer.status, 200)


@test
def restart_under_load(world):
    world.node.drop_connections()
    results = []

    def client():
        for _ in range(40):
            results.append(get(world, b"/patient/load")[1].status)

    threads = [threading.Thread(target=client) for _ in range(6)]
    for t in threads:
        t.start()
    for _ in range(4):
        before = len(results)
        wait_for(lambda: len(results) >= before + 20)
        # Idle connections die, as when a node is replaced behind one address.
        world.node.drop_connections()
    for t in threads:
        t.join()
    same(len(results), 240)
    bad = [s for s in results if s not in (200, 503)]
    same(bad, [])
    # Each restart may cost the six requests under way, and their retries once more.
    expect(results.count(503) <= 48, "%d of 240 lost a verdict in four restarts" % results.count(503))
    _, answer = get(world, b"/patient/after")
    same(answer.status, 200, "after the restart")


def probe_now(world, port):
    """Lets the open time of the breaker be over, which on the clock is ten minutes."""
    same(raw(world.guard1, b"GET /test/probe?port=%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % port).body, b"true")


@test
def breaker_opens_probes_and_closes(world):
    second = Node(world.second_port)

    def asked():
        return len([c for c in second.calls if c.path == "/v1/requests"])

    try:
        same(get(world, b"/broken/a")[1].status, 200)
        second.fault = "shed"
        for _ in range(12):
            get(world, b"/broken/b")
        same(asked(), 13, "load never opens it")
        # For 20 ms after a call that went well, a worker does not look at what others know of the node.
        time.sleep(0.1)
        second.fault = "500"
        for _ in range(12):
            get(world, b"/broken/c")
        same(asked(), 16, "three failures, over all workers, open it")
        probe_now(world, world.second_port)
        same(get(world, b"/broken/d")[1].status, 503, "failed probe")
        get(world, b"/broken/d")
        same(asked(), 17, "one probe")
        second.fault = None
        probe_now(world, world.second_port)
        same(get(world, b"/broken/e")[1].status, 200, "good probe closes it")
        same(get(world, b"/broken/f")[1].status, 200, "closed again")
    finally:
        second.stop()


@test
def deadline_is_announced(world):
    for path, most in ((b"/plain", 30000), (b"/tight/x", 400), (b"/kong/x", 30000), (b"/kongtight/x", 400)):
        case, _ = get(world, path)
        deadline = world.node.by_case(case)[0].deadline
        expect(most / 2 < deadline <= most, "%r: deadline %d of %d ms" % (path, deadline, most))


@test
def deadline_is_less_on_a_retry(world):
    for attempt in range(100):
        get(world, b"/patient/warm")
        case, answer = get(world, b"/patient/again", "late-die-reused")
        same(answer.status, 200)
        calls = world.node.by_case(case)
        if len(calls) == 2:
            same([c.headers.get("inspector-attempt") for c in calls], [None, "2"])
            passed_ms = calls[0].deadline - calls[1].deadline
            # The clocks of the two processes may differ by a few milliseconds.
            expect(passed_ms >= LATE_S * 1000 - 20, "only %d ms less" % passed_ms)
            return
    raise AssertionError("no pooled connection was ever reused")


@test
def bodies_up_to_the_default_limit_are_inspected(world):
    for framing in ("length", "chunked", "h2-length", "h2-open"):
        send, port = (h2, world.guard2) if framing.startswith("h2") else (h1, world.guard1)
        for size, where, status in ((DEFAULT_LIMIT, "last", 403), (DEFAULT_LIMIT + 1, "none", 200)):
            case = case_id()
            same(send(world, port, framing, b"/patient/big", case, attack_body(size, where)).status, status, framing)
            call = world.node.by_case(case)[0]
            same(len(call.body), DEFAULT_LIMIT)
            extent = "prefix; sent=%d; total=%d" % (DEFAULT_LIMIT, size) if size > DEFAULT_LIMIT else None
            same(call.headers.get("inspector-body"), extent)


@test
def busy_node_is_asked_at_its_other_address(world):
    first = Node(world.two_port)
    second = Node(world.two_port, address="127.0.0.2")
    try:
        def used_both():
            get(world, b"/two/warm")
            return first.calls and second.calls

        expect(wait_for(used_both), "the calls are not spread over the addresses")
        first.fault = "shed"
        for _ in range(10):
            case, answer = get(world, b"/two/x")
            same(answer.status, 200, "one address is busy")
            same(len(second.by_case(case)), 1)
            refused = first.by_case(case)
            if refused:
                again = second.by_case(case)[0]
                same(again.headers.get("inspector-attempt"), "2")
                expect(again.deadline <= refused[0].deadline, "the deadline rose")
        expect([c for c in second.calls if c.headers.get("inspector-attempt")], "no call was repeated")
        second.fault = "shed"
        for _ in range(10):
            case, answer = get(world, b"/two/y")
            same(answer.status, 503, "both addresses are busy")
            same((len(first.by_case(case)), len(second.by_case(case))), (1, 1))
        first.fault = second.fault = None
        same(get(world, b"/two/z")[1].status, 200, "load does not open the breaker")
        same(first.violations + second.violations, [])
    finally:
        first.stop()
        second.stop()


@test
def bypass_is_reported_at_once_through_the_other_address(world):
    first = Node(world.pair_port)
    second = Node(world.pair_port, address="127.0.0.2")
    try:
        def used_both():
            get(world, b"/pair/warm")
            return first.calls and second.calls

        expect(wait_for(used_both), "the calls are not spread over the addresses")
        first.stop()

        def reported():
            same(get(world, b"/pair/x")[1].status, 200, "it fails open")
            # The interval of this route is five minutes.
            return [c for r in list(second.coverage) for c in r.get("coverage", [])
                    if c["route"] == "pair" and c["inspected"] == "none" and c["passed"] > 0 and c["last"] > 0]

        expect(wait_for(reported), "no report of a bypass")
        same(second.violations, [])
    finally:
        first.stop()
        second.stop()


@test
def one_bad_request_does_not_open_the_breaker(world):
    node = Node(world.gone_port)
    try:
        same(get(world, b"/gone/warm")[1].status, 200)
        for fault in ("400", "408", "413", "401", "proxy-403", "shed", "503"):
            same(get(world, b"/gone/x", fault)[1].status, 503, fault)
            # For 20 ms after a good call, a worker does not look at what others know of the node.
            time.sleep(0.03)
            same(get(world, b"/gone/y")[1].status, 200, "after " + fault)
        # Clients that go away while the node inspects, and in the middle of their body.
        node.fault = "late"
        asked = len(node.calls)
        for number in range(5):
            with socket.create_connection(("127.0.0.1", world.guard1), WAIT_S) as sock:
                sock.sendall(b"GET /gone/away HTTP/1.1\r\nHost: a\r\nX-Case: away\r\n\r\n")
                expect(wait_for(lambda: len(node.by_case("away")) > number), "the node was not asked")
            with socket.create_connection(("127.0.0.1", world.guard1), WAIT_S) as sock:
                sock.sendall(b"POST /gone/half HTTP/1.1\r\nHost: a\r\nX-Case: half\r\nContent-Length: 100000\r\n\r\nabc")
        time.sleep(2 * LATE_S)
        node.fault = None
        same(get(world, b"/gone/z")[1].status, 200, "after clients that went away")
        expect(len(node.calls) > asked, "nothing was asked")
        same(node.by_case("half"), [], "half a body was sent")
        # One failure of the node itself is enough for this breaker.
        time.sleep(0.03)
        same(get(world, b"/gone/x", "500")[1].status, 503)
        case, answer = get(world, b"/gone/x")
        same((answer.status, node.by_case(case)), (503, []), "the breaker is open")
        probe_now(world, world.gone_port)
        same(get(world, b"/gone/x")[1].status, 200, "closed again")
        same(node.violations, [])
    finally:
        node.stop()


@test
def key_is_sent_and_never_logged(world):
    same(get(world, b"/keyed/")[1].status, 200)
    world.keyed.key = "other"
    same(get(world, b"/keyed/")[1].status, 503)
    world.keyed.key = "s3cret-key"
    expect("s3cret-key" not in world.nginx.log(), "key in the log")


@test
def mutual_tls(world):
    same(get(world, b"/tls/x")[1].status, 200)
    same(get(world, b"/tls/etc/passwd")[1].status, 403)
    same(get(world, b"/tlsbad/x")[1].status, 503, "wrong name")
    same(get(world, b"/tlsanon/x")[1].status, 503, "no client certificate")
    # A certificate for this very IP address does not help: the server compares names only.
    # Lines about failures come at intervals.
    hint = "set tls_server_name to a name in the node's certificate"
    for done in range(40):
        same(get(world, b"/tlsip/x")[1].status, 503, "an IP address without tls_server_name")
        same(get(world, b"/tlsbad/x")[1].status, 503, "wrong name")
        time.sleep(0.3)
        log = world.nginx.log()
        if done >= 5 and hint in log:
            break
    expect(hint in log, "no hint")
    expect("reason=tls route=tlsbad (TLS handshake: certificate host mismatch)" in log, "no reason of a failed handshake")
    expect("assertion failed" not in log, "an assertion instead of the reason")


@test
def node_on_a_unix_socket(world):
    same(get(world, b"/unix/x")[1].status, 200)
    case, answer = get(world, b"/unix/etc/passwd")
    same((answer.status, answer.body), (403, DEFAULT_BODY))
    case, _ = get(world, b"/unix/y")
    call = world.local.by_case(case)[0]
    same(call.headers["host"], "localhost")
    expect(wait_for(lambda: [c for c in world.local.calls if c.path == "/v1/responses"]), "no response leg")
    same(world.local.violations, [])


def real_node_on_a_unix_socket(world):
    same(get(world, b"/unix/x")[1].status, 200, "the route fails closed")
    same(get(world, b"/unix/etc/passwd")[1].status, 403)
    body = b"q=" + b"a" * 100000
    sent = b"POST /unix/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    same(raw(world.guard1, sent + body).status, 200)


@test
def response_leg(world):
    case, _ = get(world, b"/plain")
    request = world.node.by_case(case)[0]
    rid = request.headers["inspector-request-id"]
    leg = wait_for(lambda: [c for c in world.node.calls if c.path == "/v1/responses"
                            and c.headers["inspector-request-id"] == rid])
    expect(leg, "no response leg")
    same(leg[0].headers["inspector-context"], "ctx-" + rid)
    same(leg[0].body, b"upstream ok")
    same(leg[0].headers.get("inspector-blocking"), "false", "a copy blocks nothing")
    expect(leg[0].head.startswith(b"HTTP/1.1 200 "), "status")
    expect(b"\r\nX-Up: a\r\nX-Up: b\r\n" in leg[0].head, "duplicates %r" % leg[0].head)
    case, _ = get(world, b"/quiet/x")
    rid = world.node.by_case(case)[0].headers["inspector-request-id"]
    for _ in range(4):
        # Legs of later requests have come: one of the quiet route would have come before.
        other, _ = get(world, b"/plain")
        other = world.node.by_case(other)[0].headers["inspector-request-id"]
        expect(wait_for(lambda: [c for c in world.node.calls if c.path == "/v1/responses"
                                 and c.headers["inspector-request-id"] == other]), "no response leg")
    expect(not [c for c in world.node.calls if c.path == "/v1/responses"
                and c.headers["inspector-request-id"] == rid], "inspect_response=false")


def legs_of(node, cases):
    """The calls about the responses to these requests."""
    ids = {node.by_case(case)[0].headers["inspector-request-id"] for case in cases}
    return [c for c in list(node.calls) if c.path == "/v1/responses" and c.headers["inspector-request-id"] in ids]


@test
def responses_in_batches(world):
    node = Node(world.batch_port)
    try:
        # The node is known to take batches from its answers on; an older one never says so.
        cases = [get(world, b"/batch/x")[0] for _ in range(3)]
        expect(wait_for(lambda: len(legs_of(node, cases)) == 3), "no response legs")
        same(node.batches, [])
        node.wishes = b"body; batch"
        get(world, b"/batch/x")
        cases = []

        def ask():
            cases.append(get(world, b"/batch/x")[0])

        def many():
            for t in [threading.Thread(target=ask) for _ in range(20)]:
                t.start()
            expect(wait_for(lambda: len(cases) % 20 == 0 and cases), "no answers")
            expect(wait_for(lambda: len({c.headers["inspector-request-id"] for c in legs_of(node, cases)}) == len(cases)),
                   "legs are missing")

        many()
        expect(node.batches and max(node.batches) > 1, "no batch %r" % node.batches)
        for leg in legs_of(node, cases):
            same(leg.body, b"upstream ok")
            same(leg.headers["inspector-blocking"], "false")
            same(leg.headers["inspector-context"], "ctx-" + leg.headers["inspector-request-id"])
        # Only a copy that was not taken is sent again.
        cases.clear()
        node.statuses = {0: 503}
        first = len(node.batches)
        many()
        node.statuses = {}
        expect(wait_for(lambda: [c for c in legs_of(node, cases) if c.headers.get("inspector-attempt") == "2"]),
               "nothing was sent again: %r" % node.batches[first:])
        # What the node has no use for is not sent.
        node.wishes = b"none; batch"
        unwanted = get(world, b"/batch/none")[0]
        node.wishes = b"head; batch"
        case = get(world, b"/batch/head")[0]
        leg = wait_for(lambda: legs_of(node, [case]))[0]
        same((leg.body, leg.headers["inspector-body"]), (b"", "prefix; sent=0; total=11"))
        same(legs_of(node, [unwanted]), [])
        same(node.violations, [])
    finally:
        node.stop()


def lost_responses(node):
    """By reason, the last count that each worker reported to this node."""
    last = {}
    for report in list(node.coverage):
        for entry in report.get("dropped", []):
            if entry["leg"] == "response":
                last[report["instance"], entry["reason"]] = entry["count"]
    return last


@test
def an_older_node_in_place_of_a_newer_one_gets_single_calls(world):
    node = Node(world.batch_port)
    try:
        node.wishes = b"body; batch"
        get(world, b"/batch/x")
        # From here on it is a node that knows neither batches nor wishes. Its predecessor's answers
        # still say that batches are taken.
        node.wishes, node.knows_batches = None, False
        cases = []
        threads = [threading.Thread(target=lambda: cases.append(get(world, b"/batch/x")[0])) for _ in range(30)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        expect(wait_for(lambda: len({c.headers["inspector-request-id"] for c in legs_of(node, cases)}) == 30),
               "%d of 30 copies" % len(legs_of(node, cases)))
        for leg in legs_of(node, cases):
            same((leg.body, leg.headers["inspector-blocking"]), (b"upstream ok", "false"))
        refused = node.refused_batches
        # Known to be old by now: no further batch is tried.
        case, _ = get(world, b"/batch/x")
        expect(wait_for(lambda: legs_of(node, [case])), "no copy")
        same((node.refused_batches, node.batches), (refused, []))
        expect(wait_for(lambda: node.coverage), "no coverage")
        same(lost_responses(node), {})
        same(node.violations, [])
    finally:
        node.stop()


@test
def lost_copies_are_counted_and_the_log_stays_short(world):
    # The node is slow with copies: the queue of ten fills up.
    node = Node(world.full_port)
    node.slow_copies = True
    try:
        lines = lambda: [x for x in world.nginx.log().split("\n") if "copy of a response not delivered" in x]
        before = len(lines())
        threads = [threading.Thread(target=lambda: [get(world, b"/full/x") for _ in range(40)])
                   for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

        def lost():
            return sum(count for (_, reason), count in lost_responses(node).items() if reason == "queue_full")

        def legs():
            return len({c.headers["inspector-request-id"] for c in list(node.calls) if c.path == "/v1/responses"})

        expect(wait_for(lambda: lost() + legs() == 160 and lost() > 0),
               "%d lost and %d delivered of 160" % (lost(), legs()))
        # One for each worker in ten seconds.
        expect(len(lines()) - before <= 6, "%d lines" % (len(lines()) - before))
        expect("[weir] copy of a response not delivered" in world.nginx.log(), "no line")
    finally:
        node.stop()


@test
def out_of_band(world):
    case = case_id()
    body = attack_body(100000, "last")
    same(h1(world, world.guard1, "length", b"/oob/etc/passwd", case, body).status, 200, "never blocks")
    call = wait_for(lambda: world.node.by_case(case))[0]
    same(call.headers["inspector-blocking"], "false")
    same(call.body, body)
    rid = call.headers["inspector-request-id"]
    leg = wait_for(lambda: [c for c in world.node.calls if c.path == "/v1/responses"
                            and c.headers["inspector-request-id"] == rid])
    expect(leg, "response leg of a copy")
    same(leg[0].headers["inspector-context"], "ctx-" + rid)


@test
def kong_handler(world):
    case, answer = get(world, b"/kong/a", extra=b"X-Waf: forged\r\nX_Waf: forged\r\n")
    same(answer.status, 200)
    head = world.upstream.seen[case][0]
    same(re.findall(rb"(?i)\r\nx[-_]waf: ([^\r]+)", head), [b"pass"])
    call = world.node.by_case(case)[0]
    same(call.headers["inspector-connector"], "kong-lua/1.0.0")
    same(call.headers["inspector-route"], "kong%20route")
    rid = call.headers["inspector-request-id"]
    leg = wait_for(lambda: [c for c in world.node.calls if c.path == "/v1/responses"
                            and c.headers["inspector-request-id"] == rid])
    same(leg[0].headers["inspector-consumer"], "ann")
    same(leg[0].headers["inspector-context"], "ctx-" + rid)
    same(leg[0].body, b"upstream ok")
    for framing, port in (("length", world.guard1), ("chunked", world.guard1), ("h2-length", world.guard2),
                          ("h2-open", world.guard2)):
        send = h2 if port == world.guard2 else h1
        for size in (8191, 8193, LIMIT):
            answer = send(world, port, framing, b"/kong/", case_id(), attack_body(size, "last"))
            same((answer.status, answer.body), (403, DEFAULT_BODY), "%s %d" % (framing, size))
        case = case_id()
        same(send(world, port, framing, b"/kong/", case, attack_body(8193, "none")).status, 200)
        same(len(world.upstream.seen[case][1]), 8193)
    for fault in ("slow", "garbage", "die", "500", "401"):
        same(get(world, b"/kongtight/x", fault)[1].status, 503, fault)
    case = case_id()
    same(h1(world, world.guard1, "length", b"/kong/?buffering=off", case, b"abc").status, 200)
    same(world.node.by_case(case)[0].headers["inspector-body"], "unread; reason=stream")


@test
def apisix_plugin(world):
    """The plugin's file, run as APISIX runs it; the gateway itself is not part of this."""
    case, answer = get(world, b"/apisix/a", extra=b"X-Waf: forged\r\nX-Waf: forged\r\n")
    same(answer.status, 200)
    same(re.findall(rb"(?i)\r\nx-waf: ([^\r]+)", world.upstream.seen[case][0]), [b"pass"])
    call = world.node.by_case(case)[0]
    same(call.headers["inspector-connector"], "weir-apisix/1.0.0")
    same((call.headers["inspector-route"], call.headers["inspector-service"]), ("apisix%20weir", "a%20service"))
    leg = wait_for(lambda: legs_of(world.node, [case]))[0]
    same((leg.headers["inspector-consumer"], leg.body), ("ann", b"upstream ok"))
    for framing, port in (("length", world.guard1), ("chunked", world.guard1), ("h2-open", world.guard2)):
        send = h2 if port == world.guard2 else h1
        answer = send(world, port, framing, b"/apisix/", case_id(), attack_body(8193, "last"))
        same((answer.status, answer.body), (403, DEFAULT_BODY), framing)
        case = case_id()
        same(send(world, port, framing, b"/apisix/", case, attack_body(8193, "none")).status, 200)
        same(len(world.upstream.seen[case][1]), 8193)
    case, answer = get(world, b"/apisixclosed/a")
    same((answer.status, case in world.upstream.seen), (503, False))

    def routes():
        return {entry["route"] for report in list(world.node.coverage) for entry in report.get("coverage", [])
                if report["node"].endswith(":%d" % world.node.port)}

    expect(wait_for(lambda: "apisix weir" in routes()), "no coverage of the route: %r" % routes())


@test
def node_restarts_under_load(world):
    node, results, stop = Node(world.reborn_port), [], threading.Event()

    def client():
        while not stop.is_set():
            results.append(get(world, b"/reborn/x")[1].status)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        expect(wait_for(lambda: 200 in results), "not inspected before the restart")
        node.stop()
        expect(wait_for(lambda: 503 in results), "fail_closed while the node was away")
        node = Node(world.reborn_port)
        expect(wait_for(lambda: len(results) > 20 and set(results[-20:]) == {200}), "inspected again after the restart")
        same(sorted(set(results) - {200, 503}), [], "statuses")
    finally:
        stop.set()
        for t in threads:
            t.join()
        node.stop()


@test
def bypasses_are_logged_and_counted(world):
    log = world.nginx.log()
    for reason in ("timeout", "reset", "malformed", "shed", "status_5xx", "refused", "connect", "breaker_open"):
        expect("uninspected, reason=" + reason in log, "no log line for " + reason)
    got = wait_for(lambda: [r for r in world.node.coverage
                            if any(c["inspected"] == "none" and c["reason"] == "timeout" for c in r.get("coverage", []))])
    expect(got, "no coverage report of a bypass")
    shown = raw(world.guard1, b"GET /weir/coverage HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    expect(b'"inspected":"full"' in shown.body, "coverage is not readable at the gateway")


def described_reasons():
    """The reasons that the node's description names, so that its metrics tell them apart."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/openapi.yaml")) as f:
        listed = re.search(r"reason: &reason.*?examples: \[([^\]]+)\]", f.read(), re.S)
    return {word.strip() for word in listed.group(1).split(",")}


@test
def coverage_only_rises(world):
    wanted = {"prefix", "stream", "upgrade", "too_large"}

    def partial():
        return {c["reason"] for r in list(world.node.coverage) for c in r.get("coverage", []) if c["inspected"] == "partial"}

    expect(wait_for(lambda: wanted <= partial()), "partial reasons %r" % partial())
    last = {}
    for report in list(world.node.coverage):
        for entry in report.get("coverage", []):
            key = (report["instance"], entry["route"], entry["inspected"], entry["reason"])
            expect(entry["requests"] >= last.get(key, 0), "a counter fell")
            last[key] = entry["requests"]
    same(len({r["instance"] for r in world.node.coverage}), 2, "one instance for each worker")
    described = described_reasons()
    seen = {c["reason"] for r in world.node.coverage for c in r.get("coverage", []) + r.get("dropped", [])}
    expect(seen <= described, "reasons that docs/openapi.yaml does not know: %r" % (seen - described))
    legs = {d["leg"] for r in world.node.coverage for d in r.get("dropped", [])}
    expect(legs <= {"request", "response"}, "legs %r" % legs)


@test
def nothing_threw(world):
    log = world.nginx.log()
    for bad in ("lua_error", "runtime error", "[alert]", "[crit]", "coverage report failed", "fault:"):
        expect(bad not in log, "%s in the log: %s" % (bad, [x for x in log.split("\n") if bad in x][:3]))
    for node in (world.node, world.keyed):
        same(node.violations, [], "contract violations")


# What a connector of a version without deadlines, batches and marks of copies sends.
OLDER_CALL = (b"POST /v1/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: message/http; msgtype=%s\r\n"
              b"Inspector-Connector: kong-lua/0.9.0\r\nInspector-Request-Id: older-1\r\nInspector-Client: 203.0.113.9:4711\r\n"
              b"Inspector-Scheme: http\r\nInspector-Protocol: HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s")


def real_node_with_an_older_connector(port):
    """It reads these statuses, the verdict, the context and the reply, and no other header."""
    def ask(leg, content, more=b""):
        return raw(port, OLDER_CALL % (leg + b"s", leg, more, len(content), content))

    def one(answer, name):
        values = [value for key, value in answer.headers if key == name]
        same(len(values), 1, name)
        return values[0]

    passed = ask(b"request", b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    same((passed.status, one(passed, "inspector-verdict")), (204, "pass"))
    blocked = ask(b"request", b"GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n")
    same((blocked.status, one(blocked, "inspector-verdict")), (200, "block"))
    reply = json.loads(blocked.body)["reply"]
    same((reply["status"], reply["body"].encode()), (403, DEFAULT_BODY))
    context = b"Inspector-Context: %s\r\n" % one(passed, "inspector-context").encode()
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"
    same(ask(b"response", page, context).status, 204, "a response")
    copy = ask(b"request", b"GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", b"Inspector-Blocking: false\r\n")
    same((copy.status, one(copy, "inspector-verdict")), (202, "accepted"))


def certificates(folder):
    # nginx workers run under another user.
    os.chmod(folder, 0o755)

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=folder, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "2", "-subj", "/CN=test ca")
    for name, subject in (("node", "node.test"), ("client", "connector")):
        with open(os.path.join(folder, name + ".ext"), "w") as f:
            f.write("subjectAltName=DNS:%s,IP:127.0.0.1\n" % subject)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out", name + ".csr",
                "-subj", "/CN=" + subject)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", name + ".pem", "-days", "2", "-extfile", name + ".ext")


def start(world, node_port, socket="node.sock"):
    names = ("BARE1", "BARE2", "GUARD1", "GUARD2", "TLS", "DEAD", "SECOND", "REBORN", "GONE", "TWO", "PAIR", "BATCH", "FULL")
    ports = dict(zip(names, free_ports(len(names))))
    world.second_port, world.reborn_port = ports["SECOND"], ports["REBORN"]
    world.batch_port, world.full_port = ports["BATCH"], ports["FULL"]
    world.gone_port, world.two_port, world.pair_port = ports["GONE"], ports["TWO"], ports["PAIR"]
    world.bare1, world.bare2 = ports["BARE1"], ports["BARE2"]
    world.guard1, world.guard2 = ports["GUARD1"], ports["GUARD2"]
    world.nginx = Nginx("nginx.conf.in", dict(ports, NODE=node_port, UPSTREAM=world.upstream.port,
                                              NAMES=world.names.port,
                                              KEYED=world.keyed.port, CERTS=world.certs,
                                              SOCKET=os.path.join(world.certs, socket)))
    if not wait_port(world.guard1):
        print(open(world.nginx.dir + "/stderr").read(), world.nginx.log())
        raise SystemExit("nginx did not start")
    try:
        raw(world.bare1, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    except OSError:
        print(world.nginx.log())
        raise SystemExit("nginx does not answer")


def main():
    if not modules_dir():
        print("SKIPPED end-to-end tests: nginx with the Lua module is not installed "
              "(connectors/install-test-deps.sh)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    only = sys.argv[1:]
    world = World()
    with tempfile.TemporaryDirectory(prefix="weir-certs-") as world.certs:
        certificates(world.certs)
        world.names = Names()
        world.upstream, world.keyed = Upstream(), Node(key="s3cret-key")
        world.node = Node()
        world.local = Node(path=world.certs + "/node.sock")
        start(world, world.node.port)
        try:
            if not only or "matrix" in only:
                matrix(world, world.node, "scripted node,")
            for function in TESTS:
                if not only or function.__name__ in only:
                    for _ in range(int(os.environ.get("TIMES", "1"))):
                        run(function.__name__, function, world)
        finally:
            world.nginx.stop()

        weir = os.environ.get("WEIR_BIN")
        if weir:
            port = free_ports(1)[0]
            args = [a.replace("{port}", str(port)) for a in shlex.split(os.environ.get("WEIR_ARGS") or NODE)]
            log, home = tempfile.TemporaryFile("w+"), tempfile.TemporaryDirectory()
            weir = os.path.abspath(weir)
            process = subprocess.Popen([weir, *args], stdout=log, cwd=home.name)
            path = os.path.join(world.certs, "real.sock")
            # nginx workers run under another user.
            more = ["--set", "connector.address=unix:" + path, "--set", "connector.unix_socket.mode=0666"]
            local = subprocess.Popen([weir, *args, *more], stdout=log, cwd=home.name)
            try:
                if not wait_port(port):
                    raise SystemExit("the node at WEIR_BIN does not listen on port %d" % port)
                if not wait_for(lambda: os.path.exists(path)):
                    raise SystemExit("the node at WEIR_BIN does not listen on a Unix socket")
                start(world, port, "real.sock")
                try:
                    matrix(world, None, "real node,")
                    run("real node, with an older connector", real_node_with_an_older_connector, port)
                    run("real node, on a Unix socket", real_node_on_a_unix_socket, world)
                finally:
                    world.nginx.stop()
            finally:
                for node in (process, local):
                    node.terminate()
                for node in (process, local):
                    node.wait(WAIT_S)
            run("real node, removes its socket", same, os.path.exists(path), False)
            log.seek(0)
            refused = [line for line in log if '"call refused"' in line or '"ERROR"' in line]
            run("real node, understands every call", same, refused, [])
        else:
            print("SKIPPED matrix against a real node: WEIR_BIN is not set")
            skipped.append("real node")
    print("%d passed, %d failed, %d skipped" % (len(passed), len(failed), len(skipped)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
