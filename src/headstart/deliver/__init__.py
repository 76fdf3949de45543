"""Choose the assets to send ahead, and record the result of each push and hint.

    outcome.py  pushes and hints as the application and the server see them
    push.py     PushBuilder: pushes that an application asks for
    hint.py     hints that an application asks for
    decide.py   push, hint, link or nothing for each learned asset, with its reason
    request.py  the client's capabilities, read from a page's request
    policy.py   the effect of the page's Content-Security-Policy on preloads
    own_links.py  the preloads in the application's own Link headers
    seen.py     the assets that a client has, from its connection and our cookie
    digest.py   the assets that a client says it has: Cache-Digest

Pure but for `await send(...)`: it sends ASGI messages and knows no server. Imported by `server`,
by the middleware and by applications.
"""
