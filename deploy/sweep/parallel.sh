#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A sweep by GNU parallel, one share per job, then the merge. On one machine this gains
# nothing over `stacksim sweep`; with PARALLEL='--sshlogin a,b,c --workdir .' it uses
# several that see the same folder.
#
#     deploy/sweep/parallel.sh rates.yaml results 8 [OPTIONS OF stacksim sweep]
#
# The one line that matters, with 8 shares:
#     seq 8 | parallel stacksim sweep rates.yaml --shard {}/8 --out results/rates-{}.db --jobs 1 --quiet
set -eu
sweep=$1
folder=$2
shares=$3
shift 3
name=$(basename "$sweep" .yaml)
stacksim=${STACKSIM:-stacksim}
mkdir -p "$folder"
seq "$shares" | parallel --quote --halt soon,fail=1 "$stacksim" sweep "$sweep" \
    --shard "{}/$shares" --out "$folder/$name-{}.db" --jobs 1 --quiet "$@" >/dev/null
exec "$stacksim" merge "$folder/$name.db" "$folder/$name"-[0-9]*.db
