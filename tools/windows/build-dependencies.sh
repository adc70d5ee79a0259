#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the libraries that dure needs for Windows from Debian's source packages, with mingw-w64.
# What is there already, built by the same recipe, stays; then no network is needed.
set -euo pipefail
self=$(readlink -f "${BASH_SOURCE[0]}")
root=$(cd "$(dirname "$self")/../.." && pwd)

usage() {
    cat <<'TEXT'
usage: tools/windows/build-dependencies.sh [--fresh] [--into FOLDER]

  --fresh         build all again, from the newest sources that Debian has
  --into FOLDER   where headers and libraries go; default: $DURE_WINDOWS_DEPENDENCIES,
                  or dure/windows in the user's cache folder ($XDG_CACHE_HOME, ~/.cache), which
                  all clones share; in build/ where there is no home
TEXT
}

cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
prefix=${DURE_WINDOWS_DEPENDENCIES:-${cache:-$root/build}/dure/windows}
fresh=no
while [ $# -gt 0 ]; do
    case "$1" in
    --fresh) fresh=yes ;;
    --into) prefix=${2:?--into needs a folder} && shift ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
    shift
done
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)

target=x86_64-w64-mingw32
cc=$target-gcc-win32
cores=$(nproc)
# Each by its source package; the one that takes longest comes first.
libraries=(openssl sqlite3 msgpack-c cjson xxhash utf8proc uthash cunit)

# ---- the recipes: run with set -e in the source folder, all output in the log ----

# library FILE.a SOURCE...: compiles and packs, with ${flags[@]}.
library() {
    local archive=$1 source objects=()
    shift
    for source in "$@"; do
        "$cc" -O2 -g0 "${flags[@]}" -c "$source" -o "$(basename "$source" .c).o"
        objects+=("$(basename "$source" .c).o")
    done
    rm -f "$archive"
    "$target-ar" rcs "$archive" "${objects[@]}"
    install -D -m 644 -t "$prefix/lib" "$archive"
}

headers() {
    local folder=$1
    shift
    install -D -m 644 -t "$prefix/include/$folder" "$@"
}

# libcrypto with little more than what HMAC-SHA256 stands on.
build_openssl() {
    perl Configure mingw64 --cross-compile-prefix=$target- --prefix="$prefix" --libdir=lib \
        no-shared no-tests no-asm no-async no-autoload-config no-engine no-dso no-module no-legacy \
        no-aria no-bf no-blake2 no-camellia no-cast no-chacha no-cmac no-cmp no-cms no-comp no-ct \
        no-des no-dh no-dsa no-ec no-gost no-idea no-md4 no-mdc2 no-multiblock no-ocb no-ocsp \
        no-poly1305 no-rc2 no-rc4 no-rmd160 no-scrypt no-seed no-siphash no-siv no-sm2 no-sm3 no-sm4 \
        no-sock no-srp no-srtp no-ts no-ui-console no-whirlpool
    make -j"$cores" build_generated
    make -j"$cores" libcrypto.a
    install -D -m 644 -t "$prefix/lib" libcrypto.a
    headers openssl include/openssl/*.h
}

# The one big source file is made by the library's own scripts, for no system in particular.
build_sqlite3() {
    make -f Makefile.linux-gcc TOP=. sqlite3.c sqlite3.h
    flags=(-DSQLITE_THREADSAFE=1 -DSQLITE_OMIT_LOAD_EXTENSION)
    library libsqlite3.a sqlite3.c
    headers . sqlite3.h
}

# Its project asks for a C++ compiler and then uses none.
build_msgpack-c() {
    cmake -S . -B out -DCMAKE_TOOLCHAIN_FILE="$root/cmake/windows-x86_64.cmake" \
        -DCMAKE_CXX_COMPILER=$cc -DCMAKE_CXX_COMPILER_FORCED=ON -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
        -DBUILD_SHARED_LIBS=OFF -DMSGPACK_BUILD_TESTS=OFF -DMSGPACK_BUILD_EXAMPLES=OFF
    cmake --build out --parallel "$cores"
    cmake --install out
}

build_cjson() {
    flags=()
    library libcjson.a cJSON.c
    headers cjson cJSON.h
}

build_xxhash() {
    flags=()
    library libxxhash.a xxhash.c
    headers . xxhash.h
}

build_utf8proc() {
    flags=(-DUTF8PROC_STATIC)
    library libutf8proc.a utf8proc.c
    headers . utf8proc.h
}

# Headers for any platform: those that Debian's package put there are the ones that Linux builds with.
build_uthash() {
    headers . /usr/include/uthash.h
}

build_cunit() {
    local at
    at=$(dirname "$(find . -type d -name Framework -path '*Sources*' | head -n 1)")
    flags=(-I"$at/../Headers" -DVERSION="\"2.1\"" -DRELEASE="\"3\"")
    library libcunit.a "$at"/Framework/{CUError,MyMem,TestDB,TestRun,Util}.c \
        "$at"/{Basic/Basic,Automated/Automated,Console/Console}.c
    headers CUnit "$at"/../Headers/*.h
}

# ---- where the sources come from ----

# The lists of this system with deb-src in place of deb, in a folder of our own: /etc/apt stays as it is.
write_source_lists() {
    local codename file
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    rm -rf "$1" && mkdir -p "$1"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$file" ] || continue
        sed -nE "s/^deb(-src)?( +\[[^]]*\])? +([^ ]+ +$codename(-updates|-security|-proposed-updates)? +(.* )?main( .*)?)$/deb-src\2 \3/p" "$file"
    done | sort -u >"$1/system.list"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        # A stanza is a paragraph; those for other suites, or that are switched off, are not ours.
        awk -v codename="$codename" 'BEGIN { RS = ""; ORS = "\n\n" }
            ("\n" $0) ~ "\nTypes:[^\n]*deb" && ("\n" $0) ~ "\nSuites:[^\n]*[ \t]" codename &&
            ("\n" $0) ~ "\nComponents:[^\n]*main" && tolower("\n" $0) !~ "\nenabled: *no" {
                sub(/Types:[^\n]*/, "Types: deb-src"); print }' "$file"
    done >"$1/system.sources"
    if [ ! -s "$1/system.list" ] && [ ! -s "$1/system.sources" ]; then
        echo "No package list of this system names the suite $codename with the component main." >&2
        return 1
    fi
}

