#!/bin/sh
# Installs what run-tests.sh and the benchmark need, from Debian.
set -eu
apt-get update -q
# luajit2 is OpenResty's branch, against which Debian builds nginx's Lua module;
# the package luajit conflicts with it.
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
  nginx-light libnginx-mod-http-lua lua-resty-core lua-resty-lrucache lua-cjson luajit2 \
  lua-busted lua-check curl nghttp2-client openssl wrk python3 python3-venv python3-yaml
