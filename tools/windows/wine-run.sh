#!/bin/sh
# SPDX-License-Identifier: MIT
# Becomes the Windows program that the arguments name, under Wine: the process id stays, so that
# kill -INT is its Ctrl-C. tools/windows/wine-session.sh has booted the session, in the same WINEPREFIX.
set -eu
if [ -z "${WINEPREFIX:-}" ]; then
    WINEPREFIX=$(cd "$(dirname "$0")/../.." && pwd)/build/wine
fi
export WINEPREFIX
export WINEDEBUG="${WINEDEBUG:--all}"
# Wine reads the names of files as the locale says, and ours are UTF-8.
export LC_ALL=C.UTF-8
unset DISPLAY
# A program that boots Wine anew leaves services that hold its output open: its reader waits for ever.
if [ -f "$WINEPREFIX/session" ]; then
    read -r server <"$WINEPREFIX/session" || true
    if [ ! -e "/proc/$server/exe" ]; then
        echo "wine-run.sh: the Wine session of $WINEPREFIX has ended itself" >&2
        exit 126
    fi
fi
for wine in /usr/lib/wine/wine64 wine64 wine; do
    if command -v "$wine" >/dev/null; then
        exec "$wine" "$@"
    fi
done
echo "wine-run.sh: there is no Wine here; tools/install-packages.sh windows installs it" >&2
exit 127
