"""Applications on frameworks, as servers on the loopback interface: which of them reads the attack's value from a request.

Each application answers every value that it read. The effect of a case is the kind of the value (a field, a file name, a
cookie, ...) in which the attack arrived whole.
"""

import base64
import pathlib
import socket
import subprocess
import time

PORT = 8400
# Applications lie in /servers, packages of registries in /packages.
PYTHON = ["/packages/python/bin/python", "-B"]
JARS = "/usr/share/java"
# Of Debian's packages; Tomcat has an interface of other names than Jetty.
TOMCAT = [f"{JARS}/tomcat10-{part}.jar" for part in ("catalina", "coyote", "util", "util-scan", "juli", "servlet-api", "annotations-api", "api", "jaspic-api", "jni")]
JETTY = [f"{JARS}/jetty9-{part}.jar" for part in ("server", "servlet", "util", "http", "io", "security")] + [f"{JARS}/{name}.jar" for name in ("servlet-api", "commons-fileupload", "commons-io")]
JSON = [f"{JARS}/{name}.jar" for name in ("gson", "jackson-core", "jackson-databind", "jackson-annotations")]


def java(jars, name, *arguments):
    return ["/usr/bin/java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", ":".join(["/packages/java", *jars, *JSON]), name, str(PORT), "/scratch", *arguments]


COMMANDS = {
    **{name: [*PYTHON, "/servers/python/wsgi.py", name, str(PORT)] for name in ("flask", "django", "bottle", "webob", "cherrypy", "falcon")},
    **{name: [*PYTHON, "/servers/python/own.py", name, str(PORT)] for name in ("fastapi", "aiohttp", "tornado", "sanic")},
    **{name: ["/usr/bin/node", "/servers/node/app.js", name, str(PORT)]
       for name in ("express", "busboy", "formidable", "multiparty", "fetch", "json5", "fastify", "koa", "hapi", "hono")},
    **{name: ["/usr/bin/perl", "/servers/perl/app.pl", name, str(PORT)] for name in ("cgi", "plack", "mojolicious")},
    "php server": ["/usr/bin/php", "-d", "variables_order=GPCS", "-d", "display_errors=0", "-S", f"127.0.0.1:{PORT}", "/servers/php/app.php"],
    "sinatra": ["/usr/bin/puma", "--quiet", "--threads", "1:1", "--bind", f"tcp://127.0.0.1:{PORT}", "/servers/ruby/app.ru"],
    "go": ["/packages/go/app", str(PORT)],
    "tomcat": java(TOMCAT, "TomcatServer"),
    "jetty": java(JETTY, "JettyServer", "own"),
    "fileupload": java(JETTY, "JettyServer", "fileupload"),
}
MAX_ANSWER = 1 << 22
SECONDS = 2


class Engine:
    def __init__(self, name):
        self.log = open("/scratch/server.log", "wb")
        environment = {"PATH": "/usr/bin:/bin", "HOME": "/scratch", "LANG": "C.UTF-8", "NODE_PATH": "/packages/node/node_modules"}
        self.server = subprocess.Popen(COMMANDS[name], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=environment, cwd="/scratch")
        for _ in range(600):
            try:
                if self.answer(b"GET /ready HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"):
                    return
            except OSError:
                time.sleep(0.1)
            if self.server.poll() is not None:
                break
        raise RuntimeError(f"{name} did not start: {pathlib.Path('/scratch/server.log').read_text(errors='replace')[-2000:]}")

    @staticmethod
    def answer(request):
        """What the server answers; the connection ends with it."""
        with socket.create_connection(("127.0.0.1", PORT), SECONDS) as connection:
            connection.sendall(request)
            found = b""
            while len(found) < MAX_ANSWER:
                part = connection.recv(65536)
                if not part:
                    break
                found += part
            return found

    def effect(self, case):
        try:
            answer = self.answer(base64.b64decode(case["extra"]["request"]))
        except OSError:
            # A server may end the connection, or wait for more of what it takes for a request.
            return None
        value = case["value"].encode()
        for line in answer.splitlines():
            kind, _, text = line.rpartition(b" ")
            try:
                if kind and value in base64.b64decode(text, validate=True):
                    return kind.decode()
            except ValueError:
                # A line of the head.
                continue
        return None

    def close(self):
        self.server.terminate()
        self.server.wait(10)
        self.log.close()
