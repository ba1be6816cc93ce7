#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# router.sh BUILD TARGET RUNS: stackrouter before two engines that answer at once, beside
# nginx before the same engines and the engines alone; see Makefile.bench. Ends with one
# line of JSON; what wrk found goes to stderr, line by line.
#
# Each of RUNS rounds visits engine, nginx and router in turn, so that what else the
# machine does hits all three; figures are medians over the rounds. Throughput is taken
# with CONNECTIONS connections that are always busy; latency with a single one, where
# nothing queues, and "added" is a proxy's percentile less the engine's own. CPU time per
# request is counted too: it hardly moves on a busy machine, where the clock does.
#
# One worker of nginx, as the router decides on one thread; both take turns between the
# engines, keep connections to them open, buffer no answer and write no access log.
#
# bench-router-soak sends REQUESTS requests, answers and streams in turn, and tells how
# the resident memory went: after the first tenth, at the end, at its peak. Its window of
# statistics is one second: that memory follows the rate, not the count of requests.
set -eu
for program in wrk nginx; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "router.sh: $program not found; scripts/deps.sh --bench installs it" >&2
        exit 2
    fi
done

export LC_ALL=C
build=$1
target=$2
runs=$3
connections=${CONNECTIONS:-64}
seconds=${SECONDS_EACH:-2}
events=${EVENTS:-32}
soak_requests=${REQUESTS:-1000000}
work=$(mktemp -d)
started_s=$(date +%s.%N)
children=()

finish() {
    for child in "${children[@]}"; do
        kill "$child" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

wait_for() { # PATTERN FILE
    for _ in $(seq 200); do
        grep -q "$1" "$2" 2>/dev/null && return 0
        sleep 0.05
    done
    echo "router.sh: nothing of '$1' in 10 s:" >&2
    cat "$2" >&2
    exit 1
}

for engine in 1 2; do
    "$build/tests/fast_engine" "$events" >"$work/engine$engine" 2>&1 &
    children+=($!)
    wait_for '^[0-9]' "$work/engine$engine"
done
engine1=127.0.0.1:$(cat "$work/engine1")
engine2=127.0.0.1:$(cat "$work/engine2")

window_s=60
[ "$target" != bench-router-soak ] || window_s=1
"$build/stackrouter" --host=127.0.0.1 --port=0 --routing-logic=roundrobin \
    --static-backends="http://$engine1,http://$engine2" --static-models=m,m \
    --request-stats-window="$window_s" \
    2>"$work/router" &
router_pid=$!
children+=("$router_pid")
wait_for 'listening on' "$work/router"
router=127.0.0.1:$(sed -n 's/.*listening on .*:\([0-9]*\).*/\1/p' "$work/router" | head -1)

cat >"$work/nginx.conf" <<END
worker_processes 1;
pid $work/nginx.pid;
error_log $work/nginx.err;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path $work;
    proxy_temp_path $work;
    fastcgi_temp_path $work;
    uwsgi_temp_path $work;
    scgi_temp_path $work;
    keepalive_requests 100000000;
    upstream engines { server $engine1; server $engine2; keepalive 1024; keepalive_requests 100000000; }
    server {
        listen unix:$work/nginx.ready;
        listen 127.0.0.1:NGINX_PORT;
        location / {
            proxy_pass http://engines;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
}
END
# nginx cannot take a free port by itself.
nginx_pid=
for _ in 1 2 3 4 5 6 7 8; do
    port=$((20000 + RANDOM % 12000))
    sed "s/NGINX_PORT/$port/" "$work/nginx.conf" >"$work/nginx.with_port"
    if nginx -e "$work/nginx.err" -p "$work" -c "$work/nginx.with_port" 2>"$work/nginx.said"; then
        wait_for '^[0-9]' "$work/nginx.pid"
        children+=("$(cat "$work/nginx.pid")")
        nginx=127.0.0.1:$port
        nginx_pid=$(ps -o pid= --ppid "$(cat "$work/nginx.pid")" | tr -d ' ')
        break
    fi
done
[ -n "$nginx_pid" ] || {
    echo "router.sh: nginx does not start:" >&2
    cat "$work/nginx.said" >&2
    exit 1
}

cat >"$work/ask.lua" <<'END'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function init(args)
    local stream = args[1] == "stream" and "true" or "false"
    wrk.body = '{"model":"m","max_tokens":32,"stream":' .. stream ..
        ',"messages":[{"role":"user","content":"What is the capital of France?"}]}'
    wrk.path = "/v1/chat/completions"
end
function done(summary, latency)
    local e = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.status + e.timeout))
end
END

