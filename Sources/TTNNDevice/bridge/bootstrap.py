"""Starts the bridge from the sources that ttbatch sends, so that the bridge needs no installed files.

Run as `python -c <this> FD serve` or `python -c <this> FD probe REQUEST`, where REQUEST is a JSON object. The socket FD
first sends an unsigned 32-bit length and a JSON object with the text of each module. Tracebacks show these texts,
because the loader provides them.
"""

import importlib.abc
import importlib.util
import json
import os
import socket
import struct
import sys


class SentSources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads the modules that were sent."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.sources:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self.get_filename(fullname))

    def is_package(self, fullname):
        return any(name.startswith(fullname + ".") for name in self.sources)

    def get_source(self, fullname):
        return self.sources[fullname]

    def get_filename(self, fullname):
        return "ttbatch/" + fullname.replace(".", "/") + ".py"

    def get_code(self, fullname):
        return compile(self.get_source(fullname), self.get_filename(fullname), "exec", dont_inherit=True)


def receive(connection, count):
    parts = []
    while count > 0:
        part = connection.recv(min(count, 1 << 16))
        if not part:
            raise SystemExit("ttbatch closed the socket before it had sent the bridge's sources")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


# ttbatch's descriptors are closed here, because a lock must not outlive ttbatch.
os.closerange(int(sys.argv[1]) + 1, os.sysconf("SC_OPEN_MAX"))
connection = socket.socket(fileno=int(sys.argv[1]))
(length,) = struct.unpack("<I", receive(connection, 4))
sys.meta_path.insert(0, SentSources(json.loads(receive(connection, length))))

if sys.argv[2] == "probe":
    from ttbatch_bridge.probe import probe

    probe(connection, json.loads(sys.argv[3]))
else:
    from ttbatch_bridge.server import serve

    sys.exit(serve(connection))
