"""A long link: what is carried, and what is cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import links
from bench.links import CAPACITY, by_share, run_link
from bench.sample import LoadFailed, Sample
from bench.scenarios import App, Scenario, named
from bench.servers import GO, PEERS, Certificate, RunningServer, ServerFailed, Site, write_files
from tests.peers import peer
from tests.server.live import certificate as dev_certificate


def scenario(name: str) -> Scenario:
    found = named(name)
    assert found is not None
    return found


@contextmanager
def serving(
    tmp_path: Path, name: str, certificate: Certificate | None = None
) -> Iterator[RunningServer]:
    peer("nghttpd")
    peer("h2load")
    write_files(tmp_path / "files")
    chosen = next(each for each in (*PEERS, GO) if each.name == name)
    site = Site(App.BARE, certificate, tmp_path / "files")
    with RunningServer(chosen, site, tmp_path / "log") as server:
        server.wait_until_up()
        yield server


@pytest.mark.parametrize("name", ["link-up", "link-down"])
def test_whole_body_is_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(links, "CAPACITY", 1e9)
    monkeypatch.setattr(links, "DELAY", 0.0)
    monkeypatch.setattr(links, "_MOST", 60.0)
    with serving(tmp_path, "headstart") as server:
        sample = run_link(scenario(name), server, 1.0)

    assert (sample.done, sample.data) == (1, 50 * 1024 * 1024)


@pytest.mark.parametrize("name", ["headstart", "Go"])
def test_go_and_headstart_take_8_mb_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    peer("go")
    monkeypatch.setattr(links, "DELAY", 0.0)
    made = dev_certificate()
    with serving(tmp_path, name, Certificate(made.certfile, made.keyfile)) as server:
        sample = run_link(scenario("link-up-8m"), server, 1.0)

    assert (sample.done, sample.data) == (1, 8 * 1024 * 1024)


def test_go_without_a_certificate_is_a_failure(tmp_path: Path) -> None:
    peer("go")

    with pytest.raises(ServerFailed, match="over TLS only"), serving(tmp_path, "Go"):
        pass


def test_what_takes_too_long_is_cut_off_and_counts_as_far_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "CAPACITY", 1e6)
    monkeypatch.setattr(links, "_MOST", 3.0)
    with serving(tmp_path, "nghttpd") as server:
        sample = run_link(scenario("link-down"), server, 1.0)

    assert 0 < sample.data < 50 * 1024 * 1024


def test_server_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    with serving(tmp_path, "nghttpd") as server:
        server.stop()
        with pytest.raises(LoadFailed, match="h2load said"):
            run_link(scenario("link-down"), server, 1.0)


def test_share_is_a_part_of_the_links_capacity() -> None:
    assert by_share(Sample(CAPACITY / 2, 1, 0, 1)) == 0.5
