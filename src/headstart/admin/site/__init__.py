"""The pages of the admin port: the gain of each site, its map, its last views (docs/admin.md).

    each process that serves                    main process
    answers ── plain data (JSON) ──────────>  snapshot ─ charts ─ rendering ─ views
                                                                              live

    answers.py    reads the recorder, the learner and the counters; obeys orders
    snapshot.py   the answers of all processes as one, in frozen dataclasses
    words.py      each reason of a refusal in words
    charts.py     where the bars of waterfalls and of the history are
    rendering.py  templates/ with values: every value is escaped
    views.py      the handlers, and their routes
    live.py       tells the pages that something has changed
    static/       the stylesheet and the script, as they are sent

The pages need Jinja2, the extra `admin`: their text is data of strangers, and a template library
that escapes all of it is safer than code of ours that must not forget to. `questions` has the
answers, `pages` has the routes.
"""
