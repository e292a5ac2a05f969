#!/usr/bin/env bash
# Runs the tests: scripts/test.sh [unit|sim|integration|e2e|timing|faults]…
# Without an argument all suites that exist, in that order. Fails when any test of any suite does.
# Two files run at once, since most tests wait most of the time; three of the integration suite.
# With CI=true tools that tests need (Go, Python, the nats command, a browser) are required, not optional.
set -uo pipefail
cd "$(dirname "$0")/.."

suites=("$@")
if [ ${#suites[@]} -eq 0 ]; then suites=(unit sim integration e2e timing faults); fi
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=0
rows=()

# How many files at once, and how long one file may take, in milliseconds.
flags_of() {
  case "$1" in
    unit) echo --test-concurrency=2 --test-timeout=240000 ;;
    sim) echo --test-concurrency=2 --test-timeout=240000 ;;
    integration) echo --test-concurrency=3 --test-timeout=240000 ;;
    e2e) echo --test-concurrency=2 --test-timeout=420000 ;;
    # What is compared here is how long things take: one file at a time, so that no other test is in the way.
    timing) echo --test-concurrency=1 --test-timeout=420000 ;;
    faults) echo --test-concurrency=2 --test-timeout=1500000 ;;
    *)
      echo "unknown suite: $1 (unit, sim, integration, e2e, timing or faults)" >&2
      return 1
      ;;
  esac
}

# A count of the runner's closing summary.
count_of() { sed -n "s/^# $2 \([0-9]*\)$/\1/p" "$results/$1.tap" 2>/dev/null | tail -1; }

run_suite() {
  local suite=$1 flags files loader began status
  flags=$(flags_of "$suite") || exit 64
  # Unit tests are imported by two files; they read the sources. Of the others each file is a process, and compiled.
  # From the last to the first: the long ones are among the last, and one that begins at the end would run alone.
  if [ "$suite" = unit ]; then
    mapfile -t files < <(find test/unit -maxdepth 1 -name '*.test.ts')
  else
    mapfile -t files < <(find "build/test/$suite" -name '*.test.js' 2>/dev/null | sort -r)
  fi
  if [ ${#files[@]} -eq 0 ]; then return; fi
  echo "── $suite"
  began=$SECONDS
  loader=$([ "$suite" != unit ] || echo --import tsx)
  # shellcheck disable=SC2086 # the flags are words
  node $loader --test $flags \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$results/$suite.tap" "${files[@]}"
  status=$?
  if [ $status -ne 0 ]; then failed=1; fi
  rows+=("$suite $(count_of "$suite" tests) $(count_of "$suite" pass) $(count_of "$suite" fail) \
$(count_of "$suite" cancelled) $(count_of "$suite" skipped) $((SECONDS - began))")
}

for suite in "${suites[@]}"; do flags_of "$suite" >/dev/null || exit 64; done
for suite in "${suites[@]}"; do
  if [ "$suite" != unit ]; then
    node --import tsx scripts/ensure-broker.ts || exit 1
    # Tests that start `poolmesh` start what is built here: it is up sooner than the sources.
    node scripts/build.js || exit 1
    node scripts/compile-tests.js >/dev/null || exit 1
    export TEST_BUILT_DIST=1
    break
  fi
done
for suite in "${suites[@]}"; do run_suite "$suite"; done

echo
printf '%-12s %7s %7s %7s %9s %8s %8s\n' suite tests passed failed cancelled skipped seconds
for row in "${rows[@]}"; do
  # shellcheck disable=SC2086 # a row is words
  printf '%-12s %7s %7s %7s %9s %8s %8s\n' $row
done
if [ ${#rows[@]} -eq 0 ]; then
  echo "no tests found" >&2
  exit 1
fi
if [ $failed -ne 0 ]; then echo "FAILED"; else echo "passed"; fi
exit $failed
