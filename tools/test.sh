#!/bin/bash
# Installs what is missing, builds, and runs all tests. The last line on stdout is
# "N passed, N failed", with ", N skipped" behind where there are any; the exit status is 0 when
# nothing failed.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'TEXT'
usage: tools/test.sh [--preset NAME]... [--windows] [--sanitizers] [--jobs N]
       tools/test.sh --all [PART]... [--jobs N]

  --preset NAME   test this preset of CMakePresets.json instead of release (repeatable)
  --windows       the same for Windows: builds with mingw-w64, tests under Wine
  --sanitizers    test the presets asan-ubsan and tsan as well
  --jobs N        tests at a time (default 2)
  --all [PART]    all that there is, hours of it, or these parts of it only:
                    tests       the tests that run without --all (minutes)
                    long        the tests that take minutes each, of the preset release
                    sanitizers  the presets asan-ubsan and tsan
                    mutants     tools/mutants.sh: each mutant is a test, passed where it is killed
                    fuzz        tools/fuzz.sh: each driver is a test
                    soak        tools/soak.sh for ten minutes, on three seeds: three tests
                    windows     the preset windows
TEXT
}

presets=()
sanitizers=()
all_parts=(tests long sanitizers mutants fuzz soak windows)
parts=()
wants_all=no
jobs=2
while [ $# -gt 0 ]; do
    case "$1" in
    --preset) presets+=("${2:?--preset needs a name}") && shift ;;
    --windows) presets+=(windows) ;;
    --sanitizers) sanitizers=(asan-ubsan tsan) ;;
    --all) wants_all=yes ;;
    tests | long | sanitizers | mutants | fuzz | soak | windows)
        [ "$wants_all" = yes ] || { usage >&2 && exit 2; }
        parts+=("$1")
        ;;
    --jobs) jobs=${2:?--jobs needs a number} && shift ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
    shift
