#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing to build and run stacksim, and nothing when all is there.
#
# usage: scripts/deps.sh [--dev] [--bench] [--list]
#   --dev    also what tests, lint and the clang presets need
#   --bench  also what the router is measured with, and against
#   --list   only tell what is missing
#
# Each line below is a probe and the Debian package that satisfies it. Asking for the
# thing itself and not for the package makes this a no-op on any system that has it.
set -eu

build_needs='
cmd:gcc gcc
cmd:make make
cmd:cmake cmake
cmd:ninja ninja-build
cmd:pkg-config pkg-config
cmd:git git
header:stdio.h libc6-dev
pc:gsl libgsl-dev
pc:sqlite3 libsqlite3-dev
pc:libcjson libcjson-dev
pc:yaml-0.1 libyaml-dev
pc:libzstd libzstd-dev
pc:libxxhash libxxhash-dev
pc:libmd libmd-dev
pc:zlib zlib1g-dev
pc:cunit libcunit1-dev
pc:libuv libuv1-dev
pc:openssl libssl-dev
pc:libcurl libcurl4-openssl-dev
pc:libzmq libzmq3-dev
pc:mpack libmpack-dev
file:/usr/share/llhttp/llhttp.c node-llhttp
header:csv.h libcsv-dev
header:jsmn.h libjsmn-dev
cmd:gnuplot gnuplot-nox
'
dev_needs='
cmd:g++ g++
cmd:curl curl
cmd:clang-14 clang-14
cmd:clang-format-14 clang-format-14
cmd:clang-tidy-14 clang-tidy-14
cmd:llvm-cov-14 llvm-14
file:/usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-*.a libclang-rt-14-dev
cmd:objdump binutils
cmd:sqlite3 sqlite3
cmd:zstd zstd
cmd:ccache ccache
cmd:valgrind valgrind
cmd:chromium chromium
python:jsonschema python3-jsonschema
'
bench_needs='
cmd:wrk wrk
cmd:nginx nginx-light
cmd:ps procps
'

needs=$build_needs
only_list=false
for argument in "$@"; do
    case $argument in
    --dev) needs=$needs$dev_needs ;;
    --bench) needs=$needs$bench_needs ;;
    --list) only_list=true ;;
    *)
        echo "deps.sh: unknown argument $argument; usage: scripts/deps.sh [--dev] [--bench] [--list]" >&2
        exit 2
        ;;
    esac
done

has() {
    what=${1#*:}
    case $1 in
    cmd:*) command -v "$what" >/dev/null 2>&1 ;;
    pc:*) pkg-config --exists "$what" >/dev/null 2>&1 ;;
    header:*)
        echo "#include <$what>" | "${CC:-cc}" -E -x c - >/dev/null 2>&1
        ;;
    python:*) python3 -c "import $what" >/dev/null 2>&1 ;;
    file:*)
        # shellcheck disable=SC2086
        set -- $what
        [ -e "$1" ]
        ;;
    esac
}

missing=$(
    echo "$needs" | while read -r probe package; do
        [ -n "$probe" ] || continue
        has "$probe" || echo "$package"
    done
)
# shellcheck disable=SC2086
missing=$(echo $missing)
if [ -z "$missing" ]; then
    exit 0
fi
if $only_list; then
    echo "$missing"
    exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
    cat >&2 <<END
stacksim needs programs and libraries that were not found here. This script installs them
only where there is apt-get. Please install what your system calls these packages of
Debian 12, and run the command again:

    $missing

(GSL, SQLite, cJSON, libyaml, zstd, xxHash, libmd, zlib, CUnit, libcsv, jsmn, libuv,
OpenSSL, ZeroMQ, libmpack, libcurl and llhttp are the libraries; CMake must be 3.25 or
newer.)
END
    exit 1
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "stacksim needs some packages. As root, run:" >&2
        echo "    apt-get update && apt-get install $missing" >&2
        exit 1
    fi
    as_root=sudo
fi

install() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends $missing
}
echo "installing: $missing"
# A fresh machine has no package lists, an old one has stale ones: fetch them when needed.
install || {
    $as_root apt-get update -q
    install
}
