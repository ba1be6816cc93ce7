#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What every command prints as JSON is as docs/schema says, by a validator of its own.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
if ! command -v python3 >/dev/null || ! python3 -c 'import jsonschema' 2>/dev/null; then
    echo "skipped: Debian's python3-jsonschema is not installed"
    exit 77
fi
small=(demo --set end.requests=200 --quiet)
two=(--policies round_robin,session)
json() { # NAME COMMAND...: its output as NAME.json
    local name=$1
    shift
    exits 0 "$@" --format json
    mv out "$name.json"
}
json run run "${small[@]}" --out run.db
json compare compare "${small[@]}" "${two[@]}" --out two.db --no-report
json report report two.db --no-report
json compare-seeds compare "${small[@]}" "${two[@]}" --seeds 2 --out seeds.db --no-report
json saturate saturate "${small[@]}" --tolerance 20
json saturate-seeds saturate "${small[@]}" --tolerance 20 --seeds 2
json plan plan "${small[@]}" --attain 50 --gpus h100_sxm,l40s --tp 1 --engines-max 4
json regress regress --baseline seeds.db --candidate seeds.db
json explain explain run.db slowest
json defects defects --only pinning,kvaware-fails --seeds 2 --quiet
json defects-fleet defects demo --set end.requests=100 --seeds 1 --quiet
json helm-explain helm explain "$STACKSIM_SOURCE/configs/helm/lora_pinned.yaml" --gpu h100_sxm \
    --compat tag
cat >sweep.yaml <<'END'
scenario: demo
set: {end.requests: 100}
grid: {policy: [round_robin, session], seed: 1..2}
END
json sweep sweep sweep.yaml --quiet --out sweep.db
cat >apart.yaml <<'END'
name: nobody
workload: {generate: [{requests: 2, arrival: {kind: fixed, rate_per_s: 1}, input: 4000, output: 1}]}
cluster:
  pools:
    - {gpu: h100_sxm, model: opt_125m, replicas: 1, engine: {max_model_len: 100, max_num_batched_tokens: 200}}
END
json nothing run apart.yaml --quiet --out nothing.db

python3 - "$STACKSIM_SOURCE/docs/schema" <<'END' || fail "output and schemas disagree"
import copy, glob, json, os, sys
from jsonschema import Draft202012Validator as Validator

folder = sys.argv[1]
schemas = {}
for path in glob.glob(folder + "/*.json"):
    with open(path) as file:
        schema = json.load(file)
    Validator.check_schema(schema)
    schemas[os.path.basename(path)[:-5]] = Validator(schema)
also = {"defects-fleet": "defects", "report": "compare", "saturate-seeds": "saturate", "nothing": "run"}
wrong = 0
used = set()

def complain(text):
    global wrong
    wrong += 1
    print(text)

for path in sorted(glob.glob("*.json")):
    name = path[:-5]
    validator = schemas[also.get(name, name)]
    used.add(also.get(name, name))
    with open(path) as file:
        value = json.load(file)
    for error in list(validator.iter_errors(value))[:3]:
        complain(f"{path}: {list(error.path)}: {error.message[:300]}")
    if not isinstance(value, dict) and not value:
        complain(f"{path}: no rows")
        continue
    # A schema that takes anything proves nothing: it misses each member that it asks for,
    # and a number that has become a text, or a text that has become a number.
    schema = validator.schema if isinstance(value, dict) else validator.schema["items"]
    for key in schema["required"]:
        less = copy.deepcopy(value)
        del (less if isinstance(less, dict) else less[0])[key]
        if validator.is_valid(less):
            complain(f"{path}: {key} is not missed")
    odd = copy.deepcopy(value)
    row = odd if isinstance(odd, dict) else odd[0]
    plain = next(k for k in schema["required"] if type(row[k]) in (int, float, str))
    row[plain] = 7 if isinstance(row[plain], str) else "much"
    if validator.is_valid(odd):
        complain(f"{path}: {plain} may be {row[plain]!r}")
for name in set(schemas) - used:
    complain(f"{name}.json: no output was held against it")
sys.exit(wrong > 0)
END
done_testing
