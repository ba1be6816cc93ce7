#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The commands that README.md tells a newcomer to type do what it says. Lines of its
# `sh` blocks that start with "stacksim" are run as they stand.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

sed -n '/^```sh$/,/^```$/p' "$STACKSIM_SOURCE/README.md" |
    sed -n 's|^\(build/release/\)\?stacksim |stacksim |p' >commands
[ "$(wc -l <commands)" -ge 4 ] || fail "README.md shows '$line', the program does not; run scripts/readme.sh"
mkdir work && cd work || exit 1
ln -s "$STACKSIM_SOURCE/traces" "$STACKSIM_SOURCE/configs" .
while read -r line; do
    # A comment behind the command is for people.
    eval "set -- ${line%% #*}"
    shift
    exits 0 "$@"
done <../commands

# The example output is what the program prints.
sed -n '/^```text$/,/^```$/p' "$STACKSIM_SOURCE/README.md" | sed '1d;$d' >shown
[ "$(wc -l <shown)" -gt 20 ] || fail "README.md shows no example output"
exits 0 compare demo --no-report --out shown.db
sed 's/ *$//' ../out >printed
same shown printed
[ "$failures" -eq 0 ] || echo "to mend the example: scripts/readme.sh" >&2
done_testing
