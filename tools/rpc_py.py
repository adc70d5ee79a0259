# SPDX-License-Identifier: MIT
"""A MessagePack-RPC client over a plain socket, with python3-msgpack and nothing of dure: what the
demo and the cluster tests talk to a gateway with. It is short enough to be copied into a program."""

import json
import os
import socket
import struct
import time

import msgpack

# All waits are longer by this factor, for programs that run under an emulator.
SLACK = float(os.environ.get("DURE_TEST_SLACK", "1"))


class RpcError(Exception):
    """What a gateway answered instead of a result: code, name, text."""

    def __init__(self, error):
        super().__init__("%s %s: %s" % tuple(error))
        self.code, self.name, self.text = error


class Client:
    def __init__(self, port, host="127.0.0.1", timeout=5.0, source=None):
        self.timeout = timeout * SLACK
        self.socket = socket.create_connection((host, port), self.timeout, source and (source, 0))
        self.unpacker = msgpack.Unpacker(raw=False)
        self.notifications = []
        self.received = 0  # since login, for resume; `closing` does not count
        self.next_id = 0

    def close(self):
        self.socket.close()

    def reset(self):
        """Breaks off, where close() lets what is under way be answered."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _read(self, until):
        while True:
            for message in self.unpacker:
                return message
            self.socket.settimeout(max(0.001, until - time.monotonic()))
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the gateway has closed the connection")
            self.unpacker.feed(data)

    def _keep(self, message):
        self.notifications.append((message[1], message[2]))
        self.received += message[1] != "closing"

    def resume(self, lost):
        """Goes on with the session of a lost client of the same gateway, whose token stands in lost.token: notifications
        that it has not had come first."""
        seen = self.call("resume", lost.token, lost.received)
        self.token, self.received = seen["resume"], lost.received
        return seen

    def call(self, method, *params):
        """The result, or RpcError. Notifications that come meanwhile are kept."""
        self.next_id += 1
        self.socket.sendall(msgpack.packb([0, self.next_id, method, list(params)]))
        until = time.monotonic() + self.timeout
        while True:
            message = self._read(until)
            if message[0] == 2:
                self._keep(message)
            elif message[1] == self.next_id:
                if message[2] is not None:
                    raise RpcError(message[2])
                if method == "login":
                    self.token, self.received = message[3]["resume"], 0
                return message[3]

    def error(self, method, *params):
        """The name of the error that the call is answered with; None where it went well."""
        try:
            self.call(method, *params)
            return None
        except RpcError as error:
            return error.name

    def wait_for(self, method, timeout=5.0):
        """The params of the next notification of that name."""
        until = time.monotonic() + timeout * SLACK
        while True:
            for index, (name, params) in enumerate(self.notifications):
                if name == method:
                    del self.notifications[index]
                    return params
            message = self._read(until)
            if message[0] == 2:
                self._keep(message)


def until_true(what, check, timeout=10.0):
    """Asks again and again until check() is true; the last answer."""
    until = time.monotonic() + timeout * SLACK
    while True:
        try:
            answer = check()
        except (RpcError, OSError):
            answer = None
        if answer:
            return answer
        if time.monotonic() > until:
            raise TimeoutError("%s: not within %g s" % (what, timeout * SLACK))
        time.sleep(0.02)


def process_of(data, node):
    """The process id of a node, from the file that it writes for its owner."""
    with open(os.path.join(data, node, "admin.json")) as file:
        return json.load(file)["pid"]
