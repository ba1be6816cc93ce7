#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# stackrouter's flags out of chart values and VLLMRouter objects: word for word, and what
# is refused with file and line.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
STACKSIM_BIN=$STACKSIM_BUILD/stackrouter
examples=$STACKSIM_SOURCE/configs/helm
k8s='--host 0.0.0.0 --port 8000 --service-discovery k8s --k8s-namespace default --k8s-label-selector'

# prints EXPECTED ARGUMENTS...
prints() {
    local wanted=$1
    shift
    exits 0 "$@" --print-flags
    [ "$(cat out)" = "$wanted" ] || fail "'$*' prints '$(cat out)', expected '$wanted'"
}

refused() { # PATTERN ARGUMENTS...
    local pattern=$1
    shift
    exits 2 "$@"
    grep -Eq "^stackrouter: $pattern" err ||
        fail "'$*' says '$(cat err)', expected /$pattern/"
}

prints "$k8s app=engines,environment=test,release=test,tier=gpu --routing-logic roundrobin \
--engine-stats-interval 15 --request-stats-window 60 --log-stats" \
    --from-helm "$examples/plain.yaml"
prints "$k8s environment=test,release=test --routing-logic disaggregated_prefill \
--engine-stats-interval 15 --request-stats-window 60 --prefill-model-labels pd-prefill \
--decode-model-labels pd-decode" --from-helm="$examples/disaggregated.yaml"
# What is given beside the file wins, and services take the place of pods.
prints "$k8s app=engines,environment=test,release=test,tier=gpu --routing-logic roundrobin \
--engine-stats-interval 15 --request-stats-window 60 --log-stats --service-discovery static \
--static-backends http://demo-chat8b-engine-service.default.svc.cluster.local:80 \
--static-models meta-llama/Llama-3.1-8B-Instruct --static-model-labels chat8b --port 9" \
    --from-helm "$examples/plain.yaml" --engine-services --helm-release demo --port 9
prints '--port 1 --log-stats' --port 1 --log-stats
# Outside of a cluster there are no pods to watch: it says what to do.
refused '--service-discovery k8s: .*--k8s-api, or .*--engine-services' --from-helm "$examples/plain.yaml"

cat >router.yaml <<'Y'
apiVersion: production-stack.vllm.ai/v1alpha1
kind: VLLMRouter
metadata: {name: r}
spec:
  enableRouter: true
  replicas: 2
  serviceDiscovery: static
  staticBackends: http://10.0.0.1:8000,http://10.0.0.2:8000
  staticModels: m,m
  routingLogic: session
  sessionKey: x-user-id
  engineScrapeInterval: 20
  requestStatsWindow: 30
  extraArgs: [--log-stats, --log-stats-interval, "5"]
  port: 8080
  image: {registry: docker.io, name: lmcache/lmstack-router}
Y
flags='--host 0.0.0.0 --port 8080 --service-discovery static --static-backends http://10.0.0.1:8000,http://10.0.0.2:8000 --static-models m,m --routing-logic session --session-key x-user-id --engine-stats-interval 20 --request-stats-window 30 --log-stats --log-stats-interval 5'
prints "$flags" --from-crd router.yaml
prints "$flags" --from-helm router.yaml
prints "$flags --compat tag" --from-crd router.yaml --compat tag
# Defaults: the operator leaves out what is not there.
printf 'apiVersion: production-stack.vllm.ai/v1alpha1\nkind: VLLMRouter\nmetadata: {name: r}\nspec: {k8sLabelSelector: app=x}\n' \
    >small.yaml
prints '--host 0.0.0.0 --port 80 --service-discovery k8s --k8s-namespace prod --k8s-label-selector app=x --routing-logic roundrobin --k8s-namespace prod' \
    --from-crd small.yaml --k8s-namespace prod

# Unknown routing logic: exit 2, with the line.
sed 's/routingLogic: session/routingLogic: fastest/' router.yaml >bad.yaml
refused 'bad\.yaml:10: spec\.routingLogic: "fastest" is not one of roundrobin, session' \
    --from-crd bad.yaml
sed 's/routingLogic: session/routingLogic: kvaware/' router.yaml >bad.yaml
prints "${flags/session --session/kvaware --session}" --from-crd bad.yaml
refused 'bad\.yaml:10: .*"kvaware" is not one of roundrobin, session$' \
    --from-crd bad.yaml --compat tag
printf 'servingEngineSpec: {}\nrouterSpec:\n  routingLogic: fastest\n' >bad.yaml
refused "--routing-logic: unknown policy 'fastest'" --from-helm bad.yaml \
    --service-discovery static --static-backends http://10.0.0.1:1 --static-models m
# What the chart writes and no router knows, with its line.
printf 'routerSpec:\n  enablePD: true\n' >bad.yaml
refused "bad\\.yaml:2: .*--disaggregated-prefill" --from-helm bad.yaml
sed 's/--log-stats,/--log-statistics,/' router.yaml >bad.yaml
refused 'bad\.yaml:14: .*--log-statistics' --from-crd bad.yaml
sed 's/"5"/fast/' router.yaml >bad.yaml
refused 'bad\.yaml:14: .*--log-stats-interval' --from-crd bad.yaml
refused 'nowhere\.yaml: No such file' --from-crd nowhere.yaml
refused '.*no VLLMRouter in it' --from-crd "$examples/plain.yaml"
printf 'routerSpec: {enableRouter: false}\n' >bad.yaml
refused '.*no router in it' --from-helm bad.yaml
refused '.*no engine in it' --from-helm router.yaml --engine-services
refused '.*give one of them' --from-helm router.yaml --from-crd router.yaml
# Unknown fields are warnings; this one fails for another reason.
sed 's/sessionKey:/sesionKey:/' router.yaml >bad.yaml
refused '--routing-logic session needs --session-key' --from-crd bad.yaml
grep -q "bad.yaml:11: spec.sesionKey: unknown key; did you mean 'sessionKey'" err ||
    fail 'an unknown key is not told'
done_testing
