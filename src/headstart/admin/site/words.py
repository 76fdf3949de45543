"""The reasons of refusals in words, for the operator. Pure; called by `rendering`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headstart.learn.explaining import UNTIL
from headstart.reasons import Closing, Refusal

_REFUSALS: Final = {
    Refusal.UNSUPPORTED: "HTTP/1.1, or the server underneath, cannot do it",
    Refusal.PUSH_DISABLED: "the client has switched pushes off",
    Refusal.PUSHED_PARENT: "the page was pushed itself",
    Refusal.PARENT_CLOSED: "the page's response had ended",
    Refusal.CONNECTION_CLOSING: "the connection was closing",
    Refusal.METHOD: "only GET and HEAD can be pushed",
    Refusal.FOREIGN_AUTHORITY: "the asset is on another host",
    Refusal.BAD_PATH: "the path cannot be sent",
    Refusal.FORBIDDEN_FIELD: "a pushed request must not carry such a header",
    Refusal.CREDENTIALS: "a learned push carries no cookies and no passwords",
    Refusal.ALREADY_PUSHED: "the page had pushed it already",
    Refusal.TOO_MANY: "the client accepts no more pushes at once",
    Refusal.ALREADY_HINTED: "the page had its 103 already",
    Refusal.NOT_NAVIGATION: "the browser follows a 103 only when somebody opens a page",
    Refusal.RESPONSE_STARTED: "the page's response had begun",
    Refusal.TOO_LARGE: "the links do not fit into one 103",
    Refusal.NO_LINKS: "there was nothing to hint",
    Refusal.ALREADY_SENT: "the client has it from earlier on this connection",
    Refusal.CONDITIONAL: "the client has the page, and so probably its assets",
    Refusal.IN_DIGEST: "the client says that its cache has it",
    Refusal.IN_COOKIE: "the client was given it on an earlier visit",
    Refusal.NOTHING_KNOWN: "nothing is known of the page, or the client has it all",
    Refusal.CONTROL_VIEW: "a control view gets nothing, for comparison",
    Refusal.NO_SUBRESOURCES: "the client does not load assets: a robot, or a script",
    Refusal.NOT_A_PAGE: "the URL answers with a redirect, an error or a download",
    Refusal.MOSTLY_WASTE: "most of the assets sent with this page were not used",
    Refusal.SLOWER: "views of this page that got something took longer",
    Refusal.IMPROBABLE: "too few clients ask for it with this page",
    Refusal.NOT_FRESH: "its Cache-Control would make browsers fetch it twice",
    Refusal.LINK_ONLY: "Chromium takes such a link from no 103",
    Refusal.NEEDS_NONCE: "the page's security policy asks for a nonce",
    Refusal.POLICY: "the page's security policy forbids it",
    Refusal.APPLICATION_SAYS: "the application names it itself",
    Refusal.APPLICATION_HINTS: "the one 103 was left to the application",
    Refusal.ICON: "browsers ask for icons last",
    Refusal.SAVE_DATA: "the client wants to save data",
    Refusal.TAKES_NO_HINTS: "the browser does not follow a 103",
    Refusal.UNVERIFIED: "no request by a client has shown its cache headers",
    Refusal.NO_KIND: "nothing says how it is used",
    Refusal.OVER_BUDGET: "more important assets took all of the budget",
    Refusal.TOO_FAST: "the page answers as fast as a 103",
    Refusal.RESPONSE_FAILED: "its response is a server error",
}
_CLOSINGS: Final = {
    Closing.CLOSED: "the server was done with the connection",
    Closing.PEER_LEFT: "the client left",
    Closing.PEER_ERROR: "the client says that the server broke a rule",
    Closing.PROTOCOL_ERROR: "the client broke a rule of the protocol",
    Closing.ENGINE_LIMIT: "a bound of the HTTP/2 engine was passed",
    Closing.CONTROL_FLOOD: "too many PING or SETTINGS frames",
    Closing.RESET_FLOOD: "too many streams were reset",
    Closing.CONTINUATION_FLOOD: "one header in too many frames",
    Closing.WINDOW_FLOOD: "windows opened in too small steps",
    Closing.USELESS_FRAMES: "too many frames that ask for nothing",
    Closing.REQUESTS_USED_UP: "the connection had as many requests as it may",
    Closing.IDLE: "nothing was asked for in a long time",
    Closing.PREFACE_TIMEOUT: "the client did not say which protocol it speaks",
    Closing.HEADERS_TIMEOUT: "the headers of a request came too slowly",
    Closing.BODY_TIMEOUT: "the body of a request came too slowly",
    Closing.STALLED: "the client read nothing",
    Closing.UNREACHABLE: "the client could not be reached",
    Closing.DRAINED: "the server stopped when all was done",
    Closing.DRAIN_TIMEOUT: "the server stopped and could not wait",
    Closing.TOO_MANY_CALLS: "too many calls of the application at once",
    Closing.TOO_MANY_STREAMS: "too many streams at once",
    Closing.MALFORMED: "a request that HTTP forbids",
    Closing.TOO_LARGE: "a URL or headers that are too long",
    Closing.VERSION: "a version of HTTP that is not spoken here",
    Closing.PROXY_HEADER: "a wrong PROXY header, or an untrusted sender",
    Closing.HANDSHAKE_FAILED: "the TLS handshake failed",
    Closing.HANDSHAKE_TIMEOUT: "the TLS handshake took too long",
    Closing.TLS_ERROR: "damaged TLS records",
    Closing.TLS_FLOOD: "too many empty TLS records",
    Closing.TOO_MANY_CONNECTIONS: "the process had as many connections as it may",
    Closing.ADDRESS_CONNECTIONS: "the address had as many connections as it may",
    Closing.ADDRESS_RATE: "the address made connections and asked for nothing",
    Closing.MEMORY: "the process used as much memory as it may",
}
# Where "nothing was sent: " and the words above would not fit a whole view.
_WITHHELD: Final = {
    Refusal.NOTHING_KNOWN: "nothing was known of the page, or the client had it all",
    Refusal.CONDITIONAL: "nothing was sent: the client has the page",
    Refusal.CONTROL_VIEW: "nothing was sent: a control view, for comparison",
    Refusal.NO_SUBRESOURCES: "nothing was sent: such clients load no assets",
    Refusal.SLOWER: "nothing was sent: it made this page slower",
    Refusal.MOSTLY_WASTE: "nothing was sent: it was mostly wasted with this page",
}


def refusal(reason: str) -> str:
    """Return why an asset was not sent, in words; the reason itself if it has none."""
    return _by_word(_REFUSALS).get(reason, reason)


def closing(reason: str) -> str:
    """Return why a connection ended or a request was refused, in words."""
    return _by_word(_CLOSINGS).get(reason, reason)


def withheld(reason: str) -> str:
    """Return why nothing was sent with a view, in words."""
    return _by_word(_WITHHELD).get(reason) or f"nothing was sent: {refusal(reason)}"


def metric(name: str) -> str:
    """Return the event until which a duration lasts."""
    return _by_word(UNTIL).get(name, name)


def _by_word(words: Mapping[Any, str]) -> dict[str, str]:
    return {str(reason): said for reason, said in words.items()}
