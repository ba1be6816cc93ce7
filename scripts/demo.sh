#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh [STACKSIM]: compares the four routing policies on the shipped sample and
# leaves the store, the plots and the HTML page in out/. Called by `make demo`.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
stacksim=${1:-$root/build/release/stacksim}
cd "$root"
if [ ! -x "$stacksim" ]; then
    echo "demo.sh: $stacksim is not built; run 'make build' first" >&2
    exit 1
fi
"$stacksim" compare demo --config-dir configs --out out
echo
echo "Open $root/out/demo.html in a browser. Rows: sqlite3 out/demo.db"
