"""The target `servers`: requests that frameworks read in their own ways, and whether the attack that arrives is blocked.

All servers get the same requests. A request is judged once, and counts for each server that read the attack from it.
"""

import pathlib
import random

from generators import servers as generator

from . import execute, inspect, measure, places

HERE = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = inspect.ROOT / "target/ground/servers"
MOUNTS = [(HERE / "servers", "/servers"), (PACKAGES, "/packages")]
# Of the short form.
CANDIDATES, HARMLESS = 250, 80

# Server -> what it needs: packages of registries, below PACKAGES, or of Debian.
NEEDS = {
    **{name: [PACKAGES / "python/bin/waitress-serve"] for name in ("flask", "django", "bottle", "webob", "cherrypy", "falcon")},
    **{name: [PACKAGES / "python/bin/uvicorn"] for name in ("fastapi", "aiohttp", "tornado", "sanic")},
    **{name: ["/usr/bin/node", PACKAGES / "node/node_modules/express"] for name in ("express", "busboy", "formidable", "multiparty", "fetch", "json5", "fastify", "koa", "hapi", "hono")},
    "cgi": ["/usr/share/perl5/CGI.pm", "/usr/share/perl5/Plack"], "plack": ["/usr/share/perl5/Plack"], "mojolicious": ["/usr/share/perl5/Mojolicious"],
    "php server": ["/usr/bin/php"], "sinatra": ["/usr/bin/puma", "/usr/share/rubygems-integration"], "go": [PACKAGES / "go/app"],
    "tomcat": ["/usr/share/java/tomcat10-catalina.jar", PACKAGES / "java/TomcatServer.class"],
    "jetty": ["/usr/share/java/jetty9-server.jar", PACKAGES / "java/JettyServer.class"],
    "fileupload": ["/usr/share/java/commons-fileupload.jar", PACKAGES / "java/JettyServer.class"],
}


def missing(server):
    """What is not installed of what `server` needs."""
    return [str(path) for path in NEEDS[server] if not pathlib.Path(path).exists()]


def record(case):
    """A line of a corpus, as `weir eval` reads it: the request as the client sent it."""
    return {"id": case.id, "source": "servers", "class": "benign" if case.benign else case.attack, "method": "POST", "path": "/", "raw_b64": dict(case.extra)["request"]}


def in_clear(case):
    """The same value in a plain request, as a line of a corpus."""
    extra = dict(case.extra)
    text = extra["before"] + case.value + extra["behind"]
    place = "path segment" if case.context == "path" else case.context
    return places.record(f"clear {place} {text}", place, text, case.attack, "servers")


def judge(cases, folder, rules):
    """The cases that say something about their carrier - a harmless value, or one that is blocked in clear - and their
    verdicts."""
    clear = {case.id: in_clear(case) for case in cases if not case.benign}
    known = {line["id"]: line for line in clear.values()}
    verdicts = inspect.evaluate([*known.values(), *map(record, cases)], folder, rules)
    return [case for case in cases if case.benign or verdicts[clear[case.id]["id"]][0]], verdicts


def measure_all(names, seed, scale, folder, rules=None):
    """A `Measured` for each of the servers `names`."""
    r = random.Random(f"{seed}/servers")
    attacks = list(generator.attacks(r, "servers", int(CANDIDATES * scale)))
    cases = list({case.id: case for case in [*attacks, *generator.benign(r, "servers", int(HARMLESS * scale))]}.values())
    cases, verdicts = judge(cases, folder, rules)
    for name in names:
        effects = execute.effects(name, cases, timeout=600 if scale <= 1 else 7200, read_only=MOUNTS)
        read = [measure.Judged(case, case.context, effects[case.id], *verdicts[case.id]) for case in cases if effects[case.id]]
        yield measure.Measured(measure.Target(name, "servers", "carrier", 0, 0, ()), len(attacks),
                               [one for one in read if not one.case.benign], [one for one in read if one.case.benign], 0)
