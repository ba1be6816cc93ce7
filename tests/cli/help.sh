#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Help is complete, goes to standard output and needs no scenario; wrong command lines
# end with 2, one message and the nearest name.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

for arguments in "" "--help" "help"; do
    # shellcheck disable=SC2086
    exits 0 $arguments
    grep -q '^Usage: stacksim' out || fail "'stacksim $arguments' prints no usage"
    [ -s err ] && fail "'stacksim $arguments' prints to standard error"
done

# The commands as the overview names them, indented by two blanks up to the summary.
exits 0 help
commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z ]*[a-z]\)  .*/\1/p' out)
[ "$(echo "$commands" | wc -l)" -ge 10 ] || fail "the overview lists too few commands"
while read -r command; do
    # shellcheck disable=SC2086
    exits 0 $command --help
    cp out by_option
    [ -s err ] && fail "'stacksim $command --help' prints to standard error"
    grep -q 'stacksim' by_option || fail "help of $command has no usage"
    grep -Eq '^ *stacksim '"${command%% *}" by_option || fail "help of $command has no example"
    # shellcheck disable=SC2086
    exits 0 help $command
    same by_option out
done <<<"$commands"

# Every option is explained with an example.
exits 0 run --help
grep -c 'Example:' out | grep -qv '^0$' || fail "options of run have no example"

exits 0 --version
grep -Eq '^stacksim [0-9]+\.[0-9]+\.[0-9]+ ' out || fail "--version says '$(cat out)'"

refuses 2 "unknown subcommand 'rnu'; did you mean 'run'\?" rnu
refuses 2 "unknown subcommand 'trace inof'; did you mean 'trace info'\?" trace inof
refuses 2 'trace needs a subcommand: info, ' trace
refuses 2 ".*--sede.*--seed" run demo --sede 3
refuses 2 "unknown policy 'round_robbin'; did you mean 'round_robin'\?" \
    compare demo --policies round_robbin
refuses 2 ".*'session' is named twice" compare demo --policies session,session
refuses 2 "--policies: session has no parameter 'foo'" compare demo --policies session:foo=1
refuses 2 "--policies: 'pinning' is no parameter" compare demo --policies prefix_aware:pinning
refuses 2 '.*' run
refuses 2 '.*xml.*' run demo --format xml
refuses 2 '--seed: ' run demo --seed minus-one
done_testing
