#!/usr/bin/env bash
# Builds deploy/Containerfile with Buildah, without a container engine, and runs the images as process 1 of PID namespaces.
# The base image is a Debian of debootstrap with this machine's Node: no registry of images is asked.
# Usage: bash deploy/check/image.sh, as root. Called by deploy/check.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
cache="$PWD/.cache/deploy"
base="$cache/base.tar"
image=localhost/poolmesh-check
export TMPDIR="$work" CONTAINERS_STORAGE_CONF="$work/storage.conf"
printf '[storage]\ndriver = "vfs"\nrunroot = "%s"\ngraphroot = "%s"\n' "$work/run" "$work/store" >"$CONTAINERS_STORAGE_CONF"

# What this shell has started, and every process whose root is in the work folder: process 1 of a namespace changes its
# user, after which it outlives the process that waits for it.
clean_up() {
  local root child
  for root in /proc/[0-9]*/root; do
    child=${root#/proc/}
    if [[ "$(readlink "$root" 2>/dev/null)" == "$work"/* ]]; then kill -KILL "${child%/root}" 2>/dev/null || true; fi
  done
  for child in $(jobs -p); do kill -KILL "$child" 2>/dev/null || true; done
  wait 2>/dev/null || true
  buildah rm --all >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

fail() {
  echo "image: $1" >&2
  tail -n 5 "$work"/*.log >&2 || true
  exit 1
}
step() { echo "image: $1"; }

# Until a command succeeds; fails after 20 s.
wait_for() {
  local what=$1 tries=200
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "not within 20 s: $what"
    sleep 0.1
  done
}

make_base() {
  [ -f "$base" ] && return
  step "making the base image"
  local root="$work/root"
  mkdir -p "$cache"
  debootstrap --variant=minbase --include=ca-certificates,libstdc++6 bookworm "$root" >"$work/debootstrap.log" 2>&1 ||
    fail "debootstrap"
  install -D "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  cp -r "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  chroot "$root" useradd --uid 1000 --user-group --create-home node
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  tar -C "$root" -cf "$base.new" .
  mv "$base.new" "$base"
  rm -rf "$root"
}

# A target of the Containerfile, as a folder that can be a root: its name, and the variable for the folder.
build_target() {
  step "building the target $1"
  buildah bud --format docker --isolation chroot --pull-never --network host --layers=false \
    --build-arg "NODE_IMAGE=$image-base" -f deploy/Containerfile --target "$1" -t "$image-$1" . >"$work/build-$1.log" 2>&1 ||
    fail "the build of $1"
  printf -v "$2" '%s' "$(buildah mount "$(buildah from --pull-never "$image-$1")")"
}

# What an image says about itself, by a path of its configuration.
config_of() { buildah inspect --type image "$image-$1" | node -p "JSON.parse(require('fs').readFileSync(0)).Docker.config.$2"; }

# Starts a command as process 1 of a PID namespace in a root, as the image's user: a name for its log, the root, the command.
# The variables `outer` and `inner` are then the process that waits for it, and process 1 as it is seen from here.
start() {
  local name=$1 root=$2
  shift 2
  unshare --mount --pid --fork --kill-child --mount-proc --root="$root" --wd=/app \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/home/node XDG_STATE_HOME=/tmp/state \
    NODE_ENV=production NATS_URL="$nats_url" POOLMESH_LISTEN="127.0.0.1:$port" \
    setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs "$@" >"$work/$name.log" 2>&1 &
  outer=$!
  wait_for "$name" pgrep -P "$outer"
  inner=$(pgrep -P "$outer")
}

# Sends SIGTERM to process 1, and fails unless it ends with 0 in time.
stop() {
  local name=$1 waits=$2 first=$3 code=0
  kill -TERM "$first"
  timeout 20 tail --pid="$waits" -f /dev/null || fail "$name does not end at SIGTERM"
  wait "$waits" || code=$?
  [ "$code" = "${4:-0}" ] || fail "$name ended with $code"
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); });'
}
inside() { nsenter --target "$1" --mount --pid --root --wd -- env POOLMESH_LISTEN="127.0.0.1:$port" "${@:2}"; }
poolmesh() { NATS_URL="$nats_url" node --import tsx cli/main.ts "$@"; }

make_base
container=$(buildah from scratch)
buildah add --quiet "$container" "$base" / >/dev/null
buildah config --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$container"
buildah commit --quiet "$container" "$image-base" >/dev/null
build_target service service_root
build_target worker worker_root

[ "$(config_of service User)" = 1000:1000 ] || fail "the image's user is not 1000"
[ "$(config_of service 'Healthcheck.Test.slice(-1)[0]')" = healthz ] || fail "the image has no health check"
entry=$(config_of service 'Entrypoint.join(" ")')
main="${entry##* }"
port=$(free_port)
nats_port=$(free_port)
nats_url="nats://127.0.0.1:$nats_port"
nats-server -a 127.0.0.1 -p "$nats_port" -js -sd "$work/js" >"$work/nats.log" 2>&1 &

step "a manager as $entry"
# shellcheck disable=SC2086 # words
start manager "$service_root" $entry manager
wait_for "/healthz" curl --fail --silent "http://127.0.0.1:$port/healthz"
[ "$(awk '/^Uid/ {print $2}' "/proc/$inner/status")" = 1000 ] || fail "it runs as root"
inside "$inner" node "$main" healthz --ready || fail "healthz in the container"
manager_outer=$outer manager_inner=$inner

step "a worker drains, and what its handler leaves behind is reaped"
cat >"$worker_root/app/leave.sh" <<'SCRIPT'
#!/bin/sh
# Leaves a process behind, and answers after a while.
(sh -c 'sleep 1' >/dev/null 2>&1 &)
sleep "$(cat)"
echo done
SCRIPT
chmod +x "$worker_root/app/leave.sh"
# shellcheck disable=SC2046 # words
start worker "$worker_root" $(config_of worker 'Entrypoint.join(" ")') worker --pool leave --exec ./leave.sh
worker_outer=$outer worker_inner=$inner
[ "$(poolmesh submit leave 0 --wait-for-pool)" = done ] || fail "a job"
poolmesh submit leave 4 >"$work/last.out" 2>&1 &
last=$!
wait_for "the job at the worker" sh -c "ps -e -o args= | grep -q '^sleep 4$'"
ps -e -o stat=,ppid= | awk -v parent="$worker_inner" '$1 ~ /^Z/ && $2 == parent {found = 1} END {exit found}' || fail "a zombie"
stop worker "$worker_outer" "$worker_inner"
wait "$last" || fail "the job that ran at SIGTERM is lost: $(cat "$work/last.out")"
grep -q '^done$' "$work/last.out" || fail "the result of the job that ran at SIGTERM"

step "a handler in TypeScript that imports poolmesh"
cat >"$worker_root/app/adder.ts" <<'SCRIPT'
import { type Job, PermanentError } from "poolmesh";
export function run({ payload }: Job<number>): number {
  if (payload < 0) throw new PermanentError("below zero");
  return payload + 1;
}
SCRIPT
# shellcheck disable=SC2046 # words
start adder "$worker_root" $(config_of worker 'Entrypoint.join(" ")') worker --pool adder --handler adder.ts
[ "$(poolmesh submit adder 41 --wait-for-pool)" = 42 ] || fail "a job of a handler in TypeScript"
said=$(poolmesh submit adder -- -1 2>&1) && fail "a job that is to be rejected"
[[ "$said" == *job_rejected* ]] || fail "PermanentError of a handler in TypeScript: $said"
stop adder "$outer" "$inner"

step "SIGTERM to the manager, and to one that has only just begun"
stop manager "$manager_outer" "$manager_inner"
# shellcheck disable=SC2086 # words
start early "$service_root" $entry manager
kill -TERM "$inner"
timeout 20 tail --pid="$outer" -f /dev/null || fail "a manager that has only just begun does not end at SIGTERM"

step "Node alone as process 1"
start alone "$service_root" node "$main" manager
wait_for "/healthz" curl --fail --silent "http://127.0.0.1:$port/healthz"
stop alone "$outer" "$inner"
echo "image: built and run"
