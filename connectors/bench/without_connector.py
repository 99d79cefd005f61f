#!/usr/bin/env python3
"""What asking the node costs the proxies that need no connector of weir.

    WEIR_BIN=path PROXIES=directory without_connector.py [--rounds N] [--seconds S] [--connections N] [PROXY...]

Each proxy runs twice, with its example configuration and with the same one that does not ask the node, and is
measured in turn, round after round, before one nginx that answers every request. Shown are medians: processor time of the
proxy alone for a request, requests per second, and both as shares of the proxy that does not ask. On a busy machine, the
share by processor time is the one to trust."""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "forward-auth"))
sys.path.insert(0, os.path.join(HERE, "..", "tests"))
import test as forward  # noqa: E402
from harness import nginx_binary  # noqa: E402
from proxies import Process, free_port, node  # noqa: E402

# Speaks the AppSec protocol, as a bouncer does.
CROWDSEC = "crowdsec/nginx.conf"
# What makes each example ask the node.
ASKING = {
    "crowdsec.conf": r"(?m)^ *auth_request /.*\n",
    "nginx.conf": r"(?m)^ *(auth_request /|error_page 403).*\n",
    "ingress-nginx.conf": r"(?m)^ *auth_request /.*\n",
    "traefik-dynamic.yaml": r"(?m)^ *middlewares: \[weir\]\n",
    "Caddyfile": r"(?ms)^\tforward_auth.*?^\t}\n",
    "envoy.yaml": r"(?ms)^ *- name: envoy\.filters\.http\.ext_authz\n.*?(?=^ *- name: envoy\.filters\.http\.router)",
    "ext-authz.yaml": r"(?ms)^ *- name: envoy\.filters\.http\.ext_authz\n.*?(?=^ *- name: envoy\.filters\.http\.router)",
    "ext-proc.yaml": r"(?ms)^ *- name: envoy\.filters\.http\.ext_proc\n.*?(?=^ *- name: envoy\.filters\.http\.router)",
    "haproxy.cfg": r"(?m)^ *(filter spoe|option http-buffer-request).*\n",
}


def example(file, folder, ports, asks):
    """An example configuration with the ports of this run. ports: node, application and proxy."""
    with open(os.path.join(HERE, "..", file)) as source:
        text = source.read()
    for old, new in zip(("5000", "5002", "8080", "8000"), (ports[0], ports[1], ports[2], ports[3])):
        text = re.sub(r"(?<=[: ])%s\b" % old, str(new), text)
    name = "crowdsec.conf" if file == CROWDSEC else os.path.basename(file)
    if not asks:
        text, found = re.subn(ASKING[name], "", text)
        assert found, "nothing in %s asks the node" % name
    path = os.path.join(folder, name)
    with open(path, "w") as target:
        target.write(text)
    return path


def command(name, folder, ports, asks):
    if name in ("nginx", "ingress-nginx", "crowdsec"):
        path = example(CROWDSEC if name == "crowdsec" else "forward-auth/%s.conf" % name, folder, ports, asks)
        main = os.path.join(folder, "main.conf")
        with open(main, "w") as file:
            file.write("daemon off; master_process off; pid %s/nginx.pid; error_log stderr; events {}\nhttp { access_log off; "
                       "keepalive_requests 100000000; include %s; }\n" % (folder, path))
        return [nginx_binary(), "-p", folder, "-c", main]
    if name == "traefik":
        path = example("forward-auth/traefik-dynamic.yaml", folder, ports, asks)
        return [forward.program(name), "--entrypoints.web.address=127.0.0.1:%d" % ports[3], "--providers.file.filename=" + path]
    if name == "caddy":
        path = example("forward-auth/Caddyfile", folder, ports, asks)
        with open(path) as file:
            text = "{\n\tadmin off\n\tauto_https off\n}\n" + file.read()
        with open(path, "w") as file:
            file.write(text)
        return [forward.program(name), "run", "--config", path, "--adapter", "caddyfile"]
    if name == "haproxy":
        example("haproxy/haproxy.cfg", folder, ports, asks)
        shutil.copy(os.path.join(HERE, "..", "haproxy", "spoe.cfg"), folder)
        return ["haproxy", "-db", "-f", "haproxy.cfg"]
    file = {"ext_authz-http": "forward-auth/envoy.yaml", "ext_authz-grpc": "envoy/examples/ext-authz.yaml",
            "ext_proc": "envoy/examples/ext-proc.yaml"}[name]
    path = example(file, folder, ports, asks)
    return [forward.program("envoy"), "-c", path, "--concurrency", "1", "--disable-hot-restart"]


