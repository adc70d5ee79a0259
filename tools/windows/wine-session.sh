#!/bin/bash
# SPDX-License-Identifier: MIT
# One Wine session that many programs share: a program then starts in hundredths of a second, where
# each alone would boot Wine anew.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tools/windows/wine-session.sh start|stop|lives

  start   makes the Windows folder at $WINEPREFIX (default build/wine; 700 MB) and boots a session;
          should its server fail, every program that still runs in it is ended
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
close_inherited() {
    local fd
    for fd in /proc/"$BASHPID"/fd/*; do
        fd=${fd##*/}
        if [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ]; then
            eval "exec $fd>&-"
        fi
    done
}

boot() {
    close_inherited
    "$server" -p
    "$wine" wineboot
    # A new folder says that it is Windows 7.
    "$wine" winecfg -v win10
}

# The Wine processes of this folder, whatever session they belong to: their ids and programs. A
# thread is asked, since the first of a process may have ended before the others.
processes() {
    local thread process program
    for thread in /proc/[0-9]*/task/[0-9]*; do
        program=$(readlink "$thread/exe" 2>/dev/null) || continue
        if [[ $program == */wine* ]] &&
            tr '\0' '\n' 2>/dev/null <"$thread/environ" | grep -qxF "WINEPREFIX=$WINEPREFIX"; then
            process=${thread#/proc/}
            echo "${process%%/*} $program"
        fi
    done 2>/dev/null | sort -u
}

end_programs() {
    local process
    for process in $(processes | cut -d ' ' -f 1); do
        kill -9 "$process" 2>/dev/null || true
    done
}

lives() {
    [[ $(readlink "/proc/$1/exe" 2>/dev/null) == */wineserver* ]]
}

# Waits for the server's end. A program that it leaves behind hears of no end, and who waits for
# that program would wait for ever. Another session than the one that was meant is let be.
guard() {
    while lives "$1"; do
        sleep 1
    done
    if [ "$(cat "$WINEPREFIX/session" 2>/dev/null)" = "$1" ]; then
        end_programs
    fi
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
    (close_inherited && guard "$(cat "$WINEPREFIX/session")") </dev/null >/dev/null 2>&1 &
    echo "A Wine session is up: $version"
    ;;
stop)
    rm -f "$WINEPREFIX/session"
    "$server" -k >/dev/null 2>&1 || true
    end_programs
    ;;
lives)
    process=$(cat "$WINEPREFIX/session" 2>/dev/null) && lives "$process"
    ;;
-h | --help) usage ;;
*) usage >&2 && exit 2 ;;
esac
