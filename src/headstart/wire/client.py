"""The client's side of an HTTP/2 connection, with the gate for promises.

Reads bytes from the server and calls from `client.connection`; returns events and bytes. Promises
that RFC 9113, 8.4 forbids are reset here, with the reason, and never reported. `wire.server_frames`
reads the frames ahead of the engine, which refuses promises on streams that this side has ended,
and closes the connection for one on a pushed stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import ngh2
from ngh2 import (
    ConnectionClosed,
    ErrorCode,
    GoAwayReceived,
    PingReceived,
    PushedStreamReceived,
    Setting,
    SettingsReceived,
    StreamClosed,
    StreamReset,
)

from headstart.config import ClientLimits
from headstart.errors import StreamGoneError
from headstart.reasons import Closing, Refusal
from headstart.wire.asking import MOST_SENT, RequestSections, sendable
from headstart.wire.blocks import TOO_LONG, BlockRewriter
from headstart.wire.connection import Connection
from headstart.wire.events import (
    ClientEvent,
    DataReceived,
    Fields,
    InformationalResponseReceived,
    PingAcknowledged,
    PromiseReceived,
    PromiseRefused,
    ResponseReceived,
    TrailersReceived,
)
from headstart.wire.fields import checked_fields, valid_target
from headstart.wire.guard import FREE_WINDOW_UPDATES, Guard
from headstart.wire.server_frames import ServerFrameChecker

# RFC 9113, 6.5.2: what an entry counts for besides its octets.
_ENTRY_OVERHEAD = 32
_DEFAULT_PORTS = {b"https": b":443", b"http": b":80"}
# Promises above those that may be accepted of which neither the response nor our refusal has gone
# through. A server that does not read our refusals makes us keep them: 110 bytes for 17 of its own.
_REFUSALS_KEPT = 2000
_CONTINUATIONS = 32
# Bytes of a section that is kept to be compared with the next one.
_SHORT = 4096
# A response to a condition or a range does not fit a plain request for the same target.
_CONDITIONAL = frozenset(
    {
        b"expect",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A request that was made over HTTP/1.1, and is stream 1 of HTTP/2 now (RFC 7540, 3.2)."""

    method: str
    scheme: bytes
    authority: bytes


