# SPDX-License-Identifier: MIT
"""A scripted player: what it means and what it is told goes into the journal.

One player does one thing at a time, so the order of what it means is known. The number in its chats and the x of its
moves rise by one each time and are never used twice."""

import asyncio
import random

import msgpack

ANSWER_SECONDS = 9.0  # a gateway answers within a call's 5 s, or it was stopped
CLOSED = ("UNKNOWN", "the connection ended")
LATE = ("UNKNOWN", "no answer")
LEFT = ("UNKNOWN", "left without waiting")
# What docs/errors.md calls UNKNOWN: it may have happened.
UNKNOWN_NAMES = ("DEADLINE", "INTERNAL", "CANCELLED", "OUTCOME_UNKNOWN")


class Connection:
    """One connection to a gateway. Its calls and notifications are written down under its number `c`."""

    def __init__(self, player, gateway):
        self.player, self.gateway = player, gateway
        self.number = player.world.next("c")
        self.session = 0
        self.received = 0
        self.is_open = False
        self._waiting = {}
        self._answered = set()

    async def open(self):
        port = self.player.world.ports[self.gateway]
        self._reader, self._writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 3)
        self.is_open = True
        self._task = asyncio.create_task(self._read())
        self.player.world.readers.add(self._task)  # the loop itself holds no task
        self._task.add_done_callback(self.player.world.readers.discard)

    async def _read(self):
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        try:
            while data := await self._reader.read(65536):
                unpacker.feed(data)
                for message in unpacker:
                    self._take(message)
        except OSError:
            pass
        finally:
            self.is_open = False
            self.player.world.journal.note("gone", p=self.player.name, c=self.number)
            for future in self._waiting.values():
                if not future.done():
                    future.set_result(CLOSED)
            self._writer.close()

    def _take(self, message):
        write = self.player.world.journal.note
        where = {"p": self.player.name, "c": self.number, "s": self.session}
        if message[0] == 2:
            if message[1] != "closing":
                self.received += 1
            write("note", **where, m=message[1], a=message[2])
        elif message[1] in self._answered or message[1] not in self._waiting:
            write("stray", **where, id=message[1])
        else:
            self._answered.add(message[1])
            if not self._waiting[message[1]].done():
                self._waiting[message[1]].set_result(("ok", message[3]) if message[2] is None else
                                                     ("error", message[2]))

    async def call(self, method, *params, patience=ANSWER_SECONDS):
        """What came of it: (outcome, result or error). Both lines are on disk when this is back."""
        world = self.player.world
        number = world.next("id")
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        await world.journal.write("intent", id=number, p=self.player.name, c=self.number, s=self.session,
                                  g=self.gateway, m=method, a=list(params))
        said = CLOSED
        if self.is_open:
            self._writer.write(msgpack.packb([0, number, method, list(params)]))
            await asyncio.wait([future], timeout=patience)
            said = future.result() if future.done() else LATE if patience else LEFT
        is_unknown = said[0] == "UNKNOWN" or said[0] == "error" and said[1][1] in UNKNOWN_NAMES
        outcome = "unknown" if is_unknown else said[0]
        if method == "login" and outcome == "ok":
            self.session = world.next("s")
        await world.journal.write("end", id=number, o=outcome, r=said[1], n=self.received, s=self.session)
        world.count(outcome)
        return outcome, said[1]

    def drop(self):
        """Ends the connection without a word."""
        self.is_open = False
        self._task.cancel()
        self._writer.transport.abort()


