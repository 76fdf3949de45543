"""The push echo: `POST /data` keeps a message and pushes `GET /data`, which returns it.

The server keeps one message: every `GET /data` gets the last one. The push of a POST carries the
number of its own message, so that of two clients that post at the same time each is pushed its own.
A plain ASGI application, so that it reads as an example.
"""

from __future__ import annotations

from collections import OrderedDict
from html import escape
from typing import Any
from urllib.parse import parse_qs

from headstart.deliver.asgi import Receive, Send
from headstart.deliver.push import PushBuilder
from headstart.demo.respond import respond, say

_MAX_MESSAGE = 1024 * 1024
# Messages kept by number: those whose pushes may still be on their way.
_KEPT = 100
_NUMBER = "echo-message"

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Headstart: the push echo</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto;
    padding: 0 1rem }}
  input {{ font: inherit; width: 60% }} button {{ font: inherit }}
  pre {{ background: #8882; padding: 1rem; overflow: auto; white-space: pre-wrap }}
</style>
<h1>The push echo</h1>
<p>What is posted here is kept until the next post.</p>
<form method="post" action="/">
  <label>Message <input name="data" autofocus required></label> <button>Post</button>
</form>
<h2>The last message</h2>
{last}
<p>Browsers take no pushes any more; <code>h2c</code> does:</p>
<pre>h2c connect {server}
h2c post --data 'hello world' /data
h2c push-list
h2c get /data</pre>
</html>
"""


class Echo:
    """The application. One object is one server's memory."""

    def __init__(self) -> None:
        self._messages: OrderedDict[int, bytes] = OrderedDict()
        self._last = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        match scope["method"], scope["path"]:
            case "GET" | "HEAD", "/":
                await respond(send, 200, "text/html; charset=utf-8", self._page(scope))
            case "POST", "/":
                await self._post_form(receive, send)
            case "GET" | "HEAD", "/data":
                await self._get(scope, send)
            case "POST", "/data":
                await self._post(scope, receive, send)
            case _, "/" | "/data":
                await say(send, 405, "GET and POST work here.\n", [(b"allow", b"GET, HEAD, POST")])
            case _:
                await say(send, 404, "There is only / and /data.\n")

    def _keep(self, message: bytes) -> int:
        self._last += 1
        self._messages[self._last] = message
        if len(self._messages) > _KEPT:
            self._messages.popitem(last=False)
        return self._last

    async def _post(self, scope: Any, receive: Receive, send: Send) -> None:
        message = await _body(receive)
        if message is None:
            return await say(send, 413, "A message has at most 1 MiB.\n")
        number = self._keep(message)
        push = PushBuilder(scope, receive, send).path("/data").set_header(_NUMBER, str(number))
        became = await push.push()
        said = "pushed" if became else f"not pushed ({became.refusal})"
        return await say(send, 200, f"Kept {len(message)} bytes; /data {said}.\n")

    async def _post_form(self, receive: Receive, send: Send) -> None:
        form = await _body(receive)
        if form is None:
            return await say(send, 413, "A message has at most 1 MiB.\n")
        values = parse_qs(form.decode("latin-1"), keep_blank_values=True).get("data", [""])
        self._keep(values[0].encode())
        return await say(send, 303, "See /.\n", [(b"location", b"/")])

    async def _get(self, scope: Any, send: Send) -> None:
        message = self._messages.get(self._number(scope))
        if message is None:
            return await say(send, 404, "Nothing was posted to /data yet.\n")
        text = b"I received the following data: " + message
        return await respond(send, 200, "text/plain; charset=utf-8", text)

    def _number(self, scope: Any) -> int:
        """Return the number of the message that a promised request names, or the last one."""
        for name, value in scope["headers"]:
            if name == _NUMBER.encode() and value.isdigit() and len(value) < 20:
                return int(value)
        return self._last

    def _page(self, scope: Any) -> bytes:
        message = self._messages.get(self._last)
        last = "<p>Nothing was posted yet.</p>"
        if message is not None:
            last = f"<pre>{escape(message.decode('utf-8', 'replace'))}</pre>"
        host = dict(scope["headers"]).get(b"host", b"localhost:8443").decode("latin-1")
        server = host if scope["scheme"] == "https" else f"http://{host}"
        return _PAGE.format(last=last, server=escape(server)).encode()


async def _body(receive: Receive) -> bytes | None:
    """Return the request's body, or None if it is too long or the client disconnected."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _MAX_MESSAGE:
            return None
    return body
