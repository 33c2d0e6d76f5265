"""The process that owns a Tenstorrent mesh for ttbatch: it opens the mesh, holds the TT model, and runs steps.

ttbatch decides everything; this program only executes, and answers on a socket. docs/bridge-protocol.md has the frames.
"""

PROTOCOL_VERSION = 2
