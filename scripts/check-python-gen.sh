#!/usr/bin/env bash
# Proves that examples/python/gen is what proto/ gives, with an interpreter that has examples/python/requirements.txt:
#   scripts/check-python-gen.sh PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:?usage: scripts/check-python-gen.sh PYTHON}
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
bash scripts/python-gen.sh "$python" "$fresh/gen"
if ! diff -r --exclude=__pycache__ "$fresh/gen" examples/python/gen; then
  echo "examples/python/gen is not current: scripts/python-gen.sh $python" >&2
  exit 1
fi
echo "examples/python/gen is current"
