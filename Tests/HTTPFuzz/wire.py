"""HTTP/1.1 as bytes: requests that may be wrong in every way, and a strict reader of answers."""

import dataclasses
import select
import socket
import struct
import time


class BadAnswer(Exception):
    """What the server sent is no answer of HTTP/1.1."""


class Hang(Exception):
    """The server neither answers nor ends the connection."""


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def __str__(self):
        return f"{self.status} {self.headers.get('content-type', '')} {self.body[:300]!r}"


@dataclasses.dataclass
class Request:
    method: str
    target: str
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = None

    def head(self, length=True):
        lines = [f"{self.method} {self.target} HTTP/1.1".encode(), b"Host: localhost"]
        lines += [
            (name.encode() if isinstance(name, str) else name) + b": "
            + (value.encode() if isinstance(value, str) else value) for name, value in self.headers
        ]
        if self.body is not None and length:
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def wire(self):
        return self.head() + (self.body or b"")

    def chunked(self, random):
        """With its body in chunks."""
        head = self.head(length=False)[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
        return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces(random, self.body)) + b"0\r\n\r\n"


def pieces(random, data, most=6):
    """`data` cut at random places."""
    places = sorted(random.randrange(1, len(data)) for _ in range(random.randrange(most))) if len(data) > 1 else []
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)]) if a < b]


class Connection:
    """A connection; its reads end at `deadline`."""

    def __init__(self, address, seconds):
        self.deadline = time.monotonic() + seconds
        self.socket = socket.create_connection(address, timeout=seconds)
        self.buffer = b""
        self.ended = False

    def send(self, data):
        """Returns whether it was taken; a server that has refused need not read."""
        try:
            self.socket.settimeout(max(0.01, self.deadline - time.monotonic()))
            self.socket.sendall(data)
            return True
        except TimeoutError:
            raise Hang(f"{len(data)} bytes are not taken") from None
        except OSError:
            return False

    def wait_for_bytes(self, seconds):
        select.select([self.socket], [], [], seconds)

    def finish_sending(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def fill(self):
        """Reads more; returns whether there was more."""
        if self.ended:
            return False
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Hang("no end of the connection in time")
        try:
            self.socket.settimeout(left)
            data = self.socket.recv(65536)
        except TimeoutError:
            raise Hang(f"no end of the connection in time, after {self.buffer[:200]!r}") from None
        except OSError:
            data = b""
        self.buffer += data
        self.ended = not data
        return bool(data)

    def until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                return None
        data, self.buffer = self.buffer.split(mark, 1)
        return data

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                return None
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def answer(self, method="GET"):
        """The next answer; None if the connection ended before it was whole."""
        while True:
            head = self.until(b"\r\n\r\n")
            if head is None:
                return None
            lines = head.split(b"\r\n")
            words = lines[0].split(b" ", 2)
            if len(words) < 2 or words[0] != b"HTTP/1.1" or not words[1].isdigit():
                raise BadAnswer(f"{lines[0][:200]!r}")
            headers = {}
            for line in lines[1:]:
                name, colon, value = line.partition(b":")
                if not colon or not name or name != name.strip():
                    raise BadAnswer(f"{line[:200]!r}")
                name = name.decode("latin-1").lower()
                if name in headers and name in ("content-length", "transfer-encoding", "content-type"):
                    raise BadAnswer(f"{name} twice")
                headers[name] = value.strip().decode("latin-1")
            status = int(words[1])
            if status >= 200:
                break
        body = b"" if method == "HEAD" or status in (204, 304) else self.body(headers)
        return None if body is None else Answer(status, headers, body)

    def body(self, headers):
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = self.until(b"\r\n")
                if size is None:
                    return None
                chunk = self.exactly(int(size, 16) + 2)
                if chunk is None:
                    return None
                if chunk[-2:] != b"\r\n":
                    raise BadAnswer("a chunk without its end")
                if chunk == b"\r\n":
                    return body
                body += chunk[:-2]
        if "content-length" in headers:
            return self.exactly(int(headers["content-length"]))
        while self.fill():
            pass
        body, self.buffer = self.buffer, b""
        return body

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
