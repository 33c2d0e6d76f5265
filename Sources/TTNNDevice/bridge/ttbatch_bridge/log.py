"""Log lines for ttbatch: each begins with its level as <3>, <4>, <6> or <7>, as in systemd's journal."""

import logging
import sys

_LEVELS = ((logging.ERROR, "<3>"), (logging.WARNING, "<4>"), (logging.INFO, "<6>"), (logging.NOTSET, "<7>"))


class _PrefixFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        prefix = next(prefix for level, prefix in _LEVELS if record.levelno >= level)
        text = super().format(record)
        return "\n".join(prefix + line for line in text.splitlines())


def set_up() -> None:
    """Sends the log of Python modules to stderr, with levels."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrefixFormatter("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
