"""A stand-in for a cluster's API server: enough of its HTTP interface for Helm to install, upgrade and look things up.

It is not Kubernetes. It stores what it is given after checking it against the schemas of Kubernetes, and refuses what a real
server refuses in the ways that matter here: a changed selector, changed claim templates, an object that is there already, a kind that is not known."""
import base64
import http.server
import json
import re
import threading
import urllib.parse

import harness

CORE = {"namespaces": "Namespace", "secrets": "Secret", "configmaps": "ConfigMap", "services": "Service",
        "serviceaccounts": "ServiceAccount", "pods": "Pod"}
GROUPS = {
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    # What every real cluster lists.
    "apiregistration.k8s.io/v1": {"apiservices": "APIService"},
}
EXTENSIONS = {
    "monitoring.coreos.com/v1": {"servicemonitors": "ServiceMonitor"},
    "configuration.konghq.com/v1": {"kongclusterplugins": "KongClusterPlugin"},
}
CLUSTER_WIDE = {"namespaces", "kongclusterplugins", "apiservices"}
WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet"}
# An OpenAPI document (protobuf) without definitions: Helm then leaves the checking to the server.
NO_SCHEMAS = b"\x0a\x032.0"
PATH = re.compile(r"^/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?$")


class Failure(Exception):
    def __init__(self, code, reason, message):
        super().__init__(message)
        self.status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


def merged(old, patch):
    """A merge patch, with lists of named members merged by name as a strategic one does."""
    if isinstance(old, list) and isinstance(patch, list) and all(isinstance(i, dict) and "name" in i for i in old + patch):
        out = {item["name"]: item for item in old}
        for item in patch:
            if item.get("$patch") == "delete":
                out.pop(item["name"], None)
            else:
                out[item["name"]] = merged(out.get(item["name"], {}), item)
        return list(out.values())
    if not isinstance(patch, dict) or not isinstance(old, dict):
        return patch
    out = dict(old)
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def fields(content):
    """Fields of a protobuf message: (number, value), where a value is bytes or an integer."""
    at = 0

    def varint():
        nonlocal at
        out, shift = 0, 0
        while True:
            byte = content[at]
            at += 1
            out |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return out

    while at < len(content):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2, "a wire type that Secrets do not have"
            length = varint()
            yield key >> 3, content[at:at + length]
            at += length


def pairs(content_of, message, number):
    entries = [dict(fields(entry)) for at, entry in message if at == number]
    return {entry[1].decode(): content_of(entry.get(2, b"")) for entry in entries}


def secret(content):
    """A Secret in the protobuf form of Kubernetes, in which Helm writes its releases."""
    envelope = dict(fields(content[len(b"k8s\0"):]))
    message = list(fields(envelope[2]))
    meta = list(fields(dict(message)[1]))
    names = dict(meta)
    return {
        "apiVersion": "v1", "kind": "Secret", "type": dict(message)[3].decode(),
        "metadata": {"name": names[1].decode(), "namespace": names[3].decode(), "labels": pairs(bytes.decode, meta, 11)},
        "data": pairs(lambda value: base64.b64encode(value).decode(), message, 2),
    }