done
if [ "$wants_all" = yes ] && [ $((${#presets[@]} + ${#sanitizers[@]})) -gt 0 ]; then
    usage >&2
    exit 2
fi
[ "$wants_all" = no ] || [ ${#parts[@]} -gt 0 ] || parts=("${all_parts[@]}")
[ ${#presets[@]} -gt 0 ] || presets=(release)
presets+=("${sanitizers[@]}")

passed=0
failed=0
skipped=0
release_is_built=no

finish() {
    if [ "$skipped" -gt 0 ]; then
        echo "$passed passed, $failed failed, $skipped skipped"
    else
        echo "$passed passed, $failed failed"
    fi
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}

# Adds what ctest says at its end: "P% tests passed, F tests failed out of T", where T counts the
# skipped ones as passed and leaves disabled ones out, and a list of those that did not run.
add_summary() {
    local bad all skip off
    read -r bad all < <(sed -n 's/.* tests passed, \([0-9]*\) tests* failed out of \([0-9]*\)$/\1 \2/p' "$1")
    skip=$(grep -c '^[[:space:]]*[0-9]* - .* (Skipped)$' "$1" || true)
    off=$(grep -c '^[[:space:]]*[0-9]* - .* (Disabled)$' "$1" || true)
    [ -n "${all:-}" ] || return 1
    passed=$((passed + all - bad - skip))
    failed=$((failed + bad))
    skipped=$((skipped + skip + off))
}

# Wine 8 loses one process in some thousand before its first instruction (docs/windows.md). Tests that
# say so, and no others, are run a second time; what passes then is counted as passed.
repeat_lost() {
    local preset=$1 output=$2 bad all again lost status=0
    read -r bad all < <(sed -n 's/.* tests passed, \([0-9]*\) tests* failed out of \([0-9]*\)$/\1 \2/p' "$output")
    lost=$(grep -acE '(ended with 1 instead of coming up|; error 1359 of the system)[[:space:]]*$' "$output" || true)
    if [ "${bad:-0}" -eq 0 ] || [ "$lost" -lt "$bad" ]; then
        return 1
    fi
    echo "Wine has lost a process before it began; $bad of $all tests are run once more." >&2
    LC_ALL=C ctest --preset "$preset" --rerun-failed 2>&1 | tee "$output.again" || status=$?
    read -r again all < <(sed -n 's/.* tests passed, \([0-9]*\) tests* failed out of \([0-9]*\)$/\1 \2/p' "$output.again")
    passed=$((passed + bad - ${again:-bad}))
    failed=$((failed - bad + ${again:-bad}))
    return "$status"
}

# What the preset windows stands on: compiler and Wine, the libraries, programs of Linux for the
# clusters of both, and one Wine session for all tests.
prepare_windows() {
    tools/install-packages.sh windows || return 1
    tools/windows/build-dependencies.sh || return 1
    if [ "$release_is_built" = no ]; then
        cmake --preset release &&
            cmake --build --preset release --target dure-gateway dure-game dure-db dure-command || return 1
    fi
    export WINEPREFIX=$PWD/build/wine
    trap 'tools/windows/wine-session.sh stop' EXIT
    tools/windows/wine-session.sh start
}

# test_preset PRESET [long]: all its tests, or those that take minutes.
test_preset() {
    local preset=$1
    local long=OFF
    local only=()
    if [ "${2:-}" = long ]; then
        long=ON
        only=(--label-regex '^long$')
    fi
    [ "$preset" != release ] || release_is_built=yes
    if [ "$preset" = windows ] && ! prepare_windows; then
        echo "What the preset windows needs could not be made ready." >&2
        failed=$((failed + 1))
        return
    fi
    local output=build/$preset/tests.log
    if ! cmake --preset "$preset" -DDURE_TESTS=ON -DDURE_TESTS_LONG=$long || ! cmake --build --preset "$preset"; then
        echo "The preset $preset does not build." >&2
        failed=$((failed + 1))
        return
    fi
    local status=0
    local before=$failed
    LC_ALL=C ctest --preset "$preset" --parallel "$jobs" "${only[@]}" 2>&1 | tee "$output" || status=$?
    if [ "$preset" = windows ] && ! tools/windows/wine-session.sh lives; then
        # All programs went with it, and no result says anything. Once is bad luck.
        echo "Wine's server has ended itself during the tests; they are run once more." >&2
        tools/windows/wine-session.sh stop
        tools/windows/wine-session.sh start
        status=0
        LC_ALL=C ctest --preset "$preset" --parallel "$jobs" "${only[@]}" 2>&1 | tee "$output" || status=$?
    fi
    if [ "$preset" = windows ] && [ "$status" -ne 0 ] && repeat_lost "$preset" "$output"; then
        status=0
    fi
    # Whatever ctest minds beyond the tests it counts must not look like success.
    if ! add_summary "$output" || { [ "$status" -ne 0 ] && [ "$failed" -eq "$before" ]; }; then
        echo "ctest ended with $status for $preset." >&2
        failed=$((failed + 1))
    fi
}

# count STATUS: one test that is a program of its own.
count() {
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

test_mutants() {
    local status=0 killed alive argued
    local before=$failed
    mkdir -p build
    tools/mutants.sh --jobs "$jobs" | tee build/mutants.log || status=$?
    read -r killed alive argued < <(sed -n 's/^\([0-9]*\) killed, \([0-9]*\) alive, \([0-9]*\) argued.*/\1 \2 \3/p' build/mutants.log) || true
    passed=$((passed + ${killed:-0} + ${argued:-0}))
    failed=$((failed + ${alive:-0}))
    # A row that does not apply, or whose suite fails without it, is no survivor, and no success either.
    [ "$status" -eq 0 ] || [ "$failed" -ne "$before" ] || failed=$((failed + 1))
}

test_fuzz() {
    local status=0 good bad
    mkdir -p build
    tools/fuzz.sh | tee build/fuzz.log || status=$?
    read -r good bad < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' build/fuzz.log) || true
    passed=$((passed + ${good:-0}))
    failed=$((failed + ${bad:-0}))
    [ "$status" -eq 0 ] || [ "${bad:-0}" -gt 0 ] || failed=$((failed + 1))
}

test_soak() {
    local seed status
    if ! cmake --preset release || ! cmake --build --preset release; then
        count 1
        return
    fi
    for seed in 20261128 7 4711; do
        status=0
        tools/soak.sh --minutes 10 --seed "$seed" || status=$?
        count "$status"
    done
}

test_part() {
    local preset
    echo "== $1"
    case "$1" in
    tests) test_preset release ;;
    long) test_preset release long ;;
    sanitizers)
        for preset in asan-ubsan tsan; do
            test_preset "$preset"
        done
        ;;
    mutants) test_mutants ;;
    fuzz) test_fuzz ;;
    soak) test_soak ;;
    windows) test_preset windows ;;
    esac
}

if ! tools/install-packages.sh test; then
    failed=1
    finish
fi
if [ "$wants_all" = yes ]; then
    for part in "${parts[@]}"; do
        test_part "$part"
    done
    finish
fi
for preset in "${presets[@]}"; do
    test_preset "$preset"
done
finish
