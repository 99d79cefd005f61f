#!/bin/sh
# Installs what the tests of the store and of faults need, from Debian: a PostgreSQL server, which the tests start
# themselves, and libfaketime, with which they move clocks.
set -eu
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql faketime
