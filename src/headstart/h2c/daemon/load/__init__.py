"""`h2c load` and `--follow-hints`: a page and what it needs, fetched as a browser would.

    command.py       what `h2c load` does
    following.py     what `get --follow-hints` does besides
    loader.py        fetches the page, and what is found, as soon as it is found
    content.py       reads what came, for what it links
    resource.py      what is wanted, and what came of it
    documents.py     what an HTML page links
    stylesheets.py   what a stylesheet links
    hints.py         what a Link field names
    rows.py          the lines of a waterfall
    table.py         the waterfall as text
    picture.py       the waterfall as SVG
    report.py        the waterfall as JSON, and the sum of it

Runs in the background process only, and is imported there when it is first used. Not like a
browser: nothing is rendered or run, so what scripts would fetch is not seen, and every image and
font that is named counts as used. Called by `verbs` and `exchange`.
"""
