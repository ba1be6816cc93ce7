#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# production_stack.sh STACKSIM: every scenario of configs/scenarios/production-stack in full
# length: a line each, then one line of JSON; see Makefile.bench.
set -eu
stacksim=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/build/bench/production-stack
mkdir -p "$work"
begin=$(date +%s)
count=0
printf '%-28s %9s %9s %7s %12s %12s %10s %8s\n' scenario requests completed failed \
    ttft_p50_ms ttft_p99_ms imbalance warnings
for file in "$root"/configs/scenarios/production-stack/*.yaml; do
    name=$(basename "$file" .yaml)
    rm -f "$work/$name.db"
    "$stacksim" run "$file" --config-dir "$root/configs" --quiet --format json \
        --out "$work/$name.db" >"$work/$name.json" 2>"$work/$name.err" || {
        cat "$work/$name.err" >&2
        exit 1
    }
    warnings=$("$stacksim" events "$work/$name.db" --warnings --format csv | tail -n +2 | wc -l)
    jq -r '[.totals.requests, .totals.completed, .totals.failed, .metrics.ttft_ms_p50,
            .metrics.ttft_ms_p99, .metrics.load_imbalance] | @tsv' "$work/$name.json" |
        awk -v name="$name" -v warnings="$warnings" -F '\t' \
            '{ printf "%-28s %9d %9d %7d %12.1f %12.1f %10.2f %8d\n", name, $1, $2, $3, $4, $5,
               $6, warnings }'
    count=$((count + 1))
done
printf '{"target": "production-stack", "scenarios": %d, "wall_s": %d}\n' "$count" \
    "$(($(date +%s) - begin))"
