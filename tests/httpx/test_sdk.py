"""An SDK of others on httpx, over our transports: PostgREST's, against a server that answers it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from postgrest import AsyncPostgrestClient, SyncPostgrestClient
from postgrest.exceptions import APIError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from headstart.httpx import AsyncTransport, Transport
from tests.httpx.served import trusting
from tests.server.live import running

ROWS: list[dict[str, object]] = []


async def table(request: Request) -> Response:
    """As much of PostgREST as the tests ask for, on one table."""
    assert request.scope["http_version"] == "2"
    if request.method == "POST":
        ROWS.append(json.loads(await request.body()))
        return JSONResponse([ROWS[-1]], status_code=201)
    wanted = request.query_params.get("name", "").removeprefix("eq.")
    if wanted == "nobody":
        error = {"message": "no rows", "code": "PGRST116", "hint": None, "details": None}
        return JSONResponse(error, status_code=406)
    return JSONResponse([row for row in ROWS if not wanted or row["name"] == wanted])


@pytest.fixture
def url() -> Iterator[str]:
    ROWS.clear()
    with running(Starlette(routes=[Route("/t", table, methods=["GET", "POST"])]), tls=True) as live:
        yield live.url


async def test_asynchronous_sdk_works(url: str) -> None:
    session = httpx.AsyncClient(transport=AsyncTransport(verify=trusting()), base_url=url)
    async with AsyncPostgrestClient(url, http_client=session) as sdk:
        inserted = await sdk.table("t").insert({"name": "chair", "price": 3}).execute()
        await sdk.table("t").insert({"name": "table", "price": 9}).execute()
        found = await sdk.table("t").select("*").eq("name", "chair").execute()
        with pytest.raises(APIError, match="no rows"):
            await sdk.table("t").select("*").eq("name", "nobody").execute()

    assert inserted.data == [{"name": "chair", "price": 3}]
    assert found.data == inserted.data


def test_sdk_without_an_event_loop_works(url: str) -> None:
    with httpx.Client(transport=Transport(verify=trusting()), base_url=url) as session:
        sdk = SyncPostgrestClient(url, http_client=session)
        sdk.table("t").insert({"name": "chair"}).execute()
        found = sdk.table("t").select("*").execute()

    assert found.data == [{"name": "chair"}]
