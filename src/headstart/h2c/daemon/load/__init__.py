"""`h2c load` and `--follow-hints`: a page and its assets, fetched as a browser would.

    command.py       runs `h2c load`
    following.py     runs `get --follow-hints`
    loader.py        fetches the page, and each asset as soon as it is found
    content.py       reads responses and finds their links
    resource.py      a wanted resource and its response
    documents.py     links of an HTML page
    stylesheets.py   links of a stylesheet
    hints.py         links of a Link header
    rows.py          the lines of a waterfall
    table.py         the waterfall as text
    picture.py       the waterfall as SVG
    report.py        the waterfall as JSON, and the sum of it

Runs in the background process only, which imports it when it is first used. Unlike a browser, it
renders and runs nothing: it does not see requests made by scripts, and counts every named image and
font as used. Called by `verbs` and `exchange`.
"""
