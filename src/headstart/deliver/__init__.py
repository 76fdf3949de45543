"""What is sent ahead, and what became of it.

    outcome.py  pushes and hints as the application and the server see them
    push.py     PushBuilder: an application says what to push
    hint.py     an application says what to hint
    decide.py   push, hint, link or nothing for what was learned, each with its reason
    request.py  what a page's request says of its client
    seen.py     what this client has already: its connection, our cookie
    digest.py   what it says itself that it has: Cache-Digest

Pure but for `await send(...)`: it speaks ASGI messages and knows no server. Imported by `server`,
by the middleware and by applications.
"""
