"""The one tree of errors.

    HeadstartError                 everything this package raises on purpose
    ├── ConfigurationError         an option, a file or an address that cannot be used
    ├── LocalProtocolError         our side asked for something HTTP forbids; nothing was sent
    │   └── StreamGoneError        the stream or its connection has ended meanwhile
    └── RemoteProtocolError        the peer broke a rule, or went away before it was done

As in h11, the two protocol errors say whose fault it was. Rooms add their own leaves (a link that
cannot be written, a certificate that cannot be made) below these. Imported by every room; imports
nothing.
"""

from __future__ import annotations


class HeadstartError(Exception):
    """Base of all errors.

    Attributes:
        hint: Advice for the user in one sentence, or "". It is also a note (PEP 678), so a
            traceback shows it; `str(error)` does not include it.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(hint)


class ConfigurationError(HeadstartError):
    """An option, a file or an address that cannot be used as given."""


class LocalProtocolError(HeadstartError):
    """Our side asked for something that HTTP forbids; nothing reached the wire."""


class StreamGoneError(LocalProtocolError):
    """The stream, or its whole connection, ended before the call was made."""


class RemoteProtocolError(HeadstartError):
    """The peer broke a rule of HTTP, or went away before it was done."""
