#!/usr/bin/env bash
# Proves that examples/go/gen is what proto/ gives: generates it again, elsewhere, and compares.
set -euo pipefail
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
npx --no-install buf generate --template examples/go/buf.gen.yaml -o "$fresh"
if ! diff -r "$fresh/examples/go/gen" examples/go/gen; then
  echo "examples/go/gen is not current: npx buf generate --template examples/go/buf.gen.yaml" >&2
  exit 1
fi
echo "examples/go/gen is current"
