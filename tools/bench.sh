#!/bin/bash
# Builds the preset release and runs the measuring programs of tests/bench/, or those named. Results
# come to stdout, one JSON line each; everything else goes to stderr.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'TEXT'
usage: tools/bench.sh [--list] [NAME]...

  --list    print the names and do nothing
  NAME      run only this one (codec for tests/bench/bench_codec.c)
TEXT
}

all=()
for source in tests/bench/bench_*.c; do
    name=${source##*/bench_}
    all+=("${name%.c}")
done

names=()
for argument in "$@"; do
    case "$argument" in
    --list) printf '%s\n' "${all[@]}" && exit 0 ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 2 ;;
    *)
        if [ ! -f "tests/bench/bench_$argument.c" ]; then
            echo "There is no bench called $argument." >&2
            exit 2
        fi
        names+=("$argument")
        ;;
    esac
done
[ ${#names[@]} -gt 0 ] || names=("${all[@]}")

cmake --preset release -DDURE_TESTS=ON >&2
cmake --build --preset release --target "${names[@]/#/bench_}" >&2
for name in "${names[@]}"; do
    "build/release/bench/bench_$name"
done