NAMES = ("nginx", "ingress-nginx", "crowdsec", "traefik", "caddy", "ext_authz-http", "ext_authz-grpc", "ext_proc", "haproxy")


def processor_seconds(pid):
    """Of a process, its threads and its children."""
    total = 0
    for thread in os.listdir("/proc/%d/task" % pid):
        try:
            total += int(open("/proc/%d/task/%s/schedstat" % (pid, thread)).read().split()[0]) / 1e9
            children = open("/proc/%d/task/%s/children" % (pid, thread)).read().split()
        except OSError:
            continue
        total += sum(processor_seconds(int(child)) for child in children)
    return total


def wrk(port, options, seconds):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('done = function(s) io.write(string.format("P %d %d %d\\n", s.requests, s.duration, s.errors.status '
                     '+ s.errors.connect + s.errors.read + s.errors.timeout)) end\n')
        script.flush()
        out = subprocess.run(["wrk", "-t1", "-c%d" % options.connections, "-d%ds" % seconds, "-s", script.name,
                              "http://127.0.0.1:%d/bench?a=1" % port], capture_output=True, text=True)
    found = re.search(r"P (\d+) (\d+) (\d+)", out.stdout)
    requests, micros, errors = map(int, found.groups())
    # A busy machine makes a verdict late now and then.
    if errors > requests / 50:
        raise SystemExit("%d errors in %d requests: %s" % (errors, requests, out.stdout[-300:]))
    return requests, requests / micros * 1e6


def measure(name, options, root, ports):
    proxies, rows = {}, {False: [], True: []}
    try:
        for asks in rows:
            folder = tempfile.mkdtemp(dir=root)
            os.chmod(folder, 0o755)
            port = free_port()
            proxies[asks] = port, Process(command(name, folder, ports + (port,), asks), port, os.path.join(folder, "log"),
                                          cwd=folder, env={**os.environ, "HOME": folder, "WEIR_KEY": ""})
            # A proxy may listen before it has read its routes.
            while forward.ask(port, "GET", "/bench?a=1")[0] == 404:
                pass
            wrk(port, options, 1)
        for number in range(options.rounds):
            for asks in (number % 2 == 0, number % 2 == 1):
                port, process = proxies[asks]
                before = processor_seconds(process.process.pid)
                requests, rate = wrk(port, options, options.seconds)
                rows[asks].append(((processor_seconds(process.process.pid) - before) * 1e6 / requests, rate))
    finally:
        for _, process in proxies.values():
            process.stop()
    bare, asking = ([statistics.median(column) for column in zip(*rows[asks])] for asks in (False, True))
    print("%-16s %10.0f %10.0f %8.0f%% %10.0f %10.0f %8.0f%%" % (
        name, bare[0], asking[0], 100 * bare[0] / asking[0], bare[1], asking[1], 100 * asking[1] / bare[1]), flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("proxies", nargs="*", default=NAMES)
    options = parser.parse_args()
    root = tempfile.mkdtemp(prefix="weir-bench-")
    os.chmod(root, 0o755)
    api, spoe, application = free_port(), free_port(), free_port()
    with open(root + "/application.conf", "w") as file:
        file.write("daemon off; master_process off; pid %s/pid; error_log stderr; events {}\nhttp { access_log off; keepalive_requests "
                   "100000000; server { listen 127.0.0.1:%d; location / { return 200 ok; } } }\n" % (root, application))
    running = [Process([nginx_binary(), "-p", root, "-c", root + "/application.conf"], application, root + "/application.log"),
               node(root, api, "", ["spoe.address=127.0.0.1:%d" % spoe, "log.access_log.enabled=false"])]
    print("load of the machine %.1f; medians of %d rounds of %d s, %d connections" % (
        os.getloadavg()[0], options.rounds, options.seconds, options.connections))
    print("%-16s %10s %10s %9s %10s %10s %9s" % ("", "us alone", "us asking", "share", "req/s", "asking", "share"))
    try:
        for name in options.proxies:
            measure(name, options, root, (api, spoe, application))
    finally:
        for process in running:
            process.stop()
        shutil.rmtree(root, ignore_errors=True)
    print("load of the machine at the end %.1f" % os.getloadavg()[0])


if __name__ == "__main__":
    main()
