"""Frames on the socket: a fixed head, a JSON header, and raw bytes (bridge protocol §1)."""

from __future__ import annotations

import enum
import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

from ttbatch_bridge.errors import ProtocolError

MAGIC = b"TTBB"
HEAD = struct.Struct("<4sHHIQ")
MAX_HEADER_BYTES = 1 << 20
REPLY = 0x8000
ERROR = 0xFFFF
# The next decode step usually arrives so soon that sleeping and waking would take a large part of the wait.
WATCH_NS = 500_000


class Kind(enum.IntEnum):
    """The kinds of requests; a reply's kind is the request's with `REPLY` set, or `ERROR`."""

    HELLO = 1
    DESCRIBE = 2
    OPEN = 3
    MODELS = 4
    LOAD = 5
    ALLOCATE = 6
    WARM_UP = 7
    PREFILL = 8
    DECODE = 9
    CLOSE = 10
    CHOOSE = 11
    LIMITS = 12


@dataclass
class Frame:
    """A request. `payload` is overwritten by the next one."""

    kind: Kind
    header: dict[str, Any]
    payload: memoryview


class FrameSocket:
    """Reads requests and writes replies."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._head = bytearray(HEAD.size)
        self._buffer = bytearray()
        # Before `hello` has set the maximum payload, no payload is accepted.
        self.max_payload_bytes = 0
        # Whether the last reply was to a decode step.
        self._watches = False

    def receive(self) -> Frame | None:
        """The next request, or None if ttbatch has closed the socket."""
        head = memoryview(self._head)
        if self._watches:
            self._watch()
        if not self._receive_into(head, may_end=True):
            return None
        magic, kind, reserved, header_bytes, payload_bytes = HEAD.unpack(head)
        if magic != MAGIC or reserved != 0:
            raise ProtocolError(f"a frame began with {bytes(head)!r}")
        if header_bytes > MAX_HEADER_BYTES or payload_bytes > self.max_payload_bytes:
            raise ProtocolError(f"a frame of kind {kind} claims {header_bytes} + {payload_bytes} bytes")
        if header_bytes + payload_bytes > len(self._buffer):
            self._buffer = bytearray(header_bytes + payload_bytes)
        body = memoryview(self._buffer)[: header_bytes + payload_bytes]
        self._receive_into(body)
        header = json.loads(bytes(body[:header_bytes])) if header_bytes else {}
        if not isinstance(header, dict):
            raise ProtocolError(f"the header of a frame of kind {kind} is not an object")
        try:
            return Frame(Kind(kind), header, body[header_bytes:])
        except ValueError:
            raise ProtocolError(f"a frame of unknown kind {kind}") from None

    def reply(self, kind: Kind, header: dict[str, Any] | None = None, payload: list[Any] | None = None) -> None:
        """Replies to a request of `kind`; `payload` is a list of buffers."""
        self._send(kind | REPLY, header, payload or [])
        self._watches = kind is Kind.DECODE

    def reply_error(self, header: dict[str, Any]) -> None:
        """Replies with an error."""
        self._send(ERROR, header, [])

    def _send(self, kind: int, header: dict[str, Any] | None, payload: list[Any]) -> None:
        text = json.dumps(header).encode() if header else b""
        views = [memoryview(part).cast("B") for part in payload]
        head = HEAD.pack(MAGIC, kind, 0, len(text), sum(view.nbytes for view in views))
        parts: list[Any] = [head + text, *views]
        sent = self._connection.sendmsg(parts)
        for part in parts:
            if sent < len(part):
                self._connection.sendall(part[sent:])
            sent = max(0, sent - len(part))

    def _watch(self) -> None:
        """Polls the socket for a while, until it has data."""
        end = time.monotonic_ns() + WATCH_NS
        while time.monotonic_ns() < end:
            try:
                self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                return
            except BlockingIOError:
                pass

    def _receive_into(self, view: memoryview, may_end: bool = False) -> bool:
        filled = 0
        while filled < len(view):
            count = self._connection.recv_into(view[filled:])
            if count == 0:
                if may_end and filled == 0:
                    return False
                raise ProtocolError("the socket ended within a frame")
            filled += count
        return True
