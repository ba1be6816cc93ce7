#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Chart values and custom resources through the program: explained, made into scenarios,
# run, and refused with file and line.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
examples=$STACKSIM_SOURCE/configs/helm

says() {
    grep -Eq "$1" out || {
        fail "no line matches /$1/"
        sed 's/^/    /' out >&2
    }
}

says_not() {
    grep -Eq "$1" out && fail "a line matches /$1/: $(grep -E "$1" out | head -1)"
}

# ---- explain ----
exits 0 helm explain "$examples/plain.yaml" --gpu h100_sxm --compat tag --release demo
says '^engine chat8b: 4 x Deployment demo-chat8b-deployment-vllm'
# 79.2 GiB x 0.9 - 14.96 - 5.6 GiB = 50.7 GiB of blocks of 2 MiB (docs/scenario.md).
says 'KV cache +25969 blocks of 16 tokens = 415504 tokens per engine, 1662016 in all'
says 'step +at most 128 sequences and 8192 tokens, context at most 32768 tokens'
says 'in force +prefix caching on, chunked prefill on'
says_not '^traps'
exits 0 helm explain "$examples/plain.yaml"
says 'KV cache +unknown: its GPU is not known'
says 'give --gpu h100_sxm, or --nodes'
exits 0 helm explain "$examples/kv_aware.yaml" --compat tag --gpu H100
says 'kv_aware.yaml:14: kv8b: without v1 the pods get VLLM_USE_V1=0.*write v1: 1'
says 'at most 256 sequences and 32768 tokens'
says 'prefix caching off, chunked prefill off'
exits 3 helm explain "$examples/kv_aware.yaml" --compat tag --strict
exits 0 helm explain "$examples/plain.yaml" --strict
exits 0 helm explain "$examples/pipeline_parallel.yaml" --gpu h100_sxm --format json
says '"gpus_per_engine":[[:space:]]*8'
says '"replicas":[[:space:]]*1'
exits 0 helm explain "$examples/lora_pinned.yaml" --compat tag --format json
says '"base_model":[[:space:]]*"base8b"'
refuses 2 '.*--format.*xml' helm explain "$examples/plain.yaml" --format xml
refuses 2 '.*--compat.*0\.1\.3' helm explain "$examples/plain.yaml" --compat old
refuses 2 '.*nowhere\.yaml: No such file' helm explain nowhere.yaml
refuses 2 '.*--gpu: no file for abacus' helm explain "$examples/plain.yaml" --gpu abacus

# ---- what runs is what is written ----
for name in plain prefix_offload disaggregated lora_pinned; do
    for compat in tag head; do
        exits 0 helm scenario "$examples/$name.yaml" --gpu h100_sxm --compat $compat \
            --trace "$STACKSIM_SOURCE/traces/samples/chat.csv.zst" --out fleet.yaml
        exits 0 run fleet.yaml --set end.requests=200 --digest --quiet
        cp out written
        exits 0 run --helm "$examples/$name.yaml" --gpu h100_sxm --compat $compat \
            --trace "$STACKSIM_SOURCE/traces/samples/chat.csv.zst" \
            --set end.requests=200 --digest --quiet
        same written out
    done
done
no_leftovers
exits 0 run --helm "$examples/plain.yaml" --gpu h100_sxm --set end.requests=50
grep -q 'note: no trace was given' err || fail 'what was assumed is not told'
exits 0 run --helm "$examples/plain.yaml" --gpu h100_sxm --set end.requests=50 --quiet
[ -s err ] && fail 'quiet is not quiet'
exits 0 compare --helm "$examples/plain.yaml" --gpu h100_sxm --set end.requests=50 \
    --policies round_robin,session --no-report --quiet --out pair
exits 0 check --helm "$examples/disaggregated.yaml" --gpu h100_sxm
says '^pool pd-prefill'
refuses 2 '.*give --gpu h100_sxm' run --helm "$examples/plain.yaml"
refuses 2 '.*demo.*beside --helm' run demo --helm "$examples/plain.yaml"
refuses 2 '.*missing argument' run
refuses 2 '.*--helm VALUES' run demo --gpu l4
refuses 2 '.*same file' run --helm "$examples/plain.yaml" --gpu h100_sxm \
    --out "$examples/plain.yaml"

# ---- LMCache, LoRA, drafts ----
exits 0 helm scenario "$examples/prefix_offload.yaml" --gpu h100_sxm
says '^        cpu: \{capacity: 60GB\}'
exits 0 helm scenario "$examples/kv_aware.yaml" --gpu h100_sxm
says 'kv_events: \{source: tiers\}'
says 'params: \{threshold: 2000\}'
# Four slots of 84 MB at rank 16: 160 blocks of 2 MiB fewer.
exits 0 helm explain "$examples/lora_pinned.yaml" --gpu h100_sxm
says 'KV cache +25809 blocks'
exits 0 helm scenario "$examples/lora_pinned.yaml" --gpu h100_sxm --compat tag
says '\{name: "legal", replicas: 1\}'
cat >tiers.yaml <<'Y'
cacheserverSpec: {servicePort: 81, resources: {limits: {memory: 64Gi}}}
servingEngineSpec:
  modelSpec:
  - name: m
    repository: lmcache/vllm-openai
    tag: 2025-05-17-v1
    modelURL: meta-llama/Llama-3.1-70B-Instruct
    replicaCount: 2
    requestCPU: 8
    requestMemory: 400Gi
    requestGPU: 4
    env:
    - {name: LMCACHE_CHUNK_SIZE, value: "128"}
    - {name: LMCACHE_MAX_LOCAL_DISK_SIZE, value: "500"}
    vllmConfig: {v1: 1, tensorParallelSize: 4, maxModelLen: 16384}
    lmcacheConfig: {enabled: true, cpuOffloadingBufferSize: "60", kvRole: kv_consumer}
