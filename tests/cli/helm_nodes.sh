#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Values with the machines of a cluster: which GPU, which node, pods in a run.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
examples=$STACKSIM_SOURCE/configs/helm

cat >nodes.yaml <<'Y'
nodes:
  - {name: gpu-node-07, gpu: l40s, gpus: 4, cpu: 64, memory: 512Gi}
  - {name: big, count: 2, gpus: 8, cpu: 128, memory: 1Ti, labels: {nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3}}
Y
exits 0 helm explain "$examples/lora_pinned.yaml" --nodes nodes.yaml
says 'GPU +configs/gpus/l40s.yaml'
exits 0 helm explain "$examples/plain.yaml" --nodes nodes.yaml
says 'its pods may land on l40s and on NVIDIA-H100-80GB-HBM3'
cat >kubectl.yaml <<'Y'
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata:
    name: gpu-node-07
    labels: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB, kubernetes.io/os: linux}
  status:
    allocatable: {cpu: 95500m, memory: 1056270336Ki, nvidia.com/gpu: "8"}
Y
exits 0 helm explain "$examples/lora_pinned.yaml" --nodes kubectl.yaml
says 'GPU +configs/gpus/a100_80_sxm.yaml'
# Pods go to the least allocated node; taints, node names and sizes bind.
cat >small.yaml <<'Y'
nodes:
  - {name: a, count: 2, gpu: h100_sxm, gpus: 8, cpu: 20, memory: 1Ti, taints: {gpu: reserved}}
  - {name: gpu-node-07, gpu: l4, gpus: 1, cpu: 128, memory: 1Ti}
Y
exits 0 helm explain "$examples/plain.yaml" --nodes small.yaml
says '^  nodes +gpu-node-07: 1$'
says 'chat8b: 3 of its pods never start .*2 node\(s\) had untolerated taint'
exits 0 helm explain "$examples/lora_pinned.yaml" --nodes small.yaml
says 'base8b: 1 of its pods never start .*Requested: 1, Available: 0'
sed 's/^servingEngineSpec:/&\n  tolerations: [{key: gpu, operator: Exists}]/' \
    "$examples/plain.yaml" >tolerant.yaml
exits 0 helm explain tolerant.yaml --nodes small.yaml
says '^  nodes +a-0: [12], a-1: 1'
says_not 'never start'
# Eight CPUs of twenty for each pod: two fit a node of eight GPUs.
sed 's/replicaCount: 4/replicaCount: 9/' tolerant.yaml >many.yaml
exits 0 helm explain many.yaml --nodes small.yaml
says '^  nodes +a-0: 2, a-1: 2, gpu-node-07: 1$'
says 'chat8b: 4 of its pods never start'
# A run with nodes has pods: two of four never start, and requests meet the others.
sed 's/replicaCount: 4/replicaCount: 6/' tolerant.yaml >six.yaml
exits 0 helm scenario six.yaml --nodes small.yaml --out six-scenario.yaml
cp six-scenario.yaml out
says 'request: \{gpus: 1, gpu: "nvidia.com/gpu", cpu: 8, memory: 51539607552B\}'
says 'weights: \{from: pvc\}'
says 'probes: \{startup: \{period: 10s, initial: 15s, failures: 60\}, liveness: '
says 'readiness: \{period: 5s, initial: 15s, failures: 3\}\}'
says 'disruption_budget: 1'
says '^        surge: 6'
says '^        tolerations: \{"gpu": ""\}'
says '^  - \{name: "a-1", gpus: 8, gpu: "nvidia.com/gpu", cpu: 20, memory: 1099511627776B, taints: \{"gpu": "reserved"\}\}'
says '^discovery: \{mode: k8s\}'
exits 0 run six-scenario.yaml --set end.requests=100 --digest --quiet
cp out written
exits 0 run --helm six.yaml --nodes small.yaml --set end.requests=100 --digest --quiet
same written out
exits 0 run --helm six.yaml --nodes small.yaml --set end.requests=100 --quiet --out six.db
exits 0 events six.db
says 'FailedScheduling'
# Manual scheduling: the surplus pod fails admission instead of waiting.
exits 0 run --helm "$examples/lora_pinned.yaml" --nodes small.yaml \
    --set end.requests=50 --quiet --out pinned.db
exits 0 events pinned.db
says 'UnexpectedAdmissionError'
# Weights of 16 GB out of a folder of the machine: a pod that comes back reads them in 8 s;
# without it, and without a claim, it downloads them before that, in 16 s.
sed '/pvc/d; s|extraVolumeMounts:|env: [{name: HF_HOME, value: /cache}]\n    &|' tolerant.yaml >host.yaml
sed '/extraVolume/d; /env:/d' host.yaml >bare.yaml
for name in host bare; do
    exits 0 helm scenario $name.yaml --nodes small.yaml --out $name-scenario.yaml
    cat >>$name-scenario.yaml <<'Y'
timeline: [{at: 10s, engine_crash: chat8b/0}]
Y
    exits 0 run $name-scenario.yaml --set end.time=300s --quiet --out $name.db
    exits 0 events $name.db
    says 'Crashed'
    mv out $name.events
done
grep -q 'from: host_path' host-scenario.yaml || fail 'a hostPath under HF_HOME keeps no model'
grep -q 'from: hub' bare-scenario.yaml || fail 'a model comes from nowhere'
cmp -s host.events bare.events && fail 'a hostPath changes no start'
# Pods that start cold: image, weights, graphs, then the first probe that sees them up.
exits 0 run --helm tolerant.yaml --nodes small.yaml --quiet --out cold.db \
    --set end.time=300s --set cluster.pools.0.deployment.warm=false
