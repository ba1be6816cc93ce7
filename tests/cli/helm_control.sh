#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What changes in a run of a deployment's files: autoscalers, the operator's runtimes, a
# StaticRoute; and Services between router and pods.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
api=production-stack.vllm.ai/v1alpha1
cat >base.yaml <<'Y'
servingEngineSpec:
  modelSpec:
  - name: m
    repository: vllm/vllm-openai
    tag: v0.13.0
    modelURL: Qwen/Qwen2.5-7B-Instruct
    replicaCount: 1
    requestCPU: 8
    requestMemory: 64Gi
    requestGPU: 1
    pvcStorage: 40Gi
    pvcAccessMode: [ReadWriteMany]
    vllmConfig: {enablePrefixCaching: true, maxModelLen: 8192, maxNumSeqs: 4}
Y
echo 'nodes: [{name: n, gpu: l4, gpus: 8, cpu: 128, memory: 1Ti}]' >nodes.yaml

# ---- keda: the chart's default trigger, more than 5 requests waiting ----
cat base.yaml - >keda.yaml <<'Y'
    keda: {maxReplicaCount: 3, idleReplicaCount: 0, fallback: {failureThreshold: 3, replicas: 2}}
Y
exits 0 helm scenario keda.yaml --nodes nodes.yaml
says '^        policy: keda$'
says '^        min: 1$'
says '^        max: 3$'
says 'params: \{poll_s: 15, cooldown_s: 360, initial_cooldown_s: 0, idle_to_zero: true\}'
says 'metric: waiting, kind: average, target: 5, activation: 0'
exits 0 run --helm keda.yaml --nodes nodes.yaml --set end.time=600s --quiet --out keda.db
exits 0 events keda.db
says 'SuccessfulRescale'
says 'EndpointAdded +router +m-1'
cat base.yaml - >triggers.yaml <<'Y'
    keda:
      minReplicaCount: 2
      maxReplicaCount: 4
      pollingInterval: 20
      triggers:
      - {type: prometheus, metadata: {query: "sum(vllm:num_requests_running)", threshold: "8", activationThreshold: "1"}}
      - {type: prometheus, metricType: Value, metadata: {metricName: "vllm:gpu_cache_usage_perc", threshold: "0.7"}}
      - {type: cpu, metadata: {value: "80"}}
Y
exits 0 helm explain triggers.yaml --gpu l4
says '^  replicas +2 to 4, by KEDA: running 8 each, kv_used 0\.7 in all; looks every 20 s, idle after 360 s'
says '^  weights +/data, on a claim: the first start downloads$'
exits 0 helm scenario triggers.yaml --gpu l4
says 'metric: running, kind: average, target: 8, activation: 1'
says 'metric: kv_used, kind: value, target: 0\.7'
says '^# warning: triggers\.yaml:21: triggers: a simulation leaves out'
says '^        initial: 2$'
exits 0 run --helm triggers.yaml --gpu l4 --set end.requests=20 --digest --quiet
exits 0 helm scenario keda.yaml --gpu l4 --compat tag
says 'keda\.yaml:14: keda: release 0\.1\.3 does not know it'
says_not 'autoscale'
sed 's/keda: .*/keda: {minReplicaCount: 2}/' keda.yaml >bad.yaml
refuses 2 '.*bad\.yaml:14: maxReplicaCount is missing' run --helm bad.yaml --gpu l4
sed 's/keda: .*/keda: {minReplicaCount: 5, maxReplicaCount: 2}/' keda.yaml >bad.yaml
refuses 2 '.*bad\.yaml:14: 5 replicas at least, and 2 at most' run --helm bad.yaml --gpu l4

