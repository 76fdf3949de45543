"""A Django site whose pages hint their assets in each of the ways that there are.

`application` is for ASGI, `wsgi_application` for WSGI, `bare_application` for WSGI without the
middleware. Each view answers with the result of its hint.
"""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template, engines
from django.templatetags.static import static
from django.urls import path

from headstart import Link
from headstart.deliver.outcome import Hint
from headstart.django import ahint, hint

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.staticfiles", "headstart.django"],
    MIDDLEWARE=[] if os.environ.get("BARE") else ["headstart.django.hint_middleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for tests",
    STATIC_URL="/static/",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
)
django.setup()


def told(answer: Hint) -> HttpResponse:
    """Return what the application was told."""
    return HttpResponse(f"{answer.sent} {answer.linked} {answer.refusal}")


def view(request: HttpRequest) -> HttpResponse:
    """Hint from a synchronous view."""
    return told(hint(request, static("app.css"), Link("/font.woff2", as_="font")))


async def asynchronous(request: HttpRequest) -> HttpResponse:
    """Hint from an asynchronous view."""
    return told(await ahint(request, static("app.css")))


async def without_await(request: HttpRequest) -> HttpResponse:
    """Hint from an asynchronous view without waiting, as a template does there."""
    return told(hint(request, static("app.css")))


def guarded(request: HttpRequest) -> HttpResponse:
    """Hint an asset that a 103 can carry and one that it cannot."""
    return told(hint(request, "/a.js", Link("/b.js", as_="script", nonce="abc")))


def nothing(request: HttpRequest) -> HttpResponse:
    """Hint nothing."""
    return told(hint(request))


def again(request: HttpRequest) -> HttpResponse:
    """Hint an asset that was hinted before beside one that was not."""
    hint(request, "/a.css")
    return told(hint(request, "/a.css", "/b.css"))


def own_link(request: HttpRequest) -> HttpResponse:
    """Answer with a Link header that names the hinted asset already."""
    hint(request, Link("/a.css", as_="style", media="print"))
    value = '</a.css>; rel=preload; as=style; media="print", </>; rel=canonical'
    return HttpResponse("", headers={"Link": value})


def template(request: HttpRequest) -> HttpResponse:
    """Render the tag; the query is the tag's arguments."""
    text = "{% load headstart %}{% headstart " + request.GET["tag"] + " %}"
    return HttpResponse(engines["django"].from_string(text).render({"nonce": "abc"}, request))


def elsewhere(request: HttpRequest) -> HttpResponse:
    """Render the tag without a request, as for an e-mail."""
    return HttpResponse(Template('{% load headstart %}{% headstart "/a.css" %}').render(Context()))


urlpatterns = [
    path("view", view),
    path("async", asynchronous),
    path("unawaited", without_await),
    path("guarded", guarded),
    path("nothing", nothing),
    path("own", own_link),
    path("again", again),
    path("tag", template),
    path("mail", elsewhere),
]
application = get_asgi_application()
wsgi_application = get_wsgi_application()
