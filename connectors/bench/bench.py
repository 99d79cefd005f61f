#!/usr/bin/env python3
"""What the connector costs a gateway, beside the least that any connector of this design costs.

    bench.py [--rounds N] [--seconds S] [--node stand-in|real] [--transport tcp|unix] [--connections N] [--size N]

Four variants of one nginx location are measured in turn, round after round:
  bare      the proxy alone
  cosocket  a handler that makes one bare call to the node, with constant bytes (bare.lua)
  request   the connector without the response leg
  default   the connector with its defaults: copies of responses are sent in batches
  ffi       the inspection in the worker itself, if WEIR_FFI names the library (build it with an optimised profile)
each with a stand-in for the node, and with a real one if WEIR_BIN names the program, over
TCP and over a Unix socket, with 1 and 32 connections, without a body and with 1 KB.

Core 0: the nginx under test, one worker. Core 1: the upstream, the node and wrk. With
CORES=shared all of them may run on both cores, with CORES=one all run on core 0. Shown are
medians of the rounds: requests per second, the median latency, the processor time of the
worker for a request, and shares of the other variants. On a busy machine the share by
processor time is the one to trust. With two cores, part of it is waking the other core,
which only a variant that leaves that core idle has to do: the slower a variant, the more
of this it pays, and in a virtual machine it is a fifth of all time. CORES=one has none of
it. A line in any log ends the run with an error.

    bench.py --callgrind

counts instructions instead, of the worker alone (the kernel's are not seen): needs
valgrind; one connection, the stand-in.

BENCH_PROFILE=FILE writes samples of LuaJIT's profiler, BENCH_TRACES=FILE what LuaJIT compiled or gave up."""
import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))
from harness import CONNECTORS, free_ports, modules_dir, nginx_binary, wait_port

# By CORES: what is said of it, and for core 0 and core 1 the processors for taskset and nginx.
PLACES = {
    "apart": ("core 0: nginx under test (1 worker); core 1: upstream, node, wrk", ("0", "01"), ("1", "10")),
    "shared": ("all on cores 0 and 1", ("0,1", "auto"), ("0,1", "auto")),
    "one": ("all on core 0", ("0", "01"), ("0", "01")),
}
PLACE, *CORES = PLACES[os.environ.get("CORES", "apart")]
WEIR = os.environ.get("WEIR_BIN")
FFI = os.environ.get("WEIR_FFI")
VARIANTS = ("bare", "cosocket", "request", "default") + (("ffi",) if FFI else ())
# Variants that call no node.
ALONE = ("bare", "ffi")
RESPONSE_PHASES = "body_filter_by_lua_block { %s:body_filter() } log_by_lua_block { %s:log() }"


def start(template, values, core, wrapper=()):
    folder = tempfile.mkdtemp(prefix="weir-bench-")
    os.chmod(folder, 0o755)
    text = open(os.path.join(HERE, template)).read()
    for name, value in dict(values, DIR=folder, AFFINITY=CORES[core][1]).items():
        text = text.replace("@%s@" % name, str(value))
    with open(folder + "/nginx.conf", "w") as f:
        f.write(text)
    command = [nginx_binary(), "-p", folder, "-c", folder + "/nginx.conf", "-e", folder + "/error.log"]
    return folder, subprocess.Popen(["taskset", "-c", CORES[core][0], *wrapper, *command])


