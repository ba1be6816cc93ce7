#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# readme.sh [STACKSIM]: puts what `stacksim compare demo` prints now into README.md.
# To be run when the test cli.readme says that the example is out of date.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
stacksim=${1:-$root/build/release/stacksim}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$stacksim" compare demo --config-dir "$root/configs" --no-report \
    --out "$folder/demo.db" >"$folder/printed" 2>"$folder/notes"
awk -v printed="$folder/printed" '
    /^```text$/ {
        print
        while ((getline line < printed) > 0) {
            sub(/ +$/, "", line)
            print line
        }
        inside = 1
        next
    }
    /^```$/ { inside = 0 }
    !inside' "$root/README.md" >"$folder/README.md"
cat "$folder/README.md" >"$root/README.md"
