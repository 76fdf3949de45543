"""Tests of headstart.replay.browsers."""

from __future__ import annotations

import gc
import tracemalloc

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


def test_browser_that_comes_again_has_what_is_fresh() -> None:
    browsers = Browsers(60.0)
    client, other = ("192.0.2.1", "Agent"), ("192.0.2.2", "Agent")
    before = browsers.at(client, 0.0)
    before.fetched(URL, 500.0)
    before.was_sent(("https://example.org", "/b.css"), 600.0)
    before.was_sent(("https://example.org", "/c.css"), 50.0)
    browsers.at(other, 100.0)

    again = browsers.at(client, 200.0)

    assert again is not before
    assert again.cached == {URL: 500.0, ("https://example.org", "/b.css"): 600.0}
    assert again.brought == {("https://example.org", "/b.css"): 600.0}
    assert browsers.at(client, 220.0) is again


def test_clients_that_were_seen_once_take_little_memory() -> None:
    urls = [("https://example.org", f"/{number}.css") for number in range(10)]
    browsers = Browsers(60.0)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(20_000):
            browser = browsers.at((f"192.0.{number}", f"Agent {number}"), float(number))
            for url in urls:
                browser.fetched(url, number + 1e6)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert 20_000 * 100 < taken < 20_000 * 400


def test_clients_with_nothing_fresh_are_forgotten() -> None:
    browsers = Browsers(60.0)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(20_000):
            now = float(number)
            browsers.at((f"192.0.{number}", f"Agent {number}"), now).fetched(URL, now + 500.0)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert taken < 2_000_000
