#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demo's story (tools/demo.py), on a cluster of its own: what a newcomer sees first must be right.

    demo.py BIN_FOLDER ROOT
"""
import os
import subprocess
import sys

BIN, ROOT = sys.argv[1:3]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster_process"))
from cluster import run  # noqa: E402
from programs import stop_gracefully  # noqa: E402
from rpc_py import SLACK  # noqa: E402


def demo(cluster):
    up = cluster.up()
    told = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "demo.py"), str(cluster.client_port), cluster.data],
                          capture_output=True, text=True, timeout=60 * SLACK)
    print(told.stdout + told.stderr, end="")
    if told.returncode != 0 or "WRONG" in told.stdout:
        raise AssertionError("some steps were wrong")
    stop_gracefully(up)
    if up.wait(30 * SLACK) != 0:
        raise AssertionError("dure up did not end well")


sys.exit(run(demo, BIN))
