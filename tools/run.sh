#!/bin/bash
# The main job: installs what is missing, builds, starts the demo cluster, drives clients through it,
# and stays up until Ctrl-C (with --once: ends, 0 when every step was right).
set -euo pipefail
cd "$(dirname "$0")/.."

config=config/demo.json
data=var/demo
once=no
for argument in "$@"; do
    case "$argument" in
    --once) once=yes ;;
    -h | --help)
        echo "usage: tools/run.sh [--once]"
        exit 0
        ;;
    *)
        echo "usage: tools/run.sh [--once]" >&2
        exit 2
        ;;
    esac
done

say() { printf '\n== %s\n' "$*"; }

say "Packages"
tools/install-packages.sh run
say "Building (release)"
mkdir -p build
if ! { cmake --preset release -DDURE_TESTS=OFF && cmake --build --preset release; } >build/run.log 2>&1; then
    tail -n 40 build/run.log
    echo "The build failed; the whole of it is in build/run.log." >&2
    exit 1
fi
bin=build/release/bin
"$bin/dure" check "$config"

# Who has a port of ours already? Said before anything is started.
taken=no
for port in $("$bin/dure" graph "$config" --ports); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        echo "port $port of $config is taken by another program" >&2
        taken=yes
    fi
done
if [ "$taken" = yes ]; then
    "$bin/dure" status "$config" >&2 || true
    echo "Is the demo running already? 'build/release/bin/dure down $config' ends it." >&2
    exit 1
fi

# Nodes refuse a data folder that others get at.
mkdir -p "$data"
chmod 700 "$data"
log=$data/log.txt
: >"$log"
# In a session of its own: Ctrl-C reaches this script alone, which then ends the cluster gracefully.
setsid "$bin/dure" up "$config" 2>>"$log" &
up=$!
end() {
    trap '' INT TERM
    kill -TERM "$up" 2>/dev/null || true
    wait "$up" 2>/dev/null || true
}
trap end EXIT
trap 'exit 130' INT TERM

say "The cluster of $config"
"$bin/dure" graph "$config"
is_linked() {
    local status
    status=$("$bin/dure" status "$config" 2>/dev/null) && ! grep -qE '=(DOWN|NOT_UP)' <<<"$status"
}
waited=0
until is_linked; do
    waited=$((waited + 1))
    if [ "$waited" -gt 100 ] || ! kill -0 "$up" 2>/dev/null; then
        echo "The cluster did not come up. Its log ($log):" >&2
        tail -n 30 "$log" >&2
        exit 1
    fi
    sleep 0.1
done
"$bin/dure" status "$config"

say "Clients"
port=$("$bin/dure" graph "$config" --ports | head -n 1)
result=0
/usr/bin/python3 tools/demo.py "$port" "$data" || result=$?

say "Talk to it"
cat <<TEXT
  $bin/dummy-client                     one session that says Hello World! each second
  $bin/dure call $config echo '["Hello"]'
  $bin/dure call $config inventory --login ada
  $bin/dure status $config
  any MessagePack-RPC client on 127.0.0.1:$port; docs/methods.md lists the methods
The logs are in $log.
TEXT

if [ "$once" = yes ]; then
    [ "$result" -eq 0 ] && echo "Every step was right." || echo "Some steps were wrong." >&2
    exit "$result"
fi
[ "$result" -eq 0 ] || echo "Some steps were wrong; the cluster stays up so that you can look." >&2
echo "Ctrl-C ends it."
wait "$up"
