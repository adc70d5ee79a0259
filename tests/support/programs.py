# SPDX-License-Identifier: MIT
"""How a test starts and stops dure's programs: its own system's, or Windows ones under Wine."""

import os
import signal
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WINE_RUN = os.path.join(ROOT, "tools", "windows", "wine-run.sh")


def command_of(path):
    """The command that runs a program, which may lie there as a Windows one; the process that it starts is the program."""
    if not path.endswith(".exe"):
        if os.path.exists(path):
            return [path]
        if not os.path.exists(path + ".exe"):
            raise FileNotFoundError("%s is not built: cmake --preset release && cmake --build --preset release" % path)
        path += ".exe"
    return [path] if os.name == "nt" else [WINE_RUN, path]


def stop_gracefully(process):
    """Asks a process of such a command to end. Under Wine SIGINT arrives as Ctrl-C, and SIGTERM not at all."""
    process.send_signal(signal.SIGINT if process.args[0] == WINE_RUN else signal.SIGTERM)


def kill(process):
    """Ends a process of such a command at once, and waits for it. Wine 8's server may fail an assertion of its own and
    take all programs with it when a second program dies while it buries the first: hence the pause."""
    process.kill()
    process.wait(10)
    if process.args[0] == WINE_RUN:
        time.sleep(0.3)


def end(process):
    """Ends a process that nobody needs any more."""
    if process.args[0] == WINE_RUN:
        stop_gracefully(process)
        try:
            process.wait(10)
            return
        except subprocess.TimeoutExpired:
            pass
    kill(process)
