#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# target.sh STACKSIM TARGET RUNS [SCENARIO [OPTION...]]: times the shipped scenario, the
# one of the target's name unless another is given; see Makefile.bench.
set -eu
stacksim=$1
target=$2
runs=$3
shift 3
scenario=${1-$target}
[ $# -eq 0 ] || shift
root=$(cd "$(dirname "$0")/../.." && pwd)
exec "$stacksim" bench "$root/configs/scenarios/$scenario.yaml" \
    --config-dir "$root/configs" --target "$target" --runs "$runs" "$@"
