#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# compare --admission: every routing policy under every admission policy.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
flood=(failure-modes/low-priority-flood --set end.requests=600 --quiet --no-report --out flood.db)

# Without --policies the scenario's alone; an arm is what `run` gives with its settings.
exits 0 compare "${flood[@]}" --admission none,vtc:requests_max=32,flow_control --digest
cp out digests
[ "$(wc -l <digests)" -eq 3 ] || fail "$(wc -l <digests) arms, expected 3"
digest_is() { # ARM RUN-ARGUMENTS...
    local arm=$1
    shift
    exits 0 run failure-modes/low-priority-flood --set end.requests=600 --quiet --digest "$@"
    grep -qF "digest least_request + $arm $(cut -d' ' -f2 out)" digests || fail "arm $arm is another run"
}
digest_is none
digest_is none --set admission.policy=none
digest_is vtc:requests_max=32 --set admission.policy=vtc --set admission.params.requests_max=32
digest_is flow_control --set admission.policy=flow_control
exits 0 compare "${flood[@]}" --policies random,least_request --admission none,vtc --seeds 2 --format csv
[ "$(cut -d, -f1 out | sort -u | grep -c ' + ')" -eq 4 ] || fail "not every policy is under every other"

# 'none' takes an admission away that the scenario has.
sed 's/^seed: .*/&\nadmission: {policy: vtc, params: {requests_max: 32}}/' \
    "$STACKSIM_CONFIGS/scenarios/failure-modes/low-priority-flood.yaml" >vtc.yaml
exits 0 compare vtc.yaml --set end.requests=600 --admission none,vtc --quiet --no-report --out v.db --digest
[ "$(awk '{ print $NF }' out | sort -u | wc -l)" -eq 2 ] || fail "'none' changes nothing"
grep -qF "$(awk '/none/ { print $NF }' digests)" out || fail "'none' leaves an admission"

refuses 2 "--admission: no admission policy 'fair'; there are none, concurrency_gate, .*" compare "${flood[@]}" --admission fair
refuses 2 "--admission: 'vtc' is named twice; .*" compare "${flood[@]}" --admission vtc,vtc
refuses 2 "--admission: vtc has no parameter 'rate'; .*" compare "${flood[@]}" --admission vtc:rate=1
refuses 2 ".*requests_max.*" compare "${flood[@]}" --admission vtc:requests_max=-1
done_testing