class Cluster:
    def __init__(self, kubernetes="1.30", extensions=()):
        self.kubernetes = kubernetes
        self.groups = {**GROUPS, **{api: EXTENSIONS[api] for api in extensions}}
        self.objects = {}
        self.lock = threading.Lock()
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # An answer is two writes: the second would wait for the acknowledgement of the first.
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def send(self, code, content, media="application/json"):
                self.send_response(code)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def answer(self):
                if self.path.startswith("/openapi/v2"):
                    return self.send(200, NO_SCHEMAS, "application/octet-stream")
                length = int(self.headers.get("content-length") or 0)
                content = self.rfile.read(length)
                body = secret(content) if content.startswith(b"k8s\0") and self.command in ("POST", "PUT") else None
                if content and not content.startswith(b"k8s\0"):
                    body = json.loads(content)
                try:
                    with cluster.lock:
                        code, document = 200, cluster.answer(self.command, self.path, body)
                except Failure as failure:
                    code, document = failure.status["code"], failure.status
                return self.send(201 if code == 200 and self.command == "POST" else code, json.dumps(document).encode())

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def kubeconfig(self):
        address = "http://127.0.0.1:%d" % self.server.server_address[1]
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": address}}], "users": [{"name": "u", "user": {}}],
        })

    def all(self, kind=None):
        return [item for item in self.objects.values() if kind in (None, item["kind"])]

    def get(self, kind, name, namespace=harness.NAMESPACE):
        return [i for i in self.all(kind) if i["metadata"]["name"] == name and i["metadata"].get("namespace") == namespace][0]

    # What the server answers.

    def answer(self, method, target, body):
        url = urllib.parse.urlsplit(target)
        if method == "GET":
            found = self.discovery(url.path)
            if found is not None:
                return found
        parts = PATH.match(url.path)
        if not parts:
            raise Failure(404, "NotFound", "no such path: " + url.path)
        kinds = CORE if parts["core"] else self.groups.get(parts["group"], {})
        plural = parts["plural"]
        if plural not in kinds:
            raise Failure(404, "NotFound", "the server does not know " + url.path)
        key = (parts["core"] or parts["group"], plural, parts["namespace"], parts["name"])
        if plural == "namespaces" and not parts["name"]:
            key = ("v1", plural, None, None)
        if method == "GET" and not key[3]:
            return self.list(key, urllib.parse.parse_qs(url.query))
        return {"GET": self.read, "POST": self.create, "PUT": self.replace, "PATCH": self.patch, "DELETE": self.delete}[method](key, body)

    def discovery(self, path):
        def resources(version, kinds):
            verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
            rows = [{"name": plural, "kind": kind, "namespaced": plural not in CLUSTER_WIDE, "verbs": verbs, "singularName": ""}
                    for plural, kind in kinds.items()]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": rows}

        if path == "/version":
            major, minor = self.kubernetes.split(".")
            return {"major": major, "minor": minor, "gitVersion": "v%s.0" % self.kubernetes}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/api/v1":
            return resources("v1", CORE)
        if path == "/apis":
            groups = []
            for api in self.groups:
                group, version = api.split("/")
                known = {"groupVersion": api, "version": version}
                groups.append({"name": group, "versions": [known], "preferredVersion": known})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        if path.startswith("/apis/") and path[len("/apis/"):] in self.groups:
            return resources(path[len("/apis/"):], self.groups[path[len("/apis/"):]])
        return None

    def list(self, key, query):
        wanted = dict(part.split("=") for part in query.get("labelSelector", [""])[0].split(",") if part)
        items = [item for there, item in self.objects.items() if there[:2] == key[:2] and key[2] in (None, there[2])
                 and wanted.items() <= item["metadata"].get("labels", {}).items()]
        kind = (CORE | {p: k for kinds in self.groups.values() for p, k in kinds.items()})[key[1]]
        return {"kind": kind + "List", "apiVersion": key[0], "metadata": {"resourceVersion": "1"}, "items": items}

    def read(self, key, _body):
        if key not in self.objects:
            raise Failure(404, "NotFound", '%s "%s" not found' % (key[1], key[3]))
        return self.objects[key]

    def stored(self, key, item):
        problem = harness.against_schemas(item, self.kubernetes)
        if problem:
            raise Failure(422, "Invalid", problem)
        self.objects[key] = item
        return item

    def create(self, key, body):
        key = key[:3] + (body["metadata"]["name"],)
        if key in self.objects:
            raise Failure(409, "AlreadyExists", '%s "%s" already exists' % (key[1], key[3]))
        return self.stored(key, body)

    def replace(self, key, body):
        self.unchanged_selector(self.read(key, None), body)
        return self.stored(key, body)

    def patch(self, key, body):
        old = self.read(key, None)
        new = merged(old, body)
        self.unchanged_selector(old, new)
        return self.stored(key, new)

    @staticmethod
    def unchanged_selector(old, new):
        if old["kind"] in WORKLOADS and old["spec"]["selector"] != new["spec"]["selector"]:
            raise Failure(422, "Invalid", "%s %s is invalid: spec.selector: field is immutable" % (old["kind"], old["metadata"]["name"]))
        if old["kind"] == "StatefulSet" and old["spec"].get("volumeClaimTemplates") != new["spec"].get("volumeClaimTemplates"):
            raise Failure(422, "Invalid", "updates to statefulset spec for fields other than 'replicas' and some more are forbidden")

    def delete(self, key, _body):
        self.read(key, None)
        del self.objects[key]
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
