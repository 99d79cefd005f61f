"""Tests of forward authentication: a real node behind the example configurations of nginx, Traefik, Caddy and Envoy.

    WEIR_BIN=path PROXIES=directory test.py [PROXY...]

PROXIES is a directory with the programs `traefik`, `caddy` and `envoy`; nginx comes from the system. A proxy that is
missing is skipped, and named. Ends with a counting line."""
import os
import re
import shutil
import sys
import tempfile
import time
import traceback

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests"))
from proxies import DEFAULT_BODY, FORM, SQL, WAIT_S, Application, Process, ask, free_port, node  # noqa: E402

passed, failed, skipped = [], [], []


def example(name, folder, node_port, application_port, listen):
    """The example configuration with the ports of this test."""
    with open(os.path.join(HERE, name)) as file:
        text = file.read()
    for old, new in (("127.0.0.1:5000", "127.0.0.1:%d" % node_port), ("127.0.0.1:8080", "127.0.0.1:%d" % application_port),
                     ("8000", str(listen)), ("port_value: 5000", "port_value: %d" % node_port),
                     ("port_value: 8080", "port_value: %d" % application_port)):
        text = text.replace(old, new)
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def nginx(folder, node_port, application_port, listen, fail_open=False):
    path = example("nginx.conf", folder, node_port, application_port, listen)
    if fail_open:
        with open(path) as file:
            text = re.sub(r"# (proxy_intercept_errors on;|error_page 500)", r"\1", file.read())
        with open(path, "w") as file:
            file.write(text)
    return nginx_with(folder, path, listen)


def nginx_with(folder, path, listen):
    main = os.path.join(folder, "main.conf")
    with open(main, "w") as file:
        file.write("daemon off; master_process off; pid %s/nginx.pid; error_log stderr; events {}\nhttp { access_log off; "
                   "client_max_body_size 20m; include %s; }\n" % (folder, path))
    return Process([program("nginx"), "-p", folder, "-c", main], listen, os.path.join(folder, "proxy.log"))


def ingress_nginx(folder, node_port, application_port, listen):
    return nginx_with(folder, example("ingress-nginx.conf", folder, node_port, application_port, listen), listen)


def gateway_fabric(folder, node_port, application_port, listen, fail_open=False):
    """The snippets where NGINX Gateway Fabric puts them."""
    with open(example("nginx-gateway-fabric.yaml", folder, node_port, application_port, listen)) as file:
        snippets = {each["context"]: each["value"] for each in yaml.safe_load(file)["spec"]["snippets"]}
    path = os.path.join(folder, "fabric.conf")
    with open(path, "w") as file:
        file.write("%s\nserver {\nlisten %d;\n%s\nlocation / {\nproxy_set_header Host $http_host;\n"
                   "proxy_http_version 1.1;\nproxy_pass http://127.0.0.1:%d;\n%s}\n}\n" % (
                       snippets["http"], listen, snippets["http.server"], application_port, snippets["http.server.location"]))
    return nginx_with(folder, path, listen)


def traefik(folder, node_port, application_port, listen):
    path = example("traefik-dynamic.yaml", folder, node_port, application_port, listen)
    command = [program("traefik"), "--entrypoints.web.address=127.0.0.1:%d" % listen, "--providers.file.filename=" + path]
    return Process(command, listen, os.path.join(folder, "proxy.log"))


def caddy(folder, node_port, application_port, listen):
    path = example("Caddyfile", folder, node_port, application_port, listen)
    with open(path) as file:
        text = "{\n\tadmin off\n\tauto_https off\n}\n" + file.read()
    with open(path, "w") as file:
        file.write(text)
    return Process([program("caddy"), "run", "--config", path, "--adapter", "caddyfile"], listen,
                   os.path.join(folder, "proxy.log"), env={**os.environ, "HOME": folder, "XDG_DATA_HOME": folder})


def envoy(folder, node_port, application_port, listen):
    path = example("envoy.yaml", folder, node_port, application_port, listen)
    return Process([program("envoy"), "-c", path, "--concurrency", "1", "--disable-hot-restart"], listen,
                   os.path.join(folder, "proxy.log"))


PROXIES = {"nginx": nginx, "gateway-fabric": gateway_fabric, "ingress-nginx": ingress_nginx, "traefik": traefik, "caddy": caddy, "envoy": envoy}
SENDS_BODIES = {"traefik", "envoy"}
# Programs of proxies that have another name.
PROGRAMS = {"gateway-fabric": "nginx", "ingress-nginx": "nginx"}


