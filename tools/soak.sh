#!/bin/bash
# Players play on real processes that are killed, stopped and cut off; afterwards what they were told
# is compared with what is on disk. tools/soak.sh --help
set -euo pipefail
cd "$(dirname "$0")/.."
exec /usr/bin/python3 tests/checker/soak.py "$@"
