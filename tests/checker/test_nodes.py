#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the checker gives its nodes: two that are started at once each dial through the fault proxies of their own links.

usage: test_nodes.py BIN_FOLDER"""

import os
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
import nodes as cluster_nodes  # noqa: E402
from nodes import NODES, Nodes, cluster  # noqa: E402
from rpc_py import until_true  # noqa: E402

TELLS = """#!/bin/sh
printf '%s' "$DURE_SET" > "$(dirname "$0")/$4"
"""


def wanted(nodes, node):
    return ";".join("nodes[%d].link_port=%d" % (NODES.index(link[1]), proxy.port)
                    for link, proxy in nodes.proxies.items() if link[0] == node)


def two_that_start_at_once_have_each_their_own_proxies(bin_folder):
    both = threading.Barrier(2, timeout=20)
    command_of = cluster.command_of

    def meet(path):
        # Neither begins its process before the other is as far, and the one that came first begins.
        if both.wait() > 0:
            until_true("the first has begun", lambda: nodes.processes, 20)
        return command_of(path)

    with tempfile.TemporaryDirectory() as folder:
        tells = os.path.join(folder, "tells")
        with open(tells, "w") as file:
            file.write(TELLS)
        os.chmod(tells, 0o700)
        nodes = Nodes(bin_folder, {node: tells for node in NODES})
        cluster.command_of = meet
        pair = ("gateway-1", "game-1")
        try:
            threads = [threading.Thread(target=cluster_nodes.end, args=(nodes, {"kind": "kill", "on": [node]}))
                       for node in pair]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for node in pair:
                assert nodes.processes[node].wait(20) == 0
                with open(os.path.join(folder, node)) as file:
                    got = file.read()
                assert got == wanted(nodes, node), "%s was given %r, and not %r" % (node, got, wanted(nodes, node))
        finally:
            cluster.command_of = command_of
            nodes.leave(False)


two_that_start_at_once_have_each_their_own_proxies(os.path.abspath(sys.argv[1]))
print("two_that_start_at_once_have_each_their_own_proxies passed")
