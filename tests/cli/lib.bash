# SPDX-License-Identifier: Apache-2.0
#
# lib.bash: what the command line tests share. Source it first. Each test gets
# STACKSIM_BIN, STACKSIM_SOURCE and an empty STACKSIM_TMP from CTest.
set -u
export LC_ALL=C
export STACKSIM_CONFIGS="$STACKSIM_SOURCE/configs"
cd "$STACKSIM_TMP" || exit 1
failures=0

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# Runs the program; leaves its exit code in $code, its output in files out and err of
# $STACKSIM_TMP, which is the current folder unless a test changes it.
stacksim() {
    "$STACKSIM_BIN" "$@" >"$STACKSIM_TMP/out" 2>"$STACKSIM_TMP/err"
    code=$?
}

# exits CODE ARGUMENTS...
exits() {
    local wanted=$1
    shift
    stacksim "$@"
    if [ "$code" -ne "$wanted" ]; then
        fail "'stacksim $*' exits with $code, expected $wanted"
        sed 's/^/    /' "$STACKSIM_TMP/err" >&2
    fi
}

# refuses CODE PATTERN ARGUMENTS...: exactly one error line, which matches PATTERN.
refuses() {
    local wanted=$1 pattern=$2
    shift 2
    exits "$wanted" "$@"
    if [ "$(wc -l <err)" -ne 1 ]; then
        fail "'stacksim $*' prints $(wc -l <err) lines, expected one"
        sed 's/^/    /' "$STACKSIM_TMP/err" >&2
    fi
    if ! grep -Eq "^stacksim: $pattern" err; then
        fail "'stacksim $*' says '$(cat err)', expected /$pattern/"
    fi
}

# says PATTERN: the output has such a line; says_not: it has none.
says() {
    grep -Eq -- "$1" out || {
        fail "no line matches /$1/"
        sed 's/^/    /' out >&2
    }
}

says_not() {
    grep -Eq -- "$1" out && fail "a line matches /$1/: $(grep -E -- "$1" out | head -1)"
}

same() {
    if ! cmp -s "$1" "$2"; then
        fail "$1 and $2 differ"
        diff "$1" "$2" | head -5 >&2
    fi
}

absent() {
    for file in "$@"; do
        if [ -e "$file" ]; then
            fail "$file exists and should not"
        fi
    done
}

# No leftovers of outputs that were begun.
no_leftovers() {
    local found
    found=$(find "${1:-.}" -name '*.new*' -o -name '*.tmp*' -o -name '*-journal' | head -3)
    if [ -n "$found" ]; then
        fail "left behind: $found"
    fi
}

done_testing() {
    [ "$failures" -eq 0 ] && exit 0
    echo "$failures failures" >&2
    exit 1
}