# A root's apt would drop its rights to a user who may not write here.
apt_options() {
    local apt=$prefix/apt
    options=(-q -o Dir::Etc::SourceList="$apt/none" -o Dir::Etc::SourceParts="$apt/sources.list.d"
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=
        -o Acquire::Retries=3 -o Acquire::Languages=none)
}

read_source_lists() {
    local apt=$prefix/apt
    write_source_lists "$apt/sources.list.d"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/none"
    apt-get "${options[@]}" update
}

# Fetches and unpacks the newest version that the mirror has whole; apt checks signature and sums.
fetch() {
    local name=$1 version versions
    if [ "$name" = uthash ]; then
        mkdir -p "$prefix/sources/$name/none"
        dpkg-query -W -f '${Version}\n' uthash-dev >"$prefix/sources/$name.version"
        return
    fi
    versions=$(apt-cache "${options[@]}" showsrc --only-source "$name" |
        sed -n 's/^Version: //p' | sort -rV | uniq)
    for version in $versions; do
        rm -rf "$prefix/sources/$name" && mkdir -p "$prefix/sources/$name"
        if (cd "$prefix/sources/$name" && apt-get "${options[@]}" --only-source source "$name=$version"); then
            echo "$version" >"$prefix/sources/$name.version"
            return
        fi
        echo "The mirror lacks $name $version; the next older one is tried."
    done
    echo "No version of $name could be fetched (known here: ${versions:-none})."
    return 1
}

# ---- one library ----

# What a stamp must say for a library to be taken as built.
recipe() {
    { declare -f "build_$1" library headers && "$cc" --version; } | sha256sum | cut -d ' ' -f 1
}

is_built() {
    [ "$fresh" = no ] && [ -f "$prefix/stamps/$1" ] && grep -qx "recipe $(recipe "$1")" "$prefix/stamps/$1"
}

build() {
    local name=$1 log=$prefix/logs/$1.log begun=$SECONDS
    rm -f "$prefix/stamps/$name"
    # In a shell of its own: there set -e holds, whoever asks for the outcome.
    if ! DURE_STEP=$name bash "$self" --into "$prefix" >"$log" 2>&1 </dev/null; then
        echo "$name could not be built; $log ends with:" >&2
        tail -n 30 "$log" | sed 's/^/    /' >&2
        return 1
    fi
    printf 'version %s\nrecipe %s\n' "$(cat "$prefix/sources/$name.version")" "$(recipe "$name")" \
        >"$prefix/stamps/$name"
    echo "$name $(cat "$prefix/sources/$name.version"): built in $((SECONDS - begun)) s"
    rm -rf "$prefix/sources/$name" "$prefix/sources/$name.version"
}

apt_options
if [ -n "${DURE_STEP:-}" ]; then
    fetch "$DURE_STEP"
    cd "$prefix/sources/$DURE_STEP"/*/
    "build_$DURE_STEP"
    exit 0
fi

for tool in "$cc" "$target-ar" apt-get dpkg-source make perl tclsh cmake gcc; do
    if ! command -v "$tool" >/dev/null; then
        echo "$tool is missing; tools/install-packages.sh windows installs it." >&2
        exit 1
    fi
done

mkdir -p "$prefix/stamps" "$prefix/logs" "$prefix/sources"
exec 9>"$prefix/lock"
flock 9

wanted=()
for name in "${libraries[@]}"; do
    is_built "$name" || wanted+=("$name")
done
if [ ${#wanted[@]} -eq 0 ]; then
    echo "The libraries for Windows are there, in $prefix."
    exit 0
fi

begun=$SECONDS
echo "Building for Windows: ${wanted[*]}"
if ! read_source_lists >"$prefix/logs/apt.log" 2>&1; then
    echo "The lists of Debian's source packages could not be read; $prefix/logs/apt.log ends with:" >&2
    tail -n 30 "$prefix/logs/apt.log" | sed 's/^/    /' >&2
    exit 1
fi
failed=0
for name in "${wanted[@]}"; do
    build "$name" &
    # Two at a time: one fetches, one compiles.
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
        wait -n || failed=$((failed + 1))
    done
done
while [ -n "$(jobs -rp)" ]; do
    wait -n || failed=$((failed + 1))
done
for name in "${wanted[@]}"; do
    [ -f "$prefix/stamps/$name" ] || failed=$((failed + 1))
done
[ "$failed" -eq 0 ] || exit 1
rm -rf "$prefix/apt" "$prefix/sources"
echo "The libraries for Windows were built in $((SECONDS - begun)) s, into $prefix."
