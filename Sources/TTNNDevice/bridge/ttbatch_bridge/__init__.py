"""The process that owns a Tenstorrent mesh for ttbatch: it opens the mesh, loads the TT model, and runs steps.

ttbatch makes all decisions; this program executes requests from a socket. docs/bridge-protocol.md has the frames.
"""

PROTOCOL_VERSION = 2
