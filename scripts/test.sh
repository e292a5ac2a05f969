#!/usr/bin/env bash
# Runs the tests: scripts/test.sh [unit|sim|integration|e2e|timing|faults]…
# Without an argument all suites that exist, in that order. Fails when any test of any suite does.
# How many files of a suite run at once stands in scripts/tests/suites.js.
# With CI=true tools that tests need (Go, Python, the nats command, a browser) are required, not optional.
set -uo pipefail
cd "$(dirname "$0")/.."

all=(unit sim integration e2e timing faults)
suites=("$@")
if [ ${#suites[@]} -eq 0 ]; then suites=("${all[@]}"); fi
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=0

run_suite() {
  local suite=$1 loader
  echo "── $suite"
  # Unit tests read the sources; the others are compiled.
  loader=$([ "$suite" != unit ] || echo --import tsx)
  # shellcheck disable=SC2086 # the loader is two words
  node $loader --import "$PWD/scripts/tests/file-cost.js" scripts/tests/run-suite.js "$suite" "$results" || failed=1
}

for suite in "${suites[@]}"; do
  if [[ " ${all[*]} " != *" $suite "* ]]; then
    echo "unknown suite: $suite (${all[*]})" >&2
    exit 64
  fi
done
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

touch "$results/rows" "$results/costs" "$results/failures"
echo
printf '%7s %9s  %s\n' seconds 'of CPU' 'the slowest files'
sort -rn "$results/costs" | head -10 | while read -r seconds cpu file; do
  printf '%7s %9s  %s\n' "$seconds" "$cpu" "$file"
done
echo
printf '%-12s %7s %7s %7s %9s %8s %8s %8s\n' suite tests passed failed cancelled skipped seconds 'of CPU'
while read -r row; do
  # shellcheck disable=SC2086 # a row is words
  printf '%-12s %7s %7s %7s %9s %8s %8s %8s\n' $row
done <"$results/rows"
if [ ! -s "$results/rows" ]; then
  echo "no tests found" >&2
  exit 1
fi
cat "$results/failures"
if [ $failed -ne 0 ]; then echo "FAILED"; else echo "passed"; fi
exit $failed