Y
exits 0 helm scenario tiers.yaml --gpu h100_sxm
says '^        role: consumer'
says '^        chunk_tokens: 128'
# A buffer for each GPU of the group.
says '^        cpu: \{capacity: 240GB\}'
says '^        disk: \{capacity: 2000GB\}'
says '^        remote: \{\}'
says '^cache_server: \{capacity: 68719476736B\}'
exits 0 run --helm tiers.yaml --gpu h100_sxm --set end.requests=20 --digest --quiet
cat >drafts.yaml <<'Y'
servingEngineSpec:
  modelSpec:
  - name: m
    repository: vllm/vllm-openai
    tag: v0.13.0
    modelURL: meta-llama/Llama-3.1-8B-Instruct
    replicaCount: 1
    requestCPU: 8
    requestMemory: 64Gi
    requestGPU: 1
    vllmConfig:
      enablePrefixCaching: true
      maxModelLen: 16384
      extraArgs: [--speculative-config, '{"method": "ngram", "num_speculative_tokens": 4}', --kv-offloading-size, 40]
Y
exits 0 helm scenario drafts.yaml --gpu h100_sxm
says 'speculative: \{method: ngram, tokens: 4, rate: 0\.7\}'
says 'tiers: \{connector: offloading, cpu: \{capacity: 40GiB\}\}'
says '^# note: .*70 % of drafts are taken for right'
exits 0 run --helm drafts.yaml --gpu h100_sxm --set end.requests=20 --digest --quiet

# ---- nodes ----
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
says 'probes: \{startup: \{initial: 15s, period: 10s, failures: 60\}\}'
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

# ---- models ----
sed '3,$!d; s/name: m$/name: n/; s/Qwen.*/acme\/own-7b/' select.yaml >more
cat select.yaml more >two.yaml
exits 0 helm explain two.yaml --gpu h100_sxm
says 'n: no file of configs/models is the model acme/own-7b'
refuses 2 '.*a run simulates one model; choose by --model' run --helm two.yaml \
    --gpu h100_sxm
refuses 2 '.*no file of configs/models is the model acme' run --helm two.yaml --model n \
    --gpu h100_sxm
exits 0 run --helm two.yaml --model n --gpu h100_sxm --model-file acme/own-7b=qwen2_5_7b \
    --set end.requests=20 --digest --quiet
refuses 2 '.*no configs/models/nix\.yaml' run --helm two.yaml --model n --gpu h100_sxm \
    --model-file acme/own-7b=nix
refuses 2 '.*none is called o' run --helm two.yaml --model o --gpu h100_sxm
# 70 billion parameters on one GPU.
sed 's/Qwen.*/meta-llama\/Llama-3.1-70B-Instruct/' select.yaml >big.yaml
exits 0 helm explain big.yaml --gpu h100_sxm
says 'the engine does not start'
refuses 2 '.*big\.yaml:3: m: the engine does not start: .*weights' run --helm big.yaml \
    --gpu h100_sxm

# ---- wrong files ----
sed 's/replicaCount: 1/replicaCount: -1/' select.yaml >bad.yaml
refuses 2 '.*bad\.yaml:7: .*replicaCount: "-1"' helm explain bad.yaml
printf 'a: &a [x]\nb: [*c]\n' >bad.yaml
refuses 2 '.*bad\.yaml:2: alias \*c' helm explain bad.yaml
# Ten million words, in a tenth of a kilobyte.
{
    echo 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]'
    for i in 1 2 3 4 5 6 7; do
        p="*a$((i - 1))"
        echo "a$i: &a$i [$p, $p, $p, $p, $p, $p, $p, $p, $p, $p]"
    done
} >bomb.yaml
refuses 2 '.*bomb\.yaml:[0-9]+: more than 200000 values' helm explain bomb.yaml
# Ten megabytes of values, then of one text.
{
    echo 'servingEngineSpec:'
    echo '  modelSpec:'
    yes '  - {name: m, modelURL: x, replicaCount: 1, requestGPU: 1, tag: v0.8.5}' |
        head -c 10000000
} >large.yaml
refuses 2 '.*large\.yaml:[0-9]+: more than 200000 values' helm explain large.yaml
{
    printf 'servingEngineSpec: {labels: {a: "'
    yes xxxxxxxxxxxxxxx | tr -d '\n' | head -c 10000000
    echo '"}}'
} >long.yaml
refuses 2 '.*long\.yaml:1: labels: Kubernetes takes values of 63' helm explain long.yaml
done_testing
