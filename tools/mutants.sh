#!/bin/bash
# Changes one line of the code at a time and looks whether a test notices. tools/mutants.sh --help
set -euo pipefail
exec /usr/bin/python3 -B "$(dirname "$0")/mutants.py" "$@"
