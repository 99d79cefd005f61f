#!/bin/sh
# Installs what the tests of the store need, from Debian: a PostgreSQL server, which the tests start themselves.
set -eu
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
