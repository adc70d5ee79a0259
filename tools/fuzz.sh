#!/bin/bash
# Installs what is missing, builds the fuzz drivers with clang, and runs each of them for a while over
# its kept corpus. What it learns goes to build/fuzz/corpus, what it finds to build/fuzz/found; the
# tree stays as it is. The last line on stdout is "N passed, N failed"; the exit status is 0 when
# nothing failed.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'TEXT'
usage: tools/fuzz.sh [--seconds N] [NOUN]...

  --seconds N   run each driver for so long (default 60)
  NOUN          only these drivers of tests/fuzz (fuzz_NOUN.c); all of them by default
TEXT
}

seconds=60
nouns=()
while [ $# -gt 0 ]; do
    case "$1" in
    --seconds) seconds=${2:?--seconds needs a number} && shift ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 2 ;;
    *) nouns+=("$1") ;;
    esac
    shift
done
case $seconds in '' | *[!0-9]*) usage >&2 && exit 2 ;; esac
if [ ${#nouns[@]} -eq 0 ]; then
    for driver in tests/fuzz/fuzz_*.c; do
        noun=${driver#tests/fuzz/fuzz_}
        nouns+=("${noun%.c}")
    done
fi

passed=0
failed=0
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}

if ! tools/install-packages.sh fuzz; then
    failed=${#nouns[@]}
    finish
fi
if ! cmake --preset fuzz -DDURE_TESTS=ON >&2 ||
    ! cmake --build --preset fuzz --target "${nouns[@]/#/fuzz_}" >&2; then
    echo "The fuzz drivers do not build." >&2
    failed=${#nouns[@]}
    finish
fi

run_driver() {
    local noun=$1 kept=tests/fuzz/corpus/$1 learned=build/fuzz/corpus/$1 found=build/fuzz/found/$1
    mkdir -p "$learned" "$found"
    # Twice the time before it is ended: an input that never returns must not stop the run.
    timeout --kill-after=10 "$((seconds * 2 + 60))" "build/fuzz/tests/fuzz_$noun" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$found/" "$learned" "$kept" >&2
}

for noun in "${nouns[@]}"; do
    if run_driver "$noun"; then
        passed=$((passed + 1))
    else
        echo "fuzz_$noun has ended with $?; build/fuzz/tests/replay_$noun runs an input again." >&2
        failed=$((failed + 1))
    fi
done
finish
