# SPDX-License-Identifier: MIT
"""A peer of a link port, written from docs/wire.md with python3-msgpack and nothing of dure: the handshake with and
without a secret, and frames of any kind. It answers no ping: a peer of a moment."""

import hashlib
import hmac
import os
import socket
import struct

import msgpack

PING, HELLO, WELCOME, GOAWAY, CHALLENGE, PROOF, REFUSED = 5, 7, 8, 9, 11, 12, 13
MAC_BYTES = 34  # c4 20 and the mac


def frame(kind, body):
    """A frame without call, method and meta."""
    rest = struct.pack(">BBBIBIBIBQB", 0x96, kind, 0xCE, 0, 0xCE, 0, 0xCE, 0, 0xCF, 0, 0x80) + msgpack.packb(body)
    return b"\xce" + struct.pack(">I", len(rest)) + rest


def refused(code, name, text):
    return frame(REFUSED, [code, name, text])


def hello(cluster="", node_id="", role="", incarnation=None):
    incarnation = incarnation or int.from_bytes(os.urandom(7), "big") + 1
    return frame(HELLO, [1, 2, cluster, node_id, role, incarnation, 1, os.urandom(32)])


class Refused(Exception):
    """Code, name and text of a refusal."""


class LinkPeer:
    """Dials a node as another one and goes through the handshake."""

    def __init__(self, port, cluster, node_id, role, listener, secret=None, timeout=5.0, source=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout, source and (source, 0))
        self.data = b""
        try:
            self._shake_hands(cluster, node_id, role, listener, secret)
        except BaseException:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()

    def read(self):
        """The next frame: its kind, its body, and itself."""
        while len(self.data) < 5 or len(self.data) < 5 + struct.unpack(">I", self.data[1:5])[0]:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("the node has closed the connection")
            self.data += more
        length = 5 + struct.unpack(">I", self.data[1:5])[0]
        raw, self.data = self.data[:length], self.data[length:]
        return raw[6], msgpack.unpackb(raw[32:], strict_map_key=False), raw

    def expect(self, kind):
        found, body, raw = self.read()
        if found == REFUSED:
            raise Refused(*body)
        if found != kind:
            raise ValueError("a frame of kind %d instead of %d" % (found, kind))
        return body, raw

    def _shake_hands(self, cluster, node_id, role, listener, secret):
        if secret is None:
            self.socket.sendall(hello(cluster, node_id, role))
            self.expect(WELCOME)
            return
        said = hello()
        self.socket.sendall(said)
        (_, _, mac), challenge = self.expect(CHALLENGE)
        over = listener.encode() + b"\0" + said + challenge[:-MAC_BYTES]
        if mac != self._mac(secret, b"dure link challenge 2\0" + over):
            raise ValueError("the listener does not know the secret")
        proof = frame(PROOF, [cluster, node_id, role, bytes(32)])
        proof = proof[:-32] + self._mac(secret, b"dure link proof 2\0" + over + proof[:-MAC_BYTES])
        self.socket.sendall(proof)
        self.expect(WELCOME)

    @staticmethod
    def _mac(secret, message):
        return hmac.new(secret.encode(), message, hashlib.sha256).digest()