cpu_ticks() { # PID
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# Appends to points: WHO KIND CONNECTIONS REQUESTS DURATION_US P50_US P99_US ERRORS TICKS
measure() { # WHO ADDRESS KIND CONNECTIONS PID
    local before after result
    before=$(cpu_ticks "$5")
    result=$(wrk -t1 -c"$4" -d"${seconds}s" -s "$work/ask.lua" "http://$2/" -- "$3" |
        sed -n 's/^RESULT //p')
    after=$(cpu_ticks "$5")
    echo "$1 $3 $4 $result $((after - before))" | tee -a "$work/points" >&2
}

visit() { # KIND CONNECTIONS
    measure engine "$engine1" "$1" "$2" "${children[0]}"
    measure nginx "$nginx" "$1" "$2" "$nginx_pid"
    measure router "$router" "$1" "$2" "$router_pid"
}

rss_kb() { # VmRSS|VmHWM
    awk -v key="$1:" '$1 == key { print $2 }' "/proc/$router_pid/status"
}

host() { # what every line of JSON ends with
    commit=$(git -C "$(dirname "$0")" rev-parse --short HEAD 2>/dev/null || echo unknown)
    cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1)
    printf ',"nginx":"%s","commit":"%s","cpu":"%s","cpus":%d,"load_1min":%s}\n' \
        "$(nginx -v 2>&1 | sed 's,.*/,,')" "$commit" "$cpu" "$(nproc)" "$load_1min"
}

wall_s() {
    echo "$(date +%s.%N) $started_s" | awk '{ printf "%.1f", $1 - $2 }'
}

soak() {
    local sent=0 first_kb=0 kind=answer
    while [ "$sent" -lt "$soak_requests" ]; do
        measure router "$router" "$kind" "$connections" "$router_pid"
        sent=$(awk '{ sent += $4 } END { print sent }' "$work/points")
        [ "$first_kb" -ne 0 ] || [ "$kind" = answer ] ||
            [ "$sent" -lt $((soak_requests / 10)) ] || first_kb=$(rss_kb VmRSS)
        [ "$kind" = answer ] && kind=stream || kind=answer
    done
    printf '{"target":"%s","wall_s":%s,"requests":%d,"errors":%d' "$target" "$(wall_s)" \
        "$sent" "$(awk '{ bad += $8 } END { print bad }' "$work/points")"
    printf ',"tenth_rss_bytes":%d,"rss_bytes":%d,"peak_rss_bytes":%d' \
        $((first_kb * 1024)) $(($(rss_kb VmRSS) * 1024)) $(($(rss_kb VmHWM) * 1024))
    host
}

load_1min=$(cut -d' ' -f1 /proc/loadavg)
if [ "$target" = bench-router-soak ]; then
    soak
    exit 0
fi
for address in "$engine1" "$nginx" "$router"; do # a round that does not count
    seconds=1 measure warm "$address" answer "$connections" "$router_pid"
done
for _ in $(seq "$runs"); do
    for kind in answer stream; do
        visit "$kind" "$connections"
        visit "$kind" 1
    done
done
awk -v target="$target" -v runs="$runs" -v connections="$connections" \
    -v events="$events" -v rss="$(($(rss_kb VmHWM) * 1024))" -v wall="$(wall_s)" \
    -v ticks="$(getconf CLK_TCK)" '
function median(name,    i, j, x, n, v) {
    n = count[name]
    for (i = 1; i <= n; i++) v[i] = value[name, i]
    for (i = 2; i <= n; i++) {
        x = v[i]
        for (j = i - 1; j > 0 && v[j] > x; j--) v[j + 1] = v[j]
        v[j + 1] = x
    }
    return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
function note(name, x) { value[name, ++count[name]] = x }
function put(name, format, x) { printf ",\"%s\":" format, name, x }
$1 != "warm" {
    load_kind = $3 == 1 ? "one" : "many"
    name = $1 " " $2 " " load_kind
    note(name " rate", 1e6 * $4 / $5)
    note(name " p50", $6)
    note(name " p99", $7)
    note(name " cpu", 1e6 * $9 / ticks / $4)
    if ($1 == "router") { requests += $4; errors += $8 }
    if ($1 != "router") other_errors += $8
}
END {
    printf "{\"target\":\"%s\",\"wall_s\":%s,\"runs\":%d,\"requests\":%d", target,
        wall, runs, requests
    for (i = 1; i <= 2; i++) {
        kind = i == 1 ? "answer" : "stream"
        key = i == 1 ? "" : "stream_"
        rate = median("router " kind " many rate")
        other = median("nginx " kind " many rate")
        put("stackrouter_" key "requests_per_s", "%.0f", rate)
        put("nginx_" key "requests_per_s", "%.0f", other)
        put("engine_" key "requests_per_s", "%.0f", median("engine " kind " many rate"))
        put(key "ratio", "%.3f", rate / other)
        put("stackrouter_" key "cpu_us", "%.1f", median("router " kind " many cpu"))
        put("nginx_" key "cpu_us", "%.1f", median("nginx " kind " many cpu"))
        for (j = 50; j <= 99; j += 49) {
            base = median("engine " kind " one p" j)
            put(key "added_p" j "_us", "%.0f", median("router " kind " one p" j) - base)
            put("nginx_" key "added_p" j "_us", "%.0f", median("nginx " kind " one p" j) - base)
        }
    }
    put("connections", "%d", connections)
    put("stream_events", "%d", events)
    put("errors", "%d", errors)
    put("other_errors", "%d", other_errors)
    put("peak_rss_bytes", "%d", rss)
}' "$work/points"
host
