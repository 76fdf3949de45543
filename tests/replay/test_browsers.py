"""Tests of headstart.replay.browsers."""

from __future__ import annotations

from headstart.replay.browsers import Browsers

URL = ("https://example.org", "/a.css")


def test_browser_has_a_url_until_it_is_stale() -> None:
    browser = Browsers(60.0).at(("192.0.2.1", "Agent"), 0.0)

    browser.was_sent(URL, 100.0)

    assert browser.was_brought(URL, 99.0)
    assert not browser.was_brought(URL, 100.0)


def test_connection_ends_after_silence() -> None:
    browsers = Browsers(60.0)
    client = ("192.0.2.1", "Agent")

    connections = [browsers.at(client, now).connection for now in (0.0, 60.0, 121.0)]

    assert connections == [1, 1, 2]
    assert browsers.at(("192.0.2.2", "Agent"), 121.0).connection == 3


def test_browsers_share_one_copy_of_a_url() -> None:
    browsers = Browsers(60.0)
    first, second = (browsers.at((f"192.0.2.{number}", "Agent"), 0.0) for number in (1, 2))

    first.fetched(("https://example.org", "/a" + ".css"), 100.0)
    second.was_sent(("https://example.org", "/a.cs" + "s"), 100.0)

    [one], [other] = first.cached, second.cached
    assert one is other
    assert next(iter(second.brought)) is one
