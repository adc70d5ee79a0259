#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Players play while nodes are killed, stopped and cut off; afterwards their journal and the database are compared."""

import argparse
import asyncio
import collections
import json
import os
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
import nodes as cluster_nodes  # noqa: E402
import rules  # noqa: E402
from journal import Journal, read  # noqa: E402
from player import Player  # noqa: E402

SETTLE_SECONDS = 25.0
LOOK_SECONDS = 1.0


class World:
    """What players and the fault driver share."""

    def __init__(self, options, nodes):
        self.seed, self.pause, self.rooms = options.seed, options.pause, 6
        self.nodes, self.ports = nodes, nodes.ports
        self.names = ["p%02d" % i for i in range(options.players)]
        self.journal = Journal(os.path.join(nodes.data, "journal.jsonl"))
        self.outcomes = collections.Counter()
        self.faults = 0
        self.is_over = False
        self.disturbed = set()
        self.readers = set()
        self._numbers = collections.Counter()

    def next(self, what):
        self._numbers[what] += 1
        return self._numbers[what]

    def count(self, outcome):
        self.outcomes[outcome] += 1

    def line(self, started):
        return "%5.0f s  %d calls: %d ok, %d error, %d unknown; %d faults" % (
            time.monotonic() - started, sum(self.outcomes.values()), self.outcomes["ok"], self.outcomes["error"],
            self.outcomes["unknown"], self.faults)


async def one_fault(world, fault):
    loop = asyncio.get_running_loop()
    on = set(fault["on"])
    world.disturbed |= on
    since = time.monotonic()
    try:
        await loop.run_in_executor(None, cluster_nodes.begin, world.nodes, fault)
        world.faults += 1
        await asyncio.sleep(fault["for"])
        await loop.run_in_executor(None, cluster_nodes.end, world.nodes, fault)
    except (KeyError, ProcessLookupError):
        pass  # it has ended by itself, which is told elsewhere
    finally:
        world.disturbed -= on
        until = time.monotonic()
        world.journal.note("fault", kind=fault["kind"], on=fault["on"], t=since, until=until)


async def drive(world, plan, started):
    """Does to the nodes what the plan says."""
    tasks = []
    for fault in plan:
        await asyncio.sleep(max(0, started + fault["at"] - time.monotonic()))
        tasks.append(asyncio.create_task(one_fault(world, fault)))
    await asyncio.gather(*tasks)