class Player:
    def __init__(self, world, index):
        self.world, self.name = world, "p%02d" % index
        self.random = random.Random("%s:%d" % (world.seed, index))
        self.connection = None
        self.older = None  # a connection that was taken over
        self.token = None
        self.lost = None  # the connection of the session that may be resumed
        self.number = 0
        self.keys = 0
        self.undecided = []  # keyed gifts without an answer
        self.decided = []

    async def run(self):
        while not self.world.is_over:
            await asyncio.sleep(self.random.expovariate(1 / self.world.pause))
            try:
                if await self.is_in():
                    await self.one_thing()
            except (OSError, asyncio.TimeoutError):
                self.connection = None

    async def is_in(self):
        """Is logged in, or tries to be."""
        if self.connection is not None and self.connection.is_open:
            return True
        if self.connection is not None and self.lost is None:
            self.lost = self.connection
        self.connection = None
        if self.lost is not None and self.token and self.random.random() < 0.7 and await self.resume():
            return True
        return await self.login()

    async def connect(self, gateway=None):
        connection = Connection(self, gateway or self.random.choice(list(self.world.ports)))
        await connection.open()
        return connection

    async def login(self):
        connection = await self.connect()
        outcome, result = await connection.call("login", self.name)
        if outcome != "ok":
            connection.drop()
            return False
        if self.connection is not None:
            self.older = self.connection
        self.connection, self.token, self.lost = connection, result["resume"], None
        return True

    async def resume(self):
        lost, token = self.lost, self.token
        self.lost = self.token = None
        connection = await self.connect(lost.gateway)
        connection.session, connection.received = lost.session, lost.received
        outcome, result = await connection.call("resume", token, lost.received)
        if outcome != "ok":
            connection.drop()
            return False
        self.connection, self.token = connection, result["resume"]
        if self.random.random() < 0.2 and (await connection.call("whoami"))[0] == "ok":
            await self.use_again(lost.gateway, token)
        return True

    async def use_again(self, gateway, token):
        """A token that was used is worth nothing."""
        other = await self.connect(gateway)
        await other.call("resume", token, 0)
        other.drop()

    async def one_thing(self):
        does = self.random.choices(
            (self.move, self.chat, self.give, self.give_again, self.join, self.look, self.second_place, self.drop,
             self.logout), (34, 24, 14, 6, 6, 6, 4, 5, 1))[0]
        await does()

    def next_number(self):
        self.number += 1
        return self.number

    async def move(self):
        return await self.connection.call("move", self.next_number(), 0)

    async def chat(self):
        return await self.connection.call("chat", "%d" % self.next_number())

    async def join(self):
        return await self.connection.call("join", "room-%d" % self.random.randrange(self.world.rooms))

    async def look(self):
        return await self.connection.call(self.random.choice(("whoami", "inventory")))

    async def give(self):
        to = self.random.choice([name for name in self.world.names if name != self.name])
        params = [to, "gold", self.random.randint(1, 5)]
        if self.random.random() < 0.9:
            self.keys += 1
            params.append("k%d" % self.keys)
        await self.give_these(params)

    async def give_these(self, params):
        outcome, _ = await self.connection.call("give", *params)
        if len(params) < 4:
            return
        if outcome == "unknown":
            self.undecided.append(params)
        else:
            self.decided.append(params)

    async def give_again(self):
        """The same gift under the same key: most of all those that nobody knows of."""
        if self.undecided and self.random.random() < 0.8:
            await self.give_these(self.undecided.pop(0))
        elif self.decided:
            await self.give_these(self.random.choice(self.decided))

    async def second_place(self):
        """Logs in elsewhere; the older connection is worth nothing then."""
        if await self.login() and self.older is not None:
            if self.older.is_open:
                await self.older.call("move", self.next_number(), 0)
            self.older.drop()
            self.older = None

    async def drop(self):
        """Loses the connection, sometimes with a call under way, and stays away for a moment."""
        if self.random.random() < 0.5:
            await self.connection.call("move", self.next_number(), 0, patience=0)
        self.connection.drop()
        await asyncio.sleep(self.random.random())

    async def logout(self):
        outcome, _ = await self.connection.call("logout")
        self.connection.drop()
        if outcome == "ok":
            self.connection, self.token, self.lost = None, None, None

    async def last_things(self):
        """When everything works again: what is undecided is asked once more, and a last move is made."""
        try:
            if not await self.is_in():
                return False
            while self.undecided:
                before = len(self.undecided)
                await self.give_these(self.undecided.pop(0))
                if len(self.undecided) == before:
                    return False
            return (await self.move())[0] == "ok"
        except (OSError, asyncio.TimeoutError):
            return False
