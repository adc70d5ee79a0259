#!/bin/bash
# Installs the Debian packages that dure needs and that are missing. A complete machine is left
# alone and needs no network. Without root it prints the one line to run and exits with 1.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tools/install-packages.sh [--list] [run|test|fuzz|windows]

  run       what building and running a cluster needs
  test      that, and what the tests need (the default)
  fuzz      that, and the compiler of the fuzz drivers
  windows   what the tests need, and what building for Windows and testing under Wine needs

  --list    print the packages, the group of each and what it is for, and do nothing
TEXT
}

# package, group, what for
packages() {
    cat <<'TEXT'
gcc                         run      the compiler
libc6-dev                   run      the headers of the C library
cmake                       run      the build
ninja-build                 run      the build
pkg-config                  run      finds libraries that have no CMake package
python3                     run      the schema generator runs at build time
libmsgpack-dev              run      writes MessagePack
libcjson-dev                run      reads the configuration
liburing-dev                run      the uring back end
libssl-dev                  run      the proof of the link handshake (HMAC-SHA256)
libsqlite3-dev              run      the db node's storage
libxxhash-dev               run      hashes room names
libutf8proc-dev             run      the properties and normal forms of Unicode, for names
uthash-dev                  run      the hash tables of the shipped nodes
python3-msgpack             run      the clients of the demo, and of the tests: one that no one here wrote
libcunit1-dev               test     unit tests
libseccomp-dev              test     forbids io_uring to show the way back to epoll
sqlite3                     test     looks into the db node's file from outside
graphviz                    test     draws what "dure graph" prints
clang-format                test     the audit compares the layout
clang                       fuzz     the compiler of the fuzz drivers
libclang-rt-dev             fuzz     libFuzzer and the sanitizers of clang
gcc-mingw-w64-x86-64-win32  windows  the compiler for Windows, with Windows' own threads
wine64                      windows  runs Windows programs
dpkg-dev                    windows  unpacks the source packages of the libraries
make                        windows  builds OpenSSL and SQLite
perl                        windows  OpenSSL's build is written in it
tcl                         windows  SQLite's build is written in it
TEXT
}

# Whether one who wants this group needs the packages of that one.
has_group() {
    case "$1" in
    windows) [ "$2" != fuzz ] ;;
    fuzz) [ "$2" != windows ] ;;
    test) [ "$2" = run ] || [ "$2" = test ] ;;
    *) [ "$2" = run ] ;;
    esac
}

group=test
for argument in "$@"; do
    case "$argument" in
    run | test | fuzz | windows) group=$argument ;;
    --list) packages && exit 0 ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian system: install what these packages hold by its own means." >&2
    packages >&2
    exit 0
fi

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

missing=()
while read -r package needed_by _; do
    has_group "$group" "$needed_by" || continue
    is_installed "$package" || missing+=("$package")
done < <(packages)

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "Packages are missing. As root, run:" >&2
    echo "    apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

echo "Installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Another apt may be at work on a fresh machine (unattended upgrades): wait for its lock.
apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
"${apt[@]}" update >&2
"${apt[@]}" install --no-install-recommends "${missing[@]}" >&2
