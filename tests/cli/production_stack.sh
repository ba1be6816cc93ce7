#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The scenarios of the stack's acceptance table (docs/production-stack-acceptance.md) run,
# and show what the comment at their head says.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

folder=$STACKSIM_SOURCE/configs/scenarios/production-stack
for file in "$folder"/*.yaml; do
    name=$(basename "$file" .yaml)
    exits 0 run "production-stack/$name" --quiet --set end.requests=60
    head -1 "$file" | grep -q '^# ' || fail "$name does not say what to look at"
    grep -q "production-stack/$name\b" "$STACKSIM_SOURCE"/docs/*.md ||
        fail "$name is in no table"
done

# events NAME [OPTIONS...]: few requests, all of what befalls the fleet. Times are those of
# a fleet with nothing else to do.
events() {
    local name=$1
    shift
    rm -f "$name.db"
    exits 0 run "production-stack/$name" --quiet --set workload.generate.0.arrival.rate_per_s=1 \
        --out "$name.db" "$@"
    exits 0 events "$name.db"
}

# told COUNT PATTERN
told() {
    local count
    count=$(grep -Ec -- "$2" out)
    [ "$count" -eq "$1" ] || {
        fail "/$2/ is told $count times, expected $1"
        sed 's/^/    /' out >&2
    }
}

# 11 s and then 5, 10 ... 1,280 ms: the tenth try is at 13.555, the next one at 16.115.
events 402-configmap-failure
told 10 'Warning +FailedReconcileConfigMap +staticroute/route .*default/route-config : '
told 1 ' 16\.115 +Normal +ConfigMapUpdated'
told 0 '1[6-9]\.[0-9]+ +Warning'

events 409-single-service
told 11 'Warning +ReconcileError'
told 1 ' 42\.235 +Normal +HealthCheckSucceeded' # 22.235 and two periods

events 415-custom-resources
told 1 ' 20\.000 +Warning +UpdateOverlooked +vllmruntime/chat'
told 1 ' 140\.000 +Normal +ScalingReplicaSet'
events 415-custom-resources --set routing.compat=head
told 0 UpdateOverlooked
told 1 ' 20\.000 +Normal +ScalingReplicaSet'

events 396-volumes
told 1 'Ready +pod/chat-1 .*ready 145\.000 s'
told 1 'Ready +pod/chat-2 .*ready 45\.'
events 396-volumes --set cluster.pools.0.deployment.weights.size_limit=10GB
says 'Warning +Evicted +pod/chat-1'

events 400-manual-scheduling
told 1 'Warning +UnexpectedAdmissionError +pod/chat-2'
told 2 'Normal +Ready'

events 413-dynamic-config
told 3 'Warning +ConfigReloadFailed'
told 2 'Normal +ConfigReloaded'
# Static discovery of the release: every poll of the rest, 40 to 110 s.
events 413-dynamic-config --set routing.compat=tag --set discovery.mode=static
told 0 'Normal +ConfigReloaded'
says ' 110\.000 +Warning +ConfigReloadFailed'

events 428-health-checks
told 2 'Normal +EndpointRemoved'
told 1 'Normal +EndpointAdded +router +chat-1'

events 422-pipeline
told 1 'Normal +EndpointRemoved +router +big-0'
told 1 'Normal +EndpointAdded +router +big-0'

events sleep
told 2 'Normal +Asleep'
told 2 ' 60\.285 +Normal +EndpointAdded'

# figure NAME FIELD [OPTIONS...]: of 400 requests.
figure() {
    local name=$1 field=$2
    shift 2
    exits 0 run "production-stack/$name" --quiet --set end.requests=400 --format json "$@"
    jq -r "$field" out
}

# is WHAT EXPRESSION: of awk.
is() {
    awk "BEGIN { exit !($2) }" || fail "$1: not $2"
}

is 'score at the tag' "$(figure 430-model-types .totals.rejected) >= 390"
is 'score as meant' "$(figure 430-model-types .totals.completed --set routing.compat=tag-fixed) == 400"
is 'one engine has all prompts' "$(figure 432-prefix-aware .metrics.load_imbalance) > 7.99"
is 'aliases' "$(figure 397-aliases .totals.completed) == 400"
is 'an alias of an alias' "$(figure 397-aliases .totals.rejected --set routing.aliases.gpt-4=small) > 150"
is 'kv_aware at the tag' "$(figure 403-kv-aware .totals.completed --set routing.compat=tag) == 0"
is 'adapters on the first engine' "$(figure 446-lora .metrics.load_imbalance) > 2.99"
is 'adapters balanced' "$(figure 446-lora .metrics.load_imbalance --set adapters.placement=balanced) < 2"
whole=$(figure 435-disaggregated-prefill .metrics.ttft_ms_mean)
meant=$(figure 435-disaggregated-prefill .metrics.ttft_ms_mean --set routing.disaggregation.params.full_generation=false)
is 'the prefiller generates all' "$whole > 5 * $meant"
one=$(figure router-capacity .metrics.ttft_ms_mean)
two=$(figure router-capacity .metrics.ttft_ms_mean --set routing.replicas=2)
is 'a second router' "$two < $one / 4"
is 'four tries' "$(figure router-replicas .metrics.ttft_ms_mean) > \
    $(figure router-replicas .metrics.ttft_ms_mean --set routing.replicas=1)"

done_testing
