"""The rest of a body that has been given whole, on its way without a call.

Once an application has sent the last part of a body, nothing is left for it to do: the connection
queues the part as there is room, and the call may end. A part that is queued as a whole is not
copied. Made by `cycle.Cycle` and by `stored.StoredResponse`, which wait for room on its behalf.
"""

from __future__ import annotations

from headstart.server.stream_connection import RequestConnection


class Remainder:
    """The last part of a body.

    Args:
        connection: Where it goes.
        stream_id: The stream that it ends.
        body: The part.
    """

    __slots__ = ("_connection", "_left", "_stream_id")

    def __init__(
        self, connection: RequestConnection, stream_id: int, body: bytes | memoryview
    ) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._left = body

    def go_on(self) -> bool:
        """Queue as much as there is room for.

        Returns:
            True once all of it is queued; False if there will be room later.

        Raises:
            StreamGoneError: The stream has ended or was reset.
        """
        connection, stream_id, left = self._connection, self._stream_id, self._left
        scheduler = connection.scheduler
        room = scheduler.room(stream_id)
        if len(left) <= room or scheduler.takes_last(stream_id, len(left)):
            self._left = b""
            connection.send_data(stream_id, left, True)
            return True
        if room > 0:
            left = memoryview(left)
            self._left = left[room:]
            connection.send_data(stream_id, left[:room], False)
        return False

    def drop(self) -> None:
        """Let go of what is left: nobody waits for it."""
        self._left = b""
