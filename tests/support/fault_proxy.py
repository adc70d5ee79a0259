# SPDX-License-Identifier: MIT
"""The program fault-proxy (docs/testing.md), as tests in Python drive it."""

import json
import os
import subprocess
import threading

from programs import command_of


class FaultProxy:
    """Connections to 127.0.0.1:`port` (any free one where it is 0) go on to `to`, HOST:PORT. It ends with this process."""

    def __init__(self, bin_folder, to, port=0):
        self.process = subprocess.Popen(
            [*command_of(os.path.join(bin_folder, "fault-proxy")), "--to", to, "--listen", str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lock = threading.Lock()
        self.port = int(self._reply()["listening"].rsplit(":", 1)[1])

    def _reply(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("fault-proxy has ended with %s" % self.process.wait(10))
        return json.loads(line)

    def say(self, line):
        """One of its words; when this returns it holds."""
        with self._lock:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            return self._reply()

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        return code