def start_node(sockets, key):
    """A real node that listens on a port or a Unix socket."""
    address, metrics = sockets
    sets = ["connector.address=" + address, "health_check.enabled=false", "metrics.listen_address=127.0.0.1:%d" % metrics,
            "events.enabled=false", "control_plane.enabled=false", "log.access_log.enabled=false", "log.level=error",
            "data_dir=" + key]
    if address.startswith("unix:"):
        # The worker of nginx runs as another user.
        sets.append("connector.unix_socket.mode=0666")
    arguments = [argument for value in sets for argument in ("--set", value)]
    process = subprocess.Popen(["taskset", "-c", CORES[1][0], WEIR, "processing", *arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert wait_port(metrics), "the node did not start"
    return process


class Setup:
    """The nginx under test, its upstream and its nodes."""

    def __init__(self, nodes, wrapper=()):
        self.folder = tempfile.mkdtemp(prefix="weir-bench-")
        os.chmod(self.folder, 0o755)
        upstream, stand_in, real, *ports = free_ports(7 + 20)
        self.logs, self.real = [], []
        stand_in_socket, real_socket = self.folder + "/stand-in.sock", self.folder + "/real.sock"
        addresses = {("stand-in", "tcp"): "127.0.0.1:%d" % stand_in, ("stand-in", "unix"): "unix:" + stand_in_socket,
                     ("real", "tcp"): "127.0.0.1:%d" % real, ("real", "unix"): "unix:" + real_socket}
        if "real" in nodes:
            self.real = [start_node((addresses["real", "tcp"], ports.pop()), self.folder),
                         start_node((addresses["real", "unix"], ports.pop()), self.folder)]
        self.ports = {"bare": ports.pop()}
        servers, guards = [server(self.ports["bare"], "")], []
        if FFI:
            self.ports["ffi"] = ports.pop()
            servers.append(server(self.ports["ffi"], "access_by_lua_block { in_process:access() }"))
        for (node, transport), address in addresses.items():
            if node not in nodes:
                continue
            url = address if transport == "unix" else "http://" + address
            where = '"%s"' % address if transport == "unix" else '"127.0.0.1", %s' % address.split(":")[1]
            for variant in (variant for variant in VARIANTS if variant not in ALONE):
                port = self.ports[node, transport, variant] = ports.pop()
                name = "%s_%s_%s" % (node.replace("-", "_"), transport, variant)
                if variant == "cosocket":
                    lua = "access_by_lua_block { bare.access(%s) }" % where
                else:
                    responses = variant == "default"
                    guards.append('            %s = { wallarm_node_address = "%s", inspect_response = %s },'
                                  % (name, url, str(responses).lower()))
                    guard = "guards." + name
                    lua = "access_by_lua_block { %s:access() }\n            %s" % (
                        guard, RESPONSE_PHASES % (guard, guard) if responses else "")
                servers.append(server(port, lua))
        values = dict(UPSTREAM=upstream, NODE=stand_in, SOCKET=stand_in_socket, SERVERS="\n".join(servers),
                      GUARDS="\n".join(guards), CONNECTORS=CONNECTORS, MODULES=modules_dir(), HERE=HERE,
                      MASTER="off" if wrapper else "on",
                      FFI='require("weir_ffi").new({ library = "%s" })' % os.path.abspath(FFI) if FFI else "nil")
        self.running = [start("others.conf.in", values, 1)]
        assert wait_port(upstream)
        self.running.append(start("nginx.conf.in", values, 0, wrapper))
        assert wait_port(self.ports["bare"], 60)
        self.nginx_folder, self.nginx = self.running[1]

    def port(self, node, transport, variant):
        return self.ports[variant if variant in ALONE else (node, transport, variant)]

    def cpu_seconds(self):
        """What the one worker has used; unlike latency, little disturbed by neighbours."""
        master = open(self.nginx_folder + "/nginx.pid").read().strip()
        worker = open("/proc/%s/task/%s/children" % (master, master)).read().split()[0]
        return int(open("/proc/%s/schedstat" % worker).read().split()[0]) / 1e9

    def stop(self):
        """Returns what was logged meanwhile."""
        logged = ""
        for folder, process in reversed(self.running):
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            logged += open(folder + "/error.log").read()
            shutil.rmtree(folder, ignore_errors=True)
        for process in self.real:
            process.terminate()
            logged += process.communicate(timeout=60)[0].decode()
        shutil.rmtree(self.folder, ignore_errors=True)
        return logged


def server(port, lua):
    return """    server {
        listen 127.0.0.1:%d;
        location / {
            %s
            proxy_pass http://app;
        }
    }""" % (port, lua)


def wrk(port, size, connections, seconds):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if size:
            script.write('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\n'
                         'wrk.body = "q=" .. ("a"):rep(%d)\n' % (size - 2))
        script.write('done = function(s, l, r)\nio.write(string.format("P %f %f %d %d\\n", l:percentile(50), '
                     's.requests / s.duration * 1e6, s.requests, '
                     's.errors.status + s.errors.connect + s.errors.read + s.errors.timeout))\nend\n')
        script.flush()
        out = subprocess.run(["taskset", "-c", CORES[1][0], "wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds,
                              "-s", script.name, "http://127.0.0.1:%d/bench?a=1" % port],
                             capture_output=True, text=True)
    out = out.stdout + out.stderr
    found = re.search(r"P (\S+) (\S+) (\d+) (\d+)", out)
    if not found or int(found[4]) > 0:
        raise SystemExit("wrk gave no figures, or errors:\n" + out)
    return float(found[1]), float(found[2]), int(found[3])


# LuaJIT compiles what has run often enough.
WARM = 5000


def warm_up(port, size, connections):
    served = 0
    for _ in range(20):
        served += wrk(port, size, connections, 1)[2]
        if served >= WARM:
            return


def series(setup, options, node, transport, connections, size):
    """Medians of the rounds by variant: p50 in us, requests per second, processor time in us."""
    rows = {variant: [] for variant in VARIANTS}
    for variant in VARIANTS:
        warm_up(setup.port(node, transport, variant), size, connections)
    for number in range(options.rounds):
        # The order turns, so that no variant always follows the same one.
        for variant in VARIANTS[number % len(VARIANTS):] + VARIANTS[:number % len(VARIANTS)]:
            before = setup.cpu_seconds()
            p50, rate, requests = wrk(setup.port(node, transport, variant), size, connections, options.seconds)
            rows[variant].append((p50, rate, (setup.cpu_seconds() - before) * 1e6 / requests))
    return {variant: [statistics.median(column) for column in zip(*of)] for variant, of in rows.items()}


HEAD = "%-9s %-5s %5s %5s  %-8s %8s %8s %8s %8s %9s %8s %8s"


def show(setup, options, case):
    rows = series(setup, options, *case)
    bare, ceiling = rows["bare"], rows["cosocket"]
    for variant in VARIANTS:
        p50, rate, cpu = rows[variant]
        print("%-9s %-5s %5d %5d  %-8s %8.0f %8.0f %8.1f %7.0f%% %8.0f%% %7.0f%% %8.2f" % (
            *case, variant, rate, p50, cpu, 100 * rate / bare[1], 100 * rate / ceiling[1], 100 * ceiling[2] / cpu,
            p50 / ceiling[0]), flush=True)


def callgrind(options):
    """Instructions of the worker for a request, from the difference of two runs."""
    counts = {}
    for variant in VARIANTS:
        for transport in options.transport:
            for size in options.size:
                few, many = (instructions(variant, transport, size, requests) for requests in (400, 1200))
                counts[variant, transport, size] = (many - few) / 800
    print("instructions of the worker for a request, in thousands\n%-6s %5s" % ("", "body"),
          *("%9s" % variant for variant in VARIANTS), "%9s" % "share")
    for transport in options.transport:
        for size in options.size:
            row = [counts[variant, transport, size] / 1e3 for variant in VARIANTS]
            print("%-6s %5d" % (transport, size), *("%9.1f" % n for n in row),
                  "%4.0f%% %3.0f%%" % (100 * row[1] / row[2], 100 * row[1] / row[3]), flush=True)


def instructions(variant, transport, size, requests):
    out = tempfile.mktemp(prefix="weir-callgrind-")
    setup = Setup(["stand-in"], ("valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, "-q"))
    ask(setup.port("stand-in", transport, variant), size, requests)
    logged = setup.stop()
    text = open(out).read()
    os.unlink(out)
    if logged:
        print(logged[:1000])
    return int(re.search(r"^(?:summary|totals): (\d+)", text, re.M)[1])


def ask(port, size, requests):
    import socket
    body = b"q=" + b"a" * (size - 2) if size else b""
    head = (b"POST" if size else b"GET") + b" /bench?a=1 HTTP/1.1\r\nHost: 127.0.0.1:20000\r\n"
    if size:
        head += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n" % size
    connection = socket.create_connection(("127.0.0.1", port))
    reader = connection.makefile("rb")
    for _ in range(requests):
        connection.sendall(head + b"\r\n" + body)
        length, line = 0, reader.readline()
        assert b" 200 " in line, line
        while line not in (b"\r\n", b""):
            line = reader.readline()
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        reader.read(length)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--node", action="append", choices=["stand-in", "real"])
    parser.add_argument("--transport", action="append", choices=["tcp", "unix"])
    parser.add_argument("--connections", action="append", type=int)
    parser.add_argument("--size", action="append", type=int)
    parser.add_argument("--callgrind", action="store_true")
    options = parser.parse_args()
    options.node = options.node or ["stand-in"] + (["real"] if WEIR else [])
    options.transport = options.transport or ["tcp", "unix"]
    options.size = options.size if options.size is not None else [0, 1024]
    if options.callgrind:
        return callgrind(options)
    for tool in ("wrk", "taskset"):
        if not shutil.which(tool):
            raise SystemExit("%s is not installed" % tool)
    load = os.getloadavg()[0]
    print("%s; medians of %d alternating rounds of %d s; load of the machine at the start %.1f"
          % (PLACE, options.rounds, options.seconds, load))
    print(HEAD % ("node", "to it", "conns", "body", "", "req/s", "p50 us", "cpu us", "of bare", "of cosck", "by cpu", "p50 x"))
    setup = Setup(options.node)
    try:
        for node in options.node:
            for transport in options.transport:
                for connections in options.connections or [1, 32]:
                    for size in options.size:
                        show(setup, options, (node, transport, connections, size))
    finally:
        logged = setup.stop()
        print("load of the machine at the end %.1f" % os.getloadavg()[0])
    if logged:
        raise SystemExit("something was logged during the run:\n" + logged[:2000])


if __name__ == "__main__":
    main()
