"""A Django site with one page and its stylesheet, which gunicorn serves behind the proxy."""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.servers.site import PAGE, STYLE

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for tests",
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
)


def page(request: HttpRequest) -> HttpResponse:
    """Return a page that says how its client asked for it."""
    asked = request.build_absolute_uri()
    return HttpResponse(f"<link rel=stylesheet href={STYLE}><p>{asked}</p>")


def style(_request: HttpRequest) -> HttpResponse:
    """Return the stylesheet."""
    return HttpResponse("a{}", "text/css", headers={"cache-control": "public, max-age=600"})


urlpatterns = [path(PAGE[1:], page), path(STYLE[1:], style)]
application = get_wsgi_application()
