#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A role of one's own: dure is installed into a temporary folder, a program is built from there outside the tree, and
serves clients in a cluster beside the nodes that ship.

usage: test_role.py BUILD_FOLDER C_COMPILER C_FLAGS [CMAKE_OPTION...]"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster_process"))
from cluster import free_ports  # noqa: E402
from programs import command_of, stop_gracefully  # noqa: E402
from rpc_py import SLACK, Client, until_true  # noqa: E402


def must(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=100 * SLACK)
    if done.returncode != 0:
        sys.exit("%s\n%s%s" % (" ".join(command), done.stdout, done.stderr))
    return done.stdout


def install_and_build(work, build, compiler, flags, *options):
    prefix = os.path.join(work, "prefix")
    must("cmake", "--install", build, "--prefix", prefix)
    role = os.path.join(work, "role")
    must("cmake", "-S", os.path.join(HERE, "role"), "-B", role, "-G", "Ninja", "-DCMAKE_C_COMPILER=" + compiler,
         "-DCMAKE_C_FLAGS=" + flags, "-DCMAKE_PREFIX_PATH=" + prefix, *options)
    must("cmake", "--build", role)
    return os.path.join(prefix, "bin"), os.path.join(role, "greeter")


def configuration(data, greeter, ports):
    def node(name, role, **more):
        return dict(id=name, role=role, host="127.0.0.1", **more)
    return {
        "cluster": "own-role", "data": data,
        "roles": {
            "gateway": {"program": "dure-gateway", "dials": ["game", "greeter"]},
            "game": {"program": "dure-game", "dials": ["db"]},
            "db": {"program": "dure-db"},
            "greeter": {"program": greeter}},
        "nodes": [
            node("gateway-1", "gateway", client_port=ports[0], link_port=ports[1]),
            node("game-1", "game", link_port=ports[2]),
            node("db-1", "db", link_port=ports[3]),
            node("greeter-1", "greeter", link_port=ports[4])]}


def test_with_the_harness(programs, greeter):
    """The role's own test, where programs have no ending."""
    if not os.path.exists(greeter + ".exe"):
        os.environ["DURE_PROGRAMS"] = programs
        must(greeter + "_test", greeter)


def dial(up, port):
    if up.poll() is not None:
        raise RuntimeError("dure up ended with %d instead of coming up" % up.returncode)
    return Client(port)


def play(up, port):
    client = until_true("the gateway", lambda: dial(up, port), 20)
    assert client.error("greet", "ada") in ("NOT_LOGGED_IN", "UNAVAILABLE")
    until_true("login", lambda: client.call("login", "ada"), 20)
    answer = until_true("greet", lambda: client.call("greet", "ada"), 20)
    assert answer == {"text": "ada"}, answer
    assert client.error("greet", "") == "BAD_REQUEST"
    assert client.error("greet") == "BAD_REQUEST"
    assert client.error("no_such_method") == "UNKNOWN_METHOD"
    assert client.call("whoami")["player"] == "ada"


def main():
    work = tempfile.mkdtemp(prefix="dure-role-")
    up = None
    try:
        programs, greeter = install_and_build(work, *sys.argv[1:])
        test_with_the_harness(programs, greeter)
        ports = free_ports(5)
        config = os.path.join(work, "cluster.json")
        with open(config, "w") as file:
            json.dump(configuration(os.path.join(work, "data"), greeter, ports), file)
        dure = command_of(os.path.join(programs, "dure"))
        must(*dure, "check", config)
        log = open(os.path.join(work, "log.txt"), "wb")
        up = subprocess.Popen([*dure, "up", config], stdin=subprocess.DEVNULL,
                              stdout=log, stderr=log)
        try:
            play(up, ports[0])
        except BaseException:
            with open(log.name, errors="replace") as file:
                print(file.read()[-8000:])
            raise
        stop_gracefully(up)
        assert up.wait(20 * SLACK) == 0, "dure up did not end well"
    finally:
        if up is not None and up.poll() is None:
            up.terminate()
            up.wait(30)
        shutil.rmtree(work, ignore_errors=True)


main()
