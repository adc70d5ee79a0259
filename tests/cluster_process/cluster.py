# SPDX-License-Identifier: MIT
"""A cluster of the demo's processes on free ports with data in a temporary folder, for tests that kill them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from programs import command_of, end, kill, stop_gracefully  # noqa: E402
from rpc_py import SLACK, until_true  # noqa: E402

NODES = {"gateway-1": "dure-gateway", "game-1": "dure-game", "game-2": "dure-game", "db-1": "dure-db"}


def free_ports(count):
    """Ports outside the range that the system gives to dialled connections, free at this moment."""
    found = []
    port = 20000 + os.getpid() * 16 % 12000  # tests that run at once look in different places
    while len(found) < count:
        port += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                found.append(port)
            except OSError:
                pass
    return found


class Cluster:
    def __init__(self, bin_folder, launcher=(), elsewhere=None):
        """The programs lie in bin_folder; those of the nodes that `elsewhere` names lie in the folder that it gives."""
        self.bin = bin_folder
        self.elsewhere = elsewhere or {}
        self.launcher = list(launcher)
        self.data = tempfile.mkdtemp(prefix="dure-test-")
        self.log = open(os.path.join(self.data, "log.txt"), "ab")
        self.processes = {}
        ports = free_ports(5)
        self.client_port = ports[0]
        sets = ["data=%s" % self.data, "roles.gateway.resume_ms=1000", "nodes[0].client_port=%d" % ports[0]]
        sets += ["nodes[%d].link_port=%d" % (i, ports[1 + i]) for i in range(4)]
        self.environment = dict(os.environ, DURE_SET=";".join(sets))
        self.config = os.path.join(ROOT, "config", "demo.json")

    def start(self, node, environment=None):
        """Starts a node, with another environment than the cluster's where one is given."""
        command = self.launcher + command_of(os.path.join(self.elsewhere.get(node, self.bin), NODES[node]))
        command += ["--config", self.config, "--node", node]
        self.processes[node] = subprocess.Popen(
            command, env=environment or self.environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def start_all(self, order=("gateway-1", "game-1", "game-2", "db-1")):
        for node in order:
            self.start(node)
        try:
            until_true("all nodes up and linked", lambda: self.has_come_up(*order), 20)
        except TimeoutError:
            print("The last status:", self.dure("status", "--json"))
            raise

    def up(self):
        """Has `dure up` start the nodes, and returns its process."""
        process = subprocess.Popen(
            [*command_of(os.path.join(self.bin, "dure")), "up", self.config], env=self.environment,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.processes["dure up"] = process
        until_true("all nodes up and linked", lambda: self.has_come_up("dure up"), 20)
        return process

    def has_come_up(self, *names):
        """Whether all nodes are linked; it raises an error when a process of these names has ended."""
        for name in names:
            if self.processes[name].poll() is not None:
                raise RuntimeError("%s ended with %d instead of coming up" % (name, self.processes[name].returncode))
        return self.is_linked()

    def is_linked(self):
        return all(self.are_linked(folder) for folder in {self.bin, *self.elsewhere.values()})

    def are_linked(self, folder):
        """Whether the nodes whose programs lie there have all their links; one system's dure cannot tell whether
        processes of another one live."""
        answer = self.dure("status", "--json", folder=folder)
        if answer.returncode not in (0, 1):
            return False
        nodes = [node for node in json.loads(answer.stdout)["nodes"]
                 if self.elsewhere.get(node["id"], self.bin) == folder]
        return all(node.get("up") and all(peer["state"] == "UP" for peer in node["status"]["peers"])
                   for node in nodes)

    def dure(self, command, *arguments, folder=None):
        if "--node" in arguments:
            folder = self.elsewhere.get(arguments[arguments.index("--node") + 1])
        return subprocess.run(
            [*command_of(os.path.join(folder or self.bin, "dure")), command, self.config, *arguments],
            env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30 * SLACK)

    def kill(self, node):
        kill(self.processes[node])

    def stop(self, node, timeout=20):
        stop_gracefully(self.processes[node])
        return self.processes[node].wait(timeout * SLACK)

    def log_text(self):
        with open(os.path.join(self.data, "log.txt"), errors="replace") as file:
            return file.read()

    def close(self, failed):
        for process in self.processes.values():
            if process.poll() is None:
                end(process)
        self.log.close()
        if failed:
            print("---- the nodes' log ----")
            print(self.log_text()[-20000:])
        shutil.rmtree(self.data, ignore_errors=True)


def run(story, bin_folder, launcher=(), elsewhere=None):
    """Runs a story with a cluster of its own; the exit code of a test."""
    cluster = Cluster(bin_folder, launcher, elsewhere)
    failed = True
    try:
        story(cluster)
        failed = False
    finally:
        cluster.close(failed)
    return 0
