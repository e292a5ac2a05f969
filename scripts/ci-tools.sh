#!/usr/bin/env bash
# Installs what CI needs besides Node and Go: an old nats-server, a browser, Redis, promtool. Needs root on Debian for what is missing.
# Usage: bash scripts/ci-tools.sh [nats-server] [chromium] [redis-server] [prometheus]; default all.
set -euo pipefail

missing=()
wanted=" ${*:-nats-server chromium redis-server prometheus} "
for tool in nats-server:/usr/sbin/nats-server chromium:/usr/bin/chromium redis-server:/usr/bin/redis-server prometheus:/usr/bin/promtool; do
  if [[ "$wanted" == *" ${tool%%:*} "* && ! -x "${tool#*:}" ]]; then missing+=("${tool%%:*}"); fi
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Policy: installed servers are not to start by themselves.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f "$log" /usr/sbin/policy-rc.d' EXIT
fi
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -20 "$log" >&2
  exit 1
fi
