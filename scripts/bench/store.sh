#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# store.sh STACKSIM RUNS: how fast the rows of a run get into its store; see
# Makefile.bench. Prints a line of JSON for speed-fleet without a store and one for the
# same run with one, then the figures that follow from both:
#
# rows_per_s: rows over the wall time of the run that writes them; rows are written while
#             it goes on, so that this is what a user sees
# written_rows_per_s: rows over the CPU time that writing adds: what the thread that
#             writes could do if the run were no longer than it
# rows_of_20_columns_per_s: rows_per_s scaled to 20 columns
set -eu
stacksim=$1
runs=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

measure() { # TARGET OPTION...
    target=$1
    shift
    "$stacksim" bench "$root/configs/scenarios/speed-fleet.yaml" \
        --config-dir "$root/configs" --runs "$runs" --target "$target" "$@"
}
value() { # KEY FILE
    tr ',{}' '\n\n\n' <"$2" | sed -n "s/^\"$1\"://p"
}
measure bench-store-none | tee "$work/none"
measure bench-store --out "$work/rows.db" 2>/dev/null | tee "$work/store"
bytes=$(wc -c <"$work/rows.db")
awk -v rows="$(value requests "$work/store")" -v bytes="$bytes" \
    -v wall="$(value wall_s "$work/store")" -v plain="$(value wall_s "$work/none")" \
    -v cpu="$(value cpu_s "$work/store")" -v plain_cpu="$(value cpu_s "$work/none")" '
    BEGIN {
        columns = 17
        printf "{\"target\":\"bench-store\",\"rows\":%d,\"columns\":%d,\"bytes\":%d,", rows,
            columns, bytes
        printf "\"wall_s\":%.3f,\"added_wall_s\":%.3f,\"added_cpu_s\":%.3f,", wall,
            wall - plain, cpu - plain_cpu
        printf "\"rows_per_s\":%.0f,\"rows_of_20_columns_per_s\":%.0f,", rows / wall,
            rows / wall * columns / 20
        written = 0
        if (cpu > plain_cpu)
            written = rows / (cpu - plain_cpu)
        printf "\"written_rows_per_s\":%.0f}\n", written
    }'