class ClientConnection(Connection):
    """The client's side of one connection.

    Args:
        limits: Limits on the server.
        push: Allow the server to push (RFC 9113, 6.5.2).
        now: Seconds, on the clock of `receive`.
        upgraded: The upgrade that the connection began with; None for prior knowledge. The request
            carried `settings_payload`.
    """

    __slots__ = (
        "_blocks",
        "_checker",
        "_fitting",
        "_guard",
        "_informed",
        "_limits",
        "_origins",
        "_problems",
        "_promised",
        "_sections",
        "_sends",
        "_upgraded",
        "last_stream_id",
        "refused_promises",
    )

    def __init__(
        self, limits: ClientLimits, push: bool, now: float, upgraded: Upgraded | None = None
    ) -> None:
        self._upgraded = upgraded
        super().__init__(
            ngh2.Role.CLIENT,
            _configuration(limits),
            _settings(limits, push),
            limits.connection_window,
        )
        self._limits = limits
        self._checker = ServerFrameChecker(push, self._is_live, FREE_WINDOW_UPDATES)
        self._guard = Guard(limits, self._checker, now)
        self._blocks = BlockRewriter(_most_fields(limits))
        self._sections = RequestSections()
        self._fitting: tuple[tuple[bytes, bytes], ...] = ()
        """The last section of a response that was within the limits, if it is short."""
        self._sends = 0
        """Parts of bodies that were sent."""
        self._origins: dict[int, tuple[bytes, bytes]] = {}
        """Streams that we opened and that have not closed -> scheme and authority."""
        self._promised: set[int] = set()
        """Promised streams that have not closed."""
        self._informed: Counter[int] = Counter()
        """Such a stream -> how many 1xx came on it."""
        self._problems: dict[int, str] = {}
        """Such a stream -> what is wrong with its response, of which nothing more is shown."""
        self.last_stream_id: int | None = None
        """From the server's GOAWAY: our streams above it were not processed (RFC 9113, 6.8)."""
        self.refused_promises: Counter[Refusal] = Counter()
        if upgraded is not None:
            self._origins[1] = upgraded.scheme, bare_authority(upgraded.scheme, upgraded.authority)
            self._checker.asked(1)

    def _begin(self, settings: Mapping[int, int]) -> None:
        if self._upgraded is None:
            super()._begin(settings)
            return
        # The engine sends the same settings once more, behind the preface, as it must.
        payload = ngh2.pack_settings_payload(settings)
        self._engine.initiate_upgrade(payload, head_request=self._upgraded.method == "HEAD")

    # In.

    def receive(self, data: bytes | memoryview, now: float) -> list[ClientEvent]:
        """Take bytes from the server; never raises on them."""
        events: list[ClientEvent] = []
        if self.ended is None:
            offence = self._checker.walk(data)
            if offence is not None:
                self._end(offence.error_code, offence.reason, offence.detail, events)
            if self._checker.due:
                self._hold_against(self._guard.judge(now, self._sends, self.written), events)
        failed = self._failed
        if self.ended is None:
            data = self._blocks.rewrite(data)
        for event in self._feed(data):
            self._translate(event, events, now)
        self._blocks.forget_long()
        if self._failed and not failed and self.ended is not None:
            events.append(self.ended)
        return events

    def _hold_against(self, reason: Closing | None, events: list[ClientEvent]) -> None:
        """Close the connection if the guard found a reason to."""
        if reason is not None and self.ended is None:
            self._end(ErrorCode.ENHANCE_YOUR_CALM, reason, "", events)

    def _control_frame(self, now: float, events: list[ClientEvent]) -> None:
        """Handle a control frame, which the engine acknowledges."""
        moved = self.written + self.received
        self._hold_against(self._guard.control_frame(now, self._sends, moved), events)

    def _end(
        self, error_code: ErrorCode, reason: Closing, detail: str, events: list[ClientEvent]
    ) -> None:
        events.append(self.close(error_code, reason, detail))
        self._engine.events()  # nothing happens any more behind the end

    def after_output(self, now: float) -> list[ClientEvent]:
        """Return the events caused by writing: closed streams, the end of the connection."""
        events: list[ClientEvent] = []
        for event in self._engine.events():
            self._translate(event, events, now)
        return events

    def _is_live(self, stream_id: int) -> bool:
        return stream_id in self._origins or stream_id in self._promised

    @property
    def _is_idle(self) -> bool:
        return not (self._origins or self._promised)

    def take_problem(self, stream_id: int) -> str:
        """Why a closed stream's response was refused here, "" where it was not; told once."""
        return self._problems.pop(stream_id, "")

    def _translate(self, event: ngh2.Event, events: list[ClientEvent], now: float) -> None:
        match event:
            case DataReceived():
                self._held += len(event.data)
                self.received += len(event.data)
                if event.stream_id in self._problems:
                    self.acknowledge(len(event.data), event.stream_id)
                else:
                    events.append(event)
            case ngh2.ResponseReceived() | ngh2.InformationalResponseReceived():
                events += self._response(event)
            case StreamClosed():
                self._closed(event)
                events.append(event)
            case PushedStreamReceived():
                events.append(self._promise(event))
                if len(self._promised) > _most_promised(self._limits):
                    self._hold_against(Closing.USELESS_FRAMES, events)
            case TrailersReceived(stream_id=stream_id) if stream_id in self._problems:
                pass
            case TrailersReceived(stream_id=stream_id, headers=headers):
                # RFC 9110, 6.5.1: trailers may be dropped.
                trailers = [one for one in self._blocks.restored(headers) if one[0] != TOO_LONG]
                events.append(TrailersReceived(stream_id, tuple(trailers)))
            case StreamReset():
                events.append(event)
            case _:
                self._translate_rest(event, events, now)

    def _translate_rest(self, event: ngh2.Event, events: list[ClientEvent], now: float) -> None:
        """Translate an event of the connection, not of a stream."""
        match event:
            case PingAcknowledged():
                events.append(event)
            case SettingsReceived():
                events.append(event)
                self._control_frame(now, events)
            case PingReceived():
                self._control_frame(now, events)
            case GoAwayReceived():
                self._goaway_received(event)
                self.last_stream_id = event.last_stream_id
                events.append(event)
            case ConnectionClosed() if self.ended is None:
                events.append(self._engine_closed(event))
            case _:
                pass  # acknowledgements, window updates, extensions: the engine acts on them

    def _response(
        self, event: ngh2.ResponseReceived | ngh2.InformationalResponseReceived
    ) -> list[ClientEvent]:
        stream_id = event.stream_id
        headers = self._blocks.restored(event.headers)
        if stream_id in self._problems:
            return []
        # Servers repeat themselves, and to compare takes a tenth of the time to add up.
        is_known = headers == self._fitting and not self._blocks.has_long_names
        if not (is_known or self._within_limits(stream_id, headers)):
            return []
        # The engine has checked the status, 100 to 999, which comes first (RFC 9113, 8.3.2).
        status, fields = int(headers[0][1]), list(headers[1:])
        if isinstance(event, ngh2.ResponseReceived):
            return [ResponseReceived(stream_id, status, fields, event.end_stream)]
        if not self._count_informational(stream_id):
            return []
        return [InformationalResponseReceived(stream_id, status, fields)]

    def _closed(self, event: StreamClosed) -> None:
        self._origins.pop(event.stream_id, None)
        self._promised.discard(event.stream_id)
        self._informed.pop(event.stream_id, None)
        self._checker.closed(event.stream_id)
        self._leaks = self._leaks or event.error_code != 0
        if self._leaks:
            self._mend_window()

    def _within_limits(self, stream_id: int, headers: tuple[tuple[bytes, bytes], ...]) -> bool:
        limits = self._limits
        if len(headers) > limits.max_header_count:
            return self._refuse(stream_id, f"more than {limits.max_header_count} fields")
        size = sum([len(name) + len(value) + _ENTRY_OVERHEAD for name, value in headers])
        if size > limits.max_header_size:
            return self._refuse(stream_id, f"fields of more than {limits.max_header_size} bytes")
        if self._blocks.has_long_names and any(name == TOO_LONG for name, _ in headers):
            return self._refuse(stream_id, "a field name of more than 65536 bytes")
        if size <= _SHORT:
            self._fitting = headers
        return True

    def _count_informational(self, stream_id: int) -> bool:
        self._informed[stream_id] += 1
        if self._informed[stream_id] > self._limits.max_informational:
            return self._refuse(stream_id, "too many informational responses")
        return True

    def _refuse(self, stream_id: int, problem: str) -> bool:
        self._problems[stream_id] = problem
        self.reset(stream_id, ErrorCode.CANCEL)
        return False

    # The gate for promises.

    def _promise(self, event: PushedStreamReceived) -> PromiseReceived | PromiseRefused:
        parent_id, promised_id = event.stream_id, event.promised_stream_id
        self.last_peer_stream = max(self.last_peer_stream, promised_id)
        pseudo = {name: value for name, value in event.headers if name[:1] == b":"}
        fields = [pair for pair in self._blocks.restored(event.headers) if pair[0][:1] != b":"]
        self._promised.add(promised_id)
        refusal = self._refusal(parent_id, pseudo, fields)
        if refusal is not None:
            self.refused_promises[refusal] += 1
            self.reset(promised_id, _code_for(refusal))
            return PromiseRefused(parent_id, promised_id, refusal)
        return PromiseReceived(
            parent_id,
            promised_id,
            pseudo[b":method"].decode("ascii"),
            pseudo[b":scheme"],
            pseudo[b":authority"],
            pseudo[b":path"],
            fields,
        )

    def _refusal(
        self, parent_id: int, pseudo: dict[bytes, bytes], fields: Fields
    ) -> Refusal | None:
        """Why a promise is not accepted (RFC 9113, 8.4)."""
        origin = self._origins.get(parent_id)
        if origin is None:
            return Refusal.PARENT_CLOSED
        if pseudo.get(b":method") not in (b"GET", b"HEAD"):
            return Refusal.METHOD
        scheme = pseudo.get(b":scheme", b"")
        if (scheme, bare_authority(scheme, pseudo.get(b":authority", b""))) != origin:
            return Refusal.FOREIGN_AUTHORITY
        if not valid_target(pseudo.get(b":path", b"")):
            return Refusal.BAD_PATH
        if any(_forbidden(name, value) for name, value in fields):
            return Refusal.FORBIDDEN_FIELD
        if len(self._promised) > self._limits.max_pushes:
            return Refusal.TOO_MANY
        return None

    # Out.

    def request(
        self,
        method: str,
        scheme: bytes,
        authority: bytes,
        target: bytes,
        headers: Iterable[Iterable[bytes]],
        end_stream: bool,
        protocol: bytes = b"",
    ) -> int:
        """Open a stream with a request (RFC 9113, 8.3.1); `send_data` follows unless `end_stream`.

        Where the server's MAX_CONCURRENT_STREAMS is reached, the engine holds the request back.

        Args:
            headers: Names in any case; connection-specific fields are dropped.
            protocol: Makes it an extended CONNECT for this protocol, whatever `method` says. The
                server must have offered that (RFC 8441, 4).

        Raises:
            LocalProtocolError: Something in it HTTP forbids.
            StreamGoneError: The connection takes no new requests.
        """
        given = "GET" if protocol else method
        fields = self._sections.section(given, scheme, authority, target, headers)
        if protocol:
            fields[:1] = [(b":method", b"CONNECT"), (b":protocol", protocol)]
        if self.goaway or self.ended is not None:
            raise StreamGoneError("the connection takes no new requests")
        try:
            stream_id = self._engine.send_request(fields, end_stream=end_stream)
        except ngh2.NGH2Error as error:
            raise StreamGoneError(str(error)) from error
        self._origins[stream_id] = (scheme, bare_authority(scheme, authority))
        self._checker.asked(stream_id)
        return stream_id

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool) -> None:
        """Queue a part of a body; see `Connection.send_data`."""
        super().send_data(stream_id, data, end_stream)
        self._sends += 1

    def send_trailers(self, stream_id: int, headers: Iterable[Iterable[bytes]]) -> None:
        """End a body with trailers; see `Connection.send_trailers`."""
        super().send_trailers(stream_id, sendable(checked_fields(headers, [])))

    def ping(self, payload: bytes) -> None:
        """Send a PING; see `Connection.ping`."""
        super().ping(payload)
        self._checker.pinged()


