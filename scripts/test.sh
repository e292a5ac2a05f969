#!/usr/bin/env bash
# Runs the tests: scripts/test.sh [unit|sim|integration|e2e|faults|timing]…
# Without an argument all suites that exist, in that order. Fails when any test of any suite does.
# How many files of a suite run at once stands in scripts/tests/suites.js. Suite sim only computes: it takes the time in
# which the tests of others wait, at the lowest priority, and its report comes after theirs.
# With CI=true tools that tests need (Go, Python, the nats command, a browser) are required, not optional.
set -uo pipefail
cd "$(dirname "$0")/.."

all=(unit sim integration e2e faults timing)
suites=("$@")
if [ ${#suites[@]} -eq 0 ]; then suites=("${all[@]}"); fi
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed=0

# Arguments: the suite, and words that begin the command.
run_suite() {
  local suite=$1 loader
  shift
  echo "── $suite"
  # Unit tests read the sources; the others are compiled.
  loader=$([ "$suite" != unit ] || echo --import tsx)
  # shellcheck disable=SC2086 # the loader is two words
  "$@" node $loader --import "$PWD/scripts/tests/file-cost.js" scripts/tests/run-suite.js "$suite" "$results"
}

# Waits for the suite that runs beside others, and shows its report.
finish_beside() {
  if [ -z "$beside" ]; then return; fi
  wait "$beside" || failed=1
  cat "$results/sim.report"
  beside=
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
beside=
for suite in "${suites[@]}"; do
  if [ "$suite" = sim ] && [ ${#suites[@]} -gt 1 ]; then
    run_suite sim nice -n 19 >"$results/sim.report" 2>&1 &
    beside=$!
    continue
  fi
  # Nothing is beside tests that compare times.
  if [ "$suite" = timing ]; then finish_beside; fi
  run_suite "$suite" || failed=1
done
finish_beside

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
