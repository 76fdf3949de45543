"""Pages as they pass, kept until there is time, and then read.

`capture` is asked for each page, and its `Capture` takes references to the body's parts while they
go out: the response is neither changed nor held up. `take` and `read` are called about once a
second, between requests. A page whose bytes have not changed since it was read is not read again.
Owns the captures, bounded in number and bytes. No clock, no I/O; called by the middleware.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from weakref import WeakSet

from headstart.learn import Named, Reading, Trust
from headstart.pages.codings import KNOWN, undo
from headstart.pages.markup import read_markup
from headstart.pages.sheets import Sheets
from headstart.pages.stylesheets import read_stylesheet

MOST_BYTES = 256 * 1024
"""The part of a page that is read, and of its coded body that is kept."""
# All captures together, their number, and the time after which one that does not end is given up.
_MOST_HELD = 768 * 1024
_MOST_CAPTURES = 64
_MOST_SECONDS = 10.0
# Pages that wait to be read. Those that come while as many wait are read at a later view.
_MOST_WAITING = 16
# A body that says it is longer is not captured: its end, which is not read, may name assets too.
_LONGEST_BODY = 2 * 1024 * 1024
# Of a page, this much of its beginning and of its end tell whether it changed, beside its length.
_HEAD, _TAIL = 16 * 1024, 4 * 1024
# Pages whose last state is remembered.
_REMEMBERED = 1000
_CHARSET = re.compile(r"charset=\s*\"?([A-Za-z0-9_:.+-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageHead:
    """A page's response, as far as reading it needs.

    Attributes:
        time: When it began.
        origin: Scheme and authority of the page, or of the stylesheet.
        target: Its path and query.
        voter: A number for the client's address.
        trust: How far it speaks for other clients' copies.
        content_type: The whole field.
        coding: Content-Encoding, or "".
        length: Content-Length, or 0 where that is unknown.
        linked: The assets that the application names for the page beside its HTML, in Link fields
            or in a 103 of its own.
        signature: A hash of the fields that change with a stylesheet's content, or 0.
        is_sheet: It is a stylesheet's response.
    """

    time: float
    origin: str
    target: str
    voter: int
    trust: Trust
    content_type: str = "text/html"
    coding: str = ""
    length: int = 0
    linked: tuple[Named, ...] = ()
    signature: int = 0
    is_sheet: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


class Capture:
    """The beginning of one page's body, or of a stylesheet's.

    Attributes:
        head: The response.
        size: The bytes that are held.
    """

    __slots__ = ("__weakref__", "_done", "_parts", "_reader", "head", "size", "whole")

    def __init__(self, head: PageHead, reader: PageReader) -> None:
        self.head = head
        self.size = 0
        self.whole = False
        self._parts: list[bytes] = []
        self._reader = reader
        self._done = False

    def __del__(self) -> None:
        # The call of a client that left lets go of its capture, and says no more of it.
        self.give_up()

    def add(self, part: bytes, *, more: bool) -> None:
        """Take a part of the body; `more` says whether another one follows."""
        if self._done:
            return
        if part:
            self._parts.append(part)
            self._grow(len(part))
        if self.size > MOST_BYTES:
            # The server may hold all of a long part anyway, but not for as long as it waits here.
            self._parts = [self.body[:MOST_BYTES]]
            self._grow(MOST_BYTES - self.size)
            more = False
        else:
            self.whole = not more
        if self._reader.held > _MOST_HELD:
            self.give_up()
        elif not more:
            self._done = True
            self._reader.wait(self)

    def give_up(self) -> None:
        """Hold nothing any more."""
        self._done = True
        self._reader.forget(self)
        self._parts.clear()
        self._grow(-self.size)

    def _grow(self, size: int) -> None:
        self.size += size
        self._reader.held += size

    @property
    def body(self) -> bytes:
        """Return the bytes held."""
        return b"".join(self._parts)


class PageReader:
    """Reads pages, each when it changed.

    Attributes:
        held: The bytes of all captures.
    """

    def __init__(self) -> None:
        self.held = 0
        self._captures: WeakSet[Capture] = WeakSet()
        self._waiting: dict[tuple[str, str], Capture] = {}
        self._waiting_sheets: dict[tuple[str, str], Capture] = {}
        self._sheets = Sheets()
        # By a hash of the page, since a URL may be long.
        self._states: dict[int, tuple[int, int]] = {}

    def capture(self, head: PageHead) -> Capture | None:
        """Return a reader for a page's or a stylesheet's body, or None if it is not to be read."""
        coding = head.coding.strip().lower()
        media_type = head.content_type.partition(";")[0].strip().lower()
        if media_type != ("text/css" if head.is_sheet else "text/html"):
            return None
        if coding not in KNOWN or head.length > _LONGEST_BODY:
            return None
        if head.is_sheet and self._sheets.is_read(head.origin, head.target, head.signature):
            return None
        if len(self._captures) >= _MOST_CAPTURES or self.held > _MOST_HELD:
            return None
        capture = Capture(head, self)
        self._captures.add(capture)
        return capture

    def forget(self, capture: Capture) -> None:
        """Count a capture no more."""
        self._captures.discard(capture)

    def wait(self, capture: Capture) -> None:
        """Let a capture wait to be read, in place of an earlier one of the same page."""
        head = capture.head
        key = (head.origin, head.target if head.is_sheet else head.path)
        waiting = self._waiting_sheets if head.is_sheet else self._waiting
        if key in waiting or len(waiting) < _MOST_WAITING:
            if (earlier := waiting.get(key)) is not None:
                earlier.give_up()
            waiting[key] = capture
        else:
            capture.give_up()

    def take(self, now: float) -> Iterator[Capture]:
        """Yield waiting bodies, oldest first, and drop those that have not ended in time.

        Stylesheets come before pages, so that a page is read with the fonts of its stylesheets.
        """
        waiting = {*self._waiting.values(), *self._waiting_sheets.values()}
        for capture in list(self._captures):
            if now - capture.head.time > _MOST_SECONDS and capture not in waiting:
                capture.give_up()
        for each in (self._waiting_sheets, self._waiting):
            while each:
                yield each.pop(next(iter(each)))

    def read(self, capture: Capture, is_read: Callable[[str, str], bool]) -> Reading | None:
        """Read a page, or a stylesheet, whose fonts are kept until a page with it is read.

        Args:
            capture: Its body.
            is_read: Tells whether a page was read since the last change of its site.

        Returns:
            None if it was read before and has not changed since, if it cannot be read, or if it is
            a stylesheet.
        """
        head, body = capture.head, capture.body
        capture.give_up()
        if head.is_sheet:
            self._read_sheet(capture, body)
            return None
        alone = head.trust is Trust.SOLE
        page = (head.origin, head.path)
        key = hash(page)
        content_state = hash((body[:_HEAD], body[-_TAIL:], len(body), alone, head.linked))
        state = content_state ^ self._sheets.version_of(key)
        known, reader = self._states.pop(key, (0, 0))
        same = known == state and reader in (0, head.voter)
        # Where a second voter's copy may say more, it is read as well.
        self._states[key] = (state, reader if same else head.voter)
        if len(self._states) > _REMEMBERED:
            del self._states[next(iter(self._states))]
        if same and (is_read(*page) or not alone):
            return None
        undone = undo(body, head.coding.strip().lower(), MOST_BYTES)
        if undone is None:
            return None
        content, whole = undone
        charset = _CHARSET.search(head.content_type)
        url = head.origin + head.target
        markup = read_markup(content, url, charset[1] if charset else "")
        fonts, sheets = self._sheets.fonts_of(key, head.origin, markup.named)
        agreed = alone and (known == state or not markup.others)
        reader = 0 if agreed else self._states[key][1]
        self._states[key] = (content_state ^ self._sheets.version_of(key), reader)
        in_html = {named.target for named in markup.named}
        linked = (named for named in head.linked if named.target not in in_html)
        return Reading(
            time=head.time,
            origin=head.origin,
            path=head.path,
            voter=head.voter,
            trust=head.trust,
            whole=whole and capture.whole,
            named=(*markup.named, *linked, *fonts),
            others=markup.others,
            alternatives=markup.alternatives,
            sheets=sheets,
            # A copy of one client's alone may name what the client gave it.
            icons=markup.icons if alone else (),
        )

    def _read_sheet(self, capture: Capture, body: bytes) -> None:
        head = capture.head
        undone = undo(body, head.coding.strip().lower(), MOST_BYTES)
        if undone is not None:
            content, whole = undone
            whole &= capture.whole
            sheet = read_stylesheet(content, head.origin + head.target, whole=whole)
            self._sheets.keep(head.origin, head.target, sheet, head.signature)
