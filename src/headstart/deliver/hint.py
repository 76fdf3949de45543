"""Send the hints that an application asks for: 103 Early Hints (RFC 8297).

Makes one `http.response.early_hint` message; the server decides and fills in the `Hint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.deliver.asgi import Message, RequestLike, headstart_extension, offers, send_channel
from headstart.deliver.held import HELD, HeldLinks
from headstart.deliver.outcome import Hint
from headstart.reasons import Refusal
from headstart.wire.links import Link, as_link


async def hint(request: RequestLike, *links: Link | str) -> Hint:
    """Send a 103 with all the links together, since browsers read only one.

    Call it before the response starts. Hinted resources must be cacheable, or a browser fetches
    them twice.

    Args:
        request: Of Starlette, FastAPI, Litestar, Quart, or Django under ASGI.
        links: Validated when they are made. A string is a target whose extension tells its use, as
            with `Link.guess`.

    Returns:
        True if it was sent, or if its links go with the page's own response (`linked`, by the
        middleware alone). Otherwise `refusal` says why: the server cannot send it, the request is
        not a navigation, or the response has started.

    Raises:
        LinkError: The name of a target does not tell its use.
        LocalProtocolError: The server takes a 103 and the request has no way to it.
    """
    values = [as_link(link).field_value() for link in links]
    answer = Hint()
    if not values:
        answer.refuse(Refusal.NO_LINKS)
        return answer
    if not offers(request.scope, "http.response.early_hint"):
        _link_instead(request.scope, values, answer)
        return answer
    message: Message = {
        "type": "http.response.early_hint",
        "links": values,
        "headstart": answer,
    }
    await send_channel(request)(message)
    if answer.refusal is None and not answer.linked:
        answer.sent = True
    return answer


def _link_instead(scope: Mapping[str, Any], links: Sequence[bytes], answer: Hint) -> None:
    """Leave the links to the middleware, for the response; refuse them if there is none."""
    held: HeldLinks | None = scope.get(HELD)
    if held is None:
        ours = headstart_extension(scope) is not None
        answer.refuse(Refusal.NOT_NAVIGATION if ours else Refusal.UNSUPPORTED)
    elif held.hold(links):
        answer.link()
    else:
        answer.refuse(Refusal.RESPONSE_STARTED)
