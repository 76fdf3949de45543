"""How connections are made for requests."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from headstart.client import AsyncClient
from headstart.client.requester import Connecting
from headstart.config import ClientLimits
from headstart.errors import ConfigurationError
from tests.httpx.served import site, trusting


@pytest.mark.parametrize(
    "options", [{"insecure": True}, {"cafile": Path("ca.pem")}, {"certfile": Path("c.pem")}]
)
def test_context_of_your_own_excludes_what_it_stands_for(options: dict[str, Any]) -> None:
    context = ssl.create_default_context()

    with pytest.raises(ConfigurationError, match="ssl_context excludes"):
        Connecting(ssl_context=context, limits=ClientLimits(), **options)


async def test_context_of_your_own_is_used_with_http2() -> None:
    with site() as place:
        async with AsyncClient(place.url, ssl_context=trusting()) as client:
            response = await client.get("/echo")
            tls = response.extra_info("ssl_object")

            assert response.json()["version"] == "2"
            assert tls.selected_alpn_protocol() == "h2"
