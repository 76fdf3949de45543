"""What is sent ahead, and what became of it.

    outcome.py  pushes and hints as the application and the server see them
    push.py     PushBuilder: an application says what to push
    hint.py     an application says what to hint

Pure but for `await send(...)`: it speaks ASGI messages and knows no server. Imported by `server`
and by applications.
"""
