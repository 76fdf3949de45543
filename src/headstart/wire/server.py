"""The server's side of an HTTP/2 connection: bytes of the client in, events and bytes out.

Reads bytes from the client for `server.http2`, and enforces the limits of the guard on it.
`wire.server_output` has the other direction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias, cast

import ngh2
from ngh2 import (
    ConnectionClosed,
    ErrorCode,
    GoAwayReceived,
    PingReceived,
    Setting,
    SettingsAcknowledged,
    SettingsReceived,
    StreamClosed,
    StreamReset,
)

from headstart.config import WireLimits
from headstart.reasons import Closing, Refusal
from headstart.wire.blocks import RequestRewriter
from headstart.wire.connection import error_name
from headstart.wire.events import (
    ConnectionEnded,
    ConnectionUsedUp,
    DataReceived,
    PingAcknowledged,
    PromiseFailed,
    RequestReceived,
    RequestRefused,
    ServerEvent,
    StreamRefused,
    StreamSet,
    TrailersReceived,
)
from headstart.wire.fields import response_fields
from headstart.wire.frame_checks import LOOKED_AT, WINDOW_UPDATE_SIZE, ClientFrameChecker, Violation
from headstart.wire.guard import FREE_WINDOW_UPDATES, RequestGuard
from headstart.wire.requests import RequestReader
from headstart.wire.server_output import ServerOutput
from headstart.wire.server_settings import LARGEST_WINDOW, is_grpc_pass

_EngineRequest = ngh2.RequestReceived
_TOO_LARGE = 431
# An application is told of so many requests that the client has given up within one segment.
_FEW = 8
_Feed: TypeAlias = Callable[[bytes | memoryview], list[ngh2.Event]]
_OVER_LIMIT = StreamRefused(Closing.TOO_MANY_STREAMS, "REFUSED_STREAM")


class ServerConnection(ServerOutput):
    """The server's side of one connection.

    Args:
        limits: Limits on the client.
        now: Seconds, on the clock of `receive`.
        websockets: Offer WebSockets (RFC 8441, 3).
    """

    __slots__ = (
        "_answered",
        "_blocks",
        "_checker",
        "_finished",
        "_guard",
        "_is_new",
        "_is_special",
        "_known",
        "_limits",
        "_made",
        "_reader",
        "_taken",
        "_used_up",
        "answered",
        "greeted",
        "last_opened",
        "round_trip",
        "takes_hints",
    )

    def __init__(self, limits: WireLimits, now: float, *, websockets: bool = False) -> None:
        super().__init__(limits, websockets=websockets)
        self._limits = limits
        self._reader = RequestReader(limits)
        self._checker = ClientFrameChecker(self._streams, FREE_WINDOW_UPDATES)
        self._blocks = RequestRewriter(2 * limits.max_header_count)
        self._guard = RequestGuard(limits, self._checker, now)
        self._answered = 0
        """Requests whose streams ended as they should."""
        self._used_up: ConnectionUsedUp | None = None
        """The client went beyond a limit: no more streams are taken."""
        self._taken = 0
        """Streams that had been opened then."""
        self._finished: StreamSet = {}
        """Streams that the client reset once the whole response was written."""
        self._is_new = True
        """The client had not acknowledged our SETTINGS when we last wrote."""
        self._is_special = True
        """It is new, or `_used_up`."""
        self._known = 0
        """Streams, while it is new, of which the engine told or we did."""
        self.last_opened = 0
        """The highest stream that the client opened, though it may have been refused."""
        self.answered = 0
        """PING and SETTINGS frames that came; the engine answers each."""
        self.greeted = False
        """The client has acknowledged our SETTINGS, so that their limits hold (RFC 9113, 6.5.3)."""
        self._made = now
        self.round_trip: float | None = None
        """Seconds of one round trip: of the TLS handshake, if the caller says so; else what the
        client took to acknowledge our SETTINGS.
        """
        self.takes_hints = True
        """False for a client that is known to fail on a 103."""

    @property
    def unfinished(self) -> int | None:
        """A number for the frame or header section that has begun and not ended; None for none."""
        return self._checker.unfinished

    def _rewriting(self, ahead: int) -> _Feed:
        """Feed a segment in which a header block is new, without blanks around its values."""
        self._checker.repeats.fresh = False
        self._blocks.begin(ahead)
        return self._feed_rewritten

    def _feed_rewritten(self, data: bytes | memoryview) -> list[ngh2.Event]:
        rewritten = self._blocks.rewrite(data)
        if self._blocks.held:
            self._checker.repeats.fresh = True  # the next segment goes on with it
        return self._feed(rewritten)

    def _feed_apart(self, data: bytes | memoryview, feed: _Feed) -> list[ngh2.Event]:
        """Feed a segment, but for frames that would open a stream's window too far.

        Those reset the stream (RFC 9113, 6.9.1); the engine would end the connection.
        """
        widenings, self._checker.widenings = self._checker.widenings, []
        begins_at = self._checker.total - len(data)
        events: list[ngh2.Event] = []
        begin = 0
        for widening in widenings:
            end = widening.at - begins_at
            if end < begin:
                continue  # the engine has its first octets already
            events += feed(data[begin:end])
            begin = end
            windows = self.windows(widening.stream)
            if windows is not None and windows[0] + widening.increment > LARGEST_WINDOW:
                begin += WINDOW_UPDATE_SIZE
                self.refuse(widening.stream, ErrorCode.FLOW_CONTROL_ERROR)
        return events + feed(data[begin:])

    def first_part(self, data: bytes | memoryview) -> int:
        """How many bytes of a segment `receive` should be given in this turn of the loop."""
        return len(data) if len(data) <= LOOKED_AT else self._checker.first_part(data)

    def receive(self, data: bytes | memoryview, now: float) -> list[ServerEvent]:
        """Take bytes from the client; never raises on them."""
        checker = self._checker
        ahead = checker.ahead
        offence = checker.walk(data)
        self.last_opened = checker.last
        ended = self.ended
        if ended is not None:
            return []  # RFC 9113, 6.8: after GOAWAY for an error, frames are discarded
        events: list[ServerEvent] = []
        reset_now: Collection[int] = ()
        # Most segments have nothing but requests, and most connections nothing that is special.
        looked = checker.looked or self._is_special
        if looked:
            reset_now = self._look(offence, events, now)
        if looked or ahead:
            self._gate.page = 0  # a PRIORITY_UPDATE may have come, or the rest of one
        if checker.last != self._guard.marked:
            self._guard.opened(now)
        failed = self._failed
        # Attributes and no properties: this is asked of each segment.
        fresh = checker.repeats.fresh or checker.rest
        # Methods are called where they are looked up: a segment is mostly one request, and to make
        # a bound method of each costs more than the call.
        engine_events = (
            self._feed_unlike(data, ahead if fresh else None, looked)
            if fresh or looked
            else self._feed(data)
        )
        reader, since = self._reader, checker.repeats.since
        for event in engine_events:
            # A `match`, isinstance, or a call for each request would cost more than this.
            if type(event) is not _EngineRequest:
                self._translate(event, events, now)
                if self.ended is not None:
                    break  # what came behind that is too late
                continue
            if self._used_up is not None:
                continue  # the engine closes the stream when it has written the GOAWAY
            stream_id = self.last_peer_stream = event.stream_id
            request = reader.read(stream_id, event.headers, event.end_stream, since)
            if reset_now and stream_id in reset_now:
                self._streams[stream_id] = b""  # given up before anybody saw it
                continue
            if type(request) is RequestReceived or not isinstance(request, RequestRefused):
                self._streams[stream_id] = request.authority
            else:
                self._refuse(request, len(event.headers), events, now)
            events.append(request)
        if self._failed and not failed and self.ended is not None:
            events.append(self.ended)
        return events

    def _look(
        self, offence: Violation | None, events: list[ServerEvent], now: float
    ) -> Collection[int]:
        """Judge a segment, and note which responses were written before its resets.

        Returns:
            The streams that it reset, if an application should not be told of them.
        """
        checker = self._checker
        if offence is not None or checker.due or self._used_up is not None:
            self._judge(offence, events, now)
        resets = checker.resets
        if resets:
            open_ = [number for number in resets if number in self._streams]  # 0 is in error
            written = (number for number in open_ if self.is_response_written(number))
            self._finished.update(dict.fromkeys(written))
        return resets if len(resets) > _FEW else ()

    def _feed_unlike(
        self, data: bytes | memoryview, ahead: int | None, looked: bool
    ) -> list[ngh2.Event]:
        """Feed a segment that has other frames than repeated requests.

        Args:
            ahead: Its bytes that belong to the frame before; None if no header block is new.
            looked: Its frames were looked at one by one.
        """
        feed = self._feed if ahead is None else self._rewriting(ahead)
        return self._feed_looked(data, feed) if looked else feed(data)

    def _feed_looked(self, data: bytes | memoryview, feed: _Feed) -> list[ngh2.Event]:
        events = self._feed_apart(data, feed) if self._checker.widenings else feed(data)
        if self._is_new:
            self._known += sum(type(event) is _EngineRequest for event in events)
        return events

    @property
    def owes_output(self) -> bool:
        """Return true if there are bytes to write, or `after_output` may have something to tell."""
        return (
            self._is_new or self.goaway or self.ended is not None or bool(self._engine.want_write)
        )

    def after_output(self, now: float, watched: bool = True) -> list[ServerEvent]:
        """Return the events caused by writing: closed streams, promises that could not be sent.

        Args:
            now: Seconds.
            watched: Report streams that ended normally, too.
        """
        if self._is_new:
            return self._brought_about_at_first(now)
        events = self._engine.events()
        if self._leaks:
            return self._brought_about(events, now)
        # To load an attribute touches its object. Those of a hundred connections do not fit into
        # the processor's caches, so none is loaded here that most connections do not need.
        streams, promises = self._streams, self._promises
        for event in events:
            # Streams that ended as they should, which is nearly all of it, are noted here; in
            # general and one by one they would cost half a microsecond. What is noted twice then
            # is noted the same.
            if type(event) is not StreamClosed or event.error_code or event.local_error is not None:
                return self._brought_about(events, now)
            stream_id = event.stream_id
            streams.pop(stream_id, None)
            if promises:
                self._promised.pop(stream_id, None)
                self._pushed.discard(stream_id)
        self._answered += len(events)
        return cast("list[ServerEvent]", events) if watched else []

    def _brought_about(self, engine_events: list[ngh2.Event], now: float) -> list[ServerEvent]:
        events: list[ServerEvent] = []
        for event in engine_events:
            if type(event) is StreamClosed:
                self._closed(event, events, now)
            else:
                self._translate(event, events, now)
        return events

    def _brought_about_at_first(self, now: float) -> list[ServerEvent]:
        """Like `_brought_about`, until our SETTINGS are acknowledged; reports refused streams, too.

        Those the engine refuses without an event, until the client has acknowledged the limit; from
        then on, one stream over it ends the connection.
        """
        events = self._brought_about(self._engine.events(), now)
        if self.ended is None and not self.goaway:
            # The last header section may not have come as a whole.
            cut = self._checker.unfinished is not None
            over = max(0, self._checker.opened - self._known - cut)
            self._known += over
            events += [_OVER_LIMIT] * over
        self._is_new = not self.greeted
        self._is_special = self._is_new or self._used_up is not None
        return events

    def _refuse(
        self, request: RequestRefused, count: int, events: list[ServerEvent], now: float
    ) -> None:
        """Answer a request with so many fields that nobody else will see."""
        self._streams[request.stream_id] = b""
        if request.status == _TOO_LARGE:
            self._take_no_more(self._guard.too_large(now, count), events)
        fields = response_fields(request.status, [(b"content-length", b"0")])
        try:
            self._engine.send_response(request.stream_id, fields, end_stream=True)
        except ngh2.NGH2Error:
            return  # the client has reset it already, in the same segment

    def _translate(self, event: ngh2.Event, events: list[ServerEvent], now: float) -> None:
        match event:
            case StreamClosed():
                self._closed(event, events, now)
            case StreamReset(stream_id=stream_id):
                events.append(event)
                self._reset_by_client(stream_id, events, now)
            case TrailersReceived() | PingAcknowledged():
                events.append(event)
            case DataReceived():
                size = len(event.data)
                self._held += size
                self.received += size
                events.append(event)
            case SettingsAcknowledged():
                self.greeted, self.round_trip = True, self.round_trip or now - self._made
            case SettingsReceived():
                self._settings_received(event)
                events.append(event)
                self._control_frame(now, events)
            case PingReceived():
                self._control_frame(now, events)
            case GoAwayReceived():
                self._goaway_received(event)
                events.append(event)
            case ConnectionClosed() if self.ended is None:
                events.append(self._engine_closed(event))
            case _:
                pass  # acknowledgements, window updates, extensions: the engine acts on them

    def _reset_by_client(self, stream_id: int, events: list[ServerEvent], now: float) -> None:
        """Count a reset, except for harmless ones.

        A client may cancel a promised stream (RFC 9113, 8.4.2), and the rest of an upload whose
        response is written, as Go's net/http does. If we reset the stream first, it could not know;
        if the stream has closed, the checker counts the reset.
        """
        is_ours = stream_id in self._accounted
        if stream_id in self._streams or stream_id in self._pushed:
            self._accounted[stream_id] = None
            self._leaks = True
        if not is_ours and stream_id in self._streams and stream_id not in self._finished:
            self._take_no_more(self._guard.reset(stream_id, now, self._answered), events)

    def _closed(self, event: StreamClosed, events: list[ServerEvent], now: float) -> None:
        stream_id, error_code = event.stream_id, event.error_code
        authority = self._streams.pop(stream_id, None)
        was_no_request = authority is None and stream_id % 2 == 1
        if was_no_request:
            self._known += 1  # it was reset before it was a request
        if self._finished:
            self._finished.pop(stream_id, None)
        if self._pushed:
            self._pushed.discard(stream_id)
        if self._promised:
            self._promised.pop(stream_id, None)
        if event.local_error is not None and isinstance(event.local_error, ngh2.PushDisabledError):
            events.append(PromiseFailed(stream_id, Refusal.PUSH_DISABLED))
        events.append(event)
        if error_code or self._leaks:
            self._leaks = True
            self._mend_window()
        if self._accounted and stream_id in self._accounted:
            self._accounted.pop(stream_id, None)
        elif self._used_up is not None:
            pass  # nothing is held against it any more, but for what it opens
        elif (error_code or was_no_request) and event.local_error is None and authority != b"":
            # The engine reset it for the client's mistake (CVE-2025-8671), not for ours. A client
            # that ends its upload early has the right to once it has the response. One that resets
            # a malformed request itself, with any code, made the mistake all the same.
            if error_code == ErrorCode.REFUSED_STREAM:  # which is `refuse`
                self._take_no_more(self._guard.refused(now), events)
                return
            if stream_id % 2:
                detail = f"reset with {error_name(error_code)}"
                events.append(StreamRefused(Closing.MALFORMED, detail))
            self._take_no_more(self._guard.mistake(now), events)
        elif not error_code:
            self._answered += 1

    def _settings_received(self, event: SettingsReceived) -> None:
        settings = event.settings
        if Setting.ENABLE_PUSH in settings:
            self.push_enabled = settings[Setting.ENABLE_PUSH] == 1
        if Setting.MAX_CONCURRENT_STREAMS in settings:
            self._gate.limit(settings[Setting.MAX_CONCURRENT_STREAMS])
        if settings.get(Setting.INITIAL_WINDOW_SIZE, 0) > LARGEST_WINDOW // 2:
            self._checker.wide = 1
        if is_grpc_pass(settings):
            self.takes_hints = False

    def _engine_closed(self, event: ConnectionClosed) -> ConnectionEnded:
        """See `Connection._engine_closed`; where a limit was the reason, that is said."""
        if self._used_up is not None and self.ended is None and not event.error_code:
            self.ended = ConnectionEnded(0, self._used_up.reason)
        return super()._engine_closed(event)

    def _control_frame(self, now: float, events: list[ServerEvent]) -> None:
        """Handle a control frame, which the engine acknowledges."""
        self.answered += 1
        moved = self.written + self.received
        self._hold_against(self._guard.control_frame(now, self._sends, moved), events)

    def _judge(self, offence: Violation | None, events: list[ServerEvent], now: float) -> None:
        """Close the connection for an error that the checker found, before the engine sees it."""
        if offence is not None:
            if self.ended is None:
                self._end(offence.error_code, offence.reason, offence.detail, events)
            return
        if self._checker.due:
            self._hold_against(self._guard.judge(now, self._sends, self.written), events)
        if self._used_up is not None:
            more = self._checker.opened - self._taken
            if more > self._limits.max_resets:
                self._hold_against(self._used_up.reason, events)  # it takes no hint

    def _take_no_more(self, reason: Closing | None, events: list[ServerEvent]) -> None:
        """Refuse new streams if the guard found a reason to; open ones go on.

        A client that others share, such as a proxy, opens another connection, on which it can
        repeat the refused requests (RFC 9113, 6.8).
        """
        if reason is None or self._used_up is not None or self.ended is not None:
            return
        try:
            self._engine.send_goaway(last_stream_id=self.last_peer_stream)
        except ngh2.NGH2Error:
            return  # the engine is ending the connection; the event that says so is still to come
        self._taken = self._checker.opened
        self.goaway = True
        self._used_up = ConnectionUsedUp(reason)
        self._is_special = True
        events.append(self._used_up)

    def _hold_against(self, reason: Closing | None, events: list[ServerEvent]) -> None:
        """Close the connection if the guard found a reason to."""
        if reason is not None and self.ended is None:
            self._end(ErrorCode.ENHANCE_YOUR_CALM, reason, "", events)

    def _end(
        self, error_code: ErrorCode, reason: Closing, detail: str, events: list[ServerEvent]
    ) -> None:
        events.append(self.close(error_code, reason, detail))
        self._engine.events()