# ---- a VLLMRuntime: its autoscaler, and replicas that release 0.1.3 overlooks ----
runtime() { # EXTRA
    cat <<Y
apiVersion: $api
kind: VLLMRuntime
metadata: {name: chat}
spec:
  model: {modelURL: Qwen/Qwen2.5-7B-Instruct, maxModelLen: 8192}
  enablePrefixCaching: true
  enableChunkedPrefill: true
  v1: true
  replicas: 2
  resources: {cpu: "8", memory: 64Gi, gpu: "1"}
  image: {registry: docker.io, name: "vllm/vllm-openai:v0.8.5"}
$1
---
apiVersion: $api
kind: VLLMRouter
metadata: {name: router}
spec: {routingLogic: roundrobin, k8sLabelSelector: app=chat}
Y
}
runtime '  autoscalingConfig: {minReplicas: 0, maxReplicas: 3}' >scaled.yaml
exits 0 helm scenario scaled.yaml --gpu l4
says '^        min: 0$'
says 'cooldown_s: 1800'
says 'up_pods: 1, up_pods_period_s: 60, up_percent: 0'
says 'metric: seen, kind: value, target: 1'
says 'metric: prompt_tokens, kind: average, target: 100'
exits 0 run --helm scaled.yaml --gpu l4 --set end.requests=20 --digest --quiet
runtime '' >runtime.yaml
exits 0 helm scenario runtime.yaml --nodes nodes.yaml --compat tag --out runtime-scenario.yaml
cp runtime-scenario.yaml out
says '^        runtime: true'
says 'liveness: \{period: 10s, initial: 240s, failures: 3\}, readiness: \{period: 20s, initial: 30s, failures: 10\}'
says 'startup: \{period: 0s\}'
echo 'timeline: [{at: 10s, scale: chat, replicas: 4}]' >>runtime-scenario.yaml
exits 0 run runtime-scenario.yaml --set end.time=300s --quiet --out runtime.db
exits 0 events runtime.db
says 'UpdateOverlooked'

# ---- a StaticRoute ----
cat >route.yaml <<Y
apiVersion: $api
kind: StaticRoute
metadata: {name: route}
spec:
  staticBackends: http://a.example:8000
  staticModels: m
  routerRef: {name: some-service, namespace: default}
  healthCheck: {periodSeconds: 7, successThreshold: 2, failureThreshold: 4, timeoutSeconds: 1}
Y
exits 0 helm scenario base.yaml --crd route.yaml --gpu l4 --compat tag
says '^static_route: \{health_check: \{period: 7s, successes: 2, failures: 4\}\}'
exits 0 run --helm base.yaml --crd route.yaml --gpu l4 --compat tag --set end.time=60s --quiet --out route.db
exits 0 events route.db
says 'HealthCheckSucceeded'
# The chart's own Service has no port that is asked.
sed 's/some-service/stack-router-service/' route.yaml >chart-route.yaml
exits 0 helm scenario base.yaml --crd chart-route.yaml --gpu l4 --compat tag
says '^static_route: \{\}'
says 'the health of a Service is asked for only where a port is called http'
exits 0 helm scenario base.yaml --crd route.yaml --gpu l4 --compat head
says_not '^static_route'
sed 's/periodSeconds: 7/periodSeconds: 0/' route.yaml >bad.yaml
refuses 2 '.*bad\.yaml:8: spec\.healthCheck\.periodSeconds: "0"' \
    helm explain base.yaml --crd bad.yaml --compat tag

# ---- Services between router and pods ----
cat base.yaml - >service.yaml <<'Y'
routerSpec: {routingLogic: session, sessionKey: x-user-id, k8sServiceDiscoveryType: service-name}
Y
exits 0 helm scenario service.yaml --gpu l4
says '^  policy: random'
says 'kube-proxy chooses a pod at random'
sed 's/k8sServiceDiscoveryType: service-name/autoscaling: {enabled: true}/' service.yaml >odd.yaml
sed -i 's/maxNumSeqs: 4/&, runner: pooling/; s/^    vllmConfig/    lmcacheConfig: {enabled: true, p2pHost: h}\n&/' odd.yaml
exits 0 helm explain odd.yaml --gpu l4
says "odd\.yaml:13: m: a simulation leaves out: KV that engines fetch from each other"
says 'odd\.yaml:14: runner: a simulation takes a pooling model'
says 'odd\.yaml:15: autoscaling: a simulation leaves out'
done_testing
