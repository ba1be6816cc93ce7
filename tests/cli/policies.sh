#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# policies: every kind, from the tables; a name, a kind, a format narrow it down.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

exits 0 policies
for name in round_robin vtc earliest_deadline; do
    grep -Eq "^$name \(" out || fail "'stacksim policies' does not list $name"
done
exits 0 policies --kind order --format csv
[ "$(sed -n 2p out | cut -d, -f1,2)" = order,fcfs ] || fail "fcfs is not the first order"
grep -q '^route' out && fail "--kind order lists routing policies"

# By alias, and only that one.
exits 0 policies roundrobin --format csv
[ "$(wc -l <out)" -eq 2 ] && grep -q '^route,round_robin,' out ||
    fail "an alias does not find its policy"

exits 0 policies --format json
if command -v python3 >/dev/null; then
    python3 - out <<'X' || fail "the JSON of policies is not as documented"
import json, sys
policies = json.load(open(sys.argv[1]))
names = [(p["kind"], p["name"]) for p in policies]
assert len(set(names)) == len(names) and {k for k, n in names} == {"route", "admit", "order", "pair", "scale"}
for p in policies:
    assert p["help"] and p["key"] and isinstance(p["aliases"], list), p
    assert p["source"] and isinstance(p["failure_modes"], str), p["name"]
    for q in p["parameters"]:
        assert q["help"] and q["type"] in ("integer", "number", "boolean"), q
        if q["type"] == "boolean":
            assert isinstance(q["default"], bool), q
        else:
            assert q["min"] <= q["default"] <= q["max"], q
pinning = [q for p in policies if p["name"] == "prefix_aware"
           for q in p["parameters"] if q["name"] == "pinning"][0]
assert pinning["default_by_compat"] == {"tag": True, "tag-fixed": False, "head": True}
X
fi

# The tables of the page are what the policies' tables say now. To mend:
#     stacksim policies --page docs/policies.md > new && mv new docs/policies.md
exits 0 policies --page "$STACKSIM_SOURCE/docs/policies.md"
same "$STACKSIM_SOURCE/docs/policies.md" out
# Prose stays, a table is renewed, and what has no mark gets a section.
printf 'Prose.\n<!-- parameters: admit vtc -->\nold\n<!-- end -->\nMore.\n' >page.md
exits 0 policies --page page.md
[ "$(head -1 out)" = Prose. ] && grep -qx More. out || fail "--page loses prose"
grep -q '^| `input_weight` | 1 | 0 to 1000000 | ' out && ! grep -qx old out ||
    fail "--page does not renew a table"
grep -qx '<!-- parameters: order fcfs -->' out || fail "--page forgets fcfs"
printf '<!-- parameters: admit fcfs -->\n<!-- end -->\n' >page.md
refuses 2 'page.md:1: no such policy' policies --page page.md
printf '<!-- parameters: order fcfs -->\n' >page.md
refuses 2 'page.md:1: the table has no end' policies --page page.md
refuses 2 'absent.md: ' policies --page absent.md

refuses 2 "unknown policy 'vtx'; did you mean 'vtc'\?" policies vtx
refuses 2 "unknown policy 'maglev'" policies maglev --kind admit
refuses 2 "--kind: 'scorer' is none of route, admit, order, pair, scale" policies --kind scorer
refuses 2 ".*xml.*" policies --format xml
done_testing
