#!/usr/bin/env bash
# Packages the chart: weir-VERSION.tgz and index.yaml for a web server, and an OCI layout for a registry.
#   charts/package.sh [--output DIRECTORY] [--url URL] [--image REPOSITORY]
# --url is where the directory will be served. --image becomes the default of image.repository, so that those who install the
# chart need not know it. Then either
#   serve DIRECTORY at URL, and: helm repo add weir URL
#   skopeo copy oci:DIRECTORY/layout:VERSION docker://REGISTRY/charts/weir:VERSION, and: helm install ... oci://REGISTRY/charts/weir
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
output=$here/../target/charts url="" image=""
while [ $# -gt 0 ]; do
  case $1 in
    --output) output=$2; shift 2 ;;
    --url) url=$2; shift 2 ;;
    --image) image=$2; shift 2 ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; [ "$1" = --help ]; exit ;;
  esac
done
helm=${HELM:-}
[ -n "$helm" ] || helm=$(command -v helm || echo "$here/../target/chart-tests/bin/helm")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$here/weir" "$work/weir"
if [ -n "$image" ]; then
  grep -q '^  repository: weir$' "$work/weir/values.yaml" || { echo "values.yaml: no line 'repository: weir'" >&2; exit 1; }
  sed -i "s|^  repository: weir\$|  repository: $image|" "$work/weir/values.yaml"
fi
rm -rf "${output:?}/layout" "$output"/weir-*.tgz "$output/index.yaml"
mkdir -p "$output"
"$helm" package "$work/weir" --destination "$output" >/dev/null
"$helm" repo index "$output" ${url:+--url "$url"}
python3 "$here/oci_chart.py" "$output"/weir-*.tgz "$output/layout"
echo "$output: $(cd "$output" && ls -d weir-*.tgz index.yaml layout | tr '\n' ' ')"
