"""Writes a packaged chart as an OCI layout: oci_chart.py CHART.tgz DIRECTORY."""
import json
import os
import re
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "image"))
import oci  # noqa: E402

CONFIG = "application/vnd.cncf.helm.config.v1+json"
CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
FIELDS = ("apiVersion", "name", "version", "appVersion", "description", "type", "kubeVersion")


def about(content_of):
    """The plain fields of Chart.yaml, which are one line each."""
    with tarfile.open(content_of) as tar:
        text = tar.extractfile("weir/Chart.yaml").read().decode()
    found = {name: re.search(r"(?m)^%s: (.+)$" % name, text) for name in FIELDS}
    return {name: match.group(1).strip().strip("\"'") for name, match in found.items() if match}


def main():
    source, folder = sys.argv[1:]
    chart = about(source)
    with open(source, "rb") as file:
        content = file.read()
    layout = oci.Layout(folder)
    annotations = {"org.opencontainers.image.title": chart["name"], "org.opencontainers.image.version": chart["version"],
                   "org.opencontainers.image.description": chart["description"]}
    manifest = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": layout.json(chart, CONFIG),
                "layers": [layout.blob(content, CONTENT)], "annotations": annotations}
    descriptor = layout.json(manifest, oci.MANIFEST)
    # The registry's tag: a plus sign is not allowed in one.
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": chart["version"].replace("+", "_")}
    layout.write_index([descriptor])


if __name__ == "__main__":
    main()
