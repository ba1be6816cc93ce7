#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A registry line without a file fails to configure, and says which; with one it passes.
set -eu
mkdir "$STACKSIM_TMP/kinds"
cd "$STACKSIM_TMP"
cat >CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.25)
project(probe LANGUAGES NONE)
include($STACKSIM_SOURCE/cmake/StacksimRegistry.cmake)
stacksim_check_registry(kinds)
END
echo 'ROUTE(round_robin)' >kinds/registry.def
if cmake -S . -B build >log 2>&1; then
    echo "a line without a file was accepted"
    exit 1
fi
grep -q "'ROUTE(round_robin)' has no file" log
for file in kinds/route_round_robin.c kinds/round_robin.c; do
    : >"$file"
    cmake -S . -B build >log 2>&1 || {
        cat log
        exit 1
    }
    rm "$file"
done
