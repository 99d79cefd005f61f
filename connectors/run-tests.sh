#!/bin/bash
# Runs every test of the connectors. Installs nothing (install-test-deps.sh does). Tests
# that cannot run because a tool is missing are named and counted as skipped.
#   WEIR_FFI=path also runs the in-process library in nginx.
#   WEIR_BIN=path [WEIR_ARGS="... {port} ..."] also runs the matrix on a real node.
set -u
cd "$(dirname "$0")"
passed=0 failed=0 skipped=0

ok() { passed=$((passed + ${2:-1})); echo "ok: $1"; }
bad() { failed=$((failed + ${2:-1})); echo "FAILED: $1"; }
skip() { skipped=$((skipped + 1)); echo "SKIPPED: $1 (see install-test-deps.sh)"; }

# Runs a test program whose last line counts its tests: counted NAME COMMAND...
counted() {
  local name=$1 log status good broken left
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1
  status=$?
  cat "$log"
  read -r good broken left <<<"$(tail -1 "$log" | grep -E '^[0-9]+ passed' | tr -dc '0-9 \n' | tr -s ' ')"
  passed=$((passed + ${good:-0}))
  skipped=$((skipped + ${left:-0}))
  if [ "$status" -ne 0 ] && [ "${broken:-0}" -eq 0 ]; then broken=1; fi
  if [ "${broken:-0}" -gt 0 ]; then bad "$name" "$broken"; fi
  rm -f "$log"
}

if command -v luacheck >/dev/null; then
  if luacheck -q --config .luacheckrc kong openresty apisix; then ok luacheck; else bad luacheck; fi
else
  skip "luacheck: not installed"
fi

if python3 kong/manifests/generate.py --check; then ok "manifests are fresh"; else bad "manifests are stale"; fi

if command -v busted >/dev/null && command -v luajit >/dev/null; then
  out=$(cd kong && LUA_PATH="./?.lua;./spec/?.lua;../openresty/lualib/?.lua;;" \
    luajit "$(command -v busted)" -o plainTerminal spec 2>&1)
  status=$?
  echo "$out"
  counts=$(echo "$out" | grep -oE '^[0-9]+ success(es)? / [0-9]+ failures? / [0-9]+ errors?' | grep -oE '[0-9]+')
  read -r good fails errors <<<"$(echo $counts)"
  passed=$((passed + ${good:-0}))
  broken=$((${fails:-0} + ${errors:-0}))
  if [ "$status" -ne 0 ] && [ "$broken" -eq 0 ]; then broken=1; fi
  if [ "$broken" -gt 0 ]; then bad "specs" "$broken"; else ok "specs" 0; fi
else
  skip "specs: busted or luajit not installed"
fi

if command -v curl >/dev/null && command -v openssl >/dev/null; then
  counted "end-to-end" python3 tests/e2e.py
else
  skip "end-to-end: curl or openssl not installed"
fi

if [ -n "${WEIR_BIN:-}" ]; then
  counted "forward authentication" env PROXIES="$PWD/../target/proxies/bin" python3 forward-auth/test.py
  if [ -x ../target/proxies/bin/envoy ]; then
    counted "Envoy" env PROXIES="$PWD/../target/proxies/bin" python3 envoy/test.py
  else
    skip "Envoy: not installed"
  fi
  counted "HAProxy" python3 haproxy/test.py
  if [ -x ../target/crowdsec/usr/bin/crowdsec ] && [ -x ../target/crowdsec/usr/bin/crowdsec-custom-bouncer ]; then
    counted "CrowdSec" env CROWDSEC="$PWD/../target/crowdsec" python3 crowdsec/test.py
  else
    skip "CrowdSec: not installed"
  fi
  counted "gateway, nodes and Console" python3 tests/console.py
else
  skip "forward authentication: WEIR_BIN is not set"
  skip "Envoy: WEIR_BIN is not set"
  skip "HAProxy: WEIR_BIN is not set"
  skip "CrowdSec: WEIR_BIN is not set"
  skip "gateway, nodes and Console: WEIR_BIN is not set"
fi

if [ -n "${WEIR_FFI:-}" ]; then
  counted "in process" python3 openresty/ffi/test.py
else
  skip "in process: WEIR_FFI is not set"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
