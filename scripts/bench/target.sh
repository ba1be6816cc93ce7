#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# target.sh STACKSIM TARGET RUNS: times the scenario of that name; see Makefile.bench.
set -eu
stacksim=$1
target=$2
runs=$3
root=$(cd "$(dirname "$0")/../.." && pwd)
exec "$stacksim" bench "$root/configs/scenarios/$target.yaml" \
    --config-dir "$root/configs" --target "$target" --runs "$runs"
