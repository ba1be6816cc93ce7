#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Files that are wrong: a line and a reason, exit code 2, bounded memory.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

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

# Without a sanitizer's shadow, half a gigabyte has to do for any of them.
if ! grep -q __asan_init "$STACKSIM_BIN"; then
    ulimit -v 512000
fi

# ---- counts, volumes, kinds ----
sed 's/replicaCount: 1/replicaCount: -1/' select.yaml >bad.yaml
for command in 'helm explain' 'helm scenario' 'run --helm' 'check --helm' 'compare --helm'; do
    # shellcheck disable=SC2086 # two words
    refuses 2 '.*bad\.yaml:7: servingEngineSpec\.modelSpec\.0\.replicaCount: "-1" is not a whole number' \
        $command bad.yaml
done
cat select.yaml - >bad.yaml <<'Y'
    extraVolumes: [{name: a, emptyDir: {}}]
    extraVolumeMounts:
    - {name: b, mountPath: /cache}
Y
refuses 2 '.*bad\.yaml:16: extraVolumeMounts: no volume "b" stands in extraVolumes' \
    run --helm bad.yaml --gpu l4
cat select.yaml - >bad.yaml <<'Y'
---
apiVersion: production-stack.vllm.ai/v1alpha1
kind: VLLMRoute
metadata: {name: x}
Y
refuses 2 '.*bad\.yaml:16: kind: "VLLMRoute" is none of VLLMRuntime, VLLMRouter' \
    helm explain bad.yaml
cat select.yaml - >bad.yaml <<'Y'
---
apiVersion: v1
kind: Service
metadata: {name: x}
Y
exits 0 helm explain bad.yaml
says 'bad\.yaml:15: kind Service of v1: not the stack.s; passed over'
cat >crd.yaml <<'Y'
apiVersion: production-stack.vllm.ai/v1alpha1
kind: LoraAdaptor
metadata: {name: x}
Y
refuses 2 '.*crd\.yaml:2: kind: "LoraAdaptor" is none of' \
    run --helm select.yaml --gpu l4 --crd crd.yaml
cp select.yaml second.yaml
refuses 2 '.*second\.yaml:1: a second document of chart values' \
    helm explain select.yaml --crd second.yaml

# ---- aliases, selectors ----
cat select.yaml - >bad.yaml <<'Y'
routerSpec:
  serviceDiscovery: static
  staticBackends: http://a.example:8000
  staticModels: m
  extraArgs:
  - --static-aliases
  - gpt-4:gpt-5,gpt-5:gpt-4
Y
for command in 'helm explain' 'run --gpu l4 --helm'; do
    # shellcheck disable=SC2086
    refuses 2 '.*bad\.yaml:19: --static-aliases: "gpt-4" means itself in the end: a cycle' \
        $command bad.yaml
done
sed -i 's/gpt-4:gpt-5,.*/gpt-4/' bad.yaml
refuses 2 '.*bad\.yaml:19: --static-aliases: "gpt-4" is not alias:model' helm explain bad.yaml
echo 'nodes: [{name: n, gpu: l4, gpus: 8, labels: {zone: b}}]' >nodes.yaml
refuses 2 '.*select\.yaml:13: nodeSelectorTerms: none of the 1 nodes has such labels' \
    run --helm select.yaml --nodes nodes.yaml
plain() {
    sed '/nodeSelectorTerms/,$d' select.yaml
}
{
    plain
    echo 'routerSpec:'
    echo '  extraArgs: [--k8s-label-selector, app=nobody]'
} >bad.yaml
exits 3 helm explain bad.yaml --strict
says 'bad\.yaml:12: k8sLabelSelector: no engine here has the labels app=nobody'
refuses 2 '.*bad\.yaml:12: no request would be answered: k8sLabelSelector: no engine here' \
    run --helm bad.yaml --gpu l4

# ---- routers and engines that never start ----
while IFS='|' read -r keys pattern; do
    {
        plain
        printf '%s\n' "$keys"
    } >bad.yaml
    refuses 2 ".*bad\.yaml:[0-9]+: $pattern" run --helm bad.yaml --gpu l4
done <<'Y'
routerSpec: {replicaCount: 0}|no request would be answered: the router has no replica
routerSpec: {enablePD: true}|no request would be answered: enablePD: .*exit code 2
routerSpec: {routingLogic: session}|no request would be answered: routingLogic: session without sessionKey
routerSpec: {serviceDiscovery: static}|no request would be answered: serviceDiscovery: static without
routerSpec: {routingLogic: disaggregated_prefill}|no request would be answered: routingLogic: .*--prefill-model-labels
routerSpec: {routingLogic: least_loaded}|routingLogic: no policy is called least_loaded
    vllmConfig: {tensorParallelSize: 4}|m: the engine never starts: it needs 4 GPUs and has 1
    vllmConfig: {maxModelLen: 0}|.*maxModelLen: "0" is not a whole number
    vllmConfig: {extraArgs: ["--max-num-seqs"]}|--max-num-seqs: its value is missing
Y
sed 's/requestGPU: 1/&\n    env: [{name: LMCACHE_CHUNK_SIZE, value: "100"}]\n    lmcacheConfig: {enabled: true}\n    vllmConfig: {maxModelLen: 4096}/' \
    <(plain) >bad.yaml
refuses 2 ".*bad\.yaml:3: m: LMCache's chunks of 100 tokens are no multiple of the engine's blocks of 16" \
    run --helm bad.yaml --gpu l4
cat <(plain) - >bad.yaml <<'Y'
    vllmConfig:
      extraArgs: [--async-scheduling, --speculative-config, '{"method": "ngram", "num_speculative_tokens": 3}']
Y
refuses 2 '.*bad\.yaml:3: m: the engine does not start: async_scheduling: vLLM cannot combine' \
    run --helm bad.yaml --gpu h100_sxm
sed 's/requestGPU: 1/&\n    shmSize: 20GiB/' select.yaml >bad.yaml
refuses 2 '.*bad\.yaml:11: shmSize: "20GiB" is no quantity' run --helm bad.yaml

# ---- unknown keys warn, with line and the nearest known one ----
sed 's/requestGPU: 1/&\n    requestGpu: 2/' select.yaml >odd.yaml
exits 0 helm explain odd.yaml
says "odd\.yaml:11: .*requestGpu: unknown key.*did you mean 'requestGPU'"

# ---- YAML that explodes, files of ten megabytes ----
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
refuses 2 '.*bomb\.yaml:[0-9]+: more than 200000 values' run --helm bomb.yaml
refuses 2 '.*bomb\.yaml:[0-9]+: more than 200000 values' \
    helm explain select.yaml --nodes bomb.yaml
refuses 2 '.*bomb\.yaml:[0-9]+: more than 200000 values' \
    helm explain select.yaml --crd bomb.yaml
# Ten megabytes of values, of one text, of engines, of comments; then too many.
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
{
    echo 'servingEngineSpec:'
    echo '  modelSpec:'
    for i in $(seq 1000); do
        printf '  - {name: m%d, modelURL: x, tag: "%09900d"}\n' "$i" 0
    done
} >many.yaml
refuses 2 '.*many\.yaml:259: more than 256 engines' helm explain many.yaml
{
    cat select.yaml
    yes '# a comment that says nothing' | head -c 10000000
} >wordy.yaml
exits 0 helm explain wordy.yaml --gpu l4
says '^engine m: 1 x Deployment'
{
    cat select.yaml
    yes '# a comment that says nothing' | head -c 17000000
} >wordier.yaml
refuses 2 '.*wordier\.yaml: .*16 MiB' helm explain wordier.yaml
done_testing
