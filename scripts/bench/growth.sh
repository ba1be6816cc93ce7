#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# growth.sh STACKSIM requests|engines RUNS: how the time of a run grows with one of its
# sizes; see Makefile.bench. Prints one line of JSON per point, then a Markdown table,
# and draws build/bench/growth-WHAT.svg where there is gnuplot.
#
# requests: bench-c, 64 engines, cut after 1e4 to 1e6 requests.
# engines:  400,000 requests of bench-c's kind on 1 to 1,024 engines, 40 per second for
#           each, routed by weighted_sum and by round_robin.
set -eu
stacksim=$1
what=$2
runs=$3
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/build/bench
mkdir -p "$work"
points=$work/growth-$what.txt # SERIES SIZE REQUESTS WALL_S CPU_S RSS_BYTES
: >"$points"

measure() { # SERIES SIZE OPTION...
    series=$1
    size=$2
    shift 2
    line=$("$stacksim" bench "$root/configs/scenarios/bench-c.yaml" \
        --config-dir "$root/configs" --runs "$runs" \
        --target "growth-$what/$series/$size" "$@")
    echo "$line"
    echo "$line" | tr ',{}' '\n\n\n' | awk -F: -v series="$series" -v size="$size" '
        { gsub(/"/, "", $1); value[$1] = $2 }
        END {
            print series, size, value["requests"], value["wall_s"], value["cpu_s"],
                value["peak_rss_bytes"]
        }' >>"$points"
}

draw() { # AXIS
    command -v gnuplot >/dev/null 2>&1 || return 0
    gnuplot <<END
set terminal svg size 640,400 dynamic background rgb 'white'
set output '$work/growth-$what.svg'
set logscale x
set xlabel '$1'
set ylabel 'CPU time per request, us'
set yrange [0:*]
set format x '%.0s%c'
set key top left
set grid
set autoscale xfixmax
plot for [series in system("cut -d' ' -f1 '$points' | uniq")] \
    '$points' using 2:(strcol(1) eq series ? 1e6 * \$5 / \$3 : 1/0) \
    with linespoints pointtype 7 title series noenhanced
END
}

case $what in
requests)
    for size in 10000 30000 100000 300000 1000000; do
        measure weighted_sum "$size" --set "end.requests=$size"
    done
    draw 'requests, on 64 engines'
    ;;
engines)
    for policy in weighted_sum round_robin; do
        routing=''
        [ "$policy" = weighted_sum ] ||
            routing="--set routing.policy=$policy --set routing.params={}"
        for size in 1 4 16 64 256 1024; do
            # shellcheck disable=SC2086
            measure "$policy" "$size" $routing --set end.requests=400000 \
                --set "cluster.pools.0.replicas=$size" \
                --set "workload.generate.0.arrival.rate_per_s=$((40 * size))"
        done
    done
    draw 'engines, 40 requests per second each'
    ;;
*)
    echo "usage: growth.sh STACKSIM requests|engines RUNS" >&2
    exit 2
    ;;
esac

awk -v what="$what" '
    NR == 1 {
        printf("\n| policy | %s | wall s | CPU s | CPU us per request | MB |\n", what)
        print "|---|---:|---:|---:|---:|---:|"
    }
    {
        printf("| %s | %d | %.3f | %.3f | %.2f | %.0f |\n", $1, $2, $4, $5,
            1e6 * $5 / $3, $6 / 1e6)
    }' "$points"
