#!/usr/bin/env bash
# Makes sure that Helm is there for the tests of the chart: builds the pinned version with Go into .cache/bin unless one is found.
# Ends with 1, and says so, where there is no Go or the module cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.cache/bin:$PATH:/usr/local/go/bin"
if command -v helm >/dev/null; then exit 0; fi
if ! command -v go >/dev/null; then
  echo "helm: no helm and no Go" >&2
  exit 1
fi
echo "building helm, once; this takes minutes"
mkdir -p .cache/bin
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! GOBIN="$PWD/.cache/bin" go install helm.sh/helm/v3/cmd/helm@v3.22.0 >"$log" 2>&1; then
  tail -5 "$log" >&2
  exit 1
fi
