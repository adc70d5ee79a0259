#!/bin/bash
# Players play on real processes that are killed, stopped and cut off; afterwards what they were told
# is compared with what is on disk. tools/soak.sh --help
set -euo pipefail
exec /usr/bin/python3 "$(dirname "$0")/../tests/checker/soak.py" "$@"
