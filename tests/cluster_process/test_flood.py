#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A gateway under attack: garbage, half messages, lengths that nobody sends, connections without end, and no
descriptors left. A client that behaves keeps its answers, and the node its links.

usage: test_flood.py BIN_FOLDER"""

import json
import os
import socket
import sys
import threading
import time

from cluster import run
from rpc_py import SLACK, Client, until_true

ATTACKS = (
    b"\xc1" * 4096,
    b"\x94\x00",
    b"\xdd\xff\xff\xff\xff",
    b"\x94\x00\x01\xa1x\x91\xc6\x7f\xff\xff\xff",
    b"\x94\x00\x01\xdb\xff\xff\xff\xff" + b"a" * 8000,
    b"\x91" * 64,
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x94\x00\x01\xa4echo\x91\xda\x0f\x00" + b"b" * 100,
    os.urandom(2000),
    b"",
)
DESCRIPTORS = 256
RESERVE = 128  # descriptor_reserve
CALL_S_MAX = 1.0 * SLACK


def attack(port, seconds):
    """Connects, sends and leaves or lingers, again and again; how often."""
    until = time.monotonic() + seconds
    lingering = []
    count = 0
    while time.monotonic() < until:
        attacker = socket.create_connection(("127.0.0.1", port), 10)
        try:
            attacker.sendall(ATTACKS[count % len(ATTACKS)])
        except OSError:
            pass  # cut already
        count += 1
        lingering.append(attacker)
        if len(lingering) > 200:
            lingering.pop(0).close()
    for attacker in lingering:
        attacker.close()
    return count


def longest_call(client, while_true):
    longest = 0.0
    pace = threading.Event()
    while while_true():
        pace.wait(0.005)  # its calls have a rate too
        began = time.monotonic()
        assert client.call("whoami")["player"] == "witness"
        longest = max(longest, time.monotonic() - began)
    return longest


def under_attack(cluster):
    cluster.start_all()
    witness = Client(cluster.client_port)
    witness.call("login", "witness")
    counts = []
    attackers = [threading.Thread(target=lambda: counts.append(attack(cluster.client_port, 4))) for _ in range(3)]
    for attacker in attackers:
        attacker.start()
    longest = longest_call(witness, lambda: any(attacker.is_alive() for attacker in attackers))
    print("%d attacks, longest call %.1f ms" % (sum(counts), longest * 1000))
    assert sum(counts) > 300, counts
    assert longest < CALL_S_MAX, longest
    assert cluster.is_linked()
    assert all(process.poll() is None for process in cluster.processes.values())


def cpu_s(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors_within(pid, most):
    count = len(os.listdir("/proc/%d/fd" % pid))
    return count if count <= most else None


def out_of_descriptors(cluster):
    """More connections than there are descriptors: the reserve is kept, nothing spins, and room is used again."""
    cluster.start_all()
    port = cluster.client_port
    witness = Client(port)
    witness.call("login", "witness")
    crowd = []
    for _ in range(DESCRIPTORS):
        crowd.append(socket.create_connection(("127.0.0.1", port), 10))
    pid = cluster.processes["gateway-1"].pid
    # Those accepted in one round of completions are there for a moment before they are closed.
    open_files = until_true("the reserve is free", lambda: descriptors_within(pid, DESCRIPTORS - RESERVE + 32), 1)
    cpu, began = cpu_s(pid), time.monotonic()
    longest = longest_call(witness, lambda: time.monotonic() - began < 1)
    assert longest < CALL_S_MAX, longest
    assert cluster.is_linked()  # by the admin port, which has the reserve
    for connection in crowd:
        connection.close()
    until_true("room for a new client", lambda: Client(port).call("ping") == "pong", 10)
    refused = json.loads(cluster.dure("status", "--json").stdout)["nodes"][0]["status"]["refused"]
    # Each of the crowd that found no place of its own made the oldest of it go; and nothing had to wait or was tried
    # again and again, which is what a spinning node would do.
    if HAS_LIMITS:
        assert refused["full"] >= RESERVE, refused
        assert refused["accept_pauses"] == 0, refused
    print("%d descriptors open, longest call %.1f ms, %.2f s of CPU, %s" % (
        open_files, longest * 1000, cpu_s(pid) - cpu, refused))


def few_descriptors(cluster):
    """A limit of 64 is 32 clients, and the one more is not turned away without a word."""
    cluster.start_all()
    clients = [Client(cluster.client_port) for _ in range(32)]
    for client in clients:
        assert client.call("ping") == "pong"
    newcomer = Client(cluster.client_port)
    assert newcomer.call("ping") == "pong"
    assert clients[0].wait_for("closing")[0] == "OVERLOADED"
    for client in clients[1:]:
        assert client.call("ping") == "pong"
    assert '"event":"CLIENTS_MAX","clients_max":32,"because":"descriptors","descriptors":64' in cluster.log_text()


def a_soft_limit_is_raised(cluster):
    """What a shell or systemd gives for the sake of old programs bounds no server."""
    cluster.start_all()
    clients = [Client(cluster.client_port) for _ in range(150)]
    for client in clients:
        assert client.call("ping") == "pong"
    assert '"event":"DESCRIPTORS_RAISED","from":64,"to":512' in cluster.log_text()
    assert '"clients_max":384,"because":"descriptors","descriptors":512' in cluster.log_text()


def limited(how):
    """The nodes start with these limits of descriptors."""
    return ["/bin/sh", "-c", how + '; exec "$@"', "sh"]


if __name__ == "__main__":
    LIMITED = limited("ulimit -n %d" % DESCRIPTORS)
    BIN = os.path.abspath(sys.argv[1])
    HAS_LIMITS = os.path.exists(os.path.join(BIN, "dure-gateway"))  # Windows knows none
    CODE = run(under_attack, BIN) or run(out_of_descriptors, BIN, LIMITED)
    if HAS_LIMITS:
        CODE = CODE or run(few_descriptors, BIN, limited("ulimit -n 64"))
        CODE = CODE or run(a_soft_limit_is_raised, BIN, limited("ulimit -Sn 64; ulimit -Hn 512"))
    sys.exit(CODE)
