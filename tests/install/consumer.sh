#!/bin/bash
# Proves: what cmake --install leaves is enough to build against, through the CMake package and
# through pkg-config, also after the installed tree was moved.
# usage: consumer.sh BUILD_FOLDER C_COMPILER [C_FLAGS]
set -euo pipefail
build=$1
compiler=$2
flags=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/moved"
prefix=$work/moved

if find "$prefix" -name '*_impl.h' | grep .; then
    echo "a header of one room alone was installed" >&2
    exit 1
fi

cmake -S "$here/consumer" -B "$work/build" -G Ninja -DCMAKE_C_COMPILER="$compiler" \
    -DCMAKE_C_FLAGS="$flags" -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log" ||
    { cat "$work/configure.log" && exit 1; }
cmake --build "$work/build"
[ "$("$work/build/consumer")" = "hello CLOSED 1" ]

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name dure.pc)")
# Both words lists are meant to be split.
# shellcheck disable=SC2046,SC2086
"$compiler" -std=c11 $flags "$here/consumer/main.c" -o "$work/by-pkg-config" \
    $(pkg-config --cflags --libs dure)
[ "$("$work/by-pkg-config")" = "hello CLOSED 1" ]

# Each installed header stands alone among the installed ones.
find "$prefix/include/dure" -name '*.h' | while read -r header; do
    echo "#include \"$header\"" | "$compiler" -std=c11 -Wall -Wundef -Werror -fsyntax-only \
        "-I$prefix/include/dure" -x c -
done