exits 0 events cold.db
says 'Successfully assigned to a-0'
says 'Pulled'
says 'ready [0-9.]+ s after its creation'
# The acceptance row of #422: a Ray cluster has its head and its worker on machines of four
# GPUs; one of them is lost, and the only endpoint is down until both are there again.
cat >quads.yaml <<'Y'
nodes: [{name: q, count: 3, gpu: h100_sxm, gpus: 4, cpu: 32, memory: 512Gi}]
Y
exits 0 helm explain "$examples/pipeline_parallel.yaml" --nodes quads.yaml
says '^  nodes +q-0: 1, q-1: 1$'
exits 0 helm scenario "$examples/pipeline_parallel.yaml" --nodes quads.yaml --out ray.yaml
cp ray.yaml out
says '^        request: \{gpus: 4, gpu: "nvidia.com/gpu", cpu: 8, memory: 137438953472B\}'
says '^        workers: \{count: 1, gpus: 4, gpu: "nvidia.com/gpu", cpu: 8, memory: 137438953472B\}'
says 'startup: \{period: 15s, initial: 0s, failures: 30\}'
echo 'timeline: [{at: 60s, node_lost: q-1}]' >>ray.yaml
exits 0 run ray.yaml --set end.time=900s --quiet --out ray.db
exits 0 events ray.db
says '^[^ ]+ +0\.000 .*pod/big70b-0 +Successfully assigned worker 1 to q-1'
says '^[^ ]+ +60\.000 .*NodeLost'
says '^[^ ]+ +100\.[0-9]+ .*EndpointRemoved +router +big70b-0'
says '^[^ ]+ +400\.000 .*pod/big70b-0\.1 +Successfully assigned worker 1 to q-2'
says 'EndpointAdded +router +big70b-0\.1'
[ "$(grep -c EndpointAdded out)" -eq 1 ] || fail 'a worker is an endpoint'
# Four GPUs are not enough for head and worker: nobody serves.
sed 's/count: 3/count: 1/' quads.yaml >quad.yaml
exits 0 helm explain "$examples/pipeline_parallel.yaml" --nodes quad.yaml
says 'big70b: 1 of its pods never start .*Insufficient nvidia.com/gpu'
exits 0 run --helm "$examples/pipeline_parallel.yaml" --nodes quad.yaml --set end.time=100s
says '^completed \(%\) +0\.00'
# More machines than the scheduler needs, cordons and greater-than.
cat >ranked.yaml <<'Y'
nodes:
  - {name: r4, gpu: l4, gpus: 1, labels: {rank: "4"}}
  - {name: r5, gpu: l4, gpus: 1, labels: {rank: "5"}}
Y
cat >rank.yaml <<'Y'
servingEngineSpec:
  modelSpec:
  - {name: m, repository: v, tag: v0.8.5, modelURL: Qwen/Qwen2.5-7B-Instruct, replicaCount: 1, requestGPU: 1,
     nodeSelectorTerms: [{matchExpressions: [{key: rank, operator: Gt, values: ["4"]}]}]}
Y
exits 0 helm explain rank.yaml --nodes ranked.yaml
says '^  nodes +r5: 1$'
exits 0 run --helm rank.yaml --nodes ranked.yaml --set end.requests=5 --quiet --out rank.db
exits 0 events rank.db
says_not 'FailedScheduling'
cat >cordoned.yaml <<'Y'
apiVersion: v1
kind: Node
metadata: {name: n, labels: {nvidia.com/gpu.product: NVIDIA-L4}}
spec: {unschedulable: true, taints: [{key: node.kubernetes.io/unschedulable, effect: NoSchedule}]}
status: {allocatable: {nvidia.com/gpu: "8"}}
Y
sed 's/,$/}/; /nodeSelector/d' rank.yaml >free.yaml
exits 0 helm explain free.yaml --nodes cordoned.yaml
says 'm: 1 of its pods never start .*1 node\(s\) had untolerated taint'
exits 0 run --helm free.yaml --nodes cordoned.yaml --set end.requests=5 --quiet --out cordoned.db
exits 0 events cordoned.db
says 'FailedScheduling'
sed 's/gpu-node-07/other/' nodes.yaml >other.yaml
refuses 2 '.*lora_pinned\.yaml:13: nodeName: there is no node gpu-node-07 among the 3' \
    helm explain "$examples/lora_pinned.yaml" --nodes other.yaml
cat >select.yaml <<'Y'
servingEngineSpec:
  modelSpec:
  - name: m
    repository: vllm/vllm-openai
    tag: v0.8.5
    modelURL: Qwen/Qwen2.5-7B-Instruct
    replicaCount: 1
    requestCPU: 1
    requestMemory: 8Gi
    requestGPU: 1
    nodeSelectorTerms:
    - matchExpressions:
      - {key: zone, operator: In, values: [a]}
Y
refuses 2 '.*select\.yaml:13: nodeSelectorTerms: none of the 3 nodes' \
    helm explain select.yaml --nodes nodes.yaml
sed 's/{key: zone.*/{key: nvidia.com\/gpu.product, operator: In, values: [NVIDIA-L4]}/' \
    select.yaml >product.yaml
exits 0 helm explain product.yaml
says 'configs/models/qwen2_5_7b.yaml'
says 'GPU +configs/gpus/l4.yaml'
sed 's/name: big, count: 2/name: gpu-node-07/' nodes.yaml >twice.yaml
refuses 2 '.*twice\.yaml:3: name: there is a node gpu-node-07 above' \
    helm explain select.yaml --nodes twice.yaml

done_testing
