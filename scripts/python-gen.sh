#!/usr/bin/env bash
# Generates examples/python/gen from proto/ with the interpreter given, which has examples/python/requirements.txt:
#   scripts/python-gen.sh PYTHON [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:?usage: scripts/python-gen.sh PYTHON [FOLDER]}
out=${2:-examples/python/gen}
rm -rf "$out"
mkdir -p "$out"
"$python" -m grpc_tools.protoc -I proto --python_out="$out" --grpc_python_out="$out" \
  proto/solpipe/solpipe.proto proto/poolmesh/v1/*.proto
