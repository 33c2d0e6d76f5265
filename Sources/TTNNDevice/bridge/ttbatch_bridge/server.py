"""The bridge's loop: answers one request after another until ttbatch closes the socket."""

from __future__ import annotations

import gc
import logging
import os
import platform
import signal
import socket
import traceback
from typing import Any

from ttbatch_bridge import PROTOCOL_VERSION, log, model, registry
from ttbatch_bridge.chosen_class import ChosenClass
from ttbatch_bridge.decode import Decode
from ttbatch_bridge.errors import ProtocolError, Refused, first_line
from ttbatch_bridge.frames import Frame, FrameSocket, Kind
from ttbatch_bridge.mesh import Mesh
from ttbatch_bridge.prefill import Prefill

logger = logging.getLogger("bridge")

_OF_THE_PROGRAM = (TypeError, AttributeError, NotImplementedError, NameError, ImportError)


class Server:
    """Owns the mesh and the model, and executes requests."""

    def __init__(self, frames: FrameSocket) -> None:
        self._frames = frames
        self._mesh = Mesh()
        self._chosen: ChosenClass | None = None
        self._loaded: model.LoadedModel | None = None
        self._prefill: Prefill | None = None
        self._decode: Decode | None = None
        self._has_run: set[Kind] = set()

    def serve(self) -> None:
        """Answers requests until the socket is closed or `close` was requested."""
        while True:
            frame = self._frames.receive()
            if frame is None:
                logger.warning("ttbatch is gone: closing the mesh")
                return
            try:
                self._answer(frame)
            except ProtocolError:
                raise
            except Refused as error:
                self._frames.reply_error({"kind": "refused", "message": str(error)})
            except Exception as error:
                logger.error("%s failed\n%s", frame.kind.name.lower(), traceback.format_exc())
                # A class that does not accept the arguments of a call fails at its first step, for any prompts.
                is_first = frame.kind not in self._has_run
                message = f"{type(error).__name__}: {first_line(error)}"
                if is_first and isinstance(error, _OF_THE_PROGRAM):
                    message = f"the model class does not take this call: {message}; choose another version of it"
                    self._frames.reply_error({"kind": "refused", "message": message})
                else:
                    self._frames.reply_error({"kind": "failed", "message": message})
            else:
                self._has_run.add(frame.kind)
            if frame.kind is Kind.CLOSE:
                return

    def close(self) -> None:
        """Releases the model with its traces, then the mesh (TT contract §2.6)."""
        loaded, self._loaded = self._loaded, None
        self._prefill = self._decode = None
        try:
            if loaded is not None:
                loaded.release()
        except Exception as error:
            logger.warning("the model did not release everything: %s", first_line(error))
        del loaded
        gc.collect()
        self._mesh.close()

    def _answer(self, frame: Frame) -> None:
        # Steps are checked first, because their time matters.
        if frame.kind is Kind.DECODE:
            if self._decode is None:
                self._decode = Decode(self._allocated())
            self._frames.reply(frame.kind, payload=self._decode.run(frame.payload).buffers())
        elif frame.kind is Kind.PREFILL:
            if self._prefill is None:
                self._prefill = Prefill(self._allocated())
            self._frames.reply(frame.kind, payload=self._prefill.run(frame.payload).buffers())
        else:
            self._frames.reply(frame.kind, self._prepare(frame.kind, frame.header))

    def _prepare(self, kind: Kind, header: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.HELLO:
            return self._hello(header)
        if kind is Kind.DESCRIBE:
            return self._mesh.describe()
        if kind is Kind.MODELS:
            return {"classes": registry.available_classes(header.get("extra_models_dir"))}
        if kind is Kind.CHOOSE:
            self._chosen = ChosenClass(header)
            return self._chosen.header()
        if kind is Kind.LIMITS:
            return {"max_tokens_all_users": self._has_chosen().max_tokens_all_users(header)}
        if kind is Kind.OPEN:
            return self._mesh.open(header, self._has_chosen().fabric if header["uses_class_fabric"] else None)
        if kind is Kind.LOAD:
            if self._mesh.device is None:
                raise ProtocolError("a model is loaded before the mesh is open")
            self._loaded, answer = model.load(self._mesh.device, self._has_chosen().model_class, header)
            return answer
        if kind is Kind.ALLOCATE:
            model.allocate_kv_cache(self._has_model(), header)
        elif kind is Kind.WARM_UP:
            model.warm_up(self._allocated(), header)
        elif kind is Kind.CLOSE:
            self.close()
        return {}

    def _hello(self, header: dict[str, Any]) -> dict[str, Any]:
        if header.get("protocol") != PROTOCOL_VERSION:
            raise Refused(f"the bridge speaks version {PROTOCOL_VERSION}, ttbatch {header.get('protocol')}")
        self._frames.max_payload_bytes = int(header["max_payload_bytes"])
        return {"protocol": PROTOCOL_VERSION, "pid": os.getpid(), "python": platform.python_version()}

    def _has_chosen(self) -> ChosenClass:
        if self._chosen is None:
            raise ProtocolError("no model class was chosen")
        return self._chosen

    def _has_model(self) -> model.LoadedModel:
        if self._loaded is None:
            raise ProtocolError("no model is loaded")
        return self._loaded

    def _allocated(self) -> model.LoadedModel:
        loaded = self._has_model()
        if loaded.kv_cache is None:
            raise ProtocolError("the KV cache is not allocated")
        return loaded


def serve(connection: socket.socket) -> int:
    """Runs a server on the socket; returns the exit status, 0 if the protocol was not violated."""
    log.set_up()
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = Server(FrameSocket(connection))
    status = _serve_until_end(server)
    # Only here does no exception keep stack frames alive that refer to the model, which must be released before the
    # mesh.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.close()
    return status


class _ToldToEnd(BaseException):
    """SIGTERM was received."""


def _serve_until_end(server: Server) -> int:
    try:
        server.serve()
        return 0
    except ProtocolError as error:
        logger.error("%s: the protocol is broken, so the bridge ends", error)
        return 2
    except _ToldToEnd:
        logger.warning("told to end: closing the mesh")
        return 0


def _end(signum: int, frame: object) -> None:
    # The shutdown is orderly if Python code runs; a step that hangs in the device's library needs SIGKILL.
    raise _ToldToEnd
