"""What can be served, and one line about everything else."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import ConfigurationError
from headstart.server.application import check_application, check_kind, working_folder
from headstart.server.run import Config
from tests.server.apps import hello


def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    return []


def asgi2(scope: Any) -> Any:
    return None


def sync_asgi(scope: Any, receive: Any, send: Any) -> Any:
    return hello(scope, receive, send)


def factory() -> Any:
    return hello


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return []


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Asgi2Class:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class Asgi3Class:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Iterator[None]:
        yield


class WsgiClass:
    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        return iter([])


class Configured:
    def __init__(self, settings: Any) -> None: ...

    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (hello, "auto"),
        (hello, "asgi3"),
        (AsgiObject(), "auto"),
        (asgi2, "auto"),
        (asgi2, "asgi2"),
        (Asgi2Class, "auto"),
        (Asgi3Class, "auto"),
        (sync_asgi, "asgi3"),
        (factory, "auto"),
        (functools.partial(hello), "asgi3"),
        (wsgi, "wsgi"),
        (WsgiObject(), "wsgi"),
        (WsgiClass, "wsgi"),
        (factory, "wsgi"),
        (dict.fromkeys, "auto"),
        (max, "auto"),
    ],
)
def test_what_the_server_can_call_passes(app: Any, interface: str) -> None:
    check_kind(app, interface, name="main:app")


@pytest.mark.parametrize(
    ("app", "interface", "message", "hint"),
    [
        (5, "auto", "main:app is an int, not an application", "main:app"),
        ("text", "wsgi", "main:app is a str, not", "main:app"),
        (pytest, "auto", "main:app is a module, not", "main:app"),
        (wsgi, "auto", "looks like a WSGI application", "--interface wsgi"),
        (wsgi, "asgi3", "looks like a WSGI application", "--interface wsgi"),
        (WsgiObject(), "auto", "looks like a WSGI application", "--interface wsgi"),
        (WsgiClass, "auto", "is a class", "--factory"),
        (Configured, "auto", "is a class", "--factory"),
        (Configured, "wsgi", "is a class", "--factory"),
        (hello, "wsgi", "looks like an ASGI application", "leave --interface wsgi out"),
        (asgi2, "wsgi", "does not take environ", "leave --interface wsgi out"),
        (sync_asgi, "auto", "not an async function", "--interface asgi3"),
        (asgi2, "asgi3", "does not take scope", "main:app"),
        (lambda a, b, c, d: None, "auto", "does not take scope", "main:app"),
    ],
)
def test_what_it_cannot_call_is_named_and_has_a_way_out(
    app: Any, interface: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        check_kind(app, interface, name="main:app")

    assert hint in caught.value.hint


def test_package_that_is_missing_is_named_with_a_way_out() -> None:
    with pytest.raises(ConfigurationError, match=r'module "mysit\.wsgi"') as caught:
        check_application(Config("mysit.wsgi:application", log_config=None))

    assert "--app-dir" in caught.value.hint


def test_package_that_the_application_lacks_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lacking_app.py").write_text("import nowhere.at_all")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        check_application(Config("lacking_app:app", log_config=None))


def test_factory_is_called_without_arguments() -> None:
    check_application(Config(f"{__name__}:factory", factory=True, log_config=None))

    with pytest.raises(ConfigurationError, match="not a factory"):
        check_application(Config("tests.server.apps:hello", factory=True, log_config=None))


def test_what_a_factory_makes_is_looked_at_as_well() -> None:
    def wrong() -> Any:
        return wsgi

    with pytest.raises(ConfigurationError, match="looks like a WSGI application"):
        Config(wrong, factory=True, log_config=None).load()


def test_factory_may_make_a_wsgi_application() -> None:
    def makes() -> Any:
        return wsgi

    Config(makes, factory=True, interface="wsgi", log_config=None).load()


def test_folder_that_was_deleted_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(ConfigurationError, match="does not exist any more"):
        working_folder()
