#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Drives real clients through a running demo cluster and tells what happened. Exits with 0 when every
step was right."""

import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rpc_py import Client, RpcError, process_of, until_true  # noqa: E402

GREEN, RED, PLAIN = ("\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Story:
    def __init__(self):
        self.failed = 0

    def step(self, text, is_right, seen=""):
        mark = GREEN + "right" + PLAIN if is_right else RED + "WRONG" + PLAIN
        print("  %s  %-62s %s" % (mark, text, seen), flush=True)
        self.failed += 0 if is_right else 1


def outcome_of(call):
    """\"answered\", or the name of the error."""
    try:
        call()
        return "answered"
    except RpcError as error:
        return error.name


def play(port, data):
    story = Story()
    ada, bob = Client(port), Client(port)
    seen = ada.call("echo", "Hello World!")
    story.step("a client says Hello World! before it logs in", seen == "Hello World!", seen)

    ada.call("login", "ada"), bob.call("login", "bob")
    story.step("ada and bob log in", ada.call("whoami")["player"] == "ada", ada.call("whoami"))

    ada.call("join", "harbour")
    seen = bob.call("join", "harbour")
    story.step("both join the room harbour", seen["players"] == ["ada", "bob"], seen)

    ada.call("move", 3, 4.5)
    seen = bob.wait_for("moved")
    story.step("ada moves, bob sees it", seen == ["ada", 3, 4.5], seen)

    ada.call("chat", "good morning")
    seen = bob.wait_for("chat")
    story.step("ada speaks, bob hears it", seen == ["ada", "good morning"], seen)

    before = ada.call("inventory")["gold"], bob.call("inventory")["gold"]
    balance = ada.call("give", "bob", "gold", 2)["balance"]
    after = ada.call("inventory")["gold"], bob.call("inventory")["gold"]
    is_right = balance == after[0] == before[0] - 2 and after[1] == before[1] + 2
    story.step("ada gives bob 2 gold, in one transaction", is_right, "%s -> %s" % (before, after))

    pid = process_of(data, "db-1")
    os.kill(pid, signal.SIGKILL)
    seen = outcome_of(lambda: ada.call("inventory"))
    story.step("db-1 is killed (kill -9 %d); a call waits for it, or is told" % pid, seen in ("answered", "UNAVAILABLE"), seen)

    until_true("another db-1", lambda: process_of(data, "db-1") not in (None, pid), 10)
    until_true("db-1 to come back", lambda: outcome_of(lambda: ada.call("inventory")) == "answered", 10)
    seen = ada.call("inventory")["gold"], bob.call("inventory")["gold"]
    story.step("db-1 is back by itself, nothing is lost, no new login", seen == after, seen)

    bob.call("give", "ada", "gold", 2)
    seen = ada.call("whoami")
    story.step("bob gives the gold back; ada is still in harbour", seen["room"] == "harbour", seen)
    return story.failed


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: demo.py CLIENT_PORT DATA_FOLDER")
    sys.exit(1 if play(int(sys.argv[1]), sys.argv[2]) else 0)
