#!/bin/bash
# SPDX-License-Identifier: MIT
# One Wine session that many programs share: a program then starts in hundredths of a second, where
# each alone would boot Wine anew.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tools/windows/wine-session.sh start|stop|lives

  start   makes the Windows folder at $WINEPREFIX (default build/wine; 700 MB) and boots a session
  stop    ends the session, and every program that still runs in it
  lives   exits with 0 while the session that start has booted is there
TEXT
}

export WINEPREFIX=${WINEPREFIX:-$(cd "$(dirname "$0")/../.." && pwd)/build/wine}
export WINEDEBUG=-all
# Wine reads the names of files as the locale says, and ours are UTF-8.
export LC_ALL=C.UTF-8
unset DISPLAY

wine=/usr/lib/wine/wine64
server=/usr/lib/wine/wineserver
if [ ! -x "$wine" ] || [ ! -x "$server" ]; then
    wine=$(command -v wine64 || command -v wine || true)
    server=$(command -v wineserver || true)
fi
if [ -z "$wine" ] || [ -z "$server" ]; then
    echo "There is no Wine here; tools/install-packages.sh windows installs it." >&2
    exit 1
fi

# The session outlives this script: what it held open, such as a pipe, would never be closed. The
# shell reads the script itself from 255.
boot() {
    local fd
    for fd in /proc/"$BASHPID"/fd/*; do
        fd=${fd##*/}
        if [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ]; then
            eval "exec $fd>&-"
        fi
    done
    "$server" -p
    "$wine" wineboot
    # A new folder says that it is Windows 7.
    "$wine" winecfg -v win10
}

# The Wine processes of this folder, whatever session they belong to: their ids and programs.
processes() {
    local folder program
    for folder in /proc/[0-9]*; do
        program=$(readlink "$folder/exe" 2>/dev/null) || continue
        if [[ $program == */wine* ]] &&
            tr '\0' '\n' <"$folder/environ" 2>/dev/null | grep -qxF "WINEPREFIX=$WINEPREFIX"; then
            echo "${folder#/proc/} $program"
        fi
    done
}

case "${1:-}" in
start)
    mkdir -p "$WINEPREFIX"
    (boot) </dev/null >/dev/null 2>&1 || true
    # "ver" as the witness that programs run.
    if ! version=$(timeout 60 "$wine" cmd /c ver </dev/null 2>/dev/null | tr -d '\r' | grep Windows); then
        echo "Wine does not start, in $WINEPREFIX." >&2
        exit 1
    fi
    processes | sed -n 's|^\([0-9]*\) .*wineserver.*|\1|p' >"$WINEPREFIX/session"
    echo "A Wine session is up: $version"
    ;;
stop)
    "$server" -k >/dev/null 2>&1 || true
    # What a server that failed has left behind hears of no end.
    for process in $(processes | cut -d ' ' -f 1); do
        kill -9 "$process" 2>/dev/null || true
    done
    rm -f "$WINEPREFIX/session"
    ;;
lives)
    process=$(cat "$WINEPREFIX/session" 2>/dev/null) || exit 1
    processes | grep "^$process " >/dev/null
    ;;
-h | --help) usage ;;
*) usage >&2 && exit 2 ;;
esac
