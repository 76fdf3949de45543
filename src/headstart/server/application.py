"""Find the application that the command line names, and check that it can be one.

`run` calls `check_application` before the start, and `check_kind` again for the result of a
factory.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pickle
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from uvicorn.importer import ImportFromStringError, import_from_string

from headstart.errors import ConfigurationError

if TYPE_CHECKING:
    from headstart.server.run import Config

_ASGI3: Final = "scope, receive and send"
_FACTORY: Final = "if it makes the application, add --factory"
_MODULE_AND_ATTRIBUTE: Final = (
    "name the application as module:attribute, for instance main:app, "
    "from the folder that holds main.py (or give --app-dir)."
)


def check_application(config: Config) -> None:
    """Import the application.

    Raises:
        ConfigurationError: It is not where `module:app` says, or it cannot be an application.
    """
    app = config.app
    if not isinstance(app, str):
        if config.use_subprocess and not _can_be_handed_over(app):
            raise ConfigurationError(
                "several workers, or reload, need the application's name",
                hint="pass it as 'module:app'.",
            )
        return
    folder = working_folder()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = app.partition(":")[0]
    if "/" in module or module.endswith(".py") or app.startswith(("http:", "https:", "unix:")):
        raise ConfigurationError(f"{app} is not the name of an application", hint=_named(app))
    try:
        found = import_from_string(app)
    except ImportFromStringError as error:
        raise ConfigurationError(str(error).rstrip("."), hint=_MODULE_AND_ATTRIBUTE) from error
    except ModuleNotFoundError as error:
        # uvicorn tells of `mysite.wsgi` alone, and not of a missing `mysite`.
        if error.name is None or not module.startswith(f"{error.name}."):
            raise
        raise ConfigurationError(
            f'Could not import module "{module}"', hint=_MODULE_AND_ATTRIBUTE
        ) from error
    if config.factory:
        _check_factory(found, app)
    else:
        check_kind(found, "wsgi" if config.wsgi else config.interface, name=app)


def cut_to_application(error: BaseException) -> bool:
    """Cut an error's traceback to the frames of the application that was imported.

    Frames of the command, of uvicorn's importer and of `importlib` go.

    Returns:
        Whether the error is of an import at all; any other stays as it is.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not import_from_string.__code__:
        trace = trace.tb_next
    if trace is None:
        return False
    while trace is not None and _is_of_the_import(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    error.__traceback__ = trace  # None for a SyntaxError, which names the line itself
    return True


def _is_of_the_import(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or filename in (
        import_from_string.__code__.co_filename,
        importlib.__file__,
    )


def _named(app: str) -> str:
    """Return how to name the application that was named as a file, or a site as an application."""
    if app.startswith(("http:", "https:", "unix:")):
        return f"to serve a site that another server makes, run: headstart proxy {app}"
    path, _, attribute = app.partition(":")
    folder, _, file = path.rpartition("/")
    name = f"{file.removesuffix('.py') or 'main'}:{attribute or 'app'}"
    return f"name it as module:attribute: {name}" + (f" --app-dir {folder}" if folder else "")


def _can_be_handed_over(app: Any) -> bool:
    """Return whether another process can be given the application itself: a `Proxy`, say."""
    if inspect.isroutine(app):
        return False  # pickled by its name, which is `__main__` in another process
    try:
        pickle.dumps(app)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def working_folder() -> str:
    """Return the current folder.

    Raises:
        ConfigurationError: It has been deleted.
    """
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise ConfigurationError(
            "the current folder does not exist any more", hint="change to another folder first."
        ) from error


def check_kind(app: Any, interface: str, *, name: str) -> None:
    """Check that the server can call this object as an application.

    Args:
        interface: uvicorn's name for it: auto, asgi3, asgi2 or wsgi.
        name: Its name in messages.

    Raises:
        ConfigurationError: The first request would show that it is something else.
    """
    if not callable(app):
        raise ConfigurationError(
            f"{name} is {_article(type(app).__name__)}, not an application",
            hint="name the object that takes requests, for instance main:app.",
        )
    if not _has_signature(app) or takes(app, 0):
        return  # it is written in C, or uvicorn takes it for a factory and calls it
    if inspect.isclass(app):
        _check_class(app, interface, name)
    elif interface == "wsgi":
        if inspect.iscoroutinefunction(_called(app)) or not takes(app, 2):
            raise ConfigurationError(
                f"{name} is not a WSGI application: {_looks_like(app)}",
                hint="leave --interface wsgi out.",
            )
    else:
        _check_asgi(app, interface, name)


def _check_asgi(app: Any, interface: str, name: str) -> None:
    is_async = inspect.iscoroutinefunction(_called(app))
    if takes(app, 3):
        if is_async or interface == "asgi3":
            return
        raise ConfigurationError(
            f"{name} takes {_ASGI3}, but is not an async function",
            hint="make it one ('async def'), or add --interface asgi3 if it returns an awaitable.",
        )
    if takes(app, 1) and not is_async and interface != "asgi3":
        return  # ASGI 2
    if takes(app, 2) and not is_async:
        raise ConfigurationError(
            f"{name} looks like a WSGI application", hint="add --interface wsgi."
        )
    raise ConfigurationError(
        f"{name} is not an ASGI application: it does not take {_ASGI3}",
        hint="name the application itself, for instance main:app.",
    )


def _check_class(app: Any, interface: str, name: str) -> None:
    """Check a class, which takes the scope (ASGI 2), or returns an awaitable for all three."""
    if takes(app, 3) and hasattr(app, "__await__"):
        return
    if takes(app, 1) and inspect.iscoroutinefunction(vars(app).get("__call__")):
        return
    # A WSGI class gives an iterable.
    if interface == "wsgi" and takes(app, 2) and hasattr(app, "__iter__"):
        return
    raise ConfigurationError(
        f"{name} is a class, not an application",
        hint="name an object that you make of it, or a function that makes one, with --factory.",
    )


def _check_factory(found: Any, name: str) -> None:
    if callable(found) and (not _has_signature(found) or takes(found, 0)):
        return
    raise ConfigurationError(
        f"{name} is not a factory: it cannot be called without arguments",
        hint="name a function that returns the application, or leave --factory out.",
    )


def _looks_like(app: Any) -> str:
    if takes(app, 3):
        return "it looks like an ASGI application"
    return "it does not take environ and start_response"


def _called(app: Any) -> Any:
    """Return the function that runs when it is called."""
    return app if inspect.isroutine(app) else attrgetter("__call__")(app)


def _has_signature(app: Any) -> bool:
    try:
        inspect.signature(app)
    except (TypeError, ValueError):
        return False
    return True


def takes(app: Any, number: int) -> bool:
    """Return whether it can be called with so many arguments, as far as its signature says."""
    try:
        inspect.signature(app).bind(*[None] * number)
    except (TypeError, ValueError):
        return False
    return True


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
