#!/usr/bin/env bash
# Checks everything in deploy/ with the tools that read it: promtool, Helm, the types of Grafana, Kubernetes, KEDA and the
# Prometheus operator, the Compose specification, nats-server, systemd, and a real build of the image that is then run
# as process 1 of its own PID namespace.
#
# Usage: bash deploy/check.sh [alerts] [dashboard] [helm] [compose] [systemd] [image]; default all.
# A part whose tools are missing is skipped and says why. Helm and the checker are built with Go once, which takes
# minutes. The image needs root, and what apt calls buildah and debootstrap.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.cache/bin:$PATH:/usr/local/go/bin:/usr/sbin:/sbin"
mkdir -p .cache/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
skipped=()

have() { command -v "$1" >/dev/null; }
step() { printf '\n── %s\n' "$1"; }
skip() {
  echo "skipped: $1"
  skipped+=("$1")
}

# Builds a Go program into .cache/bin unless it is there: name, then what to give to `go`.
build() {
  local name=$1
  shift
  if have "$name"; then return 0; fi
  have go || return 1
  echo "building $name"
  env GOBIN="$PWD/.cache/bin" go "$@" >"$work/go.log" 2>&1 || {
    tail -5 "$work/go.log"
    return 1
  }
}

checker() {
  if [ deploy/check/main.go -nt .cache/bin/deploy-check ]; then rm -f .cache/bin/deploy-check; fi
  build deploy-check -C deploy/check build -o "$PWD/.cache/bin/deploy-check" .
}

check_alerts() {
  step "alert rules and configurations of Prometheus"
  have promtool || { skip "alerts: no promtool (apt: prometheus)"; return 0; }
  promtool check config deploy/prometheus/prometheus.yml
  promtool test rules deploy/prometheus/poolmesh.rules.test.yml
  # The compose file's configurations, with the paths that they have in the container.
  cp deploy/prometheus/poolmesh.rules.yml "$work"
  : >"$work/prometheus.token"
  : >"$work/ca.crt"
  for file in prometheus prometheus.tls; do
    sed "s|/etc/poolmesh/|$work/|" "deploy/compose/$file.yml" >"$work/$file.yml"
    promtool check config "$work/$file.yml"
  done
}

check_dashboard() {
  step "dashboard"
  checker || { skip "dashboard: types of Grafana need Go"; return 0; }
  deploy-check grafana deploy/grafana/poolmesh.json
}

check_helm() {
  step "Helm chart"
  bash scripts/ensure-helm.sh || { skip "helm: no helm and no Go"; return 0; }
  node --import tsx --test --test-reporter=spec test/integration/deploy/chart.test.ts
  checker || { skip "helm: types of Kubernetes need Go"; return 0; }
  for values in deploy/helm/poolmesh/ci/*.yaml; do
    helm lint --strict --quiet deploy/helm/poolmesh -f "$values"
    helm template mesh deploy/helm/poolmesh --namespace jobs --kube-version 1.34.0 -f "$values" 2>/dev/null |
      deploy-check kubernetes
  done
}

check_compose() {
  step "Compose files and the brokers' configuration"
  export NATS_PASSWORD=secret GRAFANA_PASSWORD=secret MESH_HOST=mesh.example.com MESH_EDGE=/etc/poolmesh
  if checker; then
    deploy-check compose deploy/compose/compose.yaml
    deploy-check compose deploy/compose/compose.yaml deploy/compose/compose.tls.yaml
  else
    skip "compose: the specification's types need Go"
  fi
  have nats-server || { skip "compose: no nats-server"; return 0; }
  SERVER_NAME=nats-1 NATS_ROUTES='["nats://route:secret@nats-1:6222"]' nats-server -c deploy/compose/nats.conf -t
}

check_systemd() {
  step "systemd units"
  have systemd-analyze || { skip "systemd: no systemd-analyze"; return 0; }
  # The verifier wants the program to be there.
  for unit in deploy/systemd/*.service; do
    sed "s|/usr/bin/node|$(command -v node)|" "$unit" >"$work/$(basename "$unit")"
  done
  systemd-analyze verify "$work"/poolmesh-{manager,meter}.service "$work"/poolmesh-{manager,worker}@.service
  echo "systemd: verified"
}

check_image() {
  step "image"
  if [ "$(id -u)" != 0 ]; then skip "image: needs root"; return 0; fi
  for tool in buildah debootstrap unshare setpriv nats-server; do
    have "$tool" || { skip "image: no $tool"; return 0; }
  done
  bash deploy/check/image.sh
}

parts=("$@")
if [ ${#parts[@]} -eq 0 ]; then parts=(alerts dashboard helm compose systemd image); fi
for part in "${parts[@]}"; do
  declare -F "check_$part" >/dev/null || { echo "no part $part" >&2; exit 64; }
done
for part in "${parts[@]}"; do "check_$part"; done
printf '\ndeploy: checked %s; %d skipped\n' "${parts[*]}" "${#skipped[@]}"
