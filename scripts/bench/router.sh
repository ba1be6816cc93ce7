#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: scripts/bench/router.sh STACKROUTER [RUNS]
#
# The router beside nginx in front of the same engines, in the same run: requests per
# second, latency and processor time of a request. Engines are one nginx that answers at
# once, so what is measured is the proxy. wrk drives each in turn, RUNS times; medians
# go into one line of JSON. Processor time is the figure to trust where cores are shared.
set -eu
program=$1
runs=${2:-5}
for tool in wrk nginx curl; do
    command -v "$tool" >/dev/null 2>&1 || {
        echo "router.sh: $tool not found: apt-get install wrk nginx-light curl" >&2
        exit 1
    }
done
folder=$(mktemp -d)
router=
finish() {
    [ -z "$router" ] || kill "$router" 2>/dev/null || :
    for name in engines proxy; do
        [ ! -f "$folder/$name.pid" ] || kill "$(cat "$folder/$name.pid")" 2>/dev/null || :
    done
    rm -rf "$folder"
}
trap finish EXIT

write() { # NAME BODY
    cat >"$folder/$1.conf" <<END
worker_processes 1;
pid $folder/$1.pid;
error_log $folder/$1.log;
events { worker_connections 8192; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path $folder; proxy_temp_path $folder; fastcgi_temp_path $folder;
    uwsgi_temp_path $folder; scgi_temp_path $folder;
    $2
}
END
    nginx -c "$folder/$1.conf" -e "$folder/$1.log"
}
answer='{"id":"c","object":"text_completion","model":"m","choices":[{"index":0,"text":" hello","finish_reason":"length"}],"usage":{"prompt_tokens":5,"total_tokens":21,"completion_tokens":16}}'
write engines "server { listen 127.0.0.1:18101; listen 127.0.0.1:18102;
        default_type application/json; location / { return 200 '$answer'; } }"
write proxy "upstream e { server 127.0.0.1:18101; server 127.0.0.1:18102;
        keepalive 256; keepalive_requests 100000000; }
    server { listen 127.0.0.1:18110; location / { proxy_pass http://e;
        proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; } }"
"$program" --host 127.0.0.1 --port 18111 --routing-logic roundrobin \
    --static-backends http://127.0.0.1:18101,http://127.0.0.1:18102 \
    --static-models m,m 2>/dev/null &
router=$!
sleep 1
cat >"$folder/post.lua" <<'END'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"model":"m","max_tokens":16,"prompt":"' .. string.rep("Tell me a story. ", 32) .. '"}'
END
nginx_worker=$(ps -o pid= --ppid "$(cat "$folder/proxy.pid")" | tr -d ' ')

ticks() { # PID
    awk '{ print $14 + $15 }' "/proc/$1/stat"
}
measure() { # NAME PORT PID: rate p50_ms p99_ms cpu_us
    before=$(ticks "$3")
    wrk -t1 -c64 -d5s --latency -s "$folder/post.lua" "http://127.0.0.1:$2/v1/completions" \
        >"$folder/out"
    after=$(ticks "$3")
    if grep -q 'Non-2xx' "$folder/out"; then
        echo "router.sh: $1 failed requests" >&2
        exit 1
    fi
    awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" '
        function ms(text) {
            if (text ~ /us$/) return text / 1000
            if (text ~ /ms$/) return text + 0
            return text * 1000
        }
        $1 == "50%" { p50 = ms($2) }
        $1 == "99%" { p99 = ms($2) }
        $2 == "requests" && $3 == "in" { count = $1 }
        /^Requests\/sec/ { rate = $2 }
        END { printf "%.0f %.3f %.3f %.2f\n", rate, p50, p99, 1e6 * ticks / hz / count }
    ' "$folder/out" >>"$folder/$1.rows"
}
run=0
while [ "$run" -lt "$runs" ]; do
    measure nginx 18110 "$nginx_worker"
    measure stackrouter 18111 "$router"
    run=$((run + 1))
done
median() { # NAME COLUMN
    sort -n -k "$2" "$folder/$1.rows" | awk -v c="$2" '{ v[NR] = $c } END { print v[int((NR + 1) / 2)] }'
}
printf '{"target":"router"'
for name in stackrouter nginx; do
    printf ',"%s":{"requests_per_s":%s,"p50_ms":%s,"p99_ms":%s,"cpu_us_per_request":%s}' \
        "$name" "$(median $name 1)" "$(median $name 2)" "$(median $name 3)" "$(median $name 4)"
done
printf ',"runs":%s,"peak_rss_kib":%s,"load_1min":%s,"commit":"%s"}\n' "$runs" \
    "$(awk '/VmHWM/ { print $2 }' "/proc/$router/status")" \
    "$(cut -d' ' -f1 /proc/loadavg)" \
    "$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)"
