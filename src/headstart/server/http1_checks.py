"""Why a request over HTTP/1.1 is refused, and how its framing is checked.

Pure: `http1_parser` calls it between the end of the fields and the event that tells of the request.
"""

from __future__ import annotations

from dataclasses import dataclass

from headstart.reasons import Closing
from headstart.wire.events import Fields


@dataclass(frozen=True, slots=True)
class Answer:
    """The response that a client gets before its connection ends."""

    status: int
    text: str
    reason: Closing


class Refused(Exception):
    """Stops the parser."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


def framing_refusal(version: str, fields: Fields, websocket: bool) -> Answer | None:
    """Return the reason to refuse framing that the parser accepts: any coding before chunked, and
    chunked in HTTP/1.0.
    """
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    # RFC 9112, 6.1: what both ends do not read alike smuggles requests. No coding but chunked is
    # spoken here, and HTTP/1.0 has none.
    if codings and (version == "1.0" or [coding.lower() for coding in codings] != [b"chunked"]):
        return Answer(400, "a transfer coding other than chunked", Closing.MALFORMED)
    body = codings or any(n == b"content-length" and v.strip(b"0") for n, v in fields)
    if websocket and body:
        return Answer(400, "a WebSocket does not begin with a body", Closing.MALFORMED)
    return None
