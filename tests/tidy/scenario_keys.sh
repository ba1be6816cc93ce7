#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every key that the loaders of scenarios, GPUs, models and cost models read stands in
# the reference, in backticks; and every key of docs/scenario.md's tables is read. A key
# that is only in the code is one that nobody finds; one that is only in the page is an
# error when it is used.
set -eu
. tests/tidy/lib.sh
pages="docs/scenario.md docs/cost-models.md docs/calibration.md docs/fleet.md docs/autoscaling.md"
readers="sim/scenario.c sim/scenario_disagg.c sim/scenario_control.c sim/scenario_autoscale.c sim/scenario_nodes.c sim/scenario_parallel.c sim/topology.c sim/scenario_timeline.c sim/scenario_tiers.c sim/tiers.h sim/engine_config.c sim/lora.c sim/speculation_config.c sim/quantization.c sim/adapters.c sim/aliases.c sim/facts.c sim/cost.c sim/cost/*.c"

# keys_of FILE: what stands between quotes as the key of a getter, or as the first cell of
# a table of fields.
keys_of() {
    tr '\n' ' ' <"$1" |
        grep -oE '(conf_[a-z0-9_]+|curve_read|rate_read)\([^,();]+(\([^()]*\))?, *"[a-z0-9_]+"|fact_path\([^"();]+"[a-z]+"|(GPU|MODEL)\("[a-z0-9_]+"|X\([A-Z]+, *"[a-z]+"' |
        grep -oE '"[a-z0-9_]+"' | tr -d '"' | LC_ALL=C sort -u
}

: >"$STACKSIM_TMP/offences"
for reader in $readers; do
    for key in $(keys_of "$reader"); do
        # shellcheck disable=SC2086
        grep -qE "\`$key(\`|:)" $pages ||
            echo "$reader: key $key is in none of $pages; add it" \
                >>"$STACKSIM_TMP/offences"
    done
    keys_of "$reader" >>"$STACKSIM_TMP/read"
done
# A pattern that no longer matches the code would find nothing, and pass.
[ "$(LC_ALL=C sort -u "$STACKSIM_TMP/read" | wc -l)" -ge 80 ] ||
    echo "tests/tidy/scenario_keys.sh: too few keys found; mend keys_of" \
        >>"$STACKSIM_TMP/offences"
for key in $(grep -E '^\| `' docs/scenario.md | cut -d'|' -f2 |
    grep -oE '`[a-z0-9_]+`' | tr -d '`'); do
    grep -qx "$key" "$STACKSIM_TMP/read" ||
        echo "docs/scenario.md: no loader reads key $key; drop it" \
            >>"$STACKSIM_TMP/offences"
done
finish "$STACKSIM_TMP/offences"
