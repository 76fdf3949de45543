"""Wagtail as `wagtail start` makes it, in production's settings; its static files have `?v=...`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_FOLDER = Path(os.environ["SITE"])
_PROJECT = _FOLDER / "project"


def _start() -> None:
    """Write the project, as the command does for its user, and what production needs beside."""
    _PROJECT.mkdir()
    subprocess.run(
        [Path(sys.executable).with_name("wagtail"), "start", "shop", str(_PROJECT)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    settings = _PROJECT / "shop" / "settings" / "production.py"
    settings.write_text(
        settings.read_text()
        + '\nSECRET_KEY = "a key of this test only"\nALLOWED_HOSTS = ["localhost"]\n'
        + 'MIDDLEWARE.insert(0, "whitenoise.middleware.WhiteNoiseMiddleware")\n'
        + "SECURE_SSL_REDIRECT = False\n"
    )


def _application() -> Any:
    sys.path.insert(0, str(_PROJECT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings.production"

    import django
    from django.core.asgi import get_asgi_application
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    return get_asgi_application()


if not _PROJECT.exists():
    _start()
app = _application()