def program(name):
    name = PROGRAMS.get(name, name)
    path = os.path.join(os.environ.get("PROXIES", ""), name)
    return path if os.access(path, os.X_OK) else shutil.which(name) or (
        "/usr/sbin/nginx" if name == "nginx" and os.access("/usr/sbin/nginx", os.X_OK) else None)


class Setup:
    """A node and a proxy before an application."""

    def __init__(self, name, config="", **more):
        self.name, self.folder = name, tempfile.mkdtemp(prefix="weir-forward-auth-")
        self.application = Application()
        self.node_port, self.port = free_port(), free_port()
        self.node = node(self.folder, self.node_port, config)
        self.proxy = PROXIES[name](self.folder, self.node_port, self.application.server_address[1], self.port, **more)
        # A proxy may listen before it has read its routes.
        end = time.monotonic() + WAIT_S
        while self.ask("GET", "/")[0] == 404 and time.monotonic() < end:
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.proxy.stop()
        self.node.stop()
        self.application.shutdown()
        if kind:
            for name in ("weir.log", "proxy.log"):
                with open(os.path.join(self.folder, name), errors="replace") as file:
                    print("--- %s\n%s" % (name, file.read()[-3000:]))
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, *what, **more):
        return ask(self.port, *what, **more)

    def passes(self, *what, **more):
        before = len(self.application.arrived)
        status, body, _ = self.ask(*what, **more)
        assert status == 200 and body.startswith(b"application"), (what, status, body[:200])
        return self.application.arrived[before]

    def blocks(self, *what, status=403, reply=DEFAULT_BODY, **more):
        before = len(self.application.arrived)
        got, body, headers = self.ask(*what, **more)
        if self.name == "ingress-nginx":
            # It has no way to fetch the reply: nginx makes one of its own.
            assert got == 403 and b"403 Forbidden" in body, (what, got, body[:200])
            status, reply = got, body
        assert (got, body) == (status, reply), (what, got, body[:200])
        assert len(self.application.arrived) == before, "a blocked request reached the application"
        names = [name for name in headers if name.lower().startswith("inspector-")]
        assert not names, "the client sees %s" % names


def basics(name):
    with Setup(name) as setup:
        assert setup.passes("GET", "/a?b=%31&c=d+e")[:2] == ("GET", "/a?b=%31&c=d+e")
        assert setup.passes("POST", "/f", body=b"x=1&y=2", headers=FORM)[2] == b"x=1&y=2"
        setup.blocks("GET", "/etc/passwd")
        setup.blocks("GET", SQL)
        setup.blocks("POST", SQL, body=b"x=1", headers=FORM)
        setup.blocks("GET", "/", headers={"User-Agent": "() { :;}; /bin/cat /etc/passwd"})
        setup.blocks("GET", "/", headers={"Cookie": "a=1' UNION SELECT password FROM users-- x"})


def forged(name):
    harmless = {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": "/", "X-Original-Uri": "/", "X-Original-Method": "GET",
                "X-Original-Url": "/", "X-Rewrite-Url": "/", "X-Forwarded-For": "127.0.0.1", "X-Original-For": "127.0.0.1",
                "Inspector-Blocking": "false", "Inspector-Client": "127.0.0.1", "Inspector-Body": "unread; reason=stream",
                "Inspector-Reply": "x", "Inspector-Key": "x", "X-Envoy-Auth-Partial-Body": "true"}
    with Setup(name) as setup:
        setup.blocks("GET", SQL, headers=harmless)
        for header, value in harmless.items():
            setup.blocks("GET", SQL, headers={header: value})
        if name == "ingress-nginx":
            # A host with a question mark does not move the target out of the path.
            setup.blocks("GET", "/etc/passwd", headers={"Host": "shop.example?x"})
        # One that a proxy of another kind would read carries an attack: it is inspected like any header.
        setup.blocks("GET", "/", headers={"X-Rewrite-Url": SQL})


