"""What can go wrong, as ttbatch tells it apart."""


class Refused(Exception):
    """It would fail again in the same way: a setting, a missing class, too little memory. The message is for a person."""


class ProtocolError(Exception):
    """A frame that is not what the protocol says; nothing after it can be trusted."""
