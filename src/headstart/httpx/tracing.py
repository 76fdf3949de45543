"""The events of `extensions={"trace": ...}`, with httpcore's names.

A trace of httpx is called with the name of each event and its details, before and after. Called by
`transport` and `responses`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx


class Trace:
    """The caller's trace of one request, if there is one.

    httpx's asynchronous client is given a coroutine function, the other one a function.
    """

    __slots__ = ("_trace",)

    def __init__(self, request: httpx.Request) -> None:
        self._trace = request.extensions.get("trace")

    def __bool__(self) -> bool:
        return self._trace is not None

    @asynccontextmanager
    async def event(self, name: str, **details: object) -> AsyncIterator[dict[str, Any]]:
        """Tell that something starts, and that it is complete or has failed.

        Yields:
            The details of its completion; set `return_value` there.
        """
        done: dict[str, Any] = {"return_value": None}
        await self._tell(f"{name}.started", details)
        try:
            yield done
        except BaseException as error:
            await self._tell(f"{name}.failed", {"exception": error})
            raise
        await self._tell(f"{name}.complete", done)

    async def _tell(self, name: str, details: dict[str, Any]) -> None:
        if self._trace is None:
            return
        told = self._trace(name, details)
        if inspect.isawaitable(told):
            await told
