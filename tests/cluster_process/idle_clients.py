#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many clients of one gateway that do nothing: what one costs in memory, and what all of them cost in time.

Three crowds, each with a cluster of its own: `idle` logs in and is quiet, `silent` says ping once and never logs in, `mute` says
nothing at all and is cut after two seconds. While each of them is there one client that behaves makes calls.

usage: idle_clients.py BIN_FOLDER [--idle N] [--silent N] [--mute N] [--seconds S] [--json]"""

import argparse
import asyncio
import json
import os
import resource
import sys
import time

import msgpack

from cluster import run

AT_ONCE = 200  # connections that are being made
CALL_MS_MAX = 1000  # of the client that behaves


class Crowd:
    def __init__(self, name, size, port):
        self.name, self.size, self.port = name, size, port
        self.writers = []
        self.ends = []
        self.slots = asyncio.Semaphore(AT_ONCE)

    async def ask(self, reader, writer, method, *params):
        writer.write(msgpack.packb([0, 1, method, list(params)]))
        answer = msgpack.unpackb(await asyncio.wait_for(reader.read(65536), 30))
        if answer[:3] != [1, 1, None]:
            raise AssertionError("%s: %r" % (method, answer))

    async def join(self, number):
        async with self.slots:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4096)
            if self.name == "idle":
                await self.ask(reader, writer, "login", "idle-%d" % number)
            elif self.name == "silent":
                await self.ask(reader, writer, "ping")
            self.ends.append(asyncio.ensure_future(reader.read(-1)))
            self.writers.append(writer)

    async def gather(self):
        await asyncio.gather(*(self.join(number) for number in range(self.size)))

    def gone(self):
        return sum(end.done() for end in self.ends)

    async def leave(self):
        for writer in self.writers:
            writer.close()
        await asyncio.gather(*self.ends, return_exceptions=True)


def memory_kib(pid):
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def cpu_s(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Witness:
    """The client that behaves: the longest that it waited for an answer."""

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.longest_ms = 0.0
        self.calls = 0
        await self.call()  # who says nothing for two seconds is cut

    async def call(self):
        began = time.monotonic()
        self.writer.write(msgpack.packb([0, 7, "ping", []]))
        answer = msgpack.unpackb(await asyncio.wait_for(self.reader.read(65536), 30))
        assert answer == [1, 7, None, "pong"], answer
        self.longest_ms = max(self.longest_ms, (time.monotonic() - began) * 1000)
        self.calls += 1


async def watch(crowd, witness, seconds):
    """Looks at the crowd for so long, with ten calls a second of the witness; those gone."""
    never = asyncio.get_running_loop().create_future()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await witness.call()
        await asyncio.wait([never], timeout=0.1)
        if crowd.name == "mute" and crowd.gone() == crowd.size:
            break
    return crowd.gone()


async def measure(crowd, witness, pid, seconds):
    before_kib, began = memory_kib(pid), time.monotonic()
    witness.longest_ms = 0.0
    await crowd.gather()
    connected = time.monotonic()
    with_kib, cpu = memory_kib(pid), cpu_s(pid)
    gone = await watch(crowd, witness, 10 if crowd.name == "mute" else seconds)
    watched_s = time.monotonic() - connected
    row = {
        "crowd": crowd.name,
        "clients": crowd.size,
        "connect_s": round(connected - began, 2),
        "bytes_a_client": round((with_kib - before_kib) * 1024 / crowd.size),
        "watched_s": round(watched_s, 1),
        "cpu_percent": round((cpu_s(pid) - cpu) * 100 / watched_s, 2),
        "gone": gone,
        "longest_call_ms": round(witness.longest_ms, 1),
    }
    await crowd.leave()
    return row


def check(row):
    expected = row["clients"] if row["crowd"] == "mute" else 0
    assert row["gone"] == expected, row
    assert row["longest_call_ms"] < CALL_MS_MAX, row
    assert row["bytes_a_client"] < 16384, row


async def one_crowd(cluster, name, options):
    pid = cluster.processes["gateway-1"].pid
    witness = Witness()
    await witness.open(cluster.client_port)
    row = await measure(Crowd(name, getattr(options, name), cluster.client_port), witness, pid, options.seconds)
    print(json.dumps(row) if options.json else "  ".join("%s %s" % pair for pair in row.items()), flush=True)
    check(row)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin_folder")
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--silent", type=int, default=5000)
    parser.add_argument("--mute", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    for name in ("idle", "silent", "mute"):

        def story(cluster):
            cluster.start_all()
            asyncio.run(one_crowd(cluster, name, options))

        if getattr(options, name) > 0:
            run(story, os.path.abspath(options.bin_folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
