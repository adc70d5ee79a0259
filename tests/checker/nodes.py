# SPDX-License-Identifier: MIT
"""The cluster under the checker: two gateways, two game nodes and a db node as processes, the faults that are done to
them, and what can be seen of them from outside."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster_process"))
import cluster  # noqa: E402

NODES = ("gateway-1", "gateway-2", "game-1", "game-2", "db-1")
LEASE_MS = 1000
RESUME_MS = 4000


class Nodes(cluster.Cluster):
    def __init__(self, bin_folder, programs=None):
        super().__init__(bin_folder)
        cluster.NODES.update({"gateway-2": "dure-gateway", **(programs or {})})
        ports = cluster.free_ports(len(NODES) + 2)
        self.ports = {"gateway-1": ports[-1], "gateway-2": ports[-2]}
        self.config = os.path.join(self.data, "cluster.json")
        text = {"cluster": "soak", "data": self.data, "roles": {
            "gateway": {"program": "dure-gateway", "dials": ["game"], "resume_ms": RESUME_MS},
            "game": {"program": "dure-game", "dials": ["db"]},
            "db": {"program": "dure-db", "lease_ms": LEASE_MS}}, "nodes": []}
        for name, port in zip(NODES, ports):
            node = {"id": name, "role": name[:-2], "host": "127.0.0.1", "link_port": port}
            if name in self.ports:
                node["client_port"] = self.ports[name]
            text["nodes"].append(node)
        with open(self.config, "w") as file:
            json.dump(text, file, indent=1)
        del self.environment["DURE_SET"]

    def start_all(self, order=NODES):
        super().start_all(order)

    def dead(self):
        """Nodes that have ended without being told to: (node, exit code)."""
        return [(node, process.returncode) for node, process in self.processes.items()
                if process.poll() is not None]

    def status(self):
        """What each node says of itself; nothing where that takes too long."""
        try:
            answer = self.dure("status", "--json")
            return [node["status"] for node in json.loads(answer.stdout)["nodes"] if node.get("status")]
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            return []

    def database(self):
        path = os.path.join(self.data, "db-1", "dure.sqlite")
        return sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=5)

    def sample(self):
        """One look into the database: every player's row, and all the gold."""
        db = self.database()
        try:
            db.execute("BEGIN")
            players = db.execute("SELECT player, room, x, epoch, node, owner_epoch FROM players").fetchall()
            gold = db.execute("SELECT coalesce(sum(count), 0) FROM items").fetchone()[0]
            return {"players": players, "gold": gold}
        finally:
            db.close()

    def final(self):
        found = self.sample()
        db = self.database()
        try:
            found["items"] = db.execute("SELECT player, item, count FROM items").fetchall()
            found["keys"] = db.execute("SELECT player, key, receiver, item, count, balance FROM request_keys").fetchall()
            found["integrity"] = db.execute("PRAGMA integrity_check").fetchone()[0]
            return found
        finally:
            db.close()

    def leave(self, keep):
        """Ends what still runs, and removes the folder or keeps it."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait(10)
        self.log.close()
        if not keep:
            shutil.rmtree(self.data, ignore_errors=True)


def plan(seed, seconds):
    """The faults of a run, from its seed: [{at, kind, node, for}], one after the other, now and then two at once."""
    chance = random.Random("faults:%d" % seed)
    found, at = [], 2.0
    while True:
        at += chance.uniform(0.5, 6.0)
        kind = chance.choices(("kill", "stop", "pause", "silence"), (5, 2, 3, 1 if seconds >= 60 else 0))[0]
        last = {"kill": chance.uniform(0.05, 2.0), "stop": chance.uniform(0.1, 0.7),
                "pause": chance.uniform(1.3, 3.0), "silence": chance.uniform(7.0, 12.0)}[kind]
        if at + last > seconds - 1:
            return found
        nodes = chance.sample(NODES, 2 if chance.random() < 0.2 else 1)
        found += [{"at": round(at, 2), "kind": kind, "node": node, "for": round(last, 2)} for node in nodes]
        at += last


def begin(nodes, fault):
    if fault["kind"] == "kill":
        nodes.kill(fault["node"])
        del nodes.processes[fault["node"]]
    else:
        nodes.processes[fault["node"]].send_signal(signal.SIGSTOP)


def end(nodes, fault):
    if fault["kind"] == "kill":
        nodes.start(fault["node"])
    else:
        nodes.processes[fault["node"]].send_signal(signal.SIGCONT)
