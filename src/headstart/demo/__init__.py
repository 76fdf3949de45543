"""The site that `headstart demo` serves.

    app.py      the application: its paths
    echo.py     the push echo: it pushes back the posted message
    site.py     a small site whose second visitor gets everything ahead
    respond.py  helpers that these share

Imported by the command line.
"""
