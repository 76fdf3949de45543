"""What policies let preloads ask for: the rules of CSP one by one, and whatever else comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.deliver.policy import NO_POLICY, Policy, read_policy

ORIGIN = "https://example.com"
ALL = frozenset({"style", "script", "font", "image", "fetch"})


def read(*policies: str, origin: str = ORIGIN, name: bytes = b"content-security-policy") -> Policy:
    return read_policy([(name, policy.encode()) for policy in policies], origin)


def test_page_without_a_policy_allows_everything() -> None:
    assert read_policy([(b"content-type", b"text/html")], ORIGIN) is NO_POLICY


@pytest.mark.parametrize(
    ("policy", "with_nonce", "barred"),
    [
        ("default-src 'self'", "", ""),
        ("upgrade-insecure-requests; frame-ancestors 'none'", "", ""),
        ("default-src 'none'; style-src 'self'", "", "script font image fetch"),
        ("script-src 'nonce-abc'", "script", ""),
        ("script-src 'nonce-abc' 'self'", "", ""),
        ("script-src 'nonce-abc' 'self' 'strict-dynamic'", "script", ""),
        ("style-src 'nonce-abc' 'unsafe-inline'", "style", ""),
        ("default-src 'nonce-abc'", "style script", "font image fetch"),
        ("script-src 'self'; script-src-elem 'nonce-abc'", "script", ""),
        ("SCRIPT-SRC 'NONCE-abc'", "script", ""),
        ("script-src 'nonce-abc'; script-src 'self'", "script", ""),
        ("script-src 'self', script-src 'nonce-abc'", "script", ""),
        ("script-src 'sha256-x='", "", "script"),
        ("font-src https://fonts.example", "", "font"),
        ("img-src *", "", ""),
        ("img-src https:", "", ""),
        ("img-src http:", "", ""),
        ("img-src data:", "", "image"),
        ("img-src example.com", "", ""),
        ("img-src https://example.com/", "", ""),
        ("img-src https://example.com:443", "", ""),
        ("img-src https://example.com:8443", "", "image"),
        ("img-src example.com:*", "", ""),
        ("img-src https://example.com/static/", "", "image"),
        ("img-src *.example.com", "", "image"),
        ("img-src wss://example.com", "", "image"),
    ],
)
def test_policy_is_read_for_assets_of_the_pages_own_origin(
    policy: str, with_nonce: str, barred: str
) -> None:
    found = read(policy)

    assert found.with_nonce == frozenset(with_nonce.split())
    assert found.barred == frozenset(barred.split())
    assert found.nonce == ("abc" if with_nonce else "")


@pytest.mark.parametrize(
    ("source", "origin", "allowed"),
    [
        ("*.example.com", "https://www.example.com", True),
        ("localhost", "https://localhost:8443", False),
        ("localhost:8443", "https://localhost:8443", True),
        ("https://example.com", "http://example.com", False),
        ("http://[::1]:80", "http://[::1]:80", True),
        ("example.com", "https://example.com:not-a-port", False),
    ],
)
def test_host_source_is_matched_with_its_scheme_and_port(
    source: str, origin: str, allowed: bool
) -> None:
    assert ("font" not in read(f"font-src {source}", origin=origin).barred) is allowed


def test_policies_that_are_only_reported_count_too() -> None:
    reported = read("style-src 'nonce-abc'", name=b"Content-Security-Policy-Report-Only")

    assert (reported.nonce, reported.with_nonce) == ("abc", frozenset({"style"}))


def test_several_policies_must_all_allow_it() -> None:
    found = read("style-src 'nonce-abc'", "style-src 'none'", "script-src 'nonce-abc'")

    assert found == Policy("abc", frozenset({"script"}), frozenset({"style"}))


def test_two_nonces_are_one_too_many() -> None:
    assert read("style-src 'nonce-a'", "script-src 'nonce-b'").barred == {"style", "script"}


def test_nonce_of_each_response_is_its_own() -> None:
    assert [read(f"style-src 'nonce-{n}'").nonce for n in ("one", "two")] == ["one", "two"]


@given(st.text(max_size=200), st.text(max_size=30))
def test_any_text_is_read(policy: str, origin: str) -> None:
    found = read_policy([(b"content-security-policy", policy.encode())], origin)

    assert found.with_nonce | found.barred <= ALL
    assert not found.with_nonce & found.barred
