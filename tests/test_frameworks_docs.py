"""docs/frameworks.md: each application in it is served, and hints its stylesheet."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.django.serving import links, over_http2
from tests.server.live import environment, serving

DOCS = (Path(__file__).parents[1] / "docs" / "frameworks.md").read_text()
STYLE = b"</static/app.css>; rel=preload; as=style"


def blocks(section: str, language: str = "python") -> list[str]:
    """Return the blocks of code under a heading."""
    text = DOCS.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("Flask", ["--interface", "wsgi"]),
        ("Litestar", []),
        ("Quart", []),
        ("Starlette and FastAPI", []),
        ("Other WSGI applications", ["--interface", "wsgi"]),
    ],
)
def test_application_of_the_docs_hints_its_stylesheet(
    section: str, options: list[str], tmp_path: Path
) -> None:
    [text] = blocks(section)
    (tmp_path / "main.py").write_text(text)

    with serving("main:app", *options, "--no-learn", folder=tmp_path) as server:
        page = over_http2(server.port, "/")

    [early] = page.informational
    assert links(early) == [STYLE]
    assert b"<h1>Hello</h1>" in page.body


def test_flask_application_of_the_docs_has_static_files_that_a_browser_keeps(
    tmp_path: Path,
) -> None:
    """A browser asks again for what a 103 names if it is `no-cache`, as Flask's default is."""
    [text] = blocks("Flask")
    (tmp_path / "main.py").write_text(text)
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "app.css").write_text("a {}")

    with serving("main:app", "--interface", "wsgi", folder=tmp_path) as server:
        style = over_http2(server.port, "/static/app.css")

    assert style.body == b"a {}"
    assert b"max-age=3600" in dict(style.headers)[b"cache-control"]


def test_django_project_that_follows_the_docs_hints_its_assets(tmp_path: Path) -> None:
    """What a reader does: a project of django-admin, and the docs' lines in it."""
    settings, view = blocks("Django")
    [template] = blocks("Django", "django")
    start = ["-m", "django", "startproject", "mysite", str(tmp_path)]
    subprocess.run([sys.executable, *start], check=True, env=environment())
    with (tmp_path / "mysite" / "settings.py").open("a") as file:
        file.write(settings + "TEMPLATES[0]['DIRS'] = [BASE_DIR / 'templates']\n")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text(template)
    (tmp_path / "mysite" / "views.py").write_text(view)
    with (tmp_path / "mysite" / "urls.py").open("a") as file:
        file.write("from mysite.views import page\nurlpatterns.append(path('', page))\n")
    assert "DJANGO_SETTINGS_MODULE" not in os.environ

    for application in (
        ["mysite.asgi:application"],
        ["mysite.wsgi:application", "--interface=wsgi"],
    ):
        with serving(*application, "--no-learn", folder=tmp_path) as server:
            page = over_http2(server.port, "/")

        [early] = page.informational
        assert links(early)[:2] == [STYLE, b"</static/app.js>; rel=preload; as=script"]
        assert b'<link rel="stylesheet" href="/static/app.css">' in page.body
        assert b'<script src="/static/app.js" defer></script>' in page.body