async def watch(world):
    """Looks into the database and at the nodes, and starts again what has ended by itself."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for node, code in world.nodes.dead():
            if node not in world.disturbed:
                world.journal.note("died", node=node, code=code)
                world.nodes.start(node)
        since = time.monotonic()
        try:
            found = await loop.run_in_executor(None, world.nodes.sample)
            world.journal.note("sample", t0=since, **found)
        except cluster_nodes.sqlite3.Error as error:
            world.journal.note("no_sample", text=str(error))
        world.journal.note("connections", links=await loop.run_in_executor(None, world.nodes.connections))
        if not world.disturbed:
            for status in await loop.run_in_executor(None, world.nodes.status):
                world.journal.note("status", **status)


async def report(world, started, out):
    while True:
        await asyncio.sleep(5)
        print(world.line(started), file=out, flush=True)


async def settle(world, players):
    """Everything works again, for everyone, within a bound; then all is saved."""
    until = time.monotonic() + SETTLE_SECONDS
    left = list(players)
    while left and time.monotonic() < until:
        done = await asyncio.gather(*(player.last_things() for player in left))
        left = [player for player, is_done in zip(left, done) if not is_done]
    world.journal.note("settled", ok=not left, players=[player.name for player in left],
                       why="%d players cannot log in, ask again or move" % len(left) if left else "")
    await asyncio.sleep(rules.SAVED_SECONDS + rules.SLACK)
    await still(world)


async def still(world):
    """No call is open in any node once nobody calls."""
    loop = asyncio.get_running_loop()
    until = time.monotonic() + 10
    while True:
        found = await loop.run_in_executor(None, world.nodes.status)
        open_calls = {node["node"]: node["outstanding"] for node in found if node["outstanding"]}
        if len(found) == len(cluster_nodes.NODES) and not open_calls:
            return
        if time.monotonic() > until:
            why = "open calls %s, %d nodes answer" % (open_calls, len(found))
            world.journal.note("settled", ok=False, players=[], why=why)
            return


async def play(options, nodes, plan, out):
    world = World(options, nodes)
    players = [Player(world, index) for index in range(options.players)]
    started = time.monotonic()
    tasks = [asyncio.create_task(player.run()) for player in players]
    side = [asyncio.create_task(watch(world)), asyncio.create_task(report(world, started, out))]
    await drive(world, plan, started)
    await asyncio.sleep(max(0, started + options.seconds - time.monotonic()))
    world.is_over = True
    try:
        await asyncio.gather(*tasks)
        await settle(world, players)
        for task in side:
            task.cancel()
        await asyncio.gather(*side, return_exceptions=True)
        await finish(world)
    finally:
        world.journal.close()
    return world, started


async def finish(world):
    """Ends the nodes, every other seed without a word, and reads what is on disk."""
    loop = asyncio.get_running_loop()
    for node, code in world.nodes.dead():
        world.journal.note("died", node=node, code=code)
    for node in cluster_nodes.NODES:
        if world.seed % 2:
            await loop.run_in_executor(None, world.nodes.kill, node)
        elif world.nodes.processes[node].poll() is None:
            code = await loop.run_in_executor(None, world.nodes.stop, node)
            world.journal.note("stopped", node=node, code=code)
    world.journal.note("final", **world.nodes.final())


def options_of(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/soak.sh", description=__doc__,
        epilog="Exit status: 0 nothing is broken, 1 a rule is broken (its evidence is kept), 2 a wrong call, "
               "70 the run itself failed. The same --seed makes the same faults and the same wishes of the players; what "
               "meets what differs from run to run.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long they play (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="of faults and players (default 1)")
    parser.add_argument("--players", type=int, default=30, help="how many (default 30)")
    parser.add_argument("--pause", type=float, default=0.15, help="mean seconds between a player's calls (default 0.15)")
    parser.add_argument("--json", action="store_true", help="the summary as one line of JSON")
    parser.add_argument("--keep", action="store_true", help="keep the evidence of a good run too")
    parser.add_argument("--plan", action="store_true", help="only print the faults")
    parser.add_argument("--check", metavar="FOLDER", help="check kept evidence again and do nothing else")
    parser.add_argument("--bin", default=os.path.join(cluster_nodes.cluster.ROOT, "build", "release", "bin"),
                        help="folder of the programs")
    parser.add_argument("--db", metavar="PROGRAM", help="another program for the db node")
    parser.add_argument("--expect", metavar="RULE,...", help="succeed only if one of these rules is broken")
    options = parser.parse_args(arguments)
    if not 0 < options.minutes <= 24 * 60 or not 2 <= options.players <= 500 or options.pause <= 0:
        parser.error("minutes must be above 0 and at most a day, players 2 to 500, pause above 0")
    options.seconds = options.minutes * 60
    return options


def summary(options, broken, outcomes=None, faults=0, folder=None):
    found = {"seed": options.seed, "calls": sum((outcomes or {}).values()), "outcomes": dict(outcomes or {}),
             "faults": faults, "broken": dict(collections.Counter(name for name, _ in broken)), "evidence": folder}
    if options.json:
        print(json.dumps(found))
    elif broken:
        print("%d rules are broken; %s" % (len(found["broken"]), "evidence: " + folder if folder else "no evidence kept"))
    else:
        print("Nothing is broken: %d calls, %d faults, seed %d." % (found["calls"], faults, options.seed))


def verdict(options, broken):
    if options.expect:
        names = options.expect.split(",")
        is_found = any(name in names for name, _ in broken)
        print("expected: %s is broken; %s" % (" or ".join(names), "it is" if is_found else "it is NOT"))
        return 0 if is_found else 1
    return 1 if broken else 0


def main(arguments):
    options = options_of(arguments)
    out = sys.stderr if options.json else sys.stdout
    if options.check:
        broken = rules.check(read(os.path.join(options.check, "journal.jsonl")))
        rules.show(broken, out)
        summary(options, broken, folder=options.check)
        return verdict(options, broken)
    plan = cluster_nodes.plan(options.seed, options.seconds)
    for fault in plan:
        print("%(at)7.2f s  %(kind)-9s %(place)s for %(for).2f s" % dict(fault, place=" - ".join(fault["on"])), file=out)
    if options.plan:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(70))
    nodes = cluster_nodes.Nodes(os.path.abspath(options.bin), {"db-1": os.path.abspath(options.db)} if options.db else {})
    keep = True
    try:
        nodes.start_all()
        world, started = asyncio.run(play(options, nodes, plan, out))
        print(world.line(started), file=out)
        broken = rules.check(read(os.path.join(nodes.data, "journal.jsonl")))
        code = verdict(options, broken)
        keep = options.keep or code != 0
        rules.show(broken, out)
        summary(options, broken, world.outcomes, world.faults, nodes.data if keep else None)
        return code
    except Exception:  # whatever it is, it is no verdict on the nodes
        traceback.print_exc()
        print("The run itself failed; evidence: " + nodes.data, file=sys.stderr)
        return 70
    finally:
        nodes.leave(keep)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
