"""Who may ask the admin port, and what each response says of itself."""

from __future__ import annotations

import base64

import pytest

from headstart.admin.access import Access
from headstart.admin.guard import Guard, fields_of
from headstart.admin.routes import Response, text

TOKEN = "0123456789abcdef"
OPEN = Guard(Access("127.0.0.1", 9001, frozenset({"localhost", "127.0.0.1", "ops.lan"}), ""))
LOCKED = Guard(Access("0.0.0.0", 9001, frozenset({"localhost"}), TOKEN))


def status(guard: Guard, method: str = "GET", *, public: bool = False, **headers: str) -> int:
    """The status of the refusal; 0 if there is none."""
    given = {"host": "localhost:9001"} | {n.replace("_", "-"): v for n, v in headers.items()}
    refusal = guard.refusal(method, given, public=public)
    return 0 if refusal is None else refusal.status


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:9001",
        "LOCALHOST:1",
        "ops.lan",
        "127.0.0.1:9001",
        "10.1.2.3",
        "[::1]:9001",
    ],
)
def test_addresses_and_allowed_names_are_served(host: str) -> None:
    assert status(OPEN, host=host) == 0


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:9001", "", "[", "[::1", "a@b"]
)
def test_other_hosts_are_refused(host: str) -> None:
    assert status(OPEN, host=host) == 403


def test_request_without_host_is_refused() -> None:
    refusal = OPEN.refusal("GET", {}, public=False)

    assert refusal is not None
    assert refusal.status == 403


def test_page_of_another_site_may_only_link_here() -> None:
    for site in ("cross-site", "same-site"):
        assert status(OPEN, sec_fetch_site=site, sec_fetch_mode="no-cors") == 403
        assert status(OPEN, "POST", sec_fetch_site=site, sec_fetch_mode="navigate") == 403
        assert status(OPEN, sec_fetch_site=site, sec_fetch_mode="navigate") == 0
    for site in ("same-origin", "none"):
        assert status(OPEN, sec_fetch_site=site, sec_fetch_mode="cors") == 0


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


@pytest.mark.parametrize("sent", [f"Bearer {TOKEN}", f"bearer  {TOKEN}", basic(TOKEN)])
def test_token_is_taken_as_bearer_or_as_password(sent: str) -> None:
    assert status(LOCKED, authorization=sent) == 0


@pytest.mark.parametrize(
    "sent",
    [
        "",
        TOKEN,
        f"Bearer {TOKEN}x",
        "Bearer ",
        basic("x"),
        "Basic ???",
        "Basic \xff",
        f"Digest {TOKEN}",
    ],
)
def test_without_the_token_nothing_is_served(sent: str) -> None:
    assert status(LOCKED, authorization=sent) == 401
    assert status(LOCKED, public=True) == 0


def test_browser_is_asked_for_the_token() -> None:
    refusal = LOCKED.refusal("GET", {"host": "localhost"}, public=False)

    assert refusal is not None
    assert dict(refusal.headers)["www-authenticate"].startswith("Basic ")


def test_form_of_another_origin_is_refused() -> None:
    assert status(OPEN, "POST", origin="http://localhost:9001") == 0
    assert status(OPEN, "POST", origin="http://evil.example") == 403
    assert status(OPEN, "POST", origin="null") == 403
    assert status(OPEN, "POST", origin="http://[") == 403
    assert status(OPEN, "POST") == 0


def test_form_is_accepted_with_the_token_of_this_run() -> None:
    assert OPEN.accepts({"csrf": OPEN.csrf})
    assert not OPEN.accepts({"csrf": LOCKED.csrf})
    assert not OPEN.accepts({})


def test_each_response_forbids_scripts_of_others_frames_and_storage() -> None:
    fields = dict(fields_of(text("hello")))

    assert b"default-src 'none'" in fields[b"content-security-policy"]
    assert b"frame-ancestors 'none'" in fields[b"content-security-policy"]
    assert fields[b"x-content-type-options"] == b"nosniff"
    assert fields[b"cache-control"] == b"no-store"
    assert fields[b"referrer-policy"] == b"same-origin"
    assert fields[b"content-length"] == b"5"
    assert b"unsafe" not in fields[b"content-security-policy"]


def test_response_may_say_otherwise_of_a_field_of_its_own() -> None:
    fields = fields_of(Response(headers=(("cache-control", "max-age=60"),)))

    assert [value for name, value in fields if name == b"cache-control"] == [b"max-age=60"]
