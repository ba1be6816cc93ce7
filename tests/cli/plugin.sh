#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A policy built outside the tree against the installed headers runs beside the built-in
# ones; what is no such policy is refused with a reason.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
DESTDIR='' cmake --install "$STACKSIM_BUILD" --prefix "$PWD/prefix" >log || {
    cat log
    exit 1
}
build() { # NAME: NAME.c -> NAME.so
    ${CC:-cc} -std=c17 -Wall -Wextra -Wpedantic -Werror -shared -fPIC \
        -I prefix/include/stacksim "$1.c" -o "$1.so" || fail "$1.c does not build"
}
small=(--set end.requests=300 --quiet)

mkdir outside && cp "$STACKSIM_SOURCE/policies/examples/alternate.c" alternate.c
build alternate
exits 0 compare demo --policy-plugin ./alternate.so --policies round_robin,alternate \
    "${small[@]}" --out outside --no-report
grep -q 'alternate' out || fail "the plug-in's policy is not in the table"
exits 0 run demo --policy-plugin alternate.so --policy alternate "${small[@]}" --digest
cp out first
exits 0 run demo --policy-plugin alternate.so --policy alternate "${small[@]}" --digest
same first out
exits 0 run demo --policy-plugin alternate.so --policy alternate "${small[@]}" --digest \
    --set routing.params.long_tokens=64
cmp -s first out && fail "the plug-in's parameter changes nothing"
exits 0 explain demo 200 --policy-plugin alternate.so --policy alternate "${small[@]}"
grep -q 'load, the least wins' out || fail "the plug-in's scores are not explained"
exits 0 compare demo --policy-plugin alternate.so --policies all "${small[@]}" \
    --out outside --no-report --format csv
[ "$(grep -c '^alternate,' out)" -eq 1 ] || fail "'all' leaves the plug-in out"
refuses 2 'unknown policy .alternat.*did you mean .alternate' compare demo \
    --policy-plugin alternate.so --policies alternat "${small[@]}"

refuses 2 'nowhere\.so: cannot be read' run demo --policy-plugin nowhere.so
echo 'no code' >text.so
refuses 2 'text\.so: cannot be loaded' run demo --policy-plugin text.so
echo 'extern const int nothing; const int nothing = 1;' >empty.c
build empty
refuses 2 'empty\.so: defines no policies' run demo --policy-plugin empty.so
sed 's/"alternate"/"session"/' alternate.c >taken.c
build taken
refuses 2 'taken\.so: the name session is taken' run demo --policy-plugin taken.so
sed 's/^STACKSIM_POLICY_PLUGIN.*/extern const struct policy_plugin stacksim_policy_plugin;\
const struct policy_plugin stacksim_policy_plugin = {.abi = 99, .policies = policies};/' \
    alternate.c >later.c
build later
refuses 2 'later\.so: was built for interface 99' run demo --policy-plugin later.so
sed 's/\.pick = alternate_pick/.pick = 0/; s/^static struct route_decision alt/struct route_decision alt/; s/^#include.*/&\
struct route_decision alternate_pick(void *, const struct cluster_view *, const struct request_view *);/' \
    alternate.c >lacking.c
build lacking
refuses 2 'lacking\.so: a policy needs a name' run demo --policy-plugin lacking.so
done_testing
