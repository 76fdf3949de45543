"""A Django project in one file: a form, a file, a stream, an upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of the tests")


def _form(request: Any) -> HttpResponse:
    return HttpResponse(request.POST["name"])


def _file(request: Any) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


def _stream(request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"{n};" for n in range(3))


def _upload(request: Any) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


settings.DATA_UPLOAD_MAX_MEMORY_SIZE = None
urlpatterns = [
    path("form", _form),
    path("file", _file),
    path("stream", _stream),
    path("upload", _upload),
]
app = get_wsgi_application()