def settings_payload(limits: ClientLimits, push: bool) -> bytes:
    """Return the content of HTTP2-Settings for such a connection, before base64 (RFC 7540)."""
    return ngh2.pack_settings_payload(_settings(limits, push))


def bare_authority(scheme: bytes, authority: bytes) -> bytes:
    """Return an authority to compare: lower case, without the default port (RFC 9110, 4.2.3)."""
    return authority.lower().removesuffix(_DEFAULT_PORTS.get(scheme, b":"))


def _forbidden(name: bytes, value: bytes) -> bool:
    """Return true if the field implies content (RFC 9113, 8.4), a condition or a range.

    Nor is a field taken whose name was too long to be read.
    """
    if name == b"content-length":
        return value.strip() != b"0"
    return name in _CONDITIONAL or name == TOO_LONG


def _code_for(refusal: Refusal) -> ErrorCode:
    # RFC 9113, 8.4 and 8.4.2: what is forbidden is a stream error, what is unwanted is cancelled.
    if refusal in (Refusal.TOO_MANY, Refusal.PARENT_CLOSED):
        return ErrorCode.REFUSED_STREAM
    return ErrorCode.PROTOCOL_ERROR


def _configuration(limits: ClientLimits) -> ngh2.Configuration:
    return ngh2.Configuration(
        auto_window_update=False,
        # Its own estimate counts less than `_ENTRY_OVERHEAD` for a field, but must never decide.
        max_send_header_block_length=2 * MOST_SENT,
        # The checker allows fewer; here are those that `wire.blocks` makes, too.
        max_continuations=_CONTINUATIONS,
        # Above our own limits, which harm one stream where the engine's end the connection.
        max_inbound_header_list_size=2 * limits.max_header_size,
        max_inbound_header_count=_most_fields(limits),
        # The engine would refuse those above without telling us, and bear any number of them.
        max_reserved_remote_streams=_most_promised(limits) + 1,
    )


def _most_fields(limits: ClientLimits) -> int:
    return 2 * limits.max_header_count


def _most_promised(limits: ClientLimits) -> int:
    return limits.max_pushes + _REFUSALS_KEPT


def _settings(limits: ClientLimits, push: bool) -> dict[int, int]:
    settings: dict[int, int] = {
        Setting.ENABLE_PUSH: int(push),
        Setting.INITIAL_WINDOW_SIZE: limits.stream_window,
        Setting.MAX_HEADER_LIST_SIZE: limits.max_header_size,
    }
    if push:
        # It bounds pushed streams that are open; those only reserved are counted by the gate.
        settings[Setting.MAX_CONCURRENT_STREAMS] = limits.max_pushes
    return settings
