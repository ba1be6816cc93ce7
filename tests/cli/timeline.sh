#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# --timeline: JSON as Perfetto reads it, from a run and from its store alike.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
small=(demo --set end.requests=300 --quiet)
exits 0 run "${small[@]}" --timeline run.json --out run.db
grep -q 'wrote run.json' err || fail "run does not name its timeline"
exits 0 report run.db --no-report --timeline stored.json
same run.json stored.json
apart=("$STACKSIM_SOURCE/tests/digests/apart.yaml" --set workload.generate.0.requests=400
    --set sample_interval=1s --quiet)
exits 0 run "${apart[@]}" --timeline apart.json --out apart.db
exits 0 report apart.db --no-report --timeline apart-stored.json
same apart.json apart-stored.json
exits 0 merge merged.db apart.db
exits 0 report merged.db --no-report --timeline merged.json
same apart.json merged.json
exits 0 merge lean.db apart.db --no-requests
[ "$(sqlite3 lean.db 'SELECT count(*) FROM handover')" = 0 ] || fail "handovers without requests"
if command -v python3 >/dev/null; then
    cat >check.py <<'X'
import collections, json, sys
trace = json.load(open(sys.argv[1]))
events = trace["traceEvents"]
requests = int(sys.argv[2])
assert trace["otherData"]["policy"] == sys.argv[3], trace["otherData"]
times = [e["ts"] for e in events if "ts" in e]
assert times == sorted(times)
slices = collections.defaultdict(list)
for e in events:
    if e["ph"] == "X" and e["pid"] > 1:
        slices[e["pid"], e["tid"]].append((e["ts"], e["ts"] + e["dur"], e))
    if e["ph"] != "M":
        assert {"ts", "pid", "name"} <= set(e), e
for lane in slices.values():
    for (_, end, _), (start, _, _) in zip(lane, lane[1:]):
        assert end <= start + 1e-6, (end, start)
flows = collections.defaultdict(list)
open_queues = set()
for e in events:
    if e["ph"] in "stf":
        flows[e["id"]].append(e)
        # Each step lies in a slice of its thread, else Perfetto drops it.
        if e["ph"] != "s":
            assert any(s <= e["ts"] <= t for s, t, _ in slices[e["pid"], e["tid"]])
    if e["ph"] == "b":
        open_queues.add((e["pid"], e["id"]))
    if e["ph"] == "e":
        open_queues.remove((e["pid"], e["id"]))
assert not open_queues
# From the gateway to the prefill, over the transfer where there is one, to the decode.
shapes = collections.Counter("".join(e["ph"] for e in flow) for flow in flows.values())
assert sum(shapes.values()) == requests and set(shapes) <= {"sf", "stf", "sttf"}, shapes
names = collections.Counter(e["name"] for e in events if e["ph"] == "X")
assert names["prefill"] == requests, names
assert shapes["sttf"] <= names["KV transfer"] == names["first step"], names
assert (names["KV transfer"] > 0) == (sys.argv[4] == "apart"), names
# The KV goes from an engine for prompts to one for outputs.
pools = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
for e in events:
    if e["name"] == "KV transfer":
        assert ": decode," in pools[e["pid"]] and e["args"]["from_engine"] < 3, e
assert sum(e["ph"] == "C" for e in events) > 8
X
    python3 check.py run.json 300 round_robin whole &&
        python3 check.py apart.json 400 cache_aware apart ||
        fail "the timeline is not what docs/timeline.md says"
fi
exits 0 run "${small[@]}" --no-requests --out lean.db
refuses 2 '--timeline: the store has no rows of requests' report lean.db --no-report \
    --timeline lean.json >/dev/null
absent lean.json
refuses 2 '.*--timeline' run "${small[@]}" --out same.db --timeline same.db
refuses 1 '.*nowhere' run "${small[@]}" --timeline nowhere/run.json
no_leftovers .
done_testing
