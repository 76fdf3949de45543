"""Assets that an application names for its page itself, in its own 103 or in Link headers.

They count more than learned assets. The application's 103 goes out as the one 103 of the page, if
it comes in time and the client can use it. Otherwise its links go with the page's response. `visit`
makes one `OwnAssets` for each view of a page.
"""

from __future__ import annotations

from collections.abc import Iterable

from headstart.deliver.asgi import Message, Scope, Send, headstart_extension, offers
from headstart.deliver.outcome import Hint
from headstart.deliver.own_links import OwnLink, own_links
from headstart.learn import Kind, Named
from headstart.reasons import Refusal

_KINDS = frozenset(Kind)
_HINT = "http.response.early_hint"


class OwnAssets:
    """The assets that the application has named for one view of its page so far.

    Args:
        scope: Of the page's request. From now on it offers the extension for 103s, whether the
            server has it or not: links that no 103 can carry go into Link headers.
        page: The page's URL.
        useful: The client can use a 103.

    Attributes:
        page: The page's URL.
        links: Values of Link headers that wait for the response.
        said: The preloads of the page's own origin that it named, by path and query.
        hinted: It asked for a 103.
    """

    __slots__ = ("_offered", "_ours", "_useful", "hinted", "links", "page", "said")

    def __init__(self, scope: Scope, page: str, *, useful: bool) -> None:
        self.page = page
        self._useful = useful
        self._offered = offers(scope, _HINT)
        extensions = scope.get("extensions") or {}
        self._ours = headstart_extension(scope) is not None
        self.links: list[bytes] = []
        self.said: dict[str, OwnLink] = {}
        self.hinted = False
        if not self._offered:
            scope["extensions"] = {**extensions, _HINT: {}}

    async def hint(self, message: Message, send: Send, *, sent: bool, more: list[bytes]) -> bool:
        """Take a 103 of the application's.

        Args:
            message: The application's.
            send: The server's.
            sent: A 103 went out for this page before.
            more: Learned links to send along, if it becomes the one 103.

        Returns:
            Whether a 103 went out with them.
        """
        given = message.get("headstart")
        hint = given if isinstance(given, Hint) else Hint()
        links = [bytes(link) for link in message["links"]]
        self.hinted = True
        self.said.update((link.target, link) for link in own_links(links, self.page))
        # Our server adds to a 103 that has not left yet; browsers read no second one.
        if self._offered and self._useful and (self._ours or not sent):
            await send({**message, "links": [*links, *more], "headstart": hint})
            if hint.refusal is not Refusal.ALREADY_HINTED:
                return hint.refusal is None
        self.links += links
        hint.link()
        return False

    def say(self, values: Iterable[bytes]) -> list[OwnLink]:
        """Take the Link headers of the application's response; return the preloads in them.

        Links that its 103 named already are left out.
        """
        values = list(values)
        found = own_links(values, self.page)
        self.said.update((link.target, link) for link in found)
        said = set(values)
        self.links = [link for link in self.links if link not in said]
        return found

    def named(self) -> tuple[Named, ...]:
        """Return the assets that it named, in the form that the page reader uses."""
        return tuple(_named(link) for link in self.said.values() if link.kind in _KINDS)


def _named(own: OwnLink) -> Named:
    def given(name: str) -> str:
        return own.link.get(name) or ""

    credentials = given("crossorigin") == "use-credentials"
    cors = own.link.get("crossorigin") is not None or own.kind == Kind.FONT
    priority = given("fetchpriority")
    return Named(
        own.target,
        Kind(own.kind),
        module=own.module,
        crossorigin="use-credentials" if credentials else "anonymous" if cors else "",
        integrity=given("integrity"),
        fetchpriority="high" if priority == "high" else "low" if priority == "low" else "",
        media=given("media"),
        imagesrcset=given("imagesrcset"),
        imagesizes=given("imagesizes"),
    )
