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
if command -v python3 >/dev/null; then
    python3 - run.json <<'X' || fail "the timeline is not what docs/timeline.md says"
import collections, json, sys
trace = json.load(open(sys.argv[1]))
events = trace["traceEvents"]
assert trace["otherData"]["policy"] == "round_robin", trace["otherData"]
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
flows = collections.defaultdict(dict)
open_queues = set()
for e in events:
    if e["ph"] in "sf":
        flows[e["id"]][e["ph"]] = e
        # Each end lies in a slice of its thread, else Perfetto drops it.
        if e["ph"] == "f":
            assert any(s <= e["ts"] <= t for s, t, _ in slices[e["pid"], e["tid"]])
    if e["ph"] == "b":
        open_queues.add((e["pid"], e["id"]))
    if e["ph"] == "e":
        open_queues.remove((e["pid"], e["id"]))
assert not open_queues
assert len(flows) == 300 and all(f["s"]["ts"] <= f["f"]["ts"] for f in flows.values())
assert sum(e["ph"] == "C" for e in events) > 8
X
fi
exits 0 run "${small[@]}" --no-requests --out lean.db
refuses 2 '--timeline: the store has no rows of requests' report lean.db --no-report \
    --timeline lean.json >/dev/null
absent lean.json
refuses 2 '.*--timeline' run "${small[@]}" --out same.db --timeline same.db
refuses 1 '.*nowhere' run "${small[@]}" --timeline nowhere/run.json
no_leftovers .
done_testing
