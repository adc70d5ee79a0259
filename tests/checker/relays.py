# SPDX-License-Identifier: MIT
"""A relay on each link of a cluster, which can hold back what goes through it, in one direction or both, slow it down, or
reset it. Nothing is lost in a relay that holds back: what waited goes on afterwards, as it does after a short outage."""

import asyncio
import threading

CHUNK = 65536
LOOK_SECONDS = 0.02


class Relay:
    """One link: connections to `port` go on to `target`."""

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.fault = None
        self.writers = set()

    async def serve(self):
        return await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader, writer):
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, back}
        self.writers |= pair
        await asyncio.gather(self._pump(reader, back, "there"), self._pump(there, writer, "back"))
        self.writers -= pair

    async def _pump(self, reader, writer, direction):
        try:
            while data := await reader.read(CHUNK):
                while self.fault in ("cut", "cut_" + direction):
                    await asyncio.sleep(LOOK_SECONDS)
                if self.fault == "delay":
                    await asyncio.sleep(0.1)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def reset(self):
        for writer in self.writers:
            writer.transport.abort()


class Relays:
    """Those of a whole cluster, in a thread of their own. Links are named (dialer, listener)."""

    def __init__(self, links):
        self.links = {link: Relay(port, target) for link, (port, target) in links.items()}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        for relay in self.links.values():
            asyncio.run_coroutine_threadsafe(relay.serve(), self._loop).result(5)

    def set(self, link, fault):
        """A fault from now on (None: no more): cut, cut_there, cut_back, delay; reset ends what is connected now."""
        relay = self.links[link]
        relay.fault = fault
        if fault == "reset":
            self._loop.call_soon_threadsafe(relay.reset)

    def count(self):
        """How many connections each link has at this moment: [[dialer, listener, connections]]."""
        return [[*link, len(relay.writers) // 2] for link, relay in self.links.items()]

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
