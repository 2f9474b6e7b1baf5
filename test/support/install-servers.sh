#!/bin/sh
# Installs what the tests run against and npm does not carry: Redis, Chromium for the pages, proxies to stand in front.
# Where that is not possible, the tests that need them say what they skipped.
set -u
missing=""
command -v "${REDIS_SERVER_BIN:-redis-server}" >/dev/null 2>&1 || missing="$missing redis-server"
command -v "${CHROMIUM_BIN:-chromium}" >/dev/null 2>&1 || missing="$missing chromium"
for proxy in nginx caddy haproxy; do
  command -v "$proxy" >/dev/null 2>&1 || missing="$missing $proxy"
done
command -v pgbouncer >/dev/null 2>&1 || missing="$missing pgbouncer"
[ -z "$missing" ] && exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
  echo "installing for the tests:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # A test starts its own server; the packaged service is not wanted.
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; added=1; }
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null; } ||
    echo "could not install:$missing; the tests that need them will be skipped"
  [ "${added:-0}" = 1 ] && rm -f "$policy"
else
  echo "not installed:$missing; the tests that need them will be skipped (as root on Debian: apt-get install$missing)"
fi
exit 0