def second_family(name):
    """Headers in the way of another proxy are an anomaly of their own, which policy may block."""
    foreign = ("X-Original-Uri", "X-Original-Method") if name in ("traefik", "caddy") else ("X-Forwarded-Uri", "X-Forwarded-Method")
    if name == "envoy":
        foreign += ("X-Original-Uri", "X-Original-Method")
    with Setup(name, "anomalies: {conflicting_forward: block}\n") as setup:
        setup.passes("GET", "/")
        for header in foreign:
            setup.blocks("GET", "/", headers={header: "/"})
    with Setup(name, "anomalies: {conflicting_forward: ignore}\n") as setup:
        for header in foreign:
            setup.passes("GET", "/", headers={header: "/"})


def bodies(name):
    attack = b"x=1&id=1' UNION SELECT password FROM users-- x"
    with Setup(name) as setup:
        if name in SENDS_BODIES:
            setup.blocks("POST", "/f", body=attack, headers=FORM)
            setup.blocks("POST", "/f", body=iter([attack[:9], attack[9:]]), headers={**FORM, "Transfer-Encoding": "chunked"})
            setup.blocks("PUT", "/f", body=b"y=" + b"z" * 1_000_000 + b"&" + attack, headers=FORM)
            beyond(setup, name, b"y=" + b"z" * 2_000_000 + b"&" + attack)
        else:
            assert setup.passes("POST", "/f", body=attack, headers=FORM)[2] == attack
    # What is not sent is a reason of its own, which policy may block.
    with Setup(name, "overlimit: {reasons: {not_sent: block}}\n") as setup:
        setup.passes("GET", "/")
        if name in SENDS_BODIES:
            setup.passes("POST", "/f", body=b"x=1", headers=FORM)
        else:
            setup.blocks("POST", "/f", body=b"x=1", headers=FORM)


def beyond(setup, name, body):
    """A body that is longer than what Traefik sends is refused by it, and never passes uninspected."""
    chunked = {**FORM, "Transfer-Encoding": "chunked"}
    if name == "traefik":
        setup.blocks("PUT", "/f", body=body, headers=FORM, status=401, reply=b"")
        setup.blocks("PUT", "/f", body=iter([body[:9], body[9:]]), headers=chunked, status=401, reply=b"")
        setup.passes("PUT", "/f", body=b"y=" + b"z" * ((1 << 20) - 2), headers=FORM)
        setup.blocks("PUT", "/f", body=b"y=" + b"z" * ((1 << 20) - 1), headers=FORM, status=401, reply=b"")
    else:
        setup.blocks("PUT", "/f", body=body, headers=FORM)
        setup.blocks("PUT", "/f", body=iter([body[:9], body[9:]]), headers=chunked)


def own_reply(name):
    with Setup(name, "block_reply: {status: 451, body_json: '{\"blocked\": true}', headers: {x-policy: legal}}\n") as setup:
        setup.blocks("GET", SQL, status=451, reply=b'{"blocked": true}')
        _, _, headers = setup.ask("GET", SQL)
        if name != "ingress-nginx":
            assert {key.lower(): value for key, value in headers.items()}.get("x-policy") == "legal", headers
        assert setup.passes("GET", "/")


def node_gone(name):
    with Setup(name) as setup:
        setup.passes("GET", "/")
        setup.node.stop()
        before = len(setup.application.arrived)
        status, body, _ = setup.ask("GET", SQL)
        assert status >= 500 or (name == "envoy" and status == 403), (status, body[:200])
        assert len(setup.application.arrived) == before
        setup.node = node(setup.folder, setup.node_port, "")
        end = time.monotonic() + WAIT_S
        while setup.ask("GET", "/")[0] != 200:
            assert time.monotonic() < end, "it does not recover"
            time.sleep(0.2)
        setup.blocks("GET", SQL)
    if name == "nginx":
        with Setup(name, fail_open=True) as setup:
            setup.blocks("GET", SQL)
            setup.node.stop()
            setup.passes("GET", SQL)


def run(name, check):
    label = "%s: %s" % (name, check.__name__)
    try:
        check(name)
        passed.append(label)
        print("ok: " + label, flush=True)
    except Exception:
        failed.append(label)
        print("FAILED: %s\n%s" % (label, traceback.format_exc()), flush=True)


def main():
    for name in sys.argv[1:] or PROXIES:
        if program(name) is None:
            skipped.append(name)
            print("SKIPPED: %s is not installed" % name, flush=True)
            continue
        for check in (basics, forged, second_family, bodies, own_reply, node_gone):
            run(name, check)
    print("%d passed, %d failed, %d skipped" % (len(passed), len(failed), len(skipped)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
