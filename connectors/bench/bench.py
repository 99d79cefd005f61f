#!/usr/bin/env python3
"""Latency and throughput of the OpenResty adapter beside the same nginx without it.

    bench.py [seconds]

Core 0: the nginx under test, one worker. Core 1: the upstream, the node (a stand-in
unless NODE_PORT names a running one) and wrk. With SHARED=1 all of them may run on both
cores, as the scheduler likes; so may the node on NODE_PORT, if it is started so. Needs
wrk and taskset.

Read req/s and kept with the column busy, the share of the run's time that the worker
computed: where it is far from 100 %, the others on core 1 were the limit, not nginx.
What the worker itself could keep is the bare cpu us/rq over that of the adapter, in
the column by cpu. Without inspect_response the phases that would do nothing are left
out, as openresty/README.md says."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))
from harness import CONNECTORS, free_ports, modules_dir, nginx_binary, wait_port

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
SIZES = [0, 1024, 8192]
RESPONSE_PHASES = "body_filter_by_lua_block { guard:body_filter() } log_by_lua_block { guard:log() }"
SHARED = os.environ.get("SHARED") == "1"


def cores(core):
    return "0,1" if SHARED else str(core)


def start(template, values, core):
    folder = tempfile.mkdtemp(prefix="weir-bench-")
    os.chmod(folder, 0o755)
    text = open(os.path.join(HERE, template)).read()
    for name, value in dict(values, DIR=folder).items():
        text = text.replace("@%s@" % name, str(value))
    with open(folder + "/nginx.conf", "w") as f:
        f.write(text)
    return folder, subprocess.Popen(["taskset", "-c", cores(core), nginx_binary(), "-p", folder, "-c",
                                     folder + "/nginx.conf", "-e", folder + "/error.log"])


def cpu_seconds(folder):
    """What the one worker has used; unlike latency, little disturbed by neighbours."""
    master = open(folder + "/nginx.pid").read().strip()
    worker = open("/proc/%s/task/%s/children" % (master, master)).read().split()[0]
    fields = open("/proc/%s/stat" % worker).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(port, size, connections):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if size:
            script.write('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\n'
                         'wrk.body = "q=" .. ("a"):rep(%d)\n' % (size - 2))
        script.write('done = function(s, l, r)\nio.write(string.format("P %f %f %f %f %d\\n", l:percentile(50), '
                     'l:percentile(95), l:percentile(99), s.requests / s.duration * 1e6, '
                     's.errors.status + s.errors.connect + s.errors.read + s.errors.timeout))\nend\n')
        script.flush()
        out = subprocess.run(["taskset", "-c", cores(1), "wrk", "-t1", "-c%d" % connections, "-d%ds" % SECONDS,
                              "-s", script.name, "http://127.0.0.1:%d/bench?a=1" % port],
                             capture_output=True, text=True)
    out = out.stdout + out.stderr
    found = re.search(r"P (\S+) (\S+) (\S+) (\S+) (\d+)", out)
    if not found:
        raise SystemExit("wrk gave no figures:\n" + out)
    return [float(v) for v in found.groups()]


def main():
    for tool in ("wrk", "taskset"):
        if not shutil.which(tool):
            raise SystemExit("%s is not installed" % tool)
    where = "cores 0 and 1: nginx under test (1 worker)," if SHARED else "core 0: nginx under test (1 worker); core 1:"
    print("%s upstream, %s, wrk; %d s a run"
          % (where, "node on NODE_PORT" if os.environ.get("NODE_PORT") else "stand-in node", SECONDS))
    for responses in ("false", "true"):
        bare, guard, upstream, node = free_ports(4)
        node_port = int(os.environ.get("NODE_PORT") or node)
        values = dict(BARE=bare, GUARD=guard, UPSTREAM=upstream, NODE=node_port, RESPONSES=responses,
                      RESPONSE_PHASES=RESPONSE_PHASES if responses == "true" else "",
                      CONNECTORS=CONNECTORS, MODULES=modules_dir())
        running = [start("others.conf.in", dict(values, NODE=node), 1), start("nginx.conf.in", values, 0)]
        try:
            assert wait_port(guard) and wait_port(upstream)
            print("\ninspect_response = %s" % responses)
            print("%-5s %-6s %-8s %8s %8s %8s %9s %7s %6s %9s %6s %7s" % (
                "body", "conns", "", "p50 us", "p95 us", "p99 us", "req/s", "kept", "errors", "cpu us/rq", "busy",
                "by cpu"))
            for connections in (1, 32):
                for size in SIZES:
                    wrk(guard, size, connections) if size == 0 else None
                    folder, rows = running[1][0], []
                    for port in (bare, guard):
                        before = cpu_seconds(folder)
                        row = wrk(port, size, connections)
                        rows.append(row + [(cpu_seconds(folder) - before) * 1e6 / (row[3] * SECONDS)])
                    plain, with_it = rows
                    for name, row in (("bare", plain), ("adapter", with_it)):
                        print("%-5d %-6d %-8s %8.0f %8.0f %8.0f %9.0f %6.0f%% %6d %9.1f %5.0f%% %6.0f%%" % (
                            size, connections, name, *row[:4], 100 * row[3] / plain[3], row[4], row[5],
                            row[3] * row[5] / 1e4, 100 * plain[5] / row[5]))
                    print("%-5s %-6s %-8s %8.0f %8.0f %8.0f" % ("", "", "added", *(
                        with_it[i] - plain[i] for i in range(3))), flush=True)
        finally:
            for folder, process in reversed(running):
                process.terminate()
                process.wait(10)
                errors = open(folder + "/error.log").read()
                if errors:
                    print(errors[:1000])
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
