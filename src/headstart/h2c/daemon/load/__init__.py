"""`h2c load` and `--follow-hints`: a page and its assets, fetched as a browser would.

    command.py       runs `h2c load` and `get --follow-hints`
    loader.py        fetches the page, and each asset as soon as it is found
    links.py         links of a response, in its headers and its content
    documents.py     links of an HTML page and of a stylesheet
    fonts.py         the families that rules of stylesheets name
    resource.py      a wanted resource and its response
    report.py        the waterfall as text and as JSON, and the sum of it
    picture.py       the waterfall as SVG

Runs in the background process only, which imports it when it is first used. Unlike a browser, it
renders and runs nothing: it does not see requests made by scripts, and counts every named image as
used, and every font whose family a rule names. Called by `service` and `requesting`.
"""
