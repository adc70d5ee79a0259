#!/bin/sh
# SPDX-License-Identifier: MIT
# echo-server and dummy-client, as a reader of the README would start them: a short talk, a little
# load, the exit codes, and an end by SIGTERM.
set -eu
bin=$1
out=$(mktemp)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -f "$out"
}
trap finish EXIT

fail() {
    echo "$1" >&2
    exit 1
}

"$bin/echo-server" --port 0 >"$out" &
server=$!
# The line that names the port comes when it is open; read it as it is written.
port=
turns=0
while [ -z "$port" ] && [ "$turns" -lt 20000 ]; do
    port=$(sed -n 's/^.*listening on .*:\([0-9]*\)$/\1/p' "$out")
    turns=$((turns + 1))
done
[ -n "$port" ] || fail "echo-server did not come up"

said=$("$bin/dummy-client" --raw --port "$port" --count 1)
[ "$said" = "Hello World!" ] || fail "heard: $said"

json=$("$bin/dummy-client" --raw --port "$port" --sessions 4 --rate 200 --size 50 --seconds 1 --json)
echo "$json" | grep -q '"sent":200,"not_sent":0,"answered":200,"errors":0,"lost":0' || fail "$json"

code=0
"$bin/dummy-client" --rate none 2>/dev/null || code=$?
[ "$code" -eq 2 ] || fail "a wrong option gave $code"
code=0
"$bin/echo-server" --port "$port" 2>/dev/null || code=$?
[ "$code" -eq 1 ] || fail "a taken port gave $code"
"$bin/dummy-client" --help | grep -q usage || fail "no help"

kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
[ "$code" -eq 0 ] || fail "echo-server ended with $code"
