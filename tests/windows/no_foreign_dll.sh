#!/bin/bash
# SPDX-License-Identifier: MIT
# A Windows program of ours needs no library that Windows does not bring: under Wine such a one ends
# without a word, and on Windows with a box.
#
# usage: no_foreign_dll.sh OBJDUMP FOLDER
set -euo pipefail
objdump=$1
system='^(kernel32|msvcrt|ucrtbase|api-ms-win-.*|ws2_32|bcrypt|advapi32|user32|crypt32|shell32|iphlpapi|psapi)\.dll$'
count=0
bad=0
while IFS= read -r program; do
    count=$((count + 1))
    while IFS= read -r library; do
        if ! grep -qiE "$system" <<<"$library"; then
            echo "$program needs $library" >&2
            bad=1
        fi
    done < <("$objdump" -p "$program" | sed -n 's/^.*DLL Name: //p')
done < <(find "$2/bin" "$2/tests" -name '*.exe')
if [ "$count" -eq 0 ]; then
    echo "There is no program in $2." >&2
    exit 1
fi
echo "$count programs looked at"
exit "$bad"
