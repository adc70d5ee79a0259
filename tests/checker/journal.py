# SPDX-License-Identifier: MIT
"""An append-only file of JSON lines that is on disk before whoever writes goes on, and the same lines read back.

Lines of many players are written and synced together by one thread, so that the syncs cost as little as a group
commit does. `t` is time.monotonic() of the one process that writes."""

import asyncio
import json
import os
import threading
import time


class Journal:
    def __init__(self, path):
        self._file = open(path, "ab", buffering=0)
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._lines = []
        self._waiting = []
        self._is_closing = False
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    def note(self, kind, /, **fields):
        """Writes a line that nobody waits for; the time of it."""
        return self._push(kind, fields, None)

    async def write(self, kind, /, **fields):
        """Writes a line and comes back when it is on disk; the time at which it was said."""
        synced = self._loop.create_future()
        at = self._push(kind, fields, synced)
        await synced
        return at

    def _push(self, kind, fields, synced):
        at = time.monotonic()
        line = json.dumps({"k": kind, "t": at, **fields}, separators=(",", ":"), default=repr)
        with self._wake:
            self._lines.append(line)
            if synced is not None:
                self._waiting.append(synced)
            self._wake.notify()
        return at

    def _write_all(self):
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._lines or self._is_closing)
                lines, waiting = self._lines, self._waiting
                self._lines, self._waiting = [], []
            if not lines:
                return
            os.write(self._file.fileno(), ("\n".join(lines) + "\n").encode())
            os.fdatasync(self._file.fileno())
            if waiting:
                self._loop.call_soon_threadsafe(settle, waiting)

    def close(self):
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join()
        self._file.close()


def settle(futures):
    for future in futures:
        if not future.done():
            future.set_result(None)


def read(path):
    """The lines of a journal; a last one that was cut off by a crash is left out."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    return [json.loads(line) for line in lines[:-1]]
