"""What the tests of the chart share: helm, the objects it renders, the schemas of Kubernetes, weir itself."""
import atexit
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
CHARTS = os.path.dirname(HERE)
CHART = os.path.join(CHARTS, "weir")
ROOT = os.path.dirname(CHARTS)
HELM = os.environ.get("HELM") or os.path.join(os.path.dirname(sys.executable), "helm")
WEIR = os.environ.get("WEIR_BIN") or os.path.join(ROOT, "target", "debug", "weir")
NAMESPACE = "wallarm-node"
# The oldest release that the chart admits, the first with every field it uses, and the newest with a schema.
KUBERNETES = ("1.25", "1.30", "1.37")
# The command of the documentation that the chart's name is changed in.
SEED = {
    "config.api.token": "seed-token-of-some-length",
    "config.api.host": "us1.api.wallarm.com",
    "config.connector.http_inspector.real_ip_header": "X-Real-IP",
}


class Refused(Exception):
    """Helm did not render; the text says why."""


def nested(flat):
    """Values by dotted path as the tree that Helm reads. A backslash keeps a dot."""
    out = {}
    for path, value in flat.items():
        parts = [part.replace("\0", ".") for part in path.replace("\\.", "\0").split(".")]
        at = out
        for part in parts[:-1]:
            at = at.setdefault(part, {})
        at[parts[-1]] = value
    return out


def helm(*arguments):
    # So short a process gains nothing from collecting its garbage.
    environment = {"HOME": "/nonexistent", "GOGC": "off", **os.environ}
    done = subprocess.run([HELM, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise Refused(done.stderr.strip())
    return done.stdout


@functools.cache
def scratch():
    """A directory that lives as long as the tests: the runner's, which its processes share, or one's own."""
    if "CHART_SCRATCH" in os.environ:
        return os.environ["CHART_SCRATCH"]
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    return folder


def render_text(flat=None, **options):
    """Like `rendered`, each once: a refusal too."""
    key = json.dumps([flat, options], sort_keys=True)
    path = os.path.join(scratch(), hashlib.sha256(key.encode()).hexdigest())
    try:
        with open(path) as file:
            refused, text = json.load(file)
    except FileNotFoundError:
        try:
            refused, text = False, rendered(flat, **options)
        except Refused as refusal:
            refused, text = True, str(refusal)
        # Another process may be at the same: the first to be done decides, so that all see one text.
        with tempfile.NamedTemporaryFile("w", dir=scratch()) as file:
            json.dump([refused, text], file)
            file.flush()
            try:
                os.link(file.name, path)
            except FileExistsError:
                return render_text(flat, **options)
    if refused:
        raise Refused(text)
    return text


def rendered(flat=None, release="r", namespace=NAMESPACE, kubernetes="1.30", apis=(), raw=None, chart=CHART):
    """The text that Helm renders. `raw` is a values file as written, else `flat` makes one; a token is always given."""
    values = {"config.api.token": "test-token-of-some-length", **(flat or {})}
    with tempfile.NamedTemporaryFile("w+", suffix=".yaml") as file:
        file.write(raw if raw is not None else yaml.safe_dump(nested(values)))
        file.flush()
        arguments = ["template", release, chart, "-n", namespace, "--kube-version", kubernetes, "-f", file.name]
        for api in apis:
            arguments += ["--api-versions", api]
        return helm(*arguments)


class Objects:
    """What was rendered."""

    def __init__(self, text):
        self.all = [item for item in yaml.load_all(text, Loader=yaml.CSafeLoader) if item]

    def of(self, kind):
        return [item for item in self.all if item["kind"] == kind]

    def named(self, kind, name):
        found = [item for item in self.of(kind) if item["metadata"]["name"] == name]
        assert len(found) == 1, "%d objects %s/%s among %s" % (len(found), kind, name, self.names())
        return found[0]

    def role(self, kind, role):
        """The one object of a kind that belongs to a role."""
        found = [item for item in self.of(kind) if item["metadata"]["labels"].get("app.kubernetes.io/component") == role]
        assert len(found) == 1, "%d objects %s of %s among %s" % (len(found), kind, role, self.names())
        return found[0]

    def names(self):
        return sorted("%s/%s" % (item["kind"], item["metadata"]["name"]) for item in self.all)

    def workloads(self):
        return [item for item in self.all if item["kind"] in ("Deployment", "StatefulSet", "DaemonSet")]

    def workload(self, role):
        found = [w for w in self.workloads() if w["metadata"]["labels"]["app.kubernetes.io/component"] == role]
        assert len(found) == 1, "%d workloads of %s among %s" % (len(found), role, self.names())
        return found[0]

    def pod(self, role):
        return self.workload(role)["spec"]["template"]["spec"]

    def container(self, role):
        return self.pod(role)["containers"][0]

    def config(self, role):
        """The rendered weir.yaml of a role."""
        for item in self.of("ConfigMap"):
            labels = item["metadata"]["labels"]
            if labels.get("app.kubernetes.io/component") == role and "weir.yaml" in item["data"]:
                return yaml.safe_load(item["data"]["weir.yaml"])
        raise AssertionError("no configuration of %s among %s" % (role, self.names()))

    def config_texts(self):
        return {item["metadata"]["name"]: item["data"] for item in self.of("ConfigMap") if "weir.yaml" in item["data"]}


def render(flat=None, **options):
    return Objects(render_text(flat, **options))


@functools.cache
def chart_with_notes():
    chart = os.path.join(tempfile.mkdtemp(dir=scratch()), "weir")
    shutil.copytree(CHART, chart)
    os.rename(os.path.join(chart, "templates", "NOTES.txt"), os.path.join(chart, "files", "notes.tpl"))
    with open(os.path.join(chart, "templates", "notes.yaml"), "w") as file:
        file.write('kind: Notes\nmetadata: {name: notes}\ntext: {{ tpl (.Files.Get "files/notes.tpl") . | toJson }}\n')
    return chart


def notes(flat=None, **options):
    """NOTES as Helm would print them: `helm template` leaves them out, so a copy of the chart renders them as an object."""
    return render(flat, chart=chart_with_notes(), **options).of("Notes")[0]["text"]


# The validator reads the directory of schemas, and 2 MB of them, anew for each object.
kubernetes_validate.utils.all_versions = functools.cache(kubernetes_validate.utils.all_versions)
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


def against_schemas(item, kubernetes):
    """Why Kubernetes would refuse an object of its own kinds, or None."""
    if "." in item["apiVersion"].split("/")[0] and not item["apiVersion"].split("/")[0].endswith(".k8s.io"):
        return None
    try:
        kubernetes_validate.validate(item, kubernetes, strict=True)
    except kubernetes_validate.ValidationError as error:
        return "%s/%s: %s" % (item["kind"], item["metadata"]["name"], str(error).split("\n")[0])
    return None


def config_check(files):
    """Whether weir can use a rendered configuration: its own report, with the number of errors and warnings."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(text.replace("/etc/weir/config/", folder + "/"))
        arguments = [WEIR, "config", "check", "--format", "json", os.path.join(folder, "weir.yaml")]
        done = subprocess.run(arguments, capture_output=True, text=True, env={})
        return json.loads(done.stdout)
