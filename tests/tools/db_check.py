#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dure db check: it lists the names that a file has and that this version would not give, and changes nothing; their
players log in all the same, in their rooms and with their items, and nobody new gets such a name.

usage: db_check.py BIN_FOLDER"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cluster_process"))
from cluster import run  # noqa: E402
from programs import command_of  # noqa: E402
from rpc_py import SLACK, Client, RpcError, until_true  # noqa: E402

ODD = "a\u200d"  # a joiner that nobody sees
ROWS = """
INSERT INTO players (player, room, x, y, epoch, gateway, client) VALUES ('a\u200d', 'r\u3164', 0, 0, 0, '', 0);
INSERT INTO items VALUES ('a\u200d', 'e\u0301', 3);
INSERT INTO items VALUES ('ada', 'coal', 9.3e18);
"""
FOUND = [
    {"kind": "player", "text": ODD, "code_points": ["U+0061", "U+200D"], "player": ODD, "rule": "IGNORABLE",
     "said": "U+200D is invisible (default-ignorable)"},
    {"kind": "room", "text": "r\u3164", "code_points": ["U+0072", "U+3164"], "player": ODD, "rule": "IGNORABLE",
     "said": "U+3164 is invisible (default-ignorable)"},
    {"kind": "count", "text": "coal", "code_points": ["U+0063", "U+006F", "U+0061", "U+006C"], "player": "ada",
     "rule": "COUNT", "said": "its count is no whole number"},
    {"kind": "item", "text": "e\u0301", "code_points": ["U+0065", "U+0301"], "player": ODD, "rule": "NOT_NFC",
     "said": "U+0301 is not in normal form C (NFC)"},
]


def check(what, got, expected):
    if got != expected:
        raise AssertionError("%s: got %r, expected %r" % (what, got, expected))


def command(cluster, *options):
    return subprocess.run(
        [*command_of(os.path.join(cluster.bin, "dure")), "db", "check", cluster.config, *options],
        env=cluster.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLACK)


def folder_state(folder):
    state = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            state[name] = hashlib.sha256(file.read()).hexdigest()
    return state


def error_of(client, *call):
    try:
        return client.call(*call)
    except RpcError as error:
        return error.name, error.text


def story(cluster):
    folder = os.path.join(cluster.data, "db-1")
    path = os.path.join(folder, "dure.sqlite")
    cluster.start_all()
    ada = Client(cluster.client_port)
    ada.call("login", "ada")
    for text, said in ((ODD, "name: U+200D is invisible (default-ignorable)"),
                       ("e\u0301", "name: U+0301 is not in normal form C (NFC)"), ("a b", "name: U+0020 is white space")):
        check("a new name", error_of(Client(cluster.client_port), "login", text), ("BAD_REQUEST", said))
    check("a new room", error_of(ada, "join", "r\u3164"),
          ("BAD_REQUEST", "room: U+3164 is invisible (default-ignorable)"))
    check("a new item", error_of(ada, "give", "bob", "\u3164", 1)[0], "NOT_FOUND")
    Client(cluster.client_port).call("login", "bob")
    check("a new item", error_of(ada, "give", "bob", "\u3164", 1),
          ("BAD_REQUEST", "item: U+3164 is invisible (default-ignorable)"))

    answer = command(cluster)
    check("of a node that runs", (answer.returncode, "stop it first" in answer.stderr), (1, True))
    check("exit code", cluster.stop("db-1"), 0)
    answer = command(cluster, "--json")
    check("of a clean file", (answer.returncode, json.loads(answer.stdout)),
          (0, {"nodes": [{"id": "db-1", "file": path, "findings": []}]}))

    with sqlite3.connect(path) as db:
        db.executescript(ROWS)
    db.close()
    before = folder_state(folder)
    answer = command(cluster, "--json")
    check("findings", (answer.returncode, json.loads(answer.stdout)["nodes"][0]["findings"]), (1, FOUND))
    check("in ASCII", answer.stdout.isascii(), True)
    answer = command(cluster, "--node", "db-1")
    check("as text", answer.returncode, 1)
    assert '  room "r\\u3164" (U+0072 U+3164) of player "a\\u200d": U+3164 is invisible' in answer.stdout, answer.stdout
    check("the folder", folder_state(folder), before)
    check("usage", command(cluster, "--node", "nobody").returncode, 1)

    cluster.start("db-1")
    odd = Client(cluster.client_port, timeout=10)

    def try_login():
        try:
            return odd.call("login", ODD)["player"]
        except RpcError:
            return None

    check("a known name", until_true("login", try_login, 15), ODD)
    check("its room", until_true("room", lambda: whoami(odd), 10)["room"], "r\u3164")
    check("its items are given", odd.call("give", "ada", "e\u0301", 1), {"balance": 2})
    check("and given to it", until_true("gift", lambda: gift_to(ada), 15), {"balance": 99})
    check("a count that is none", error_of(ada, "inventory")[0], "STORAGE")
    cluster.kill("db-1")
    answer = command(cluster, "--json")  # what the killed one left in its -wal is read too
    kinds = [(one["kind"], one["player"]) for one in json.loads(answer.stdout)["nodes"][0]["findings"]]
    check("after a kill", ("item", "ada") in kinds and ("item", ODD) in kinds, True)


def whoami(client):
    try:
        return client.call("whoami")
    except RpcError:
        return None


def gift_to(ada):
    try:
        return ada.call("give", ODD, "gold", 1, "k")
    except RpcError:
        return None


if __name__ == "__main__":
    sys.exit(run(story, os.path.abspath(sys.argv[1])))
