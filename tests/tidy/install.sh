#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The installed tree is enough: a policy plug-in compiles against its headers alone, and
# the program and its configs are there.
set -eu
prefix=$STACKSIM_TMP/prefix
if [ ! -x "$STACKSIM_BIN" ]; then
    echo "no $STACKSIM_BIN: build it first"
    exit 1
fi
DESTDIR='' cmake --install "$STACKSIM_BUILD" --prefix "$prefix" >"$STACKSIM_TMP/log" || {
    cat "$STACKSIM_TMP/log"
    exit 1
}
test -x "$prefix/bin/stacksim"
test -f "$prefix/share/stacksim/configs/gpus/h100_sxm.yaml"
cat >"$STACKSIM_TMP/plugin.c" <<'END'
#include "policies/policy.h"
static struct route_decision pick(void *state, const struct cluster_view *view,
                                  const struct request_view *request)
{
    (void)state;
    (void)request;
    return (struct route_decision){.endpoint = 0, .candidates = view->count};
}
extern const struct route_policy route_first;
const struct route_policy route_first = {.name = "first", .help = "first", .pick = pick};
END
${CC:-gcc} -std=c17 -Wall -Wextra -Wpedantic -Werror -fPIC -shared \
    -I "$prefix/include/stacksim" "$STACKSIM_TMP/plugin.c" -o "$STACKSIM_TMP/plugin.so"
