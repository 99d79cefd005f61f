#!/bin/sh
# Attaches the connector to one service of a Kong with a database.
#   ADMIN=http://127.0.0.1:8001 SERVICE=shop NODE=http://weir.internal:5000 sh admin-api.sh
set -eu
curl -fsS -X POST "${ADMIN:-http://127.0.0.1:8001}/services/${SERVICE:?}/plugins" \
  --data name=kong-lua \
  --data instance_name=weir \
  --data "config.wallarm_node_address=${NODE:?}" \
  --data config.blocking=true \
  --data config.timeout_ms=1000
