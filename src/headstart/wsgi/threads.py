"""The threads that call a WSGI application.

Used by `adapter`. Python joins the threads of `concurrent.futures` when it ends, so an application
that never returns would keep the process alive. These are daemon threads: the server has already
waited as long as it was told to.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable


class ThreadPool:
    """Threads that are started when they are needed, and wait for more work afterwards.

    Args:
        most: The number of threads. Calls beyond it wait for their turn.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads = 0
        self._idle = 0
        self._waiting: OrderedDict[Callable[[], None], None] = OrderedDict()
        self._changed = threading.Condition()

    def submit(self, call: Callable[[], None]) -> bool:
        """Run `call`, which must not raise, in a thread; return whether one is free for it."""
        with self._changed:
            self._waiting[call] = None
            if self._idle >= len(self._waiting):
                self._changed.notify()
                return True
            if self._threads == self._most:
                return False
            self._threads += 1
        threading.Thread(target=self._work, name="wsgi", daemon=True).start()
        return True

    def withdraw(self, call: Callable[[], None]) -> bool:
        """Take a call back; return whether no thread has begun it."""
        with self._changed:
            return self._waiting.pop(call, self) is None

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(self._waiting.__len__)
                self._idle -= 1
                call, _ = self._waiting.popitem(last=False)
            call()
            del call  # else it, and its request, would live until the next one
